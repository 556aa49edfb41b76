"""What results hold: trials and preferences as columns, and how policies did that were trained on so much data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    NOMINAL,
    Case,
    Counted,
    Identity,
    Outcome,
    OutcomeKind,
    Outcomes,
    RoboscaleError,
    Stratum,
    combine,
    identity_labels,
)
from roboscale.results.grid import Texts
from roboscale.results.reading import Pairing, ResultsReading, TableReading

__all__ = [
    "PREFERENCE_OUTCOMES",
    "Comparison",
    "Preferences",
    "Results",
    "TablePart",
    "Trained",
    "TrialColumns",
    "by_name",
    "told",
]

PREFERENCE_OUTCOMES: tuple[Literal["first"], Literal["second"], Literal["tie"], Literal["void"]] = (
    "first",
    "second",
    "tie",
    "void",
)
"""What a preference can say; columns hold its place in here."""

T = TypeVar("T")

_MOST_OBJECTS = 2_000_000
"""More trials than that are not made into objects."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Somebody saw two policies on the same scene and said which was better."""

    first: str
    second: str
    outcome: Literal["first", "second", "tie", "void"]
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Comparisons as columns.

    Args:
        policies, strata: names, in the order of the source.
        first, second, stratum: numbers into them, int32, shape (n,).
        outcome: numbers into `PREFERENCE_OUTCOMES`, int8, shape (n,).
        weight: how many comparisons a row stands for, int64, shape (n,).
    """

    policies: tuple[str, ...] = ()
    strata: tuple[Stratum, ...] = ()
    first: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    second: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    stratum: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    outcome: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    weight: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.outcome)

    def where(self, keep: NDArray[np.bool_]) -> Preferences:
        """The rows where `keep`, shape (n,), is true; all names stay."""
        return replace(
            self,
            first=self.first[keep],
            second=self.second[keep],
            stratum=self.stratum[keep],
            outcome=self.outcome[keep],
            weight=self.weight[keep],
        )

    @classmethod
    def of_objects(cls, comparisons: Sequence[Comparison]) -> Preferences:
        """One row for each comparison."""
        policies, sides = _numbered([name for one in comparisons for name in (one.first, one.second)])
        strata, stratum = _numbered([Stratum(one.place, "all") for one in comparisons])
        return cls(
            policies=tuple(policies),
            strata=tuple(strata),
            first=sides[0::2],
            second=sides[1::2],
            stratum=stratum,
            outcome=np.array([PREFERENCE_OUTCOMES.index(one.outcome) for one in comparisons], np.int8),
            weight=np.ones(len(comparisons), np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Preferences]) -> Preferences:
        """All of them, one after the other."""
        policies = tuple(dict.fromkeys(name for part in parts for name in part.policies))
        strata = tuple(dict.fromkeys(one for part in parts for one in part.strata))
        return cls(
            policies=policies,
            strata=strata,
            first=_renumbered(policies, ((p.policies, p.first) for p in parts)),
            second=_renumbered(policies, ((p.policies, p.second) for p in parts)),
            stratum=_renumbered(strata, ((p.strata, p.stratum) for p in parts)),
            outcome=np.concatenate([np.zeros(0, np.int8), *(part.outcome for part in parts)]),
            weight=np.concatenate([np.zeros(0, np.int64), *(part.weight for part in parts)]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialColumns:
    """Trials as columns, one row for each, or for `weight` equal ones.

    Args:
        policies, strata, runs, cases: names, in the order of the source.
        policy, stratum, run: numbers into them, int32, shape (n,).
        case: numbers into `cases`, int64, shape (n,); they mean something within a stratum only.
        success: 1 or 0, NaN where nobody said; float64, shape (n,).
        progress: 0..1, NaN where nobody said; float64, shape (n,).
        weight: int64, shape (n,).
        kinds: what the source speaks of, the stronger first; empty where there is no trial.
    """

    policies: tuple[str, ...] = ()
    strata: tuple[Stratum, ...] = ()
    runs: tuple[str, ...] = ()
    cases: Sequence[str] = ()
    policy: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    stratum: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    run: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    case: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    success: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    progress: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    weight: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    kinds: tuple[OutcomeKind, ...] = ()

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def tried(self) -> int:
        """How many trials the rows stand for."""
        return int(self.weight.sum())

    @classmethod
    def of_counted(cls, trials: Sequence[Counted], labels: Mapping[Identity, str] | None = None) -> TrialColumns:
        """The columns of trials that there are as objects; two policies of one name have digits behind it."""
        if labels is None:
            labels = identity_labels(trial.policy for trial in trials)
        names = [labels[trial.policy] for trial in trials]
        policies, policy = _numbered(names)
        strata, stratum = _numbered([Stratum(trial.world.name, trial.case.task) for trial in trials])
        cases, case = _numbered([_case_name(trial.case) for trial in trials])
        outcomes = [trial.outcome for trial in trials]
        progress = np.array([np.nan if o.progress is None else o.progress for o in outcomes], np.float64)
        success = np.array([np.nan if o.success is None else float(o.success) for o in outcomes], np.float64)
        kinds: list[OutcomeKind] = ["success"] if trials else []
        if np.isfinite(progress).any():
            kinds.append("progress")
        return cls(
            policies=tuple(policies),
            strata=tuple(strata),
            runs=tuple(policies),
            cases=cases,
            policy=policy,
            stratum=stratum,
            run=policy,
            case=case.astype(np.int64),
            success=success,
            progress=progress,
            weight=np.ones(len(trials), np.int64),
            kinds=tuple(kinds),
        )

    def where(self, keep: NDArray[np.bool_]) -> TrialColumns:
        """The rows where `keep`, shape (n,), is true; all names stay."""
        return replace(
            self,
            policy=self.policy[keep],
            stratum=self.stratum[keep],
            run=self.run[keep],
            case=self.case[keep],
            success=self.success[keep],
            progress=self.progress[keep],
            weight=self.weight[keep],
        )

    @classmethod
    def joined(cls, parts: Sequence[TrialColumns]) -> TrialColumns:
        """All of them, one after the other.

        Raises:
            RoboscaleError: one part speaks of success alone and another of progress alone.
        """
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return parts[0]
        policies = tuple(dict.fromkeys(name for part in parts for name in part.policies))
        strata = tuple(dict.fromkeys(one for part in parts for one in part.strata))
        runs = tuple(dict.fromkeys(name for part in parts for name in part.runs))
        cases = tuple(dict.fromkeys(name for part in parts for name in part.cases))
        kinds = tuple(k for k in ("success", "progress") if all(k in part.kinds for part in parts)) if parts else ()
        if parts and not kinds:
            raise RoboscaleError("one source says who succeeded and another only how far each came: not one scale")
        return cls(
            policies=policies,
            strata=strata,
            runs=runs,
            cases=cases,
            policy=_renumbered(policies, ((p.policies, p.policy) for p in parts)),
            stratum=_renumbered(strata, ((p.strata, p.stratum) for p in parts)),
            run=_renumbered(runs, ((p.runs, p.run) for p in parts)),
            case=_renumbered(cases, ((p.cases, p.case) for p in parts)).astype(np.int64),
            success=np.concatenate([np.zeros(0), *(part.success for part in parts)]),
            progress=np.concatenate([np.zeros(0), *(part.progress for part in parts)]),
            weight=np.concatenate([np.zeros(0, np.int64), *(part.weight for part in parts)]),
            kinds=kinds,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """What one table says, before it is known which cases it shares with others.

    Args:
        columns: its trials; `case` is -1 where no column says it.
        case_columns: the columns that say the case; empty where none does.
        row: the row of the file that each trial is from, shape (n,).
        counted: rows are counts, of which no trial has a case.
        seeded: whether the layout has a place for cases at all.
        shared: whether the layout itself says which trials belong together.
        own: our own trials, where these are.
        attempt: number of the attempt, shape (n,), where a column says it.
        content: digest of all cells; empty where it is not known.
        unknown: name and texts of columns of few values that have no role, of each trial.
    """

    reading: TableReading
    columns: TrialColumns = field(default_factory=TrialColumns)
    preferences: Preferences = field(default_factory=Preferences)
    case_columns: tuple[str, ...] = ()
    row: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    counted: bool = False
    seeded: bool = True
    shared: bool = False
    own: tuple[Counted, ...] = ()
    attempt: NDArray[np.float64] | None = None
    content: str = ""
    unknown: tuple[tuple[str, Texts], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Results:
    """What files and stores hold.

    Args:
        source: names of what was read.
        columns: all trials.
        preferences: all comparisons.
        own: our own trials, with everything that is known of them; their numbers are in `columns`, too.
        reading: how each table was read, and whether the same case under two policies can be recognised.
        adaptive: whether results decided which trials came next, or when to stop.
        parts: what each table said by itself, for joining it with others.
    """

    source: str
    columns: TrialColumns = field(default_factory=TrialColumns)
    preferences: Preferences = field(default_factory=Preferences)
    own: tuple[Counted, ...] = ()
    reading: ResultsReading = field(default_factory=ResultsReading)
    adaptive: bool = False
    parts: tuple[TablePart, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of_objects(
        cls,
        source: str,
        trials: Sequence[Counted] = (),
        comparisons: Sequence[Comparison] = (),
        *,
        paired: bool = True,
        form: str = "trials",
        own: bool = False,
        adaptive: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Results:
        """What a source holds that tells of each trial with more than a row; they may be our own."""
        pairing: Pairing = "preferences" if comparisons else "paired" if paired else "independent"
        case = "the source names the case of each trial" if paired else "no trial says which case it is"
        reading = TableReading(source=source, form=form, rows=len(trials) + len(comparisons), notes=notes)
        part = TablePart(
            reading=reading,
            columns=TrialColumns.of_counted(trials),
            preferences=Preferences.of_objects(comparisons),
            case_columns=("case",) if paired else (),
            shared=True,
            own=tuple(trials) if own else (),
        )
        return cls(
            source=source,
            columns=part.columns,
            preferences=part.preferences,
            reading=ResultsReading(tables=(reading,), pairing=pairing, case=case, paired=paired),
            own=part.own,
            adaptive=adaptive,
            parts=(part,),
        )

    @property
    def paired(self) -> bool:
        """Whether the same case under two policies can be recognised."""
        return self.reading.paired

    @property
    def kinds(self) -> tuple[OutcomeKind, ...]:
        """What `outcomes` can give, the one to take where nobody asks for another first."""
        return self.columns.kinds

    def outcomes(self, kind: OutcomeKind | None = None) -> Outcomes:
        """The trials as the statistics take them; counts are weights, and one policy has one trial of a case.

        Args:
            kind: by default the first of `kinds`.

        Raises:
            RoboscaleError: nothing is said of that kind.
        """
        columns = self.columns
        kind = kind or (columns.kinds[0] if columns.kinds else "success")
        if len(columns) and kind not in columns.kinds:
            given = " and ".join(columns.kinds)
            raise RoboscaleError(f"{self.source}: asked for {kind}, and the rows say {given} only (--by {given})")
        return Outcomes(
            kind=kind,
            paired=self.paired,
            policies=columns.policies,
            strata=columns.strata,
            runs=columns.runs,
            policy=columns.policy,
            stratum=columns.stratum,
            run=columns.run,
            case=columns.case,
            value=columns.success if kind == "success" else columns.progress,
            weight=columns.weight,
        )

    @cached_property
    def trials(self) -> tuple[Counted, ...]:
        """One object for each trial, counts unrolled: for small results. RoboscaleError above two million."""
        columns = self.columns
        if len(self.own) == len(columns):
            return self.own
        if columns.tried > _MOST_OBJECTS:
            raise RoboscaleError(f"{self.source}: {columns.tried:,} trials are too many to look at one by one")
        return tuple(_objects(columns))

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """One object for each preference, counts unrolled."""
        p = self.preferences
        return tuple(
            Comparison(p.policies[first], p.policies[second], PREFERENCE_OUTCOMES[outcome], p.strata[stratum].world)
            for first, second, outcome, stratum, weight in zip(
                p.first, p.second, p.outcome, p.stratum, p.weight, strict=True
            )
            for _ in range(weight)
        )


def told(policy: str, world: str, case: Case, outcome: Outcome) -> Counted:
    """A trial that somebody's file tells of; who took part is known by name only."""
    return Counted(policy=by_name("policy", policy), world=by_name("world", world), case=case, outcome=outcome)


def by_name(kind: str, name: str) -> Identity:
    """The identity of a policy or world of which a file gives the name and nothing else."""
    return Identity(name, combine(f"{kind} of a file", name).digest, ("known by its name in a file only",))


def _objects(columns: TrialColumns) -> Iterator[Counted]:
    policies = [by_name("policy", name) for name in columns.policies]
    worlds = [by_name("world", stratum.world) for stratum in columns.strata]
    for row in range(len(columns)):
        stratum, weight = columns.stratum[row], int(columns.weight[row])
        progress = None if np.isnan(columns.progress[row]) else float(columns.progress[row])
        won = columns.success[row] if "success" in columns.kinds else columns.progress[row]
        outcome = (
            Outcome("void", "nobody said", progress=progress)
            if np.isnan(won)
            else Outcome("success" if won >= 1 else "failure", progress=progress)
        )
        name = columns.cases[columns.case[row]] if len(columns.cases) else str(row)
        for number in range(weight):
            start = name if weight == 1 else f"{name}, {number}"
            case = Case(columns.strata[stratum].task, int(start) if start.isdecimal() else start)
            yield Counted(policy=policies[columns.policy[row]], world=worlds[stratum], case=case, outcome=outcome)


def _case_name(case: Case) -> str:
    return str(case.start) if case.variation == NOMINAL else f"{case.variation}/{case.start}"


def _numbered(values: Sequence[T]) -> tuple[list[T], NDArray[np.int32]]:
    """Different values in the order they come, and the number of each."""
    places: dict[T, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    return list(places), np.array(numbers, np.int32)


def _renumbered(
    names: Sequence[Any], parts: Iterable[tuple[Sequence[Any], NDArray[np.integer[Any]]]]
) -> NDArray[np.int32]:
    """The numbers of all parts, each (its names, numbers into them), as numbers into `names`."""
    place = {name: k for k, name in enumerate(names)}
    columns = [np.array([place[name] for name in own], np.int32)[numbers] for own, numbers in parts]
    return np.concatenate([np.zeros(0, np.int32), *columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How a policy did that was trained on some amount of data of one source, or of a mixture of several.

    Args:
        source: its name; of a mixture the names with ` + ` between them.
        amount: in `unit`, e.g. demonstrations; of a mixture the sum.
        successes, trials: counted trials of that policy; a sum of progress where successes were not noted.
        policy: whose recipe it is, where the table tells recipes apart.
        run: which training of it; empty where nobody said.
        mixture: amount of each source; empty for a single one.
    """

    task: str
    source: str
    amount: float
    successes: float
    trials: int
    unit: str = "demonstrations"
    policy: str = ""
    run: str = ""
    mixture: tuple[tuple[str, float], ...] = ()

    @property
    def amounts(self) -> dict[str, float]:
        """Amount by source."""
        return dict(self.mixture) or {self.source: self.amount}
