"""How our arrays become a server's keys, and its rows our actions: elements picked, turned, normalised, resized.

Knows specs and arrays. Does not know files or sockets; only `core.Pose` knows what the elements of a rotation are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    LAYOUTS,
    ActionChunk,
    Field,
    Observation,
    PolicyError,
    Spec,
    SpecMismatch,
    convert_rotation,
)
from roboscale.core.errors import near_names
from roboscale.policies.remote.images import resize_stretch, resize_with_pad

__all__ = ["ActionMap", "Elements", "Normalisation", "ObservationMap", "Relative", "Rotation", "near_hint"]

Array = NDArray[np.float64]

_OF_IMAGES = ("resize", "rotate", "flip", "channels", "values", "axes")
_EPSILON = 1e-6  # openpi adds it to every width, and its checkpoints were trained so


@dataclass(frozen=True, slots=True)
class Normalisation:
    """`quantile`: [q01, q99] <-> [-1, 1]. `mean_std`: (x - mean) / std. Both with openpi's epsilon of 1e-6.

    Args:
        kind: `none` leaves values as they are.
        low: q01 or mean, one per element.
        high: q99 or std, one per element.
    """

    kind: Literal["none", "quantile", "mean_std"] = "none"
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def apply(self, values: Array) -> Array:
        """Physical units -> normalised, over the last axis."""
        if self.kind == "none":
            return values
        centre, width = self._centre_and_width()
        return (values - centre) / width

    def undo(self, values: Array) -> Array:
        """Inverse of `apply`."""
        if self.kind == "none":
            return values
        centre, width = self._centre_and_width()
        return values * width + centre

    def problems(self, size: int, where: str) -> Iterator[str]:
        """What does not fit `size` elements."""
        if self.kind != "none":
            yield from _wrong_length(self.low, size, f"{where}.normalise")

    def _centre_and_width(self) -> tuple[Array, Array]:
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        if self.kind == "mean_std":
            return low, high + _EPSILON
        half = (high - low + _EPSILON) / 2
        return low + half, half


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation layout of `core.LAYOUTS` turned into another.

    Args:
        source, target: the layouts.
        branch: of a rotation vector that is made from a quaternion. `shortest` has at most pi radians, whatever the
            sign of the quaternion. `quaternion` follows that sign, up to 2 pi, as robosuite, LIBERO and openpi's
            LIBERO example do: a policy that was trained on one of them does not know the other.
    """

    source: str
    target: str
    branch: Literal["shortest", "quaternion"] = "shortest"

    def apply(self, values: Array) -> Array:
        """(..., n) -> (..., m); rows that are not finite stay so."""
        return np.apply_along_axis(self._one, -1, values)

    def _one(self, values: Array) -> Array:
        if not np.isfinite(values).all():
            return np.full(LAYOUTS[self.target], np.nan)
        turned = convert_rotation(values, self.source, self.target)
        if self.branch == "quaternion" and float(values @ convert_rotation(values, self.source, self.source)) < 0:
            angle = float(np.linalg.norm(turned))  # below 2e-8 there is no axis, and robosuite says zero
            return turned * (1 - 2 * np.pi / angle) if angle > 2e-8 else turned  # the long way round, the other way
        return turned


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """Some elements of an array, in this order: picked, turned, compared, scaled, shifted.

    Args:
        field: ours, that it is made from; empty where it is made from the server's row.
        index: elements picked, in order; `None` picks all.
        rotation: of the picked elements.
        threshold: 1 above it, 0 otherwise, of every element.
        scale, offset: `values * scale + offset`, one per element.
        unit, layout: what the picked elements are; compared with the world's where both say.
    """

    field: str = ""
    index: tuple[int, ...] | None = None
    rotation: Rotation | None = None
    threshold: float | None = None
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    unit: str = ""
    layout: tuple[str, ...] = ()

    def apply(self, values: Array) -> Array:
        """(..., n) -> (..., m)."""
        values = values if self.index is None else values[..., list(self.index)]
        if self.rotation is not None:
            values = self.rotation.apply(values)
        if self.threshold is not None:
            values = np.where(np.isfinite(values), (values > self.threshold).astype(np.float64), values)
        values = values if self.scale is None else values * np.array(self.scale)
        return values if self.offset is None else values + np.array(self.offset)

    def size(self, source: int) -> int:
        """How many elements come out of `source`."""
        return self.picked(source) if self.rotation is None else LAYOUTS[self.rotation.target]

    def picked(self, source: int) -> int:
        """How many of `source` elements are picked."""
        return source if self.index is None else len(self.index)

    @property
    def plain(self) -> bool:
        """Whether it takes a field as it is."""
        return self == Elements(field=self.field, unit=self.unit, layout=self.layout)

    def problems(self, source: int, where: str) -> Iterator[str]:
        """What does not fit an array of `source` elements."""
        if self.index is not None and max(self.index) >= source:
            yield f"{where}.index: {max(self.index)} is past the last of {source} elements"
        if self.rotation is not None and self.picked(source) != LAYOUTS[self.rotation.source]:
            needed = f"{self.rotation.source} has {LAYOUTS[self.rotation.source]} elements"
            yield f"{where}.rotation: {needed}, {self.picked(source)} are picked"
        yield from _wrong_length(self.scale, self.size(source), f"{where}.scale")
        yield from _wrong_length(self.offset, self.size(source), f"{where}.offset")

    def misunderstandings(self, field: Field, where: str) -> Iterator[str]:
        """Where the world says that the picked elements are something else."""
        picked = range(len(field.layout)) if self.index is None else self.index
        theirs = tuple(field.layout[i] for i in picked if i < len(field.layout))
        yield from _meaning(field, self.unit, self.layout, theirs, where)
        said = {word for name in theirs for word in name.split(".") if word in LAYOUTS}
        if self.rotation is not None and said and said != {self.rotation.source}:
            yield f"{where}.rotation: profile {self.rotation.source}; world {', '.join(sorted(said))} ({field.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationMap:
    """How one of the server's keys is made from our fields.

    Args:
        key: the server's key; several parts are nested dictionaries (`images`, `cam_high`).
        parts: what is made of our fields, one behind the other. An image is one part, taken as it is.
        normalise: what the server wants normalised by the client (openpi servers do it themselves).
        dtype: what goes over the wire; empty leaves ours.
        resize: (height, width) of an image, or `None`.
        fit: `pad` keeps the aspect, `stretch` does not.
        axes: `hwc`, or `chw` where the server wants channels first.
        rotate: turn the picture by so many degrees, counter-clockwise (LIBERO checkpoints want 180).
        flip: mirror it, left to right (`horizontal`) or top to bottom, after it was turned.
        channels: `bgr` where the server was trained on pictures as OpenCV reads them.
        values: `0..1` where the server wants float32 pictures.
    """

    key: tuple[str, ...]
    parts: tuple[Elements, ...]
    normalise: Normalisation = Normalisation()
    dtype: str = ""
    resize: tuple[int, int] | None = None
    fit: Literal["pad", "stretch"] = "pad"
    axes: Literal["hwc", "chw"] = "hwc"
    rotate: Literal[0, 90, 180, 270] = 0
    flip: Literal["none", "horizontal", "vertical"] = "none"
    channels: Literal["rgb", "bgr"] = "rgb"
    values: Literal["0..255", "0..1"] = "0..255"

    def encode(self, arrays: list[NDArray[Any]]) -> NDArray[Any]:
        """Our arrays, one per part, as the server wants them."""
        encoded = self._image(arrays[0]) if len(arrays) == 1 and arrays[0].ndim == 3 else self._vector(arrays)
        return encoded.astype(self.dtype) if self.dtype else encoded

    def _image(self, image: NDArray[Any]) -> NDArray[Any]:
        image = np.rot90(image, self.rotate // 90)
        if self.flip != "none":
            image = image[:, ::-1] if self.flip == "horizontal" else image[::-1]
        if self.resize is not None and image.shape[:2] != self.resize:
            image = (resize_with_pad if self.fit == "pad" else resize_stretch)(image, *self.resize)
        if self.channels == "bgr":
            image = image[..., ::-1]
        if self.values == "0..1":
            image = image.astype(np.float32) / np.float32(255)
        return np.ascontiguousarray(image.transpose(2, 0, 1) if self.axes == "chw" else image)

    def raw(self, arrays: list[NDArray[Any]]) -> Array:
        """Numbers of our arrays, one per part, as they are before they are normalised."""
        pairs = zip(self.parts, arrays, strict=True)
        return np.concatenate([part.apply(np.asarray(a, np.float64).reshape(-1)) for part, a in pairs])

    def _vector(self, arrays: list[NDArray[Any]]) -> NDArray[Any]:
        values = self.normalise.apply(self.raw(arrays))
        return values if self.dtype or arrays[0].dtype.kind != "f" else values.astype(arrays[0].dtype)

    def problems(self, world: Spec, where: str) -> Iterator[str]:
        """Everything that the world's observation does not give as this map needs it."""
        missing = [part.field for part in self.parts if part.field not in world]
        for name in missing:
            yield f"{where}.field: the world has no {name!r}{near_hint(name, world.names)}"
        if missing:
            return
        fields = [world[part.field] for part in self.parts]
        if any(len(field.shape) == 3 for field in fields):
            yield from self._image_problems(fields, where)
            return
        plain = ObservationMap(key=(), parts=(), fit=self.fit)
        about = [name for name in _OF_IMAGES if getattr(self, name) != getattr(plain, name)]
        if about:
            shown = ", ".join(f"{f.name} has shape {list(f.shape)}" for f in fields)
            yield f"{where}: {', '.join(about)}: for images, {shown}"
        total = 0
        for i, (part, field) in enumerate(zip(self.parts, fields, strict=True)):
            size, at = int(np.prod(field.shape)), where if len(fields) == 1 else f"{where}.part[{i}]"
            yield from part.problems(size, at)
            yield from part.misunderstandings(field, at)
            total += part.size(size)
        yield from self.normalise.problems(total, where)

    def _image_problems(self, fields: list[Field], where: str) -> Iterator[str]:
        for field in fields:
            if not field.is_image:
                found = f"{field.dtype}{list(field.shape)}"
                yield f"{where}.field: an image is HWC uint8, the world's {field.name} is {found}"
        if len(fields) > 1 or not self.parts[0].plain or self.normalise.kind != "none":
            names = ", ".join(f.name for f in fields if len(f.shape) == 3)
            yield (
                f"{where}: index, rotation, threshold, scale, offset, normalise and several parts are for numbers, "
                f"{names} is an image"
            )


@dataclass(frozen=True, slots=True)
class Relative:
    """Rows that are differences where the world takes values, or the other way round.

    Args:
        field: of the observation that was answered: what the rows are relative to. Of as many elements as our action.
        make: `absolute` adds the field to every row. `relative` takes every row's difference to the one before it, the
            first one's to the field.
        index: elements of which this is true; `None` for all. A gripper often stays as it is.
    """

    field: str
    make: Literal["absolute", "relative"]
    index: tuple[int, ...] | None = None

    def apply(self, rows: Array, state: Array) -> Array:
        """(H, D), (D,) -> (H, D)."""
        other = rows + state
        if self.make == "relative":
            other = np.diff(rows, axis=0, prepend=state[None])
        if self.index is None:
            return other
        chosen = np.isin(np.arange(rows.shape[1]), self.index)
        return np.where(chosen, other, rows)

    def problems(self, world: Spec, size: int) -> Iterator[str]:
        """What does not fit an action of `size` elements."""
        if self.field not in world:
            yield f"action.relative.field: the world has no {self.field!r}{near_hint(self.field, world.names)}"
        elif world[self.field].shape != (size,):
            found = list(world[self.field].shape)
            yield f"action.relative.field: {self.field} has shape {found}, the action has {size} elements"
        if self.index is not None and max(self.index) >= size:
            yield f"action.relative.index: {max(self.index)} is past the last of {size} elements"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionMap:
    """How the server's rows become our actions: normalisation undone, then the parts, one behind the other.

    Args:
        dimension: D of the server's rows; `None` takes any.
        mode, unit, layout, frame: what our action is after the map; compared with the world's.
        keys: where in the answer the rows are; several are put one behind the other. Each is a path of nested keys.
        form: `chunk` (H, D), `row` (D,) for one action, `batch` (1, H, D).
        horizon: H; `None` takes any.
        execute: rows to execute before asking again; `None` means all.
        parts: the map; a gripper that closes the other way is a scale of -1.
        normalise: undone first, over all D.
        relative: done to our action last.
        rates_hz: the policy's rate and the world's, where rows are to be made for another one.
    """

    dimension: int | None
    mode: str
    unit: str = ""
    layout: tuple[str, ...] = ()
    frame: str = ""
    keys: tuple[tuple[str, ...], ...] = (("actions",),)
    form: Literal["chunk", "row", "batch"] = "chunk"
    horizon: int | None = None
    execute: int | None = None
    parts: tuple[Elements, ...] = (Elements(),)
    normalise: Normalisation = Normalisation()
    relative: Relative | None = None
    rates_hz: tuple[float, float] | None = None

    def decode(self, actions: NDArray[Any], observation: Observation | None = None) -> ActionChunk:
        """(H, D) as the server sent it -> our actions.

        Args:
            observation: what was answered; needed where actions are relative to it.

        Raises:
            PolicyError: a rotation that is none.
        """
        theirs = self.normalise.undo(np.asarray(actions, np.float64))
        try:
            ours = np.concatenate([part.apply(theirs) for part in self.parts], axis=-1)
        except SpecMismatch as error:
            raise PolicyError(f"answer: {error}") from error
        execute = len(ours) if self.execute is None else min(self.execute, len(ours))
        if self.rates_hz is not None:
            ours = _resampled(ours, self.rates_hz[0] / self.rates_hz[1], absolute=self.mode == "absolute")
            execute = min(len(ours), max(1, int(execute * self.rates_hz[1] / self.rates_hz[0])))
        if self.relative is not None:
            ours = self.relative.apply(ours, np.asarray((observation or {})[self.relative.field], np.float64))
        return ActionChunk(ours, None if self.execute is None else execute)

    def problems(self, world: Spec, seen: Spec | None = None) -> Iterator[str]:
        """Everything that the world's action is not, and that what is seen in it is not."""
        dimension = self.dimension or 0
        for i, part in enumerate(self.parts):
            yield from part.problems(dimension, "action" if len(self.parts) == 1 else f"action.part[{i}]")
        yield from self.normalise.problems(dimension, "action")
        if "action" not in world:
            yield f"action: the world has no field 'action', only {', '.join(world.names)}"
            return
        field, size = world["action"], sum(part.size(dimension) for part in self.parts)
        if self.relative is not None and seen is not None:
            yield from self.relative.problems(seen, size)
        if field.shape != (size,):
            yield f"action: the profile gives {size} values, the world takes {field.shape}"
        if self.mode != field.mode:
            yield f"action.mode: profile {self.mode!r}, world {field.mode!r}"
        if self.frame and field.frame and self.frame != field.frame:
            yield f"action.frame: profile {self.frame!r}, world {field.frame!r}"
        yield from _meaning(field, self.unit, self.layout, field.layout, "action")


def near_hint(name: str, names: Iterable[str]) -> str:
    """What may have been meant, for the end of a message."""
    options = sorted(names)
    likely = near_names(name, options)
    return f"; did you mean {', '.join(likely)}?" if likely else f"; it has {', '.join(options) or 'none'}"


def _resampled(rows: Array, ratio: float, *, absolute: bool) -> Array:
    """(H, D) rows of a policy that acts `ratio` times as often as the world: (H / ratio, D), at least one.

    Values are those at the end of each of the world's steps; differences are added up over it.
    """
    count = max(1, int(len(rows) / ratio + 1e-9))
    ends = np.minimum((np.arange(count) + 1) * ratio, len(rows))
    if absolute:
        held: Array = rows[np.clip(np.ceil(ends - 1e-9).astype(int) - 1, 0, len(rows) - 1)]
        return held
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    whole = np.minimum(ends.astype(int), len(rows) - 1)
    reached = total[whole] + (ends - whole)[:, None] * rows[whole]
    steps: Array = np.diff(reached, axis=0, prepend=np.zeros((1, rows.shape[1])))
    return steps


def _meaning(field: Field, unit: str, layout: tuple[str, ...], theirs: tuple[str, ...], where: str) -> Iterator[str]:
    if unit and unit != field.unit:
        yield f"{where}.unit: profile {unit!r}, world {field.unit!r} ({field.name})"
    if layout and field.layout and layout != theirs:
        yield f"{where}.layout: profile {', '.join(layout)}; world {', '.join(theirs)} ({field.name})"


def _wrong_length(values: tuple[float, ...] | None, size: int, where: str) -> Iterator[str]:
    if values is not None and len(values) != size:
        yield f"{where}: {len(values)} numbers for {size} elements"
