"""A recording with the same columns as those that it is put beside: what differs without a difference in meaning.

A dtype is widened to one that holds everybody's numbers exactly. Names of elements that differ in capitals, or in what
stands between their words, are spelt as the first member spells them. A recording that keeps no times of its own,
beside one that does, gets those of its grid: frame number over rate. Pictures get a size, and fields are left out,
where somebody asks for it.

By hand, a member of 32-bit actions without a clock beside one of 64-bit actions that has one:

>>> plain = Spec((Field("action", (2,), "float32"),), rate_hz=10)
>>> timed = Spec((Field("action", (2,), "float64"), Field("time.frame_ns", (1,), "int64", unit="ns")), rate_hz=10)
>>> alike = conformed_specs({"plain": plain, "timed": timed})
>>> alike["plain"] == alike["timed"]
True
>>> for line in told_changes({"plain": plain, "timed": timed}, alike):
...     print(line)
plain: action: float32 becomes float64, which holds the same numbers
plain: time.frame_ns: frame number over rate, for it says no other times
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from roboscale.core.errors import SpecMismatch, UnknownName
from roboscale.core.recording import (
    Extras,
    Finding,
    Origin,
    RecordedEpisode,
    Recording,
    extras_of,
    splits_of,
)
from roboscale.core.spec import Field, Spec
from roboscale.dataset.alignment import ResizedPictures, common_dtype
from roboscale.dataset.streams import FRAME_TIMES

__all__ = ["ConformedRecording", "conformed_specs", "open_conformed", "told_changes"]


def _letters(name: str) -> str:
    """A name without what spellings differ in: capitals, and what stands between words."""
    return re.sub(r"[\s_.\-]+", "", name.casefold())


def _layout(field: Field, specs: Iterable[Spec]) -> tuple[str, ...]:
    """Names of elements as the first member spells them that has the same ones, in the same order."""
    mine = [_letters(name) for name in field.layout]
    for spec in specs:
        its = spec[field.name].layout if field.name in spec else ()
        if its and len(set(mine)) == len(mine) and [_letters(name) for name in its] == mine:
            return its
    return field.layout


def conformed_specs(
    specs: Mapping[str, Spec], *, without: Collection[str] = (), size: tuple[int, int] | None = None
) -> dict[str, Spec]:
    """Member -> the spec that it gets beside the others. What differs in meaning differs still.

    Args:
        without: fields that are left out; one that a member does not have is no error.
        size: (height, width) of all pictures.
    """
    clock = next((spec[FRAME_TIMES] for spec in specs.values() if FRAME_TIMES in spec), None)
    alike = {}
    for member, spec in specs.items():
        fields = [_field(f, specs, size) for f in spec if f.name not in without]
        if clock is not None and FRAME_TIMES not in spec and FRAME_TIMES not in without:
            fields.append(clock)
        alike[member] = Spec(tuple(fields), spec.rate_hz)
    return alike


def _field(field: Field, specs: Mapping[str, Spec], size: tuple[int, int] | None) -> Field:
    if field.is_image:
        return field if size is None else dataclasses.replace(field, shape=(*size, field.shape[-1]))
    field = dataclasses.replace(field, layout=_layout(field, specs.values()))
    try:
        dtype = common_dtype(
            field.name, {name: spec[field.name] for name, spec in specs.items() if field.name in spec}
        )
    except SpecMismatch:
        return field  # it is told among what does not align
    return field if dtype == np.dtype(field.dtype).name else dataclasses.replace(field, dtype=dtype)


def told_changes(specs: Mapping[str, Spec], alike: Mapping[str, Spec]) -> Iterator[str]:
    """One line for each thing that a member does not bring as it is."""
    for member, spec in alike.items():
        for field in spec:
            if field.name not in specs[member]:
                yield f"{member}: {field.name}: frame number over rate, for it says no other times"
                continue
            was = specs[member][field.name]
            if was.shape != field.shape:
                yield f"{member}: {field.name}: resized from {was.shape[:2]} to {field.shape[:2]}, and encoded again"
            elif was.dtype != field.dtype:
                yield f"{member}: {field.name}: {was.dtype} becomes {field.dtype}, which holds the same numbers"
            spelt = [f"{old} as {new}" for old, new in zip(was.layout, field.layout, strict=True) if old != new]
            if spelt:
                yield f"{member}: {field.name}: names are spelt as the others': {', '.join(spelt)}"


class ConformedRecording:
    """A `Recording` as `conformed_specs` says.

    Args:
        spec: of the same member.
        without: fields of all kinds that are left out.

    Raises:
        UnknownName: the spec has a field of which nothing can be made.
    """

    def __init__(self, recording: Recording, spec: Spec, without: Collection[str] = ()) -> None:
        for field in spec:
            if field.name not in recording.spec and field.name != FRAME_TIMES:
                raise UnknownName("field", field.name, recording.spec.names)
        self._recording, self._without = recording, frozenset(without)
        extras = extras_of(recording)
        left_out = [name for name in (*recording.spec.names, *extras.features) if name in self._without]
        self.format: str = recording.format
        self.root: Path = recording.root
        self.spec: Spec = spec
        self.robot_type: str = recording.robot_type
        self.licence: str = recording.licence
        self.keys: Sequence[str] = recording.keys
        self.origins: Sequence[Origin] = [one for one in recording.origins if one.field not in self._without]
        self.unmapped: Mapping[str, str] = {**recording.unmapped, **dict.fromkeys(left_out, "left out by --drop")}
        self.missing: Mapping[str, Sequence[str]] = {
            camera: keys for camera, keys in recording.missing.items() if camera not in self._without
        }
        self.findings: Sequence[Finding] = recording.findings
        self.splits: Mapping[str, Sequence[str]] = splits_of(recording)
        self.extras: Extras = extras.without(self._without)

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode, made alike."""
        wanted = {f.name for f in self.spec.images} if cameras is None else {*cameras}
        episode = self._recording.read(key, [n for n in self._recording.spec.names if n in wanted])
        arrays = {}
        for field in self.spec:
            if field.name in episode.arrays:
                arrays[field.name] = episode.arrays[field.name].astype(field.dtype, copy=False)
            elif field.name == FRAME_TIMES:
                times = np.rint(np.arange(len(episode)) * (1e9 / self.spec.rate_hz)).astype(field.dtype)
                arrays[field.name] = times.reshape(-1, *field.shape)
        pictures = {}
        for name, images in episode.pictures.items():
            height, width, _ = self.spec[name].shape
            same = self.spec[name].shape == self._recording.spec[name].shape
            pictures[name] = images if same else ResizedPictures(images, height, width)
        carried = {name: one for name, one in episode.carried.items() if name not in self._without}
        return dataclasses.replace(episode, arrays=arrays, pictures=pictures, carried=carried)

    def close(self) -> None:
        self._recording.close()


def open_conformed(
    open_source: Callable[[], Recording], spec: Spec, without: Collection[str] = ()
) -> ConformedRecording:
    """For a recording yet to be opened: a `functools.partial` of this can be sent to workers."""
    return ConformedRecording(open_source(), spec, without)
