"""Pages that a person looks at, served on this machine. Wiring: may import every room, and no room imports it."""
