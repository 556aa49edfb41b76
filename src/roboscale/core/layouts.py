"""Points and turning bodies in a layout: names such as `block.x, block.y, block.angle` are one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["ANGLES", "angles_in", "points_in"]

ANGLES = ("angle", "yaw", "theta")
"""What the last part of an element's name is where it is an angle about the vertical, radians."""

_AXES = ("x", "y", "z")


def points_in(layout: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Name of a point -> places of its x, y and, where there is one, z. An element that is there twice counts once.

    >>> points_in(("hand.x", "hand.y", "hand.z", "gripper", "goal.x", "goal.y"))
    {'hand': (0, 1, 2), 'goal': (4, 5)}
    """
    found: dict[str, dict[str, int]] = {}
    for place, name in enumerate(layout):
        body, _, axis = name.rpartition(".")
        if body and axis in _AXES:
            found.setdefault(body, {}).setdefault(axis, place)
    return {
        body: tuple(axes[a] for a in _AXES if a in axes) for body, axes in found.items() if {"x", "y"} <= axes.keys()
    }


def angles_in(layout: Sequence[str]) -> Mapping[str, int]:
    """Name of a body -> place of its angle.

    >>> angles_in(("block.x", "block.y", "block.angle"))
    {'block': 2}
    """
    parts = ((name.rpartition("."), place) for place, name in enumerate(layout))
    return {body: place for (body, _, last), place in parts if body and last in ANGLES}
