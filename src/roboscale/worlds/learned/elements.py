"""What the elements of a recorded state are: found in the data, not declared.

A state is every number that a dataset observes, field after field. Most of its elements are no dynamics: a goal stays
where it is for an episode, `previous.hand.x` is what `hand.x` was a step ago, the same reading stands in two fields.
Only what is left is predicted. Knows arrays and names; no network, no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, SpecMismatch
from roboscale.core.layouts import angles_in, points_in
from roboscale.core.plain import Plain

__all__ = ["StateElements", "element_names", "find_elements", "state_fields"]

Floats = NDArray[np.float64]
_SAME = 1e-6  # of an element's range: equal up to the rounding of float32
_LOOKED_AT = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class StateElements(Plain):
    """The roles of the S elements of a state; every element has exactly one.

    Args:
        names: of each element, as its field's layout has it, or `field[3]`.
        predicted: places of what the dynamics moves.
        shifted: place -> the place whose value of a step ago it is.
        copies: place -> (place, scale, offset): the same reading in another unit.
        held: places that stay as they are for an episode.
        angles: places, among the predicted, that turn; radians.
        body: place of x, y and angle of the planar body in whose frame everything is seen; empty where there is none.
    """

    names: tuple[str, ...]
    predicted: tuple[int, ...]
    shifted: Mapping[int, int]
    copies: Mapping[int, tuple[int, float, float]]
    held: tuple[int, ...]
    angles: tuple[int, ...] = ()
    body: tuple[int, ...] = ()

    @property
    def points(self) -> dict[str, tuple[int, ...]]:
        """Name -> places of the points that move or stand in the scene; copies and earlier values are left out."""
        own = set(self.predicted) | set(self.held)
        return {name: at for name, at in points_in(self.names).items() if own.issuperset(at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StateElements:
        """Inverse of `to_json`, whose keys are texts."""
        return cls(
            names=tuple(data["names"]),
            predicted=tuple(data["predicted"]),
            shifted={int(k): int(v) for k, v in data["shifted"].items()},
            copies={int(k): (int(v[0]), float(v[1]), float(v[2])) for k, v in data["copies"].items()},
            held=tuple(data["held"]),
            angles=tuple(data["angles"]),
            body=tuple(data["body"]),
        )

    @property
    def lines(self) -> list[str]:
        """For people: what is predicted, and what is not and why."""
        named = self.names
        lines = [f"predicted: {', '.join(named[i] for i in self.predicted)}"]
        if self.body:
            lines.append(f"seen in the frame of {named[self.body[0]].rpartition('.')[0]}")
        if self.shifted:
            lines.append(f"values of a step ago: {', '.join(named[i] for i in self.shifted)}")
        if self.copies:
            lines.append(f"copies: {', '.join(f'{named[i]} of {named[c[0]]}' for i, c in self.copies.items())}")
        if self.held:
            lines.append(f"held for an episode: {', '.join(named[i] for i in self.held)}")
        return lines


def state_fields(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The fields of a state: observed numbers. Pictures, times and contacts are none."""
    return tuple(f for f in fields if f.name.startswith("observation.") and not f.is_image and "float" in f.dtype)


def element_names(fields: Sequence[Field]) -> tuple[str, ...]:
    """A name for each element of the fields, one after the other."""
    names: list[str] = []
    for field in fields:
        size = int(np.prod(field.shape))
        names += field.layout if len(field.layout) == size else [f"{field.name}[{i}]" for i in range(size)]
    return tuple(names)


def find_elements(names: Sequence[str], episodes: Sequence[Floats]) -> StateElements:
    """The roles of the elements.

    Args:
        names: of the S elements.
        episodes: states (T, S) of each, T >= 2 for at least one.

    Raises:
        SpecMismatch: nothing moves.
    """
    now = np.concatenate([e[:-1] for e in episodes if len(e) > 1])
    then = np.concatenate([e[1:] for e in episodes if len(e) > 1])
    whole = np.ptp(now, axis=0)
    slack = _SAME * np.maximum(whole, 1e-3)
    moved = np.abs(then - now).max(axis=0) > slack
    # where something moved most elements differ from one another, so that a coincidence is no shift
    order = np.argsort(-np.abs((then - now) / np.maximum(whole, 1e-9)).sum(axis=1), kind="stable")[:_LOOKED_AT]
    shifted = _shifted(now, then, np.flatnonzero(moved), order, slack)
    own = [int(i) for i in np.flatnonzero(moved) if int(i) not in shifted]
    copies = _copies(now, own)
    predicted = tuple(i for i in own if i not in copies)
    if not predicted:
        raise SpecMismatch(f"nothing moves in this dataset: {', '.join(names)} are the same in every frame")
    turning = {i for i in angles_in(names).values() if i in predicted}
    return StateElements(
        names=tuple(names),
        predicted=predicted,
        shifted=shifted,
        copies=copies,
        held=tuple(int(i) for i in np.flatnonzero(~moved)),
        angles=tuple(sorted(turning)),
        body=_body(names, predicted),
    )


def _shifted(
    now: Floats, then: Floats, moved: NDArray[np.intp], order: NDArray[np.intp], slack: Floats
) -> dict[int, int]:
    found = {}
    for j in moved:
        same = np.abs(then[order, j][:, None] - now[order][:, moved]).max(axis=0) <= slack[j]
        sources = [int(i) for i in moved[same] if i != j]
        if sources and np.abs(then[:, j] - now[:, sources[0]]).max() <= slack[j]:
            found[int(j)] = sources[0]
    chained = {j: i for j, i in found.items() if i in found}  # a value of two steps ago: one of a step ago is shifted
    return {j: i for j, i in found.items() if j not in chained or found[i] != j}


def _copies(now: Floats, own: Sequence[int]) -> dict[int, tuple[int, float, float]]:
    """Elements that are another one in another unit."""
    found: dict[int, tuple[int, float, float]] = {}
    for n, j in enumerate(own):
        for i in own[:n]:
            if i in found:
                continue
            design = np.stack([now[:, i], np.ones(len(now))], axis=1)
            (scale, offset), *_ = np.linalg.lstsq(design, now[:, j], rcond=None)
            if np.abs(design @ (scale, offset) - now[:, j]).max() <= 1e-4 * np.ptp(now[:, j]):
                found[j] = (i, float(scale), float(offset))
                break
    return found


def _body(names: Sequence[str], predicted: Sequence[int]) -> tuple[int, ...]:
    """x, y and angle of the first planar body all of whose elements move."""
    points = points_in(names)
    for body, angle in angles_in(names).items():
        at = points.get(body, ())
        if len(at) == 2 and {*at, angle} <= set(predicted):
            return (*at, angle)
    return ()
