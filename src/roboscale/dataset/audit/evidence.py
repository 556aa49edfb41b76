"""What is kept of one episode for judging: small numbers only, so that ten thousand fit into memory.

`examine` reads one episode and is all the work that grows with the data; it runs in any process.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import roboscale.dataset.audit.signals as signals
from roboscale.core import BadData, Field, Finding, RecordedEpisode, Recording, RoboscaleError, Spec
from roboscale.dataset.audit.pictures import CameraEvidence, look
from roboscale.dataset.audit.signals import Motion, Spike

__all__ = [
    "EpisodeEvidence",
    "FieldEvidence",
    "Link",
    "MotionEvidence",
    "Options",
    "elements",
    "examine",
    "examine_episode",
    "is_clock",
    "is_motion",
    "links",
]

MAX_ELEMENTS = 256
"""A field with more elements in a frame (tactile images, depth) is only searched for NaN."""

_PLAIN = ("velocity", "effort", "torque", "force", "current", "accel", "gyro", "imu", "tactile")


@dataclass(frozen=True, slots=True)
class Options:
    """How closely to look.

    Args:
        images: whether to decode pictures.
        samples: pictures looked at per camera and episode.
        bound: pictures decoded at most where a source must be decoded from its beginning.
    """

    images: bool = True
    samples: int = 24
    bound: int = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEvidence:
    """One field of one episode, of D elements.

    Args:
        low, high: (D,) smallest and largest finite value.
        square: (D,) mean of the squares.
        distinct: (D,) number of different values.
        same: (D,) equal numbers for elements whose columns are equal.
        course: (COURSE, D) the episode at evenly spaced times.
        broken: runs of frames with NaN or infinity.
        spikes: at most one an element.
        goes_back: for a clock, the first frame that is not later than the one before; else -1.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    square: NDArray[np.float64]
    distinct: NDArray[np.int64]
    same: NDArray[np.int64]
    course: NDArray[np.float32]
    broken: tuple[tuple[int, int], ...] = ()
    spikes: tuple[Spike, ...] = ()
    goes_back: int = -1


@dataclass(frozen=True, slots=True)
class MotionEvidence:
    """One `Link` in one episode: read as an absolute target, as a change, and whether both sides are the same."""

    absolute: Motion
    relative: Motion
    copies: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeEvidence:
    """One episode. `error` says why it could not be read; then nothing but its place is known."""

    position: int
    key: str
    length: int = 0
    instruction: str = ""
    embodiment: str = ""
    member: str = ""
    licence: str = ""
    error: str = ""
    fields: Mapping[str, FieldEvidence] = dataclasses.field(default_factory=dict)
    motions: Mapping[str, MotionEvidence] = dataclasses.field(default_factory=dict)
    cameras: Mapping[str, CameraEvidence] = dataclasses.field(default_factory=dict)
    idle: tuple[int, int] = (0, 0)
    sketch: NDArray[np.uint64] = dataclasses.field(default_factory=lambda: np.empty(0, np.uint64))
    findings: tuple[Finding, ...] = ()

    @property
    def decoded(self) -> int:
        """Pictures that were looked at."""
        return sum(len(camera.frames) for camera in self.cameras.values())


@dataclass(frozen=True, slots=True)
class Link:
    """An action and the state that it moves. `pairs` are elements that belong together; empty where nobody says."""

    action: str
    state: str
    pairs: tuple[tuple[int, int], ...]


def elements(field: Field) -> tuple[str, ...]:
    """A name for each element of a field."""
    size = int(np.prod(field.shape)) if field.shape else 1
    return field.layout if len(field.layout) == size else tuple(f"[{i}]" for i in range(size))


def is_clock(field: Field) -> bool:
    """Whether a field holds times rather than motion."""
    return field.name.startswith("time.") or field.unit in ("ns", "s")


def is_motion(field: Field) -> bool:
    """Whether a field says where the robot is or shall be."""
    known = field.name.startswith(("observation.", "action")) and not is_clock(field)
    small = int(np.prod(field.shape)) <= MAX_ELEMENTS
    plain = any(word in field.name.lower() for word in _PLAIN)
    return known and small and not plain and np.dtype(field.dtype).kind == "f"


def links(spec: Spec) -> tuple[Link, ...]:
    """Every action of a spec with the state it moves, paired by the names of their elements, else by place."""
    numeric = {f.name: f for f in spec if is_motion(f)}
    found = []
    for name, action in numeric.items():
        if not name.startswith("action"):
            continue
        rest = name.removeprefix("action")
        wanted = (f"observation.state{rest}", f"observation{rest}", "observation.state")
        state = next((numeric[w] for w in wanted if w in numeric), None)
        if state is not None:
            found.append(Link(name, state.name, _arm_only(_pairs(action, state), elements(action))))
    return tuple(found)


def _arm_only(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Without grippers, which are commanded in other ways than the arm, where there is an arm."""
    arm = tuple(pair for pair in pairs if "grip" not in names[pair[0]].lower())
    return arm or tuple(pairs)


def _pairs(action: Field, state: Field) -> tuple[tuple[int, int], ...]:
    places = {name: i for i, name in enumerate(state.layout)}
    if action.layout and state.layout:
        named = tuple((i, places[n]) for i, n in enumerate(action.layout) if n in places)
        if named:
            return named
        if len(action.layout) == len(state.layout):
            return ()  # other names mean other things
    size = int(np.prod(action.shape))
    return tuple((i, i) for i in range(size)) if action.shape == state.shape else ()


_OPEN: dict[tuple[int, bytes], Recording] = {}


def examine(opener: Callable[[], Recording], item: tuple[int, str], options: Options) -> EpisodeEvidence:
    """`examine_episode` in a worker process: what `opener` opens stays open there for the next episode.

    Args:
        opener: picklable; opens the recording.
        item: position and key of an episode.
    """
    name = (os.getpid(), pickle.dumps(opener))
    if name not in _OPEN:
        for recording in _OPEN.values():
            recording.close()
        _OPEN.clear()
        _OPEN[name] = opener()
    return examine_episode(_OPEN[name], item, options)


def examine_episode(recording: Recording, item: tuple[int, str], options: Options) -> EpisodeEvidence:
    """Evidence of one episode; one that cannot be read is evidence, too."""
    position, key = item
    absent = {camera for camera, keys in recording.missing.items() if key in keys}
    cameras = [f.name for f in recording.spec.images if f.name not in absent] if options.images else []
    try:
        episode = recording.read(key, cameras)
    except RoboscaleError as error:
        return EpisodeEvidence(position=position, key=key, error=str(error))
    if not len(episode):
        return EpisodeEvidence(position=position, key=key, error="it has no frame")
    return _evidence(recording.spec, episode, position, options)


def _evidence(spec: Spec, episode: RecordedEpisode, position: int, options: Options) -> EpisodeEvidence:
    rows = {f.name: _rows(episode.arrays[f.name]) for f in spec if f.name in episode.arrays}
    fields = {name: _field(spec[name], values) for name, values in rows.items()}
    good = {name: values for name, values in rows.items() if is_motion(spec[name]) and not fields[name].broken}
    floats = {name: values.astype(np.float64) for name, values in good.items()}
    state = [values for name, values in floats.items() if not name.startswith("action")]
    source = episode.provenance
    return EpisodeEvidence(
        position=position,
        key=episode.key,
        length=len(episode),
        instruction=episode.instruction,
        embodiment=source.embodiment,
        member=str(source.details.get("dataset", "")),
        licence=source.licence,
        fields=fields,
        motions=_motions(spec, floats),
        cameras={n: _look(p, state, options) for n, p in episode.pictures.items()},
        idle=signals.idle_ends(list(floats.values())),
        sketch=signals.row_sketch(list(good.values())) if good else np.empty(0, np.uint64),
        findings=episode.findings,
    )


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(array).reshape(len(array), -1)


def _field(field: Field, rows: NDArray[Any]) -> FieldEvidence:
    broken = tuple(signals.not_finite(rows))
    if is_clock(field):
        back = np.flatnonzero((np.diff(rows, axis=0) <= 0).any(axis=1))
        return _summary(rows[:, :0], broken, goes_back=int(back[0]) + 1 if len(back) else -1)
    if rows.shape[1] > MAX_ELEMENTS or rows.dtype.kind not in "fiub":
        return _summary(rows[:, :0], broken)
    if rows.dtype.kind == "f" and broken:
        rows = np.nan_to_num(rows[np.isfinite(rows).all(axis=1)])
    found = signals.spikes(rows.astype(np.float64)) if is_motion(field) and not broken else []
    return _summary(rows, broken, tuple(found))


def _summary(
    rows: NDArray[Any],
    broken: tuple[tuple[int, int], ...],
    spikes: tuple[Spike, ...] = (),
    goes_back: int = -1,
) -> FieldEvidence:
    if not len(rows):
        rows = rows[:, :0]
    low = rows.min(axis=0) if rows.size else np.empty(0)
    high = rows.max(axis=0) if rows.size else np.empty(0)
    columns = np.ascontiguousarray(rows.T)
    digests = [int.from_bytes(hashlib.blake2b(c.tobytes(), digest_size=7).digest(), "big") for c in columns]
    values = rows.astype(np.float64)
    return FieldEvidence(
        low=low.astype(np.float64),
        high=high.astype(np.float64),
        square=np.square(values).mean(axis=0) if rows.size else np.empty(0),
        distinct=np.array([len(np.unique(c)) for c in columns], np.int64),
        same=np.array(digests, np.int64),
        course=signals.course(values) if rows.size else np.empty((0, 0), np.float32),
        broken=broken,
        spikes=spikes,
        goes_back=goes_back,
    )


def _motions(spec: Spec, rows: Mapping[str, NDArray[np.float64]]) -> dict[str, MotionEvidence]:
    found = {}
    for link in links(spec):
        if link.action not in rows or link.state not in rows or len(rows[link.action]) < 20:
            continue
        action, state = rows[link.action], rows[link.state]
        if not signals.moving(state).any():
            continue
        absolute, relative = (signals.delay(action, state, link.pairs, spec.rate_hz, r) for r in (False, True))
        found[link.action] = MotionEvidence(absolute, relative, _copies(action, state, link.pairs))
    return found


def _copies(action: NDArray[np.float64], state: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> bool:
    if not pairs:
        return False
    source, target = np.array(pairs).T
    return np.array_equal(action[:, source], state[:, target])


def _look(pictures: Any, state: Sequence[NDArray[np.float64]], options: Options) -> CameraEvidence:
    try:
        return look(pictures, state, options.samples, options.bound)
    except BadData as error:
        return CameraEvidence(error=str(error))
