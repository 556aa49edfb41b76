"""Real robots as worlds."""
