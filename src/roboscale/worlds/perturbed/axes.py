"""The axes that every world has, with the physical size of each level.

A variation is written `axis:level`, several with a comma: `action_delay:2,sensor_noise:1`. Sizes are part of the code
and so of a perturbed world's identity: trials of other sizes never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roboscale.core import NOMINAL, Field, RoboscaleError, UnknownName, WorldInfo

__all__ = ["AXES", "LEVELS", "Axis", "Settings", "axes_of", "level_of", "parse_cells", "settings_of"]

LEVELS = (1, 2, 3)
"""Mild, middle and strong; the sizes of each are in `AXES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that may be worse than in the laboratory.

    Args:
        about: what it does, for people.
        sizes: of level 1, 2 and 3.
        unit: of the sizes.
        missing: why a world cannot do it; empty where it can.
    """

    name: str
    about: str
    sizes: tuple[float, ...]
    unit: str
    missing: Callable[[WorldInfo], str]

    def size(self, level: int) -> float:
        return self.sizes[level - 1]


def _anything(info: WorldInfo) -> str:
    return ""


def _numbers(info: WorldInfo) -> str:
    return (
        "" if any(noise_unit(field) for field in info.observation_spec) else "it shows nothing in m, rad or pictures"
    )


def _pictures(info: WorldInfo) -> str:
    return "" if info.observation_spec.images else "it shows no pictures"


def _still(info: WorldInfo) -> str:
    return "" if info.hold is not None else "it says no action that holds still, which is what comes before the first"


AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            name="observation_delay",
            about="everything is seen so much later, at least 1, 2 and 3 steps",
            sizes=(0.05, 0.1, 0.2),
            unit="s",
            missing=_anything,
        ),
        Axis(
            name="action_delay",
            about="actions take effect so much later, at least 1, 2 and 3 steps; until then the world holds still",
            sizes=(0.05, 0.1, 0.2),
            unit="s",
            missing=_still,
        ),
        Axis(
            name="lost_frames",
            about="share of steps whose observation is lost: the last one that came is seen again",
            sizes=(0.1, 0.3, 0.5),
            unit="1",
            missing=_anything,
        ),
        Axis(
            name="sensor_noise",
            about="standard deviation of noise: so many mm, 0.005 times that in rad, twice that in grey levels of 255",
            sizes=(2.0, 5.0, 10.0),
            unit="mm",
            missing=_numbers,
        ),
        Axis(
            name="compression",
            about="pictures come as JPEG of this quality",
            sizes=(50, 20, 5),
            unit="1",
            missing=_pictures,
        ),
    )
}
"""Axis -> what it does. All of them act on time and observations, so a robot could do them, too."""

_NOISE = {"m": 1e-3, "rad": 5e-3}
_GREY_LEVELS = 2.0


def noise_unit(field: Field) -> float:
    """What `sensor_noise` of size 1 is in a field's own unit; 0 where it is left alone."""
    if field.is_image:
        return _GREY_LEVELS
    return _NOISE.get(field.unit, 0.0) if field.dtype.startswith("float") else 0.0


def axes_of(info: WorldInfo) -> dict[str, str]:
    """Every axis -> why this world cannot do it; empty where it can."""
    return {name: axis.missing(info) for name, axis in AXES.items()}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a variation asks of these axes, and what is left for the world itself.

    Args:
        levels: axis -> level.
        rest: the variation without them; `nominal` where nothing is left.
    """

    levels: Mapping[str, int]
    rest: str

    def size(self, axis: str) -> float:
        """The size of an axis; 0 where it is not perturbed."""
        return AXES[axis].size(self.levels[axis]) if axis in self.levels else 0.0

    def delay(self, axis: str, rate_hz: float) -> int:
        """Whole steps of a delay, at least as many as its level says."""
        return max(self.levels[axis], round(self.size(axis) * rate_hz)) if axis in self.levels else 0


def settings_of(variation: str) -> Settings:
    """Takes a case's variation apart.

    Raises:
        UnknownName: a level of one of these axes that there is not.
    """
    levels, rest = {}, []
    for part in () if variation == NOMINAL else variation.split(","):
        axis, _, level = part.partition(":")
        if axis in AXES:
            levels[axis] = level_of(axis, level)
        else:
            rest.append(part)
    return Settings(levels, ",".join(rest) or NOMINAL)


def level_of(axis: str, text: str) -> int:
    """The level that a text names; UnknownName otherwise."""
    valid = [str(level) for level in LEVELS]
    if text not in valid:
        raise UnknownName(f"level of {axis}", text, valid)
    return int(text)


def parse_cells(text: str, info: WorldInfo) -> tuple[str, ...]:
    """The variations that `--perturb` asks for, one axis each: `all`, `axis` (every level), `axis:level`.

    >>> from roboscale.worlds import open_world
    >>> parse_cells("lost_frames:2,observation_delay", open_world("pusht").info)
    ('lost_frames:2', 'observation_delay:1', 'observation_delay:2', 'observation_delay:3')

    Raises:
        UnknownName: an axis or a level that there is not.
        RoboscaleError: an axis that this world cannot do, or none at all.
    """
    missing = axes_of(info)
    can = [name for name, why in missing.items() if not why]
    parts = can if text.strip() == "all" else [part.strip() for part in text.split(",") if part.strip()]
    cells = []
    for part in parts:
        axis, colon, level = part.partition(":")
        if axis not in AXES:
            raise UnknownName("axis to perturb", axis, ["all", *can])
        if missing[axis]:
            raise RoboscaleError(
                f"--perturb {axis}: world {info.name} cannot: {missing[axis]}; it can {', '.join(can)}"
            )
        cells += [f"{axis}:{level_of(axis, level)}"] if colon else [f"{axis}:{number}" for number in LEVELS]
    if not cells:
        raise RoboscaleError(f"--perturb is empty; world {info.name} can {', '.join(can)}")
    return tuple(dict.fromkeys(cells))
