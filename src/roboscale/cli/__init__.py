"""The command line: wiring. It may import every room, and no room imports it."""
