"""What a log of trials is, whatever database is below it.

Trials are facts and never change; judgements are only ever added; runs say what was asked. Verdicts are a pure
function of these three. Leases are the only thing in a log that is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import TracebackType
from typing import Any, Literal, Protocol

from roboscale.core import Case, Design, Identity, Judgement, RolloutSettings, Trial, WorldInfo

__all__ = ["IdentityKind", "Lease", "LogEntry", "MergeCounts", "Run", "TrialKey", "TrialLog", "world_facts"]

IdentityKind = Literal["policy", "world"]

TrialKey = tuple[str, str, str, str, int, int]
"""`Trial.key`: policy and world (digests), case (id), settings (text), round, attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was asked, by whom it can be asked again, and when.

    Args:
        id: any text that no other run has.
        request: everything that was asked; JSON types only.
        command: what to type to ask again; `None` when it was asked from Python with objects.
        policies: in the order of the question.
        world: where.
        world_info: `world_facts` of the world, so that a report opens none.
        cases: ids, in schedule order.
        settings: how every episode ran.
        round: which round of trials it asked for.
        design: how the comparison is decided; `None` where nothing is compared.
        versions: of what took part; JSON types only.
        created_ns: when it began, nanoseconds since 1970.
        finished_ns: when everything that it asked for was there; `None` until then.
        stopped_ns: when somebody stopped it before that; `None` otherwise.
    """

    id: str
    policies: tuple[Identity, ...]
    world: Identity
    settings: RolloutSettings
    created_ns: int
    request: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None
    world_info: Mapping[str, Any] = field(default_factory=dict)
    cases: tuple[str, ...] = ()
    round: int = 0
    design: Design | None = None
    versions: Mapping[str, Any] = field(default_factory=dict)
    finished_ns: int | None = None
    stopped_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """Something that happened beside trials and judgements, kept for ever: who joined, who met whom, what was voted.

    Args:
        id: any text that no other entry has; the same again with the same content is no error, and is kept once.
        kind: what happened.
        body: JSON types only.
        time_ns: when, nanoseconds since 1970.
        monotonic_ns: when, on a clock of the writing process that never goes back.
        number: its place, from 1; 0 before it is kept.
    """

    id: str
    kind: str
    body: Mapping[str, Any]
    time_ns: int
    monotonic_ns: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Somebody's word that they are running a trial.

    Args:
        key: of the trial.
        worker: who runs it.
        left_s: seconds until it expires by the database's clock; negative when it has.
    """

    key: TrialKey
    worker: str
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCounts:
    """What a merge added.

    Args:
        trials, judgements, runs, identities: how many of each were new.
        known: trials that were there already, with the same facts.
        entries: entries that were new; they come after those that were there.
    """

    trials: int = 0
    judgements: int = 0
    runs: int = 0
    identities: int = 0
    known: int = 0
    entries: int = 0


class TrialLog(Protocol):
    """Trials, judgements, runs and leases. Safe between threads, processes and, on PostgreSQL, machines.

    Every method raises `InfrastructureError` when the database cannot be reached or written (a full disk, a lost
    connection; what was saved before stays) and `BadData` when a row cannot be understood.
    """

    @property
    def where(self) -> str:
        """Where it is, for people; never with a password."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only; writing is then a RoboscaleError."""

    def save(self, trial: Trial, judgements: Sequence[Judgement] = ()) -> bool:
        """Commits one trial with what is said of it, all or nothing, and gives its lease back.

        The facts of a trial are its end, steps, clipped steps, actions, series and measures; of a void trial only
        that it is void. Times, reasons and versions may differ when it is saved again: the first ones stay.

        Returns:
            False when it was there already, with the same facts.

        Raises:
            BadData: it was there already with other facts; or values that a log cannot hold.
            InfrastructureError: it cannot be written; says how many trials are saved.
        """

    def judge(self, judgement: Judgement) -> None:
        """Adds a judgement; the very same one again is no error.

        Raises:
            BadData: its trial is not in the log, or this referee said something else of it at that very time.
        """

    def trials(
        self,
        policy: Identity | str | None = None,
        world: Identity | str | None = None,
        case: Case | str | None = None,
        settings: RolloutSettings | str | None = None,
        round: int | None = None,
        *,
        light: bool = False,
    ) -> Iterator[Trial]:
        """The trials that match, ordered by key, as they were when the first is asked for.

        Args:
            policy, world: an identity, or its digest.
            case: a case, or its id.
            settings: settings, or their text.
            light: leave out actions (`None`) and series (empty), which are most of a trial's bytes.
        """

    def attempts(
        self,
        policies: Sequence[Identity],
        world: Identity,
        settings: RolloutSettings,
        round: int | None = None,
        *,
        cases: Sequence[str] | None = None,
    ) -> dict[tuple[str, str], list[Trial]]:
        """What there is for a schedule, in a few queries: (policy's digest, case's id) -> light trials.

        All rounds unless one is named; all cases unless some are, by their ids; ordered by round, then attempt.
        """

    def newest_round(
        self,
        policy: Identity | str | None = None,
        world: Identity | str | None = None,
        case: Case | str | None = None,
        settings: RolloutSettings | str | None = None,
    ) -> int | None:
        """The highest round among the trials that match; `None` where there is no trial."""

    def trial(self, id: str) -> Trial:
        """One trial, by its id or the beginning of it (4 hex digits or more).

        Raises:
            BadData: no trial begins so, or several do, which are listed.
        """

    def judgements(
        self, trial_ids: Collection[str] | None = None, until_ns: int | None = None
    ) -> dict[str, tuple[Judgement, ...]]:
        """Trial id -> what was said of it, ordered by time, then referee. Trials that nobody judged are absent.

        Args:
            trial_ids: of these trials; of all by default.
            until_ns: what was said up to then, that time included.
        """

    def identities(self) -> dict[IdentityKind, tuple[Identity, ...]]:
        """Every policy and world under every name it was tried under, ordered by name."""

    def count(self) -> int:
        """How many trials there are."""

    def begin_run(self, run: Run) -> None:
        """Notes what is asked. The same question again is no error: the first record stays.

        Raises:
            BadData: a run of that id asks something else.
        """

    def note(self, run: str, texts: Sequence[str], time_ns: int) -> None:
        """Keeps what was assumed, guessed, dropped or reused in a run; a text that it has already stays as it is.

        Args:
            texts: a line each, in the order in which they were said.
            time_ns: when, nanoseconds since 1970.

        Raises:
            BadData: a run that is not in the log.
        """

    def notes(self, run: str) -> dict[str, int]:
        """What was said of a run -> when, oldest first; nothing for a run that nothing was said of."""

    def finish_run(self, id: str, time_ns: int) -> None:
        """Notes when everything that a run asked for was there; the first time stays. BadData for an unknown run."""

    def stop_run(self, id: str, time_ns: int) -> None:
        """Notes when somebody stopped a run that was not finished; the last time stays. BadData for an unknown run."""

    def runs(self) -> tuple[Run, ...]:
        """What was asked, oldest first."""

    def append(
        self,
        entries: Sequence[LogEntry],
        *,
        after: int | None = None,
        trials: Sequence[Trial] = (),
        judgements: Sequence[Judgement] = (),
    ) -> int | None:
        """Commits entries with the trials and judgements that belong to them, all or nothing, in one order for all.

        Args:
            after: number of the newest entry that the writer knows; `None` where it does not matter. Entries that
                were new then have the numbers behind it, in their order.

        Returns:
            The number of the newest entry then; `None`, and nothing was written, where there are newer ones than
            `after`.

        Raises:
            BadData: an entry of that id says something else; or as `save` and `judge`.
        """

    def entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        """The entries with a higher number than `after`, in order."""

    def lease(self, key: TrialKey, worker: str, seconds: float) -> bool:
        """Asks for a trial, to run it. One worker at a time has it.

        Args:
            worker: a name that nobody else has (machine, process, thread).
            seconds: after which it is anybody's, unless `heartbeat` says otherwise; by the database's clock.

        Returns:
            True when the worker now has it (also when it had it before); False when another has it or the trial is
            in the log.
        """

    def heartbeat(self, worker: str, seconds: float) -> tuple[TrialKey, ...]:
        """Lets all leases of a worker last `seconds` from now; returns what it still has."""

    def release(self, key: TrialKey, worker: str) -> None:
        """Gives a lease back; nothing happens when the worker has it no more."""

    def leases(self) -> tuple[Lease, ...]:
        """Who is running what, expired leases included."""

    def expired(self) -> tuple[Lease, ...]:
        """The leases of workers that died or fell silent; anybody may take these trials."""

    def merge(self, others: Sequence[str]) -> MergeCounts:
        """Adds trials, judgements, runs and identities of other logs, all or nothing. Leases are not merged.

        Args:
            others: as for `open_log`.

        Raises:
            BadData: another log is none, or says something else of the same trial, judgement or run.
        """

    def close(self) -> None:
        """Gives connections back; using the log afterwards is a RoboscaleError."""

    def __enter__(self) -> TrialLog: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def world_facts(info: WorldInfo) -> dict[str, Any]:
    """What a log keeps of a world: every field of its info and its rate, in JSON types."""
    return {
        **{f.name: getattr(info, f.name) for f in fields(info)},
        "identity": info.identity.to_json(),
        "tasks": dict(info.tasks),
        "observation_spec": info.observation_spec.to_json(),
        "action_spec": info.action_spec.to_json(),
        "rule": asdict(info.rule),
        "measures": [asdict(m) for m in info.measures],
        "starts": list(info.starts),
        "variations": list(info.variations),
        "hold": None if info.hold is None else list(info.hold),
        "rate_hz": info.rate_hz,
        "listed": {task: len(starts) for task, starts in info.listed.items()},
        "wordings": {t: {str(k): list(v) for k, v in levels.items()} for t, levels in info.wordings.items()},
    }
