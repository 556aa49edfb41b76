"""What a world said of itself, held against what its scenes give while a rollout runs.

A world that breaks its own word must not be read as a policy that failed: an observation of another shape makes the
policy raise, a `terminated` of text ends every episode at its first step, a progress of 7 is a mean of 7. Each is the
world's mistake here, in one line that names the call and both sides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, InfrastructureError, Observation, Scene, Step, WorldInfo
from roboscale.core.errors import near_names

__all__ = ["Promises"]

_SCENE = ("observe", "step", "measures", "close")


class Promises:
    """Looks at everything that scenes of a world give; see `Scene` for what is promised.

    Args:
        info: what the world said.

        >>> Promises(info).step(None)
        BadData: world point: step: expected a Step, found None; write `return Step()`
    """

    def __init__(self, info: WorldInfo) -> None:
        self._world = f"world {info.name}"
        self._fields = {f.name: f for f in info.observation_spec}
        self._action = info.action_spec["action"]
        self._measured = frozenset(m.name for m in info.measures)

    def scene(self, given: Any, together: bool) -> Scene:
        """What `start` gave; BadData where it is no scene. One that its world steps with others needs no `step`."""
        needed = [name for name in _SCENE if not (together and name == "step")]
        lacking = [name for name in needed if not callable(getattr(given, name, None))]
        if lacking:
            lacks = f"{type(given).__name__} without {', '.join(lacking)}"
            found = "None; is a `return` missing?" if given is None else lacks
            raise BadData(self._world, "start", f"a scene with the methods {', '.join(needed)}", found)
        return given  # type: ignore[no-any-return]

    def seen(self, given: Any, names: Collection[str] | None, first: bool) -> Observation:
        """The fields that were asked for, as arrays.

        Args:
            first: nothing was stepped yet: what is wrong now is wrong in every episode.

        Raises:
            BadData: a field is missing, undeclared or of another shape or kind, at the first look.
            InfrastructureError: the same later, or numbers that are not finite: the trial is void.
        """
        if not isinstance(given, Mapping):
            raise BadData(self._world, "observe", "a dictionary of field -> array", _shown(given))
        wanted = self._fields if names is None else names
        for name in given:
            if name not in self._fields:
                self._broken(first, "observe", f"fields of the observation spec{self._near(name)}", repr(name))
        seen = {}
        for name in wanted:
            if name not in given:
                self._broken(first, f"observe of {name}", "an array", f"only {', '.join(given) or 'nothing'}")
            seen[name] = self._array(self._fields[name], given[name], first)
        return seen

    def _array(self, field: Field, given: Any, first: bool) -> NDArray[Any]:
        what, wanted = f"observe of {field.name}", f"{field.dtype}{list(field.shape)}"
        try:
            values = np.asarray(given)
        except (ValueError, TypeError) as error:
            self._broken(first, what, wanted, str(error))
        if field.is_image and values.dtype != np.uint8:
            self._broken(first, what, wanted, f"{values.dtype}{list(values.shape)}")
        if values.shape != field.shape or values.dtype.kind not in "biuf":
            self._broken(first, what, wanted, f"{values.dtype}{list(values.shape)}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            found = f"{bad} of {values.size} that are NaN or infinite"
            raise InfrastructureError(f"{self._world}: {what}: expected finite numbers, found {found}")
        return values

    def step(self, given: Any) -> Step:
        """What `step` gave, its flags as booleans.

        Raises:
            BadData: it is no `Step`, or holds what does not fit.
            InfrastructureError: what was sent is said to be NaN: the trial is void.
        """
        if not isinstance(given, Step):
            found = f"{_shown(given)}; write `return Step()`"
            if isinstance(given, tuple) and len(given) == 5:
                found = "the five values of gymnasium; write `return Step(terminated, truncated)`"
            raise BadData(self._world, "step", "a Step", found)
        flags = [_truth(given.terminated), _truth(given.truncated)]
        for name, flag in zip(("terminated", "truncated"), flags, strict=True):
            if flag is None:
                raise BadData(self._world, f"Step.{name}", "True or False", _shown(getattr(given, name)))
        applied = given.applied
        if applied is not None:
            applied = np.asarray(applied)
            if applied.shape != self._action.shape or applied.dtype.kind not in "biuf":
                wanted = f"what was really sent, {list(self._action.shape)}"
                raise BadData(self._world, "Step.applied", wanted, _shown(given.applied))
            if not np.isfinite(applied).all():
                found = _shown(given.applied)
                raise InfrastructureError(f"{self._world}: Step.applied: expected finite numbers, found {found}")
        return Step(bool(flags[0]), bool(flags[1]), applied)

    def measures(self, given: Any) -> dict[str, float | None]:
        """Every declared measure and nothing else; BadData otherwise. What is not finite was not measured."""
        if not isinstance(given, Mapping):
            raise BadData(self._world, "measures", "a dictionary of measure -> number or None", _shown(given))
        if given.keys() != self._measured:
            missing, more = sorted(self._measured - given.keys()), sorted(given.keys() - self._measured)
            sides = [f"no {', '.join(missing)}" if missing else "", f"undeclared {', '.join(more)}" if more else ""]
            declared = ", ".join(sorted(self._measured)) or "nothing"
            expected = f"{declared}, each with None where it was not measured"
            raise BadData(self._world, "measures", expected, " and ".join(filter(None, sides)))
        for name, value in given.items():
            if value is None or name == "success":  # the referee refuses a success that is no truth value
                continue
            if not isinstance(value, bool | int | float | np.bool_ | np.number):
                raise BadData(self._world, f"measure {name}", "a number, or None", _shown(value))
            if name == "progress" and math.isfinite(value) and not 0 <= value <= 1:
                raise BadData(self._world, "measure progress", "a number in 0..1", _shown(value))
        return dict(given)

    def _near(self, name: str) -> str:
        near = near_names(name, self._fields)
        return f" ({', '.join(near or self._fields)})"

    def _broken(self, first: bool, what: str, expected: str, found: str) -> NoReturn:
        error = BadData(self._world, what, expected, found)
        if first:
            raise error
        raise InfrastructureError(str(error))


def _truth(value: Any) -> bool | None:
    """A flag as a boolean; `None` for what is none: text would be true whatever it says."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    one = np.asarray(value)
    if one.size == 1 and one.dtype.kind in "biuf" and one.ravel()[0] in (0, 1):
        return bool(one.ravel()[0])
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    if value is None or len(text) > 80:
        return "None" if value is None else f"{type(value).__name__} {text[:77]}..."
    return f"{type(value).__name__} {text}"
