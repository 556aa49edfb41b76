"""How each field is read from what an environment shows: worked out once from its spaces, then applied at every look.

Numbers are float32, integers int64, pictures (height, width, 3) uint8. Whatever that converts is told once. What does
not fit later is an error and is never converted: a picture of floats in 0..1 would become black, channels that come
first would become stripes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, InfrastructureError, SpecMismatch, UnknownName
from roboscale.worlds.simulated.declaration import FieldTable
from roboscale.worlds.simulated.readings import follow, inside, shown

__all__ = ["FieldReading", "Peek", "plan_reading", "space_leaves"]

AXES = ("height", "width", "channel")
_RANGES = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))  # that a space may declare for pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """What an environment shows after one reset, where its spaces do not tell; asked only then.

    Args:
        raw: gives the observation.
        render: gives a rendered picture.
    """

    raw: Callable[[], Any]
    render: Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is known of one array of an environment.

    Args:
        dtype: `None` where nobody says.
        low, high: over all elements, `None` where nobody says.
        seen: whether that is one look's word, not the space's.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None = None
    low: float | None = None
    high: float | None = None
    seen: bool = False

    def __str__(self) -> str:
        return f"{self.dtype or 'shape '}{list(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """How a picture is made of what an environment gives.

    Args:
        shape: as it comes.
        axes: which of its axes are height, width and, where there is one, channel.
        floats: whether it comes in floats; `None` where nobody says.
        black, white: values that become 0 and 255.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    floats: bool | None
    black: float
    white: float

    def read(self, array: NDArray[Any], where: str) -> NDArray[np.uint8]:
        """(height, width, 3) RGB."""
        _require(array.shape == self.shape, where, f"shape {list(self.shape)}", f"{list(array.shape)}")
        floats = array.dtype.kind == "f"
        if floats and self.floats is None and self.white == 255:
            _require(False, where, "uint8, or a range for floats, e.g. range = [0, 1]", str(array.dtype))
        same = self.floats in (None, floats) and not (array.dtype.kind == "b" and self.white == 255)
        _require(same, where, "floats" if self.floats else "integers", str(array.dtype))
        if floats and not np.isfinite(array).all():
            raise InfrastructureError(f"{where}: {_odd(array)}")
        slack = 1e-3 * (self.white - self.black)
        low, high = float(array.min()), float(array.max())
        fits = self.black - slack <= low and high <= self.white + slack
        _require(fits, where, f"a picture with values in {self.black:g}..{self.white:g}", f"{low:g}..{high:g}")
        turned = array.transpose(self.axes)
        if (self.black, self.white) != (0, 255):
            turned = (turned.astype(np.float64) - self.black) * (255 / (self.white - self.black))
        whole = np.clip(np.rint(turned), 0, 255).astype(np.uint8) if turned.dtype.kind == "f" else turned
        if whole.ndim == 2:
            whole = whole[:, :, None]
        colours = np.repeat(whole, 3, axis=2) if whole.shape[2] == 1 else whole[:, :, :3]
        return np.array(colours, np.uint8, order="C")  # a copy: the environment may draw into its own again


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReading:
    """One field and where it is read from.

    Args:
        sources: paths in the observation, joined end to end; none for a rendered picture.
        picture: how it becomes one; `None` for numbers.
    """

    field: Field
    sources: tuple[str, ...]
    picture: _Picture | None = None

    def read(self, raw: Any, render: Callable[[], Any], where: str) -> NDArray[Any]:
        """The field as it is now, a copy.

        Raises:
            BadData: it is not what was planned; names both sides.
            InfrastructureError: NaN or infinity.
            UnknownName: the observation lacks it.
        """
        name = f"field {self.field.name}"
        parts = [
            as_array(follow(raw, source, f"part of the observation ({where}):"), where, name)
            for source in self.sources
        ]
        if self.picture is not None:
            return self.picture.read(as_array(render(), where, name) if not parts else parts[0], f"{where}: {name}")
        return self._numbers(parts, f"{where}: {name}")

    def _numbers(self, parts: Sequence[NDArray[Any]], where: str) -> NDArray[Any]:
        dtype = np.dtype(self.field.dtype)
        joined = _joined(parts)
        expected = f"{dtype}{list(self.field.shape)}"
        _require(joined is not None and joined.shape == self.field.shape, where, expected, _shapes(parts))
        assert joined is not None, "required above"
        whole = dtype.kind == "f" or joined.dtype.kind != "f"
        _require(whole, where, f"{expected}, whole numbers", str(joined.dtype))
        if joined.dtype.kind == "f" and not np.isfinite(joined).all():
            raise InfrastructureError(f"{where}: {_odd(joined)}")
        if dtype.kind != "f" and joined.size:
            limits = np.iinfo(dtype)
            fits = int(joined.min()) >= limits.min and int(joined.max()) <= limits.max
            _require(fits, where, f"{expected}", f"{joined.min()} to {joined.max()}")
        return joined.astype(dtype)


def plan_reading(table: FieldTable, space: Any, peek: Peek, path: Path, notes: list[str]) -> FieldReading:
    """How a declared field is read; adds to `notes` what is converted without the file saying so.

    Args:
        space: the environment's observation space; `None` where it has none.

    Raises:
        BadData: the environment does not have such an array, or it cannot be a field; names both sides.
        UnknownName: the observation lacks a part; says the near ones.
    """
    where = f"{path}: field {table.name}"
    parts = [_known(table, space, source, peek, where) for source in table.sources or ("render",)]
    if _is_picture(table, parts):
        _require(len(parts) == 1, where, "one picture", f"{len(parts)} parts")
        picture = _plan_picture(table, parts[0], where, notes)
        height, width = (parts[0].shape[axis] for axis in picture.axes[:2])
        field = _field(table, (height, width, 3), "uint8", AXES, where)
        return FieldReading(field=field, sources=table.sources, picture=picture)
    shape = _joined_shape(parts, where)
    _require(table.shape in (None, shape), f"{where}.shape", f"{list(shape)} as the environment has it", table.shape)
    given = np.result_type(*(part.dtype or np.dtype("float32") for part in parts))
    dtype = table.dtype or ("float32" if given.kind == "f" else "int64")
    whole = np.dtype(dtype).kind == "f" or given.kind != "f"
    _require(whole, f"{where}.dtype", f"a float: the environment gives {given}", dtype)
    if table.dtype is None and given != np.dtype(dtype):
        notes.append(f"{table.name}: {given} is read as {dtype}")
    return FieldReading(field=_field(table, shape, dtype, table.layout, where), sources=table.sources)


def space_leaves(space: Any, path: str = "") -> Iterator[str]:
    """Paths of the arrays in a space of dictionaries and tuples; the empty one where it is an array itself."""
    parts = inside(getattr(space, "spaces", None))
    if not parts:
        yield path
    for name, part in parts.items():
        yield from space_leaves(part, f"{path}.{name}" if path else name)


def _known(table: FieldTable, space: Any, source: str, peek: Peek, where: str) -> _Part:
    """What the space says of an array; else what the file says; else what one look shows."""
    declared = None if table.shape is None else _Part(shape=table.shape)
    if not table.sources:
        shape = table.shape if table.shape is None or len(table.shape) != 2 else (*table.shape, 3)
        return _seen(as_array(peek.render(), *_parted(where))) if shape is None else _Part(shape=shape)
    if space is None:
        if declared is not None and len(table.sources) == 1:
            return declared
        value = follow(peek.raw(), source, f"part of the observation ({where}):")
        _require(not inside(value) or isinstance(value, (list, tuple)), f"{where}.from", *_inner(value, source))
        return _seen(as_array(value, *_parted(where)))
    return _told(_in_space(space, source, where), source, where)


def _told(space: Any, source: str, where: str) -> _Part:
    """What the space of one array says."""
    if inside(getattr(space, "spaces", None)):
        _require(False, f"{where}.from", *_inner(space.spaces, source))
    shape: Any = getattr(space, "shape", None)
    dtype: Any = getattr(space, "dtype", None)
    numeric = shape is not None and dtype is not None and np.dtype(dtype).kind in "biuf"
    _require(numeric, f"{where}.from", "an array of numbers", str(space)[:80])
    low: Any = getattr(space, "low", None)
    high: Any = getattr(space, "high", None)
    bounded = low is not None and high is not None and np.size(low) > 0
    return _Part(
        shape=tuple(shape) or (1,),
        dtype=np.dtype(dtype),
        low=float(np.min(low)) if bounded else None,
        high=float(np.max(high)) if bounded else None,
    )


def _in_space(space: Any, source: str, where: str) -> Any:
    rest, inner = source, space
    while rest:
        parts = inside(getattr(inner, "spaces", None))
        words = rest.split(".")
        head = next((h for h in (".".join(words[:n]) for n in range(len(words), 0, -1)) if h in parts), None)
        if head is None:
            raise UnknownName(
                f"part of the observation ({where}):", source, [leaf for leaf in space_leaves(space) if leaf]
            )
        inner, rest = parts[head], rest[len(head) + 1 :]
    return inner


def _seen(array: NDArray[Any]) -> _Part:
    low, high = (float(array.min()), float(array.max())) if array.size else (None, None)
    return _Part(shape=array.shape, dtype=array.dtype, low=low, high=high, seen=True)


def _inner(value: Any, source: str) -> tuple[str, str]:
    names = ", ".join(f"{source}.{name}" if source else name for name in inside(value))
    return f"the path of one array, of {names}", repr(source)


def _parted(where: str) -> tuple[str, str]:
    file, _, name = where.rpartition(": ")
    return file, name


def _is_picture(table: FieldTable, parts: Sequence[_Part]) -> bool:
    """Whether it is declared as one, or looks like nothing else: a rendering, a camera, named axes, uint8 in 3-D."""
    named = bool(table.layout) and set(table.layout) <= set(AXES)
    camera = table.name.startswith("observation.images.")
    return not table.sources or named or camera or any(p.dtype == np.uint8 and len(p.shape) == 3 for p in parts)


def _plan_picture(table: FieldTable, part: _Part, where: str, notes: list[str]) -> _Picture:
    same = not table.sources or table.shape in (None, part.shape)
    _require(same, f"{where}.shape", f"{list(part.shape)} as the environment has it", table.shape)
    names = table.layout or AXES[: len(part.shape)]
    fits = len(names) == len(part.shape) and len({*names}) == len(names) and {*AXES[:2]} <= {*names} <= {*AXES}
    expected = f"a picture, or its axes in their order: layout = {list(AXES)}"
    _require(fits, f"{where}.layout", expected, f"{part} with {list(names)}")
    _require(table.dtype in (None, "uint8"), f"{where}.dtype", "uint8: it is a picture", table.dtype)
    axes = tuple(names.index(name) for name in AXES if name in names)
    channels = part.shape[axes[2]] if len(axes) == 3 else 1
    hint = " (they come first? layout = ['channel', 'height', 'width'])" if part.shape[0] in (1, 3, 4) else ""
    _require(channels in (1, 3, 4), f"{where}.layout", f"1, 3 or 4 channels{hint}", f"{channels} in {part}")
    if channels == 4:
        notes.append(f"{table.name}: the fourth channel is left out")
    black, white = _range(table, part, where, notes)
    floats = None if part.dtype is None else part.dtype.kind == "f"
    return _Picture(shape=part.shape, axes=axes, floats=floats, black=black, white=white)


def _range(table: FieldTable, part: _Part, where: str, notes: list[str]) -> tuple[float, float]:
    """Values that are black and white: as declared, else as the space bounds them, else as one look shows them."""
    if table.range is not None:
        return table.range
    if part.dtype is None:
        return 0.0, 255.0
    bounds = (part.low, part.high)
    if part.dtype.kind != "f":
        if part.dtype.kind != "b" and (part.seen or bounds != (0, 1)):
            return 0.0, 255.0
        bounds = (0.0, 1.0)
    elif part.seen and part.low is not None and part.high is not None and part.low >= 0:
        bounds = (0.0, 1.0 if part.high <= 1 else 255.0)
    expected = "range = [0, 1] or what else is black and white: the environment does not say it of its floats"
    _require(bounds in _RANGES, f"{where}.range", expected, "nothing")
    black, white = next(r for r in _RANGES if r == bounds)
    notes.append(f"{table.name}: a picture of {part.dtype} in {black:g}..{white:g} is read as uint8 in 0..255")
    return black, white


def _field(table: FieldTable, shape: tuple[int, ...], dtype: str, layout: Sequence[str], where: str) -> Field:
    try:
        return Field(
            table.name,
            shape,
            dtype,
            unit=table.unit,
            frame=table.frame,
            layout=tuple(layout),
            mode=table.mode,
            side=table.side or "",
            role=table.role,
        )
    except SpecMismatch as error:
        raise BadData(where, "layout", f"names that fit shape {list(shape)}", error) from error


def as_array(value: Any, where: str, name: str) -> NDArray[Any]:
    """An array of numbers, at least one axis; BadData for text, ragged lists and objects."""
    try:
        array = np.asarray(value)
    except Exception as error:  # a list of several lengths, a tensor on another device
        raise BadData(where, name, "an array of numbers", f"{type(value).__name__} ({error})") from error
    if array.dtype.kind not in "biuf":
        raise BadData(where, name, "an array of numbers", shown(value))
    return array.reshape(1) if array.ndim == 0 else array


def _joined_shape(parts: Sequence[_Part], where: str) -> tuple[int, ...]:
    if len(parts) == 1:
        return parts[0].shape
    shapes = ", ".join(str(list(part.shape)) for part in parts)
    _require(all(len(p.shape) == 1 for p in parts), f"{where}.from", "parts of one axis, to be joined", shapes)
    return (sum(part.shape[0] for part in parts),)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    """Several parts end to end; `None` where that cannot be."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if all(part.ndim == 1 for part in parts) else None


def _shapes(parts: Sequence[NDArray[Any]]) -> str:
    return ", ".join(f"{part.dtype}{list(part.shape)}" for part in parts)


def _odd(array: NDArray[Any]) -> str:
    bad = np.flatnonzero(~np.isfinite(array))
    return f"expected finite numbers, found {array.reshape(-1)[bad[0]]} at element {bad[0]} ({len(bad)} in all)"


def _require(fine: bool, where: str, expected: object, found: object) -> None:
    if not fine:
        file, _, key = where.rpartition(": ")
        raise BadData(file, key, expected, found)
