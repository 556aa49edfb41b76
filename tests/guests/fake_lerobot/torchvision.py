"""Nothing is computed by a robot's side."""
