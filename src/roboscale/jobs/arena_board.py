"""The board of an arena: the numbers that `roboscale rank` gives for the tables that the arena exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roboscale.arena.flags import EvaluatorFlag, flag_evaluators
from roboscale.arena.match import Match
from roboscale.arena.state import ArenaState
from roboscale.arena.tables import arena_names, comparison_rows, trial_rows
from roboscale.core import Estimate, Stratum
from roboscale.core.plain import Plain
from roboscale.jobs.standing import Standing, mean_sequence, rates_of, standing_of
from roboscale.results import Preferences, Results
from roboscale.results.nouns import PREFERENCE_OUTCOMES, TablePart, TrialColumns
from roboscale.results.reading import ResultsReading, TableReading

__all__ = ["ArenaBoard", "ArenaCell", "ArenaRow", "ArenaTally", "arena_board", "arena_results"]

BOARD_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class ArenaRow(Plain):
    """One policy on the board.

    Args:
        ranks: lowest and highest that is left open.
        group: place of its tie group, from 1.
        strength: log strength by preference.
        progress, success: mean of 0..1, over every rollout that counts.
    """

    policy: str
    name: str
    owner: str
    public: bool
    unverified: tuple[str, ...]
    matches: int
    ranks: tuple[int, int]
    group: int
    strength: Estimate
    progress: Estimate
    success: Estimate
    won: int
    lost: int
    tied: int


@dataclass(frozen=True, kw_only=True)
class ArenaCell(Plain):
    """Mean progress of one policy at one task, robot or site."""

    policy: str
    axis: str
    level: str
    progress: Estimate


@dataclass(frozen=True, kw_only=True)
class ArenaTally(Plain):
    """The board from some of the matches.

    Args:
        claims: (better, worse) of every pair that was shown to differ.
    """

    rows: tuple[ArenaRow, ...]
    tie_groups: tuple[tuple[str, ...], ...]
    claims: tuple[tuple[str, str], ...]
    sentence: str
    method: str
    matches: int
    comparisons: int


@dataclass(frozen=True, kw_only=True)
class ArenaBoard(Plain):
    """What everybody sees.

    Args:
        number: of the newest entry that it knows.
        plain: from every match that was voted on.
        robust: without the matches of flagged evaluators; `None` where nobody is flagged.
        flagged: how many evaluators are.
        cells: progress by task, by robot and by site.
        phases: how many matches are over, and how.
        commands: what recomputes the numbers from an export.
        notes: what to know when reading it.
    """

    number: int
    plain: ArenaTally
    robust: ArenaTally | None = None
    flagged: int = 0
    cells: tuple[ArenaCell, ...] = ()
    phases: Mapping[str, int] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


_NOTES = (
    "Rank sets and groups are made from direct comparisons by tests that stay valid however often one looks, because "
    "earlier votes decided who met next; policies of one group were not shown to differ.",
    "Which policies met was drawn: the probability of every draw is in the assignment log.",
    "Not blinded: how a policy moves (pace, pauses, a gesture) can be seen by who watches it.",
)
_COMMANDS = (
    "roboscale rank comparisons.parquet --by preference --sets anytime",
    "roboscale rank trials.parquet --by progress --sets anytime",
)


def arena_board(state: ArenaState, flags: Sequence[EvaluatorFlag] | None = None) -> ArenaBoard:
    """The board of a state; its numbers are those that its `commands` give for an export."""
    found = flag_evaluators(state) if flags is None else flags
    accused = {flag.account for flag in found}
    robust = _tally(state, lambda match: match.evaluator not in accused) if accused else None
    phases = {"voted": 0, "invalid": 0, "expired": 0}
    for match in state.matches.values():
        if match.phase != "open":
            phases[match.phase] += 1
    return ArenaBoard(
        number=state.number,
        plain=_tally(state, lambda match: True),
        robust=robust,
        flagged=len(accused),
        cells=tuple(_cells(state)),
        phases=phases,
        commands=_COMMANDS,
        notes=_NOTES,
    )


def arena_results(state: ArenaState, keep: Callable[[Match], bool] = lambda match: True) -> Results:
    """The matches as results: the same as reading the exported tables."""
    columns, preferences = _trial_columns(trial_rows(state, keep)), _preferences(comparison_rows(state, keep))
    table = TableReading(source="arena", form="matches of an arena", rows=len(columns) + len(preferences))
    part = TablePart(reading=table, columns=columns, preferences=preferences, case_columns=("match",), shared=True)
    reading = ResultsReading(tables=(table,), pairing="preferences", case="a match is a case", paired=True)
    return Results(
        source="arena", columns=columns, preferences=preferences, reading=reading, adaptive=True, parts=(part,)
    )


def _numbers(values: Sequence[Any]) -> tuple[list[Any], Any]:
    place = {value: k for k, value in enumerate(dict.fromkeys(values))}
    return list(place), np.array([place[value] for value in values], np.int32)


def _strata(columns: Mapping[str, Sequence[Any]]) -> tuple[tuple[Stratum, ...], Any]:
    places, numbers = _numbers(list(zip(columns["site"], columns["robot"], columns["task"], strict=True)))
    return tuple(Stratum(f"{site} · {robot}", task) for site, robot, task in places), numbers


def _preferences(columns: Mapping[str, Sequence[Any]]) -> Preferences:
    count = len(columns["winner"])
    policies, sides = _numbers([*columns["policy_a"], *columns["policy_b"]])
    strata, stratum = _strata(columns)
    said = {"A": "first", "B": "second", "tie": "tie"}
    outcome = [PREFERENCE_OUTCOMES.index(said[one]) for one in columns["winner"]]
    return Preferences(
        policies=tuple(policies),
        strata=strata,
        first=sides[:count],
        second=sides[count:],
        stratum=stratum,
        outcome=np.array(outcome, np.int8),
        weight=np.ones(count, np.int64),
    )


def _trial_columns(columns: Mapping[str, Sequence[Any]]) -> TrialColumns:
    policies, policy = _numbers(columns["policy"])
    cases, case = _numbers(columns["session"])
    strata, stratum = _strata(columns)
    count = len(policy)
    return TrialColumns(
        policies=tuple(policies),
        strata=strata,
        runs=tuple(policies),
        cases=cases,
        policy=policy,
        stratum=stratum,
        run=policy,
        case=case.astype(np.int64),
        success=np.array(columns["success"], np.float64),
        progress=np.array(columns["progress"], np.float64),
        weight=np.ones(count, np.int64),
        kinds=("success", "progress") if count else (),
    )


def _tally(state: ArenaState, keep: Callable[[Match], bool]) -> ArenaTally:
    results = arena_results(state, keep)
    if not len(results.preferences):
        none = tuple(_rows(state, results, None, {}))
        return ArenaTally(
            rows=none,
            tie_groups=(tuple(row.name for row in none),) if none else (),
            claims=(),
            sentence="No match has been voted on yet.",
            method="",
            matches=0,
            comparisons=0,
        )
    standing = standing_of(results, "preference", BOARD_LEVEL, "anytime")
    progress = rates_of(results, "progress", BOARD_LEVEL)
    return ArenaTally(
        rows=tuple(_rows(state, results, standing, progress)),
        tie_groups=standing.ranking.tie_groups,
        claims=standing.ranking.claims,
        sentence=standing.ranking.sentence,
        method=standing.ranking.method,
        matches=sum(keep(state.matches[id_]) for id_ in state.finished),
        comparisons=standing.ranking.n,
    )


def _rows(
    state: ArenaState, results: Results, standing: Standing | None, progress: Mapping[str, Estimate]
) -> list[ArenaRow]:
    names = arena_names(state)
    nothing = Estimate(value=None, low=None, high=None, level=BOARD_LEVEL, n=0, method="no match yet")
    wins = _wins(results)
    rows = []
    for policy in state.policies.values():
        name = names[policy.id]
        met = standing is not None and name in standing.ranking.rank_sets
        if policy.withdrawn and not met:
            continue
        ranking = standing.ranking if standing is not None and met else None
        groups = [] if ranking is None else [k for k, group in enumerate(ranking.tie_groups, 1) if name in group]
        won, lost, tied = wins.get(name, (0, 0, 0))
        rows.append(
            ArenaRow(
                policy=policy.id,
                name=name,
                owner=policy.group,
                public=policy.public,
                unverified=policy.identity.unverified,
                matches=won + lost + tied,
                ranks=(1, len(state.policies)) if ranking is None else ranking.rank_sets[name],
                group=groups[0] if groups else 0,
                strength=nothing if ranking is None else ranking.scores[name],
                progress=progress.get(name, nothing),
                success=nothing if standing is None else standing.rates.get(name, nothing),
                won=won,
                lost=lost,
                tied=tied,
            )
        )
    return sorted(rows, key=lambda row: (row.ranks, -(row.strength.value or 0.0), row.name))


def _wins(results: Results) -> dict[str, tuple[int, int, int]]:
    """Name -> comparisons won, lost, tied."""
    p = results.preferences
    counts = np.zeros((len(p.policies), 3), np.int64)
    for mine, better in ((p.first, 0), (p.second, 1)):
        place = np.select([p.outcome == better, p.outcome == 1 - better], [0, 1], 2)
        np.add.at(counts, (mine, place), 1)
    return {name: (int(a), int(b), int(c)) for name, (a, b, c) in zip(p.policies, counts, strict=True)}


def _cells(state: ArenaState) -> list[ArenaCell]:
    columns = trial_rows(state)
    cells: list[ArenaCell] = []
    progress = np.array(columns["progress"], np.float64)
    for axis in ("task", "robot", "site"):
        keys, numbers = _numbers(list(zip(columns["policy"], columns[axis], strict=True)))
        for k, (policy, level) in enumerate(keys):
            estimate = mean_sequence(progress[numbers == k], BOARD_LEVEL)
            cells.append(ArenaCell(policy=policy, axis=axis, level=level, progress=estimate))
    return cells
