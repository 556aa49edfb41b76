"""What a foreign policy server does not say of itself: how our arrays become its keys, and its numbers our actions.

An openpi server may send empty metadata and take any dictionary. A profile declares the key map, the meaning of the
actions, the horizon and the normalisation in one small file, and is checked against the world before the first trial.
Knows specs, arrays and the file. Does not know sockets. A full example: `examples/policy_profile_droid.toml`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Field, Observation, Spec, SpecMismatch
from roboscale.policies.images import resize_stretch, resize_with_pad
from roboscale.policies.tables import Table, read_table

__all__ = ["ActionMap", "Affine", "Normalisation", "ObservationMap", "PolicyProfile"]

Array = NDArray[np.float64]

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

    def _centre_and_width(self) -> tuple[Array, Array]:
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        if self.kind == "mean_std":
            return low, high + _EPSILON
        half = (high - low + _EPSILON) / 2
        return low + half, half


@dataclass(frozen=True, slots=True)
class Affine:
    """`values[..., index] * scale + offset`; what is left out does nothing."""

    index: tuple[int, ...] | None = None
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None

    def apply(self, values: Array) -> Array:
        picked = values if self.index is None else values[..., list(self.index)]
        scaled = picked if self.scale is None else picked * np.array(self.scale)
        return scaled if self.offset is None else scaled + np.array(self.offset)

    def size(self, source: int) -> int:
        """How many elements come out of `source`."""
        return source if self.index is None else len(self.index)

    def problems(self, source: int, where: str) -> Iterator[str]:
        """What does not fit an array of `source` elements."""
        if self.index is not None and max(self.index) >= source:
            yield f"{where}.index: {max(self.index)} is past the last of {source} elements"
        yield from _wrong_length(self.scale, self.size(source), f"{where}.scale")
        yield from _wrong_length(self.offset, self.size(source), f"{where}.offset")


@dataclass(frozen=True, slots=True)
class ObservationMap:
    """How one of the server's keys is made from one of our fields.

    Args:
        key: the server's key; several parts are nested dictionaries (`images`, `cam_high`).
        field: our field.
        values: elements picked, then scaled and shifted. Not for images.
        normalise: what the server wants normalised by the client (openpi servers do it themselves).
        dtype: what goes over the wire; empty leaves ours.
        unit, layout: what the picked elements are; compared with the world's where both say.
        resize: (height, width) of an image, or `None`.
        fit: `pad` keeps the aspect, `stretch` does not.
        axes: `hwc`, or `chw` where the server wants channels first.
        rotate180: turn the picture half round (LIBERO checkpoints want it).
    """

    key: tuple[str, ...]
    field: str
    values: Affine = Affine()
    normalise: Normalisation = Normalisation()
    dtype: str = ""
    unit: str = ""
    layout: tuple[str, ...] = ()
    resize: tuple[int, int] | None = None
    fit: Literal["pad", "stretch"] = "pad"
    axes: Literal["hwc", "chw"] = "hwc"
    rotate180: bool = False

    def encode(self, array: NDArray[Any]) -> NDArray[Any]:
        """Our array, as the server wants it."""
        encoded = self._image(array) if array.ndim == 3 else self._vector(array)
        return encoded.astype(self.dtype) if self.dtype else encoded

    def _image(self, image: NDArray[Any]) -> NDArray[Any]:
        if self.rotate180:
            image = image[::-1, ::-1]
        if self.resize is not None and image.shape[:2] != self.resize:
            image = (resize_with_pad if self.fit == "pad" else resize_stretch)(image, *self.resize)
        return np.ascontiguousarray(image.transpose(2, 0, 1) if self.axes == "chw" else image)

    def _vector(self, array: NDArray[Any]) -> NDArray[Any]:
        values = self.normalise.apply(self.values.apply(np.asarray(array, np.float64).reshape(-1)))
        return values if self.dtype or array.dtype.kind != "f" else values.astype(array.dtype)

    def problems(self, world: Spec, where: str) -> Iterator[str]:
        """Everything that the world's observation does not give as this map needs it."""
        if self.field not in world:
            yield f"{where}.field: the world has no {self.field!r}{_near(self.field, world.names)}"
            return
        field = world[self.field]
        if len(field.shape) == 3:
            yield from self._image_problems(field, where)
            return
        size = int(np.prod(field.shape))
        if self.resize is not None or self.rotate180 or self.axes != "hwc":
            yield f"{where}: resize, rotate180 and axes are for images, {self.field} has shape {list(field.shape)}"
        yield from self.values.problems(size, where)
        yield from _normalise_problems(self.normalise, self.values.size(size), where)
        yield from _meaning(field, self.values, self.unit, self.layout, where)

    def _image_problems(self, field: Field, where: str) -> Iterator[str]:
        if not field.is_image:
            yield f"{where}.field: an image is HWC uint8, the world's {field.name} is {field.dtype}{list(field.shape)}"
        if self.values != Affine() or self.normalise.kind != "none":
            yield f"{where}: index, scale, offset and normalise are for numbers, {field.name} is an image"


@dataclass(frozen=True, slots=True)
class ActionMap:
    """How the server's rows become our actions: normalisation undone, elements picked, scaled, shifted.

    Args:
        dimension: D of the server's (H, D) array.
        mode, unit, layout, frame: what our action is after the map; compared with the world's.
        key: the server's key of the array.
        horizon: H; `None` takes any.
        execute: rows to execute before asking again; `None` means all.
        values: the map; a gripper that closes the other way is a scale of -1.
        normalise: undone first, over all D.
    """

    dimension: int
    mode: str
    unit: str = ""
    layout: tuple[str, ...] = ()
    frame: str = ""
    key: str = "actions"
    horizon: int | None = None
    execute: int | None = None
    values: Affine = Affine()
    normalise: Normalisation = Normalisation()

    def decode(self, actions: NDArray[Any]) -> ActionChunk:
        """(H, D) as the server sent it -> our actions."""
        ours = self.values.apply(self.normalise.undo(np.asarray(actions, np.float64)))
        return ActionChunk(ours, None if self.execute is None else min(self.execute, len(ours)))

    def problems(self, world: Spec) -> Iterator[str]:
        """Everything that the world's action is not."""
        yield from self.values.problems(self.dimension, "action")
        yield from _normalise_problems(self.normalise, self.dimension, "action")
        if "action" not in world:
            yield f"action: the world has no field 'action', only {', '.join(world.names)}"
            return
        field = world["action"]
        if field.shape != (self.values.size(self.dimension),):
            yield f"action: the profile gives {self.values.size(self.dimension)} values, the world takes {field.shape}"
        if self.mode != field.mode:
            yield f"action.mode: profile {self.mode!r}, world {field.mode!r}"
        if self.frame and field.frame and self.frame != field.frame:
            yield f"action.frame: profile {self.frame!r}, world {field.frame!r}"
        yield from _meaning(field, Affine(), self.unit, self.layout, "action")


@dataclass(frozen=True, slots=True)
class PolicyProfile:
    """One server's profile.

    Args:
        name: what results call the policy.
        observations: one map per key that the server wants.
        action: the map of its answer.
        prompt: key of the instruction; empty where the server takes none.
        reset: `roboarena` servers take `endpoint` and answer a reset in text; others know no reset.
        rate_hz: control rate that the actions are meant for; `None` takes the world's.
        file: where it was read from, for messages.
    """

    name: str
    observations: tuple[ObservationMap, ...]
    action: ActionMap
    prompt: str = "prompt"
    reset: Literal["none", "roboarena"] = "none"
    rate_hz: float | None = None
    file: str = ""

    @classmethod
    def load(cls, path: str | Path) -> PolicyProfile:
        """Reads a TOML or JSON file. BadData or UnknownName name file and field."""
        table = read_table(Path(path))
        profile = cls(
            name=table.text("name"),
            observations=tuple(_read_observation(t) for t in table.tables("observation")),
            action=_read_action(table.table("action")),
            prompt=table.text("prompt", "prompt"),
            reset=table.choice("reset", ("none", "roboarena"), "none"),  # type: ignore[arg-type]
            rate_hz=table.number("rate_hz"),
            file=str(path),
        )
        table.done()
        return profile

    @property
    def fields(self) -> tuple[str, ...]:
        """Our fields that the server needs, each once."""
        return tuple(dict.fromkeys(m.field for m in self.observations))

    def encode(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """The request for one observation."""
        message: dict[str, Any] = {}
        for entry in self.observations:
            if entry.field not in observation:
                raise SpecMismatch(f"{self._where}: {entry.field} is not observed{_near(entry.field, observation)}")
            inner = message
            for part in entry.key[:-1]:
                inner = inner.setdefault(part, {})
            inner[entry.key[-1]] = entry.encode(np.asarray(observation[entry.field]))
        if self.prompt:
            message[self.prompt] = instruction
        return message

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """SpecMismatch that lists everything in which the profile and a world do not fit, or nothing."""
        problems: list[str] = []
        for i, entry in enumerate(self.observations):
            problems += entry.problems(observation_spec, f"observation[{i}]")
        problems += self.action.problems(action_spec)
        if self.rate_hz is not None and self.rate_hz != action_spec.rate_hz:
            problems.append(f"rate_hz: profile {self.rate_hz:g}, world {action_spec.rate_hz:g}")
        if problems:
            raise SpecMismatch("\n  ".join([f"{self._where} does not fit the world:", *problems]))

    @property
    def _where(self) -> str:
        return f"profile {self.name}" + (f" ({self.file})" if self.file else "")


def _read_observation(table: Table) -> ObservationMap:
    size = table.integers("resize")
    if size is not None and (len(size) != 2 or 0 in size):
        raise table.bad("resize", "[height, width]", list(size))
    key = table.texts("key")
    if not key:
        raise table.bad("key", "text or a list of texts", "nothing")
    entry = ObservationMap(
        key=key,
        field=table.text("field"),
        values=_read_affine(table),
        normalise=_read_normalisation(table.table("normalise", optional=True)),
        dtype=_read_dtype(table),
        unit=table.text("unit", ""),
        layout=table.texts("layout"),
        resize=None if size is None else (size[0], size[1]),
        fit=table.choice("fit", ("pad", "stretch"), "pad"),  # type: ignore[arg-type]
        axes=table.choice("axes", ("hwc", "chw"), "hwc"),  # type: ignore[arg-type]
        rotate180=table.flag("rotate180"),
    )
    table.done()
    return entry


def _read_action(table: Table) -> ActionMap:
    dimension, horizon, execute = table.count("dimension"), table.count("horizon"), table.count("execute")
    if dimension is None:
        raise table.bad("dimension", "an integer of 1 or more", "nothing")
    if horizon is not None and execute is not None and execute > horizon:
        raise table.bad("execute", f"at most the horizon {horizon}", execute)
    action = ActionMap(
        dimension=dimension,
        mode=table.text("mode"),
        unit=table.text("unit", ""),
        layout=table.texts("layout"),
        frame=table.text("frame", ""),
        key=table.text("key", "actions"),
        horizon=horizon,
        execute=execute,
        values=_read_affine(table),
        normalise=_read_normalisation(table.table("normalise", optional=True)),
    )
    table.done()
    return action


def _read_affine(table: Table) -> Affine:
    return Affine(table.integers("index"), table.numbers("scale"), table.numbers("offset"))


def _read_normalisation(table: Table) -> Normalisation:
    kind = table.choice("kind", ("none", "quantile", "mean_std"), "none")
    if kind == "none":
        table.done()
        return Normalisation()
    names = ("q01", "q99") if kind == "quantile" else ("mean", "std")
    low, high = (table.numbers(n, required=True) or () for n in names)
    table.done()
    if len(low) != len(high):
        raise table.bad(names[1], f"{len(low)} numbers as {names[0]} has", len(high))
    wrong = [i for i, (a, b) in enumerate(zip(low, high, strict=True)) if (b < a if kind == "quantile" else b < 0)]
    if wrong:
        raise table.bad(names[1], "q99 >= q01" if kind == "quantile" else "std >= 0", f"element {wrong[0]}")
    return Normalisation(kind, low, high)  # type: ignore[arg-type]


def _read_dtype(table: Table) -> str:
    text = table.text("dtype", "")
    if text and text not in ("float32", "float64", "uint8", "int32", "int64"):
        raise table.bad("dtype", "float32, float64, uint8, int32 or int64", repr(text))
    return text


def _meaning(field: Field, values: Affine, unit: str, layout: tuple[str, ...], where: str) -> Iterator[str]:
    if unit and unit != field.unit:
        yield f"{where}.unit: profile {unit!r}, world {field.unit!r} ({field.name})"
    if not layout or not field.layout:
        return
    picked = range(len(field.layout)) if values.index is None else values.index
    theirs = tuple(field.layout[i] for i in picked if i < len(field.layout))
    if layout != theirs:
        yield f"{where}.layout: profile {', '.join(layout)}; world {', '.join(theirs)} ({field.name})"


def _normalise_problems(normalise: Normalisation, size: int, where: str) -> Iterator[str]:
    if normalise.kind != "none":
        yield from _wrong_length(normalise.low, size, f"{where}.normalise")


def _wrong_length(values: tuple[float, ...] | None, size: int, where: str) -> Iterator[str]:
    if values is not None and len(values) != size:
        yield f"{where}: {len(values)} numbers for {size} elements"


def _near(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"; did you mean {', '.join(near)}?" if near else f"; it has {', '.join(sorted(names)) or 'none'}"
