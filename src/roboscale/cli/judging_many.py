"""Several policies on the same cases, until every pair is decided or the budget ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from roboscale.cli.judging import Judged, Request, labels, pick_workers, resolve, schedule_of
from roboscale.core import Case, Policy, Trial, derive_id
from roboscale.jobs.versions import versions
from roboscale.stats.many import ManyVerdict, compare_many_paired
from roboscale.stats.sequential_many import SequentialMany
from roboscale.trials import Schedule, TrialRunner, TrialStore, make_slots
from roboscale.worlds import open_world, world_id

__all__ = ["JudgedMany", "judge_many"]


@dataclass(frozen=True, slots=True)
class JudgedMany:
    """The trials that count, and every pair's verdict."""

    judged: Judged
    verdict: ManyVerdict


def judge_many(
    request: Request,
    folder: Path,
    *,
    budget: int,
    alpha: float = 0.05,
    sequential: bool = True,
    min_cases: int = 1,
    workers: int | None = None,
    policies: Mapping[str, Policy] | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> JudgedMany:
    """Tries all policies case by case; a policy whose pairs are all decided is not tried further.

    Args:
        folder: holds `trials.db`; the same request in the same folder resumes.
        budget: most cases, over all tasks.
        alpha: probability of even one false claim.
        min_cases: do not stop before so many.
    """
    world = open_world(request.world)
    known: dict[str, Policy] = dict(policies) if policies else resolve(request, world)
    names = tuple(known)
    cases = schedule_of(request, names).own_cases()[:budget]
    rule = SequentialMany(list(labels(names).values()), budget=len(cases), alpha=alpha, min_cases=min_cases)
    count = pick_workers(workers, len(cases) * len(names))
    slots, found = make_slots(partial(open_world, request.world), count), versions()
    trials: list[Trial] = []
    try:
        with TrialStore(folder / "trials.db") as store:
            rules = {"many": True, "budget": budget, "alpha": alpha, "min_cases": min_cases, "sequential": sequential}
            plan = {**request.to_json(), "names": names, "stopping": rules}
            store.record_run(derive_id(json.dumps(plan)), plan, found)
            runner = TrialRunner(world, world_id(world), known, slots, store, None, on_trial=on_trial, versions=found)
            run = partial(_run, runner, request.retries)
            if sequential:
                trials = _until_decided(run, rule, names, cases, max(1, 2 * count))
            else:
                trials = run(names, cases)
    finally:
        for slot in slots:
            slot.close()
        world.close()
    verdict = rule.verdict() if sequential else _fixed(trials, names, cases, alpha)
    judged = Judged(request, world, world_id(world), names, tuple(trials), None, found, sequential)
    return JudgedMany(judged, verdict)


def _run(runner: TrialRunner, retries: int, names: Sequence[str], cases: Sequence[Case]) -> list[Trial]:
    return runner.run(Schedule(tuple(names), tuple(cases), retries))


def _until_decided(
    run: Callable[[Sequence[str], Sequence[Case]], list[Trial]],
    rule: SequentialMany,
    names: Sequence[str],
    cases: Sequence[Case],
    block: int,
) -> list[Trial]:
    """Blocks of cases for the policies that still matter; evidence counts in the order of cases, not of completion."""
    short = labels(names)
    counted: list[Trial] = []
    for begin in range(0, len(cases), block):
        chosen = cases[begin : begin + block]
        active = [name for name in names if short[name] in rule.active]
        done = {(t.case, t.policy): t for t in run(active, chosen)}
        for case in chosen:
            now = [done[case, name] for name in active]
            counted += now
            if rule.update({short[t.policy]: t.outcome.success for t in now}):
                return counted
    rule.finish()
    return counted


def _fixed(trials: Sequence[Trial], names: Sequence[str], cases: Sequence[Case], alpha: float) -> ManyVerdict:
    done = {(t.policy, t.case): t.outcome.success for t in trials}
    short = labels(names)
    return compare_many_paired({short[n]: [done.get((n, c)) for c in cases] for n in names}, alpha)
