"""What a policy profile's TOML or JSON file may hold, and the maps that it stands for.

    name, prompt, reset, rate_hz, resample_hz
    [[observation]]  key, field | [[part]], normalise, dtype, resize, fit, rotate, flip, channels, values, axes, and
                     what a part may have
    [action]         dimension, mode, unit, layout, frame, key | keys, form, horizon, execute, normalise, [[part]],
                     relative {field, make, index}
    a part           index, rotation {from, to, branch}, threshold, scale, offset; of an observation also field, unit,
                     layout

Knows the file. What the maps do stands in `maps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from roboscale.core import LAYOUTS
from roboscale.core.declared import Count, Key, Limit, Mistake, Positive, Text
from roboscale.policies.remote.maps import ActionMap, Elements, Normalisation, ObservationMap, Relative, Rotation

__all__ = ["AnswerTable", "ObservationTable", "ProfileFile"]

Layout = Annotated[str, Limit(f"one of {', '.join(sorted(LAYOUTS))}", lambda text: text in LAYOUTS)]
Index = Annotated[
    tuple[int, ...], Limit("a list of integers of 0 or more", lambda rows: bool(rows) and min(rows) >= 0)
]
Numbers = Annotated[tuple[float, ...], Limit("a list of finite numbers", bool)]
Path = Annotated[tuple[Text, ...], Limit("text or a list of texts", bool)]
Size = Annotated[
    tuple[int, ...], Limit("[height, width], each of 1 or more", lambda size: len(size) == 2 and min(size) >= 1)
]
DType = Literal["float32", "float64", "uint8", "int32", "int64"]

_OF_KIND = {"none": (), "quantile": ("q01", "q99"), "mean_std": ("mean", "std")}
_ELEMENTS = ("field", "index", "rotation", "threshold", "scale", "offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationTable:
    """See `maps.Rotation`."""

    source: Annotated[Layout, Key("from")]
    target: Annotated[Layout, Key("to")]
    branch: Literal["shortest", "quaternion"] = "shortest"

    def mistakes(self) -> Iterator[Mistake]:
        if self.branch == "quaternion" and not (self.source.startswith("quat_") and self.target == "rotvec"):
            yield "branch", "shortest, except from a quaternion to a rotvec", f"{self.source} to {self.target}"

    @property
    def made(self) -> Rotation:
        return Rotation(self.source, self.target, self.branch)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormaliseTable:
    """See `maps.Normalisation`."""

    kind: Literal["none", "quantile", "mean_std"] = "none"
    q01: Numbers | None = None
    q99: Numbers | None = None
    mean: Numbers | None = None
    std: Numbers | None = None

    def mistakes(self) -> Iterator[Mistake]:
        names = _OF_KIND[self.kind]
        for name in ("q01", "q99", "mean", "std"):
            if name in names and getattr(self, name) is None:
                yield name, "a list of finite numbers", "nothing"
            if name not in names and getattr(self, name) is not None:
                yield name, f"only {' and '.join(names) or 'nothing'} beside the kind {self.kind}", name
        low, high = self._ends
        if len(low) != len(high) and low and high:
            yield names[1], f"{len(low)} numbers as {names[0]} has", len(high)
        wrong = [
            i for i, (a, b) in enumerate(zip(low, high, strict=False)) if (b < a if self.kind == "quantile" else b < 0)
        ]
        if wrong:
            yield names[1], "q99 >= q01" if self.kind == "quantile" else "std >= 0", f"element {wrong[0]}"

    @property
    def _ends(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        names = _OF_KIND[self.kind]
        return (getattr(self, names[0]) or (), getattr(self, names[1]) or ()) if names else ((), ())

    @property
    def made(self) -> Normalisation:
        return Normalisation(self.kind, *self._ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeTable:
    """See `maps.Relative`."""

    field: Text
    make: Literal["absolute", "relative"]
    index: Index | None = None

    @property
    def made(self) -> Relative:
        return Relative(self.field, self.make, self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTable:
    """Some elements of the server's row; see `maps.Elements`."""

    index: Index | None = None
    rotation: RotationTable | None = None
    threshold: float | None = None
    scale: Numbers | None = None
    offset: Numbers | None = None

    @property
    def made(self) -> Elements:
        return _elements(self, "", "", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPartTable(PartTable):
    """Some elements of a field of ours, which is named."""

    field: Text
    unit: str = ""
    layout: Text | tuple[str, ...] = ()

    @property
    def made(self) -> Elements:
        return _elements(self, self.field, self.unit, _texts(self.layout))


def _elements(part: PartTable | ObservationTable, field: str, unit: str, layout: tuple[str, ...]) -> Elements:
    return Elements(
        field=field,
        index=part.index,
        rotation=None if part.rotation is None else part.rotation.made,
        threshold=part.threshold,
        scale=part.scale,
        offset=part.offset,
        unit=unit,
        layout=layout,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationTable(PartTable):
    """One key that the server wants; see `maps.ObservationMap`. It is its own one part, or has several."""

    key: Text | Path
    field: Text | None = None
    unit: str = ""
    layout: Text | tuple[str, ...] = ()
    part: tuple[FieldPartTable, ...] | None = None
    normalise: NormaliseTable = NormaliseTable()
    dtype: DType | None = None
    resize: Size | None = None
    fit: Literal["pad", "stretch"] = "pad"
    axes: Literal["hwc", "chw"] = "hwc"
    rotate: Literal[0, 90, 180, 270] = 0
    flip: Literal["none", "horizontal", "vertical"] = "none"
    channels: Literal["rgb", "bgr"] = "rgb"
    values: Literal["0..255", "0..1"] = "0..255"

    def mistakes(self) -> Iterator[Mistake]:
        if self.part is None and self.field is None:
            yield "field", "text that is not empty", "nothing"
        yield from _beside_parts(self)

    @property
    def map(self) -> ObservationMap:
        own = (_elements(self, self.field or "", self.unit, _texts(self.layout)),)
        return ObservationMap(
            key=_texts(self.key),
            parts=own if self.part is None else tuple(part.made for part in self.part),
            normalise=self.normalise.made,
            dtype=self.dtype or "",
            resize=None if self.resize is None else (self.resize[0], self.resize[1]),
            fit=self.fit,
            axes=self.axes,
            rotate=self.rotate,
            flip=self.flip,
            channels=self.channels,
            values=self.values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTable(PartTable):
    """The server's answer; see `maps.ActionMap`."""

    dimension: Count
    mode: Text
    unit: str = ""
    layout: Text | tuple[str, ...] = ()
    frame: str = ""
    key: Text | Path | None = None
    keys: tuple[Text | Path, ...] = ()
    form: Literal["chunk", "row", "batch"] = "chunk"
    horizon: Count | None = None
    execute: Count | None = None
    part: tuple[PartTable, ...] | None = None
    normalise: NormaliseTable = NormaliseTable()
    relative: RelativeTable | None = None

    def mistakes(self) -> Iterator[Mistake]:
        if self.horizon is not None and self.execute is not None and self.execute > self.horizon:
            yield "execute", f"at most the horizon {self.horizon}", self.execute
        if self.form == "row" and (self.horizon or 1) > 1:
            yield "horizon", "1, since every answer is one row", self.horizon
        if self.keys and self.key is not None:
            yield "keys", "no key beside it", _texts(self.key)
        yield from _beside_parts(self)

    @property
    def map(self) -> ActionMap:
        key = ("actions",) if self.key is None else _texts(self.key)
        return ActionMap(
            dimension=self.dimension,
            mode=self.mode,
            unit=self.unit,
            layout=_texts(self.layout),
            frame=self.frame,
            keys=tuple(_texts(one) for one in self.keys) or (key,),
            form=self.form,
            horizon=self.horizon,
            execute=self.execute,
            parts=(_elements(self, "", "", ()),) if self.part is None else tuple(part.made for part in self.part),
            normalise=self.normalise.made,
            relative=None if self.relative is None else self.relative.made,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFile:
    """A whole file."""

    name: Text
    observation: tuple[ObservationTable, ...]
    action: AnswerTable
    prompt: str = "prompt"
    reset: Literal["none", "roboarena"] = "none"
    rate_hz: Positive | None = None
    resample_hz: Positive | None = None

    def mistakes(self) -> Iterator[Mistake]:
        if self.resample_hz is not None and self.rate_hz is None:
            yield "resample_hz", "rate_hz beside it, the rate of the policy", "none"


def _beside_parts(table: ObservationTable | AnswerTable) -> Iterator[Mistake]:
    """A table is one part itself, or has `[[part]]` tables."""
    if table.part is None:
        return
    beside = [name for name in _ELEMENTS if getattr(table, name, None) is not None]
    if beside:
        yield "part", f"no {beside[0]} beside it, but inside", beside[0]
    elif not table.part:
        yield "part", "at least one", "none"


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
