"""As much of LeRobot's interface as our side of a robot touches."""

__version__ = "0.0 (fake)"
