"""What each axis of a simulator's model consists of: named values with a physical size at level 1, 2 and 3.

`camera:2` moves and turns a camera at once; `camera.yaw:3` sets one of its values, in its own unit, whatever else is
asked. Which way a value is moved follows from the case, never from the level: a case's dose grows with the level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from roboscale.core import Case, generator

__all__ = ["MODEL_PARTS", "PARTS", "ModelPart", "interpolated", "value_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPart:
    """One value that an axis changes.

    Args:
        name: `axis.value`.
        unit: of the sizes and of a value that is given.
        sizes: at level 1, 2 and 3.
        kind: `signed` is the size up or down, `factor` multiplies or divides by it, `divisor` always divides, and
            `plain` is the size itself.
    """

    name: str
    unit: str
    sizes: tuple[float, float, float]
    kind: Literal["signed", "factor", "divisor", "plain"]

    @property
    def axis(self) -> str:
        return self.name.partition(".")[0]

    @property
    def neutral(self) -> float:
        """The value that changes nothing."""
        return 1.0 if self.kind in ("factor", "divisor") else 0.0


def _part(
    name: str, unit: str, sizes: tuple[float, float, float], kind: Literal["signed", "factor", "divisor", "plain"]
) -> ModelPart:
    return ModelPart(name=name, unit=unit, sizes=sizes, kind=kind)


_ALL = (
    _part("light.brightness", "1", (1.3, 1.7, 2.5), "divisor"),
    _part("light.turn", "deg", (20.0, 45.0, 80.0), "signed"),
    _part("light.warmth", "1", (0.05, 0.12, 0.25), "signed"),
    _part("camera.x", "m", (0.01, 0.03, 0.06), "signed"),
    _part("camera.y", "m", (0.01, 0.03, 0.06), "signed"),
    _part("camera.z", "m", (0.01, 0.03, 0.06), "signed"),
    _part("camera.yaw", "deg", (1.0, 3.0, 6.0), "signed"),
    _part("camera.pitch", "deg", (1.0, 3.0, 6.0), "signed"),
    _part("camera.fov", "deg", (1.0, 2.5, 5.0), "signed"),
    _part("texture.colour", "1", (0.2, 0.45, 0.7), "plain"),
    _part("texture.pattern", "1", (0.0, 1.0, 2.0), "plain"),
    _part("texture.set", "1", (0.0, 0.0, 0.0), "plain"),
    _part("friction.factor", "1", (1.25, 1.6, 2.5), "factor"),
    _part("mass.factor", "1", (1.5, 2.5, 4.0), "factor"),
    _part("size.factor", "1", (1.08, 1.16, 1.25), "factor"),
    _part("initial_spread.x", "m", (0.01, 0.02, 0.04), "signed"),
    _part("initial_spread.y", "m", (0.01, 0.02, 0.04), "signed"),
    _part("table_height.shift", "m", (0.01, 0.02, 0.04), "signed"),
    _part("distractors.count", "1", (2.0, 4.0, 8.0), "plain"),
    _part("distractors.set", "1", (0.0, 0.0, 0.0), "plain"),
)

PARTS: Mapping[str, ModelPart] = {part.name: part for part in _ALL}
"""Every value by its name."""

MODEL_PARTS: Mapping[str, tuple[ModelPart, ...]] = {
    axis: tuple(part for part in _ALL if part.axis == axis) for axis in dict.fromkeys(part.axis for part in _ALL)
}
"""Axis -> its values."""


def interpolated(sizes: tuple[float, ...], strength: float, neutral: float = 0.0) -> float:
    """The size at a strength from 0 (nothing) to 3: the levels' own at 1, 2, 3, straight lines between them.

    >>> interpolated((1.0, 3.0, 6.0), 2.5)
    4.5
    """
    steps = (neutral, *sizes)
    below = min(int(strength), len(sizes) - 1)
    return steps[below] + (strength - below) * (steps[below + 1] - steps[below])


def value_of(part: ModelPart, strength: float, case: Case) -> float:
    """The value of a part at a strength in a case: up in one half of all cases, down in the other.

    Light is always dimmed: renderers clip what is brighter than white, so that a lit table would look as it was.
    """
    size = interpolated(part.sizes, strength, part.neutral)
    if part.kind == "plain":
        return size
    if part.kind == "divisor":
        return 1 / size
    up = generator("perturbed", case.task, str(case.start), part.name).random() < 0.5
    if part.kind == "factor":
        return size if up else 1 / size
    return size if up else -size
