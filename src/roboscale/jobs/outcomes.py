"""Results as columns: what statistics over tables of any size take in."""

from __future__ import annotations

from typing import Literal

import numpy as np

from roboscale.core import Counted, Outcomes, RoboscaleError, Stratum, identity_labels
from roboscale.results import Results

__all__ = ["OutcomeChoice", "choose_outcome", "outcomes_of_results"]

OutcomeChoice = Literal["auto", "success", "progress"]


def choose_outcome(results: Results, asked: OutcomeChoice = "auto") -> tuple[Literal["success", "progress"], str]:
    """What to compare by, and a word on it where it was not asked for.

    `auto` takes progress where the success of every trial is only whether its progress is complete, and some stopped
    on the way: then nobody said success, and progress knows more.

    Raises:
        RoboscaleError: progress is asked for, and a trial has none.
    """
    counted = [trial.outcome for trial in results.trials if trial.outcome.success is not None]
    scores = [(outcome.progress, outcome.success) for outcome in counted]
    if asked == "progress":
        without = sum(progress is None for progress, _ in scores)
        if without:
            raise RoboscaleError(f"{results.source}: {without} of {len(scores)} trials have no progress")
        return "progress", ""
    if asked == "success":
        return "success", ""
    derived = bool(scores) and all(p is not None and (p >= 1) == won for p, won in scores)
    if derived and any(p is not None and 0 < p < 1 for p, _ in scores):
        return "progress", f"{results.source}: only progress was noted, so means of it are compared"
    return "success", ""


def outcomes_of_results(results: Results, kind: Literal["success", "progress"] = "success") -> Outcomes:
    """The trials as columns; the newest attempt of a case counts. RoboscaleError where there is no trial."""
    if not results.trials:
        raise RoboscaleError(f"{results.source}: there are {len(results.comparisons)} preferences and no trials")
    labels = identity_labels(trial.policy for trial in results.trials)
    newest: dict[tuple[str, str, str], Counted] = {}
    for trial in sorted(results.trials, key=lambda t: t.attempt):
        newest[labels[trial.policy], trial.world.name, trial.case.id] = trial
    policies = list(dict.fromkeys(policy for policy, _, _ in newest))
    strata = list(dict.fromkeys(Stratum(world, trial.case.task) for (_, world, _), trial in newest.items()))
    cases = {case: number for number, case in enumerate(dict.fromkeys((world, case) for _, world, case in newest))}
    policy_of = {name: number for number, name in enumerate(policies)}
    stratum_of = {stratum: number for number, stratum in enumerate(strata)}
    policy = np.array([policy_of[name] for name, _, _ in newest], np.int32)
    return Outcomes(
        kind=kind,
        paired=results.paired,
        policies=tuple(policies),
        strata=tuple(strata),
        runs=tuple(policies),
        policy=policy,
        stratum=np.array(
            [stratum_of[Stratum(world, trial.case.task)] for (_, world, _), trial in newest.items()], np.int32
        ),
        run=policy,
        case=np.array([cases[world, case] for _, world, case in newest], np.int64),
        value=np.array([_value(trial, kind) for trial in newest.values()], np.float64),
        weight=np.ones(len(newest), np.int64),
    )


def _value(trial: Counted, kind: str) -> float:
    said = trial.outcome.success if kind == "success" else trial.outcome.progress
    return np.nan if said is None or trial.outcome.success is None else float(said)
