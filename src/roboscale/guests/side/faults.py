"""What a guest says of a fault."""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):
    """What was asked for cannot be: the text is for people, and needs no place in the code beside it."""
