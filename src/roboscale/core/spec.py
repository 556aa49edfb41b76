"""What arrays mean, and whether two sides agree on it before anything moves.

Knows names, shapes, dtypes, units, frames, layouts and modes. Does not know files, robots or policies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import SpecMismatch, UnknownName
from roboscale.core.plain import Plain

__all__ = ["Difference", "Field", "Spec", "require_match", "spec_differences"]


@dataclass(frozen=True, slots=True)
class Field:
    """One array: `observation.state`, `action`, `observation.images.front`, ...

    Args:
        name: LeRobot's key.
        shape: shape of one time step, e.g. `(4,)` or `(96, 96, 3)`.
        dtype: numpy name, e.g. `float32`.
        unit: SI unit of the elements, `1` for a pure number, `mixed` where `layout` tells.
        frame: frame the values are expressed in, e.g. `world`; empty where none applies.
        layout: name of each element, or of each axis for an image.
        mode: `absolute`, or `relative to <what>` (state at prediction, previous action, episode start).
        side: for relative rotations, the side they compose on: `body` or `world`.
        low, high: inclusive bounds per element, `None` where unbounded.
        branch: sign or rotation-vector branch that the values were recorded on, e.g. `w>=0`.
        role: of a camera, where it looks from whatever the robot calls it, e.g. `wrist`, `front`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    _: KW_ONLY
    unit: str = "1"
    frame: str = ""
    layout: tuple[str, ...] = ()
    mode: str = "absolute"
    side: str = ""
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    branch: str = ""
    role: str = ""

    def __post_init__(self) -> None:
        np.dtype(self.dtype)  # TypeError here beats a surprise while writing
        if any(n < 1 for n in self.shape):
            raise SpecMismatch(f"{self.name}: shape {self.shape} has an empty axis")
        size = self.shape[0] if len(self.shape) == 1 else len(self.shape)
        if self.layout and self.shape and len(self.layout) != size:
            raise SpecMismatch(
                f"{self.name}: layout names {len(self.layout)} of the {size} elements or axes of shape {self.shape}"
            )
        for bound_name in ("low", "high"):
            bound = getattr(self, bound_name)
            if bound is not None and len(bound) != int(np.prod(self.shape)):
                raise SpecMismatch(f"{self.name}: {bound_name} has {len(bound)} values for shape {self.shape}")

    @property
    def is_image(self) -> bool:
        """True for HWC uint8 pictures, which are kept as video."""
        return len(self.shape) == 3 and self.dtype == "uint8"

    def indices(self, prefix: str) -> tuple[int, ...]:
        """Positions of the elements named `prefix` or `prefix.*` in `layout`; UnknownName if there is none."""
        places = tuple(i for i, n in enumerate(self.layout) if n == prefix or n.startswith(prefix + "."))
        if not places:
            raise UnknownName(f"element of {self.name}", prefix, {n.split(".")[0] for n in self.layout})
        return places

    def to_json(self) -> dict[str, Any]:
        """By its fields, but a bound may be infinite on one side, and is read back: it stays what it is."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Field:
        """Inverse of `to_json`; unknown keys are ignored so that newer files stay readable."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Spec(Plain):
    """Fields and the rate at which they come (Hz)."""

    fields: tuple[Field, ...]
    rate_hz: float

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.fields):
            raise SpecMismatch(f"a spec names a field twice: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise UnknownName("field", name, self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    @property
    def images(self) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.is_image)

    def select(self, names: Collection[str]) -> Spec:
        """The named fields, in this spec's order; UnknownName for one that is not there."""
        for name in names:
            self[name]
        return Spec(tuple(f for f in self.fields if f.name in names), self.rate_hz)

    def check(self, arrays: Mapping[str, NDArray[Any]], where: str) -> None:
        """SpecMismatch unless `arrays` holds one time step of every field in its shape and dtype."""
        for field in self.fields:
            if field.name not in arrays:
                raise SpecMismatch(f"{where}: {field.name} is missing; there are {', '.join(sorted(arrays))}")
            array = np.asarray(arrays[field.name])
            if array.shape != field.shape or array.dtype != np.dtype(field.dtype):
                raise SpecMismatch(
                    f"{where}: {field.name}: expected {field.dtype}{list(field.shape)}, "
                    f"found {array.dtype}{list(array.shape)}"
                )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        return cls(tuple(Field.from_json(f) for f in data["fields"]), float(data["rate_hz"]))


@dataclass(frozen=True, slots=True)
class Difference:
    """One property on which two specs disagree."""

    field: str
    what: str
    left: object
    right: object


# A recorder that wrote less than it knew is not in conflict: these say nothing when empty.
_OPTIONAL = ("frame", "layout", "side", "branch", "low", "high", "role")


def spec_differences(left: Spec, right: Spec, *, subset: bool = False) -> tuple[Difference, ...]:
    """Every difference between two specs, in the order of `left`.

    With `subset`, fields that only `right` has are no difference: a policy needs some of what a world gives.
    Optional descriptions (frame, layout, side, branch, bounds) are compared where both sides give them.
    """
    differences = [] if left.rate_hz == right.rate_hz else [Difference("", "rate_hz", left.rate_hz, right.rate_hz)]
    for field in left:
        if field.name not in right:
            differences.append(Difference(field.name, "presence", "present", "missing"))
            continue
        other = right[field.name]
        for what in (f.name for f in fields(Field) if f.name != "name"):
            a, b = getattr(field, what), getattr(other, what)
            if a != b and not (what in _OPTIONAL and (not a or not b)):
                differences.append(Difference(field.name, what, a, b))
    if not subset:
        differences += [Difference(f.name, "presence", "missing", "present") for f in right if f.name not in left]
    return tuple(differences)


def require_match(left: Spec, right: Spec, left_name: str, right_name: str, *, subset: bool = True) -> None:
    """SpecMismatch that lists every difference and names both sides, or nothing."""
    differences = spec_differences(left, right, subset=subset)
    if differences:
        lines = [f"  {d.field or 'spec'} {d.what}: {left_name} {d.left}, {right_name} {d.right}" for d in differences]
        raise SpecMismatch("\n".join([f"{left_name} does not fit {right_name}:", *lines]))
