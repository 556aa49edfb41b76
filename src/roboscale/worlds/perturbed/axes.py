"""The axes along which a world may be worse than in the laboratory, with the physical size of each level.

A variation is written `axis:level`, several with a comma: `action_delay:2,light:1`. A level may lie between
(`light:1.5`), and one value of an axis may be given in its own unit (`camera.yaw:3`). Sizes are part of the code and
so of a perturbed world's identity: trials of other sizes never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from roboscale.core import NOMINAL, BadData, Case, Field, RoboscaleError, UnknownName, World, WorldInfo
from roboscale.core.simulation import HasModel
from roboscale.worlds.perturbed.parts import MODEL_PARTS, PARTS, interpolated, value_of

__all__ = ["AXES", "LEVELS", "Axis", "Settings", "axes_of", "level_of", "parse_cells", "settings_of", "strength_of"]

LEVELS = (1, 2, 3)
"""Mild, middle and strong; the sizes of each are in `AXES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that may be worse than in the laboratory.

    Args:
        about: what it does, for people.
        sizes: of level 1, 2 and 3; those of a simulator's model are in `PARTS`.
        unit: of the sizes. neutral: the size that changes nothing.
        missing: why a world cannot do it, as far as its info tells; empty where it can.
        acts_on: `time` and observations, the `model` of a simulator, or the `words` of the instruction.
        seen: whether a still picture of the first moment can show it.
    """

    name: str
    about: str
    sizes: tuple[float, ...] = ()
    unit: str = "1"
    neutral: float = 0.0
    missing: Callable[[WorldInfo], str]
    acts_on: Literal["time", "model", "words"] = "time"
    seen: bool = False

    def size(self, strength: float) -> float:
        return interpolated(self.sizes, strength, self.neutral)

    @property
    def content(self) -> list[object]:
        """What a number depends on that was measured along it."""
        parts = [[part.name, list(part.sizes), part.kind] for part in MODEL_PARTS.get(self.name, ())]
        return [self.name, list(self.sizes), self.about, parts]

    def size_text(self, level: int) -> str:
        """The sizes of a level, for people."""
        parts = MODEL_PARTS.get(self.name, ())
        if not parts:
            return f"{self.size(level):g} {self.unit}".removesuffix(" 1")
        sign = {"signed": "±", "factor": "×÷", "divisor": "÷", "plain": ""}
        return ", ".join(
            f"{part.name.partition('.')[2]} {sign[part.kind]}{part.sizes[level - 1]:g} {part.unit}".removesuffix(" 1")
            for part in parts
            if any(part.sizes)
        )


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


def _worded(info: WorldInfo) -> str:
    return "" if info.wordings else "there are no other wordings of its sentences; --paraphrases FILE gives them"


def _model(name: str, about: str, *, seen: bool, missing: Callable[[WorldInfo], str] = _anything) -> Axis:
    return Axis(name=name, about=about, missing=missing, acts_on="model", seen=seen)


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
            seen=True,
        ),
        Axis(
            name="compression",
            about="pictures come as JPEG of this quality",
            sizes=(50, 20, 5),
            neutral=95,
            missing=_pictures,
            seen=True,
        ),
        Axis(
            name="control_rate",
            about="the world looks and is told at every so many steps only; in between the last action is repeated",
            sizes=(2, 3, 4),
            unit="steps",
            neutral=1,
            missing=_anything,
        ),
        Axis(
            name="paraphrase",
            about="the sentence is worded otherwise: 1 politely, 2 with other words, 3 both and roundabout",
            sizes=(1, 2, 3),
            missing=_worded,
            acts_on="words",
        ),
        _model("light", "lights are dimmer, turned, warmer or colder", seen=True, missing=_pictures),
        _model("camera", "fixed cameras are moved, turned and zoomed", seen=True, missing=_pictures),
        _model("texture", "all but the robot has other colours and patterns", seen=True, missing=_pictures),
        _model(
            "distractors", "things stand about, in pictures alone: nothing can be pushed", seen=True, missing=_pictures
        ),
        _model("friction", "everything slides more or less easily", seen=False),
        _model("mass", "what can be moved is heavier or lighter", seen=False),
        _model("size", "loose objects are larger or smaller at the same mass", seen=True),
        _model("initial_spread", "loose objects begin elsewhere on what they lie on, all by the same way", seen=True),
        _model("table_height", "the table with all that stands on it is higher or lower", seen=True),
    )
}
"""Axis -> what it does. Those that act on time, observations or words could be done to a robot, too."""

_NOISE = {"m": 1e-3, "rad": 5e-3}
_GREY_LEVELS = 2.0


def noise_unit(field: Field) -> float:
    """What `sensor_noise` of size 1 is in a field's own unit; 0 where it is left alone."""
    if field.is_image:
        return _GREY_LEVELS
    return _NOISE.get(field.unit, 0.0) if field.dtype.startswith("float") else 0.0


def axes_of(world: World) -> dict[str, str]:
    """Every axis -> why this world cannot do it; empty where it can."""
    info = world.info
    changeable = world.changeable() if isinstance(world, HasModel) else {}
    missing = {}
    for name, axis in AXES.items():
        why = axis.missing(info)
        if axis.acts_on == "model" and not why:
            why = changeable.get(name, "it shows no simulator's model")
        missing[name] = why
    return missing


@dataclass(frozen=True, slots=True)
class Settings:
    """What a variation asks of these axes, and what is left for the world itself.

    Args:
        levels: axis -> strength, above 0 and at most 3; the levels are 1, 2 and 3.
        values: name of a value, e.g. `camera.yaw` -> what it is to be, in its own unit.
        rest: the variation without them; `nominal` where nothing is left.
    """

    levels: Mapping[str, float]
    values: Mapping[str, float]
    rest: str

    def size(self, axis: str) -> float:
        """The size of an axis; 0 where it is not perturbed."""
        return AXES[axis].size(self.levels[axis]) if axis in self.levels else 0.0

    def delay(self, axis: str, rate_hz: float) -> int:
        """Whole steps of a delay, at least as many as its level says."""
        return max(round(self.levels[axis]), round(self.size(axis) * rate_hz)) if axis in self.levels else 0

    def model_values(self, case: Case) -> dict[str, float]:
        """What the simulator's model is to be changed to in a case: name of a value -> value."""
        drawn = {
            part.name: value_of(part, strength, case)
            for axis, strength in self.levels.items()
            for part in MODEL_PARTS.get(axis, ())
        }
        return {**drawn, **self.values}


def settings_of(variation: str, can: Mapping[str, Axis] = AXES) -> Settings:
    """Takes a case's variation apart.

    Args:
        can: the axes that are ours; all others are the world's own.

    Raises:
        UnknownName: a level of one of these axes that there is not.
        BadData: a value that is no number.
    """
    levels, values, rest = {}, {}, []
    for part in () if variation == NOMINAL else variation.split(","):
        axis, _, level = part.partition(":")
        if axis in can:
            levels[axis] = strength_of(axis, level)
        elif axis in PARTS and PARTS[axis].axis in can:
            values[axis] = _number(axis, level)
        else:
            rest.append(part)
    return Settings(levels, values, ",".join(rest) or NOMINAL)


def _number(name: str, text: str) -> float:
    part = PARTS[name]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (value == value and abs(value) < 1e6 and (part.neutral == 0 or value > 0)):
        wanted = "a factor above 0" if part.neutral else f"a number in {part.unit}"
        raise BadData("variation", name, wanted, text)
    return value


def strength_of(axis: str, text: str) -> float:
    """The strength that a text says, above 0 and at most 3; UnknownName otherwise."""
    try:
        strength = float(text)
    except ValueError:
        strength = 0.0
    if not 0 < strength <= LEVELS[-1]:
        raise UnknownName(f"level of {axis}", text, [str(level) for level in LEVELS])
    return strength


def level_of(axis: str, text: str) -> int:
    """The level that a text names; UnknownName otherwise."""
    valid = [str(level) for level in LEVELS]
    if text not in valid:
        raise UnknownName(f"level of {axis}", text, valid)
    return int(text)


def parse_cells(text: str, world: World) -> tuple[str, ...]:
    """The variations that `--perturb` asks for, one axis each: `all`, `axis` (every level), `axis:level`.

    >>> from roboscale.worlds import open_world
    >>> parse_cells("lost_frames:2,observation_delay", open_world("pusht"))
    ('lost_frames:2', 'observation_delay:1', 'observation_delay:2', 'observation_delay:3')

    Raises:
        UnknownName: an axis or a level that there is not.
        RoboscaleError: an axis that this world cannot do, or none at all.
    """
    missing, name = axes_of(world), world.info.name
    can = [axis for axis, why in missing.items() if not why]
    parts = can if text.strip() == "all" else [part.strip() for part in text.split(",") if part.strip()]
    cells = []
    for part in parts:
        axis, colon, level = part.partition(":")
        if axis not in AXES:
            raise UnknownName("axis to perturb", axis, ["all", *can])
        if missing[axis]:
            raise RoboscaleError(f"--perturb {axis}: world {name} cannot: {missing[axis]}; it can {', '.join(can)}")
        cells += [f"{axis}:{level_of(axis, level)}"] if colon else [f"{axis}:{number}" for number in LEVELS]
    if not cells:
        raise RoboscaleError(f"--perturb is empty; world {name} can {', '.join(can)}")
    return tuple(dict.fromkeys(cells))
