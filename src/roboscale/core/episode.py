"""An episode: arrays over time, what was asked, what came of it, and where it comes from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import SpecMismatch
from roboscale.core.plain import Plain, spelt, to_plain
from roboscale.core.spec import Spec

__all__ = [
    "Episode",
    "EpisodeSink",
    "Frame",
    "Outcome",
    "Provenance",
    "SharedSink",
    "Source",
    "Status",
    "Take",
    "new_episode_id",
    "write_episode",
]

Frame = Mapping[str, NDArray[Any]]
"""One time step: field name -> array."""

Status = Literal["success", "failure", "void"]


@dataclass(frozen=True, slots=True)
class Outcome(Plain):
    """How a trial or an episode ended, as far as somebody judged it.

    In JSON a measure that is not finite is the text `nan`, `inf` or `-inf`; null is one that could not be measured.

    Args:
        status: `void` means that the infrastructure broke: no statement on the policy.
        reason: why it is void or failed; empty on success.
        progress: 0..1 where somebody can say.
        steps: control steps executed.
        terminated, truncated: as in Gymnasium; neither means success.
        measures: what was measured at the end, e.g. what would have broken; `None` where it could not be, never 0.
    """

    status: Status
    reason: str = ""
    _: KW_ONLY
    progress: float | None = None
    steps: int = 0
    terminated: bool = False
    truncated: bool = False
    measures: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def success(self) -> bool | None:
        """True or False; `None` when void."""
        return None if self.status == "void" else self.status == "success"

    def to_json(self) -> dict[str, Any]:
        """By its fields, but that a measure which is not finite keeps its value: it is read back."""
        return Plain.to_json(self) | {"measures": to_plain(spelt(self.measures))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Inverse of `to_json`; also reads the fixed list of damages that earlier versions wrote."""
        fields = dict(data)
        measures = fields.get("measures", {})
        fields["measures"] = {
            name: float(value) if isinstance(value, str) else value for name, value in measures.items()
        }
        for name, value in (fields.pop("damage", None) or {}).items():
            measure = _FORMER_DAMAGE.get(name, name)
            fields.setdefault("measures", {})[measure] = None if value is None else float(value)
        return cls(**fields)


_FORMER_DAMAGE = {"peak_force_n": "peak_force"}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an episode comes from.

    Args:
        source: kind of source, e.g. `simulation.record`, `simulation.generate`, `eval`.
        embodiment: robot, e.g. `sawyer`.
        operator: who or what chose the actions, e.g. the policy's name.
        licence: SPDX id, or empty when unknown.
        parents: ids of the episodes this one was made from.
        world, task, seed: the case it was recorded on, where there is one.
        details: anything else that reproduces it (transform, noise, versions); JSON types only.
    """

    source: str
    _: KW_ONLY
    embodiment: str = ""
    operator: str = ""
    licence: str = ""
    parents: tuple[str, ...] = ()
    world: str = ""
    task: str = ""
    seed: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """By its fields; details are somebody else's and are read back, so that a NaN in them stays one."""
        return {**asdict(self), "parents": list(self.parents)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        return cls(**{**data, "parents": tuple(data.get("parents", ()))})


def new_episode_id(rng: np.random.Generator | None = None) -> str:
    """32 hex digits; from `rng` when the same seed must give the same bytes."""
    return uuid.uuid4().hex if rng is None else rng.bytes(16).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A finished episode in memory.

    Args:
        id: UUID hex; survives every repair and merge, unlike the episode index.
        spec: what the arrays mean.
        arrays: field name -> array of shape (T, *field.shape).
        instruction: what was asked.
        outcome: how it ended; `None` where nobody judged.
    """

    id: str
    spec: Spec
    arrays: Mapping[str, NDArray[Any]]
    instruction: str
    provenance: Provenance
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) > 1:
            raise SpecMismatch(f"episode {self.id}: arrays of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()), ()))

    def frames(self) -> Iterator[Frame]:
        for t in range(len(self)):
            yield {name: array[t] for name, array in self.arrays.items()}


class Take(Protocol):
    """An episode being recorded: `save` makes it permanent, `discard` leaves nothing behind."""

    def add(self, frame: Frame) -> None:
        """Appends one time step; SpecMismatch when it does not fit the sink's spec."""

    def save(self, outcome: Outcome | None = None) -> str:
        """Makes the episode durable against a killed process and returns its id."""

    def discard(self) -> None:
        """Drops the take, its video included."""


class EpisodeSink(Protocol):
    """Takes episodes; a dataset writer is one."""

    spec: Spec

    @property
    def episode_ids(self) -> Collection[str]:
        """Ids of the episodes saved so far."""

    def begin(self, instruction: str, provenance: Provenance, *, episode_id: str | None = None) -> Take:
        """Starts a take. `episode_id` makes re-runs reproducible; by default it is random."""


class SharedSink(EpisodeSink, Protocol):
    """A sink whose takes can be recorded in other processes: they save beside it, and it adopts them."""

    def apart(self) -> Callable[[], EpisodeSink]:
        """Makes, in any process, a sink whose saved takes wait to be adopted or dropped; picklable."""

    def adopt(self, episode_id: str) -> None:
        """Makes a take that was saved apart an episode of this sink; BadData when there is none."""

    def drop(self, episode_id: str) -> None:
        """Removes a take that was saved apart."""


def write_episode(sink: EpisodeSink, episode: Episode) -> str:
    """Streams an episode in memory into a sink; a failure leaves no half of it behind. Returns its id."""
    take = sink.begin(episode.instruction, episode.provenance, episode_id=episode.id)
    try:
        for frame in episode.frames():
            take.add(frame)
    except BaseException:
        take.discard()
        raise
    return take.save(episode.outcome)


class Source(Protocol):
    """Yields episodes: a simulator, a teleoperator, someone else's recording."""

    spec: Spec

    def __iter__(self) -> Iterator[Episode]: ...
