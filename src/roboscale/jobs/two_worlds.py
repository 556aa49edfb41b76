"""The same policies in a real and in a cheap world: what each said, case by case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roboscale.core import BadData, OutcomeKind, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.result_files import load_results
from roboscale.results import AS_THEY_ARE, ReadOptions, Results, is_running_number

__all__ = ["TwoWorlds", "WorldScores", "load_two_worlds", "same_mix", "same_rows", "shared_policies"]

WorldScores = Mapping[str, Mapping[tuple[str, str], float | None]]
"""Policy -> (task, case) -> success as 0 or 1, or progress; `None` where void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWorlds:
    """What each world said of each policy and case.

    Args:
        kind: what the scores are.
        readings: how both sources were read.
    """

    kind: OutcomeKind
    real: WorldScores
    cheap: WorldScores
    readings: tuple[Results, Results]


def load_two_worlds(
    real: str, cheap: str, options: ReadOptions = AS_THEY_ARE, on_event: OnEvent = ignore
) -> TwoWorlds:
    """The scores of both worlds, by cases that both know.

    Raises:
        RoboscaleError: a source does not say which case each trial was, or the two speak of different scales.
        BadData: equal numbers may or may not be the same case.
    """
    both = load_results([real], options, on_event), load_results([cheap], options, on_event)
    kinds = [kind for kind in both[0].kinds if kind in both[1].kinds]
    if not kinds:
        sides = "; ".join(f"{r.source} says {' and '.join(r.kinds) or 'preferences'}" for r in both)
        raise RoboscaleError(f"fusion needs one scale on both sides: {sides}")
    if same := same_rows(real, cheap, both):
        on_event(Note(same))
    for results in both:
        _needs_cases(results, options)
    kind = kinds[0]
    if kind == "progress":
        on_event(Note("progress is compared, and the result is a mean progress: no source says who succeeded"))
    real_scores, cheap_scores = (_scores(results, kind) for results in both)
    return TwoWorlds(kind=kind, real=real_scores, cheap=cheap_scores, readings=both)


def same_rows(real: str, cheap: str, both: Sequence[Results]) -> str:
    """A line where both sides hold the same rows: a world that agrees with itself is no judge. Else empty."""
    contents = [{part.content for part in results.parts if part.content} for results in both]
    if not contents[0] or contents[0] != contents[1]:
        return ""
    return (
        f"real ({real}) and cheap ({cheap}) hold the same rows: what follows compares a table with itself "
        "(a column world would tell real and simulated trials of one table apart)"
    )


def _needs_cases(results: Results, options: ReadOptions) -> None:
    for part in results.parts:
        name = part.reading.source
        if len(part.columns) and (not part.case_columns or options.pairing == "independent"):
            has = "counts, of which no trial is known by itself" if part.counted else "no column that says the case"
            expected = "fusion needs to know which real and cheap trials are the same case"
            do = "a table with a row for each trial, and its case" if part.counted else "--case NAME"
            raise RoboscaleError(f"{expected}: {name} has {has} ({do})")
        if is_running_number(part) and options.case_scope != "across" and "case" not in options.columns:
            column = " and ".join(part.case_columns)
            if column.casefold() not in ("case", "case_id"):
                expected = "numbers that both worlds share: --case-across-files if equal ones are the same case"
                raise BadData(name, column, expected, "numbers from 1 on, as every table of trials has")


def _scores(results: Results, kind: OutcomeKind) -> WorldScores:
    """Policy -> case -> its score. BadData where one policy has two trials of one case in two places of the world."""
    scores: dict[str, dict[tuple[str, str], float | None]] = defaultdict(dict)
    for part in results.parts:
        c = part.columns
        values = c.success if kind == "success" else c.progress
        for row in range(len(c)):
            key = c.strata[c.stratum[row]].task, c.cases[c.case[row]]
            policy = c.policies[c.policy[row]]
            if key in scores[policy]:
                expected = "one trial of each policy and case (--world says which of several)"
                raise BadData(part.reading.source, "case", expected, f"two: {policy}, {key[0]}, {key[1]}")
            scores[policy][key] = None if np.isnan(values[row]) else float(values[row])
    return dict(scores)


def shared_policies(real: Mapping[str, object], cheap: Mapping[str, object], on_event: OnEvent) -> list[str]:
    """Policies that were tried in both worlds; a note names the others. RoboscaleError when there is none."""
    names = [name for name in real if name in cheap]
    if not names:
        sides = f"real has {', '.join(sorted(real)) or 'none'}; cheap has {', '.join(sorted(cheap)) or 'none'}"
        raise RoboscaleError(f"no policy was tried in both worlds: {sides}")
    for world, other, scores in (("real", cheap, real), ("cheap", real, cheap)):
        alone = sorted(name for name in scores if name not in other)
        if alone:
            on_event(Note(f"left out, tried in the {world} world only: {', '.join(alone)}"))
    return names


def same_mix(
    cases: Sequence[tuple[str, str]], extra: Mapping[tuple[str, str], float], who: str, on_event: OnEvent
) -> list[float]:
    """Further cheap scores with the same mix of tasks as the cases of both worlds; a note says what is left out.

    A cheap mean over easy tasks only would move the real one; so each task brings as many as its share allows.
    """
    tasks = list(dict.fromkeys(task for task, _ in cases))
    need = {task: sum(t == task for t, _ in cases) for task in tasks}
    have = {task: [score for (t, _), score in sorted(extra.items()) if t == task] for task in tasks}
    other = len(extra) - sum(map(len, have.values()))
    times = min(len(have[task]) / need[task] for task in tasks)
    taken = [score for task in tasks for score in have[task][: int(times * need[task] + 1e-9)]]
    left = sum(map(len, have.values())) - len(taken)
    if other:
        on_event(Note(f"{who}: left out {other} cheap trials of tasks that the real world has not"))
    if left:
        on_event(Note(f"{who}: left out {left} further cheap trials, so that tasks are mixed as in the real world"))
    return taken
