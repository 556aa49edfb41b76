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
from roboscale.dataset.audit.attempts import AttemptEvidence, look_at_attempt
from roboscale.dataset.audit.bodily import as_world_change
from roboscale.dataset.audit.operators import OperatorEvidence, look_at_operator
from roboscale.dataset.audit.pictures import CameraEvidence, look
from roboscale.dataset.audit.rest import rests_of_episode
from roboscale.dataset.audit.roles import MAX_ELEMENTS, FieldRoles, Link, elements, infer_roles, named_role
from roboscale.dataset.audit.signals import Motion, Spike
from roboscale.dataset.audit.spaces import CameraMotion, look_at_cameras, look_at_spaces
from roboscale.dataset.audit.touch import TouchEvidence, look_at_touch
from roboscale.dataset.lerobot.clock import ClockFacts, clock_facts

__all__ = [
    "EpisodeEvidence",
    "FieldEvidence",
    "Link",
    "MotionEvidence",
    "Options",
    "close_examined",
    "elements",
    "examine",
    "examine_episode",
    "is_clock",
]


@dataclass(frozen=True, slots=True)
class Options:
    """How closely to look.

    Args:
        images: whether to decode pictures.
        samples: pictures looked at per camera and episode.
        bound: pictures decoded at most where a source must be decoded from its beginning.
        roles: what each field is for; by their names alone where nobody says.
    """

    images: bool = True
    samples: int = 24
    bound: int = 240
    roles: FieldRoles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEvidence:
    """One field of one episode, of D elements.

    Args:
        low, high: (D,) smallest and largest finite value.
        at_low, at_high: (D,) how many frames hold exactly that.
        square: (D,) mean of the squares.
        distinct: (D,) number of different values.
        same: (D,) equal numbers for elements whose columns are equal.
        course: (COURSE, D) the episode at evenly spaced times.
        broken: runs of frames with NaN or infinity.
        spikes: at most one an element.
        goes_back: for a clock, the first frame that is not later than the one before; else -1.
        clock: of a clock with one element, what it says.
        wraps: (element, frame) where an angle leaps by a whole turn.
        flips: frames at which a quaternion turns into its negative.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    at_low: NDArray[np.int64]
    at_high: NDArray[np.int64]
    square: NDArray[np.float64]
    distinct: NDArray[np.int64]
    same: NDArray[np.int64]
    course: NDArray[np.float32]
    broken: tuple[tuple[int, int], ...] = ()
    spikes: tuple[Spike, ...] = ()
    goes_back: int = -1
    clock: ClockFacts | None = None
    wraps: tuple[tuple[int, int], ...] = ()
    flips: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MotionEvidence:
    """One `Link` in one episode: read as an absolute target, as a change.

    Args:
        copies: frames by which the action runs ahead of the very same numbers in the state; `None` where it is none.
        sides: (P, 2) of each pair, how state and action fit (correlation), and how many times as far the state moves.
    """

    absolute: Motion
    relative: Motion
    copies: int | None
    sides: NDArray[np.float64]


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
    resting: int = 0
    sketch: NDArray[np.uint64] = dataclasses.field(default_factory=lambda: np.empty(0, np.uint64))
    frozen: Mapping[str, tuple[tuple[int, int], ...]] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    touch: Mapping[str, TouchEvidence] = dataclasses.field(default_factory=dict)
    attempt: AttemptEvidence = dataclasses.field(default_factory=AttemptEvidence)
    spaces: Mapping[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)
    held: Mapping[str, CameraMotion] = dataclasses.field(default_factory=dict)
    driven: OperatorEvidence | None = None

    @property
    def decoded(self) -> int:
        """Pictures that were looked at."""
        return sum(len(camera.frames) for camera in self.cameras.values())


def is_clock(field: Field) -> bool:
    """Whether a field holds times rather than motion."""
    return named_role(field).kind == "clock"


_OPEN: dict[tuple[int, bytes], Recording] = {}


def examine(opener: Callable[[], Recording], item: tuple[int, str], options: Options) -> EpisodeEvidence:
    """`examine_episode` in a worker process: what `opener` opens stays open there for the next episode.

    Args:
        opener: picklable; opens the recording.
        item: position and key of an episode.
    """
    name = (os.getpid(), pickle.dumps(opener))
    if name not in _OPEN:
        close_examined()
        _OPEN[name] = opener()
    return examine_episode(_OPEN[name], item, options)


def close_examined() -> None:
    """Closes what `examine` has open in this process, so that a later audit reads its source anew."""
    for recording in _OPEN.values():
        recording.close()
    _OPEN.clear()


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
    roles = options.roles or infer_roles(spec, [], {})
    rows = {f.name: _rows(episode.arrays[f.name]) for f in spec if f.name in episode.arrays}
    fields = {name: _field(spec[name], values, roles, spec.rate_hz) for name, values in rows.items()}
    good = {name: values for name, values in rows.items() if roles.moves(spec[name]) and not fields[name].broken}
    floats = {name: values.astype(np.float64) for name, values in good.items()}
    state = {name: values for name, values in floats.items() if roles.kind(name) != "action"}
    links, rest = roles.links(spec), rests_of_episode(spec, roles, floats)
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
        motions=_motions(links, floats, spec),
        cameras={n: _look(p, list(state.values()), options) for n, p in episode.pictures.items()},
        idle=signals.idle_ends(list(floats.values())),
        resting=0 if rest is None else int(rest.sum()),
        sketch=signals.row_sketch(list(good.values())) if good else np.empty(0, np.uint64),
        frozen=_frozen(links, floats, spec.rate_hz),
        findings=episode.findings,
        touch=look_at_touch(episode, spec),
        attempt=look_at_attempt(episode, spec, roles),
        spaces=look_at_spaces(spec, roles, floats),
        held=look_at_cameras(spec, roles, episode.arrays),
        driven=look_at_operator(episode, list((state or floats).values()), spec.rate_hz),
    )


def _frozen(
    links: Sequence[Link], rows: Mapping[str, NDArray[np.float64]], rate_hz: float
) -> dict[str, tuple[tuple[int, int], ...]]:
    """State -> runs of frames in which it stands still to the last bit although it is commanded to move."""
    frozen = {}
    for link in links:
        if link.action in rows and link.state in rows:
            runs = signals.frozen_runs(rows[link.state], rows[link.action], rate_hz)
            if runs:
                frozen[link.state] = tuple(runs)
    return frozen


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(array).reshape(len(array), -1)


def _field(field: Field, rows: NDArray[Any], roles: FieldRoles, rate_hz: float) -> FieldEvidence:
    broken = tuple(signals.not_finite(rows))
    if is_clock(field):
        back = np.flatnonzero((np.diff(rows, axis=0) <= 0).any(axis=1))
        facts = _clock(field, rows, rate_hz) if rows.shape[1] == 1 and not broken and not len(back) else None
        return _summary(rows[:, :0], broken, goes_back=int(back[0]) + 1 if len(back) else -1, clock=facts)
    if rows.shape[1] > MAX_ELEMENTS or rows.dtype.kind not in "fiub":
        return _summary(rows[:, :0], broken)
    if rows.dtype.kind == "f" and broken:
        rows = np.nan_to_num(rows[np.isfinite(rows).all(axis=1)])
    if not roles.moves(field) or broken:
        return _summary(rows, broken)
    values = rows.astype(np.float64)
    flips, quaternion = signals.sign_flips(values)
    grippers = roles.grippers(field)
    free = [s for s in signals.spikes(values) if s.dimension not in (*quaternion, *grippers)]
    wraps = tuple(w for w in signals.wraps(values) if w[0] not in quaternion)
    return _summary(rows, broken, tuple(free), wraps=wraps, flips=tuple(flips))


def _clock(field: Field, rows: NDArray[Any], rate_hz: float) -> ClockFacts | None:
    """What a clock (T, 1) says; its unit, where nobody declares it, is the one that comes nearest to the rate."""
    since = (rows[:, 0] - rows[0, 0]).astype(np.float64)
    scales = {"ns": (1e-9,), "s": (1.0,)}.get(field.unit, (1.0, 1e-3, 1e-6, 1e-9))
    facts = [said for said in (clock_facts(since * scale) for scale in scales) if said is not None]
    return min(facts, key=lambda said: abs(np.log(said.rate_hz / rate_hz)), default=None)


def _summary(
    rows: NDArray[Any],
    broken: tuple[tuple[int, int], ...],
    spikes: tuple[Spike, ...] = (),
    **more: Any,
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
        at_low=(rows == low).sum(axis=0) if rows.size else np.empty(0, np.int64),
        at_high=(rows == high).sum(axis=0) if rows.size else np.empty(0, np.int64),
        square=np.square(values).mean(axis=0) if rows.size else np.empty(0),
        distinct=np.array([len(np.unique(c)) for c in columns], np.int64),
        same=np.array(digests, np.int64),
        course=signals.course(values) if rows.size else np.empty((0, 0), np.float32),
        broken=broken,
        spikes=spikes,
        **more,
    )


def _motions(links: Sequence[Link], rows: Mapping[str, NDArray[np.float64]], spec: Spec) -> dict[str, MotionEvidence]:
    motions = {}
    for link in links:
        if link.action not in rows or link.state not in rows or len(rows[link.action]) < 20:
            continue
        action, state = rows[link.action], rows[link.state]
        if not signals.moving(state).any():
            continue
        rate_hz, change = spec.rate_hz, as_world_change(spec[link.action], spec[link.state], action, state)
        absolute = signals.delay(action, state, link.pairs, rate_hz, False)
        relative = signals.delay(change, state, link.pairs, rate_hz, True)
        copies = signals.copied_lag(action, state, link.pairs, round(rate_hz))
        sides = signals.sides(action, state, link.pairs, absolute.lag)
        motions[link.action] = MotionEvidence(absolute, relative, copies, sides)
    return motions


def _look(pictures: Any, state: Sequence[NDArray[np.float64]], options: Options) -> CameraEvidence:
    try:
        return look(pictures, state, options.samples, options.bound)
    except BadData as error:
        return CameraEvidence(error=str(error))
