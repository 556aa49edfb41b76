"""The same jobs from Python. Wiring, like the command line: it may import every room, and no room imports it.

from roboscale.api import evaluate
print(evaluate(my_policy, world="metaworld", task="reach-v3", trials=20))
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate, Policy, RoboscaleError, Verdict, World

if TYPE_CHECKING:
    from roboscale.cli.judging import Judged, Stopping

__all__ = ["AnyPolicy", "compare", "evaluate"]

AnyPolicy = Policy | Callable[..., Any] | str
"""A `Policy`, a text as for `roboscale eval --policy`, or a function of (observation, instruction) or of the
observation alone that returns one action (D,) or a chunk (H, D)."""


def evaluate(
    policy: AnyPolicy,
    *,
    world: str = "metaworld",
    task: str = "all",
    trials: int = 10,
    seed: int = 0,
    workers: int = 0,
    observes: Collection[str] | None = None,
    out: Path | str | None = None,
) -> Estimate:
    """Success rate of a policy on held-out cases, with its Clopper-Pearson interval.

    Args:
        task: task names separated by commas, or `all`.
        trials: per task.
        workers: worlds in processes of their own; 0 runs in this one.
        observes: fields that a function reads; by default all, cameras included, which cost ten times the physics.
        out: folder that keeps the trials; the same folder resumes. By default nothing is kept.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
    """
    from roboscale.cli.judging import rates

    judged = _judge((policy,), world, task, trials, seed, workers, observes, out)
    return rates(judged, judged.trials)


def compare(
    first: AnyPolicy,
    second: AnyPolicy,
    *,
    world: str = "metaworld",
    task: str = "all",
    budget: int = 100,
    alpha: float = 0.05,
    seed: int = 0,
    workers: int = 0,
    observes: Collection[str] | None = None,
    out: Path | str | None = None,
) -> Verdict:
    """Tries two policies on the same held-out cases, in turn, until the sequential test decides or the budget ends.

    Args:
        budget: most paired cases, over all tasks.
        alpha: two-sided type-I error.
        task, workers, observes, out: as for `evaluate`.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
    """
    from roboscale.cli.judging import Stopping

    stopping = Stopping(budget, alpha)
    verdict = _judge((first, second), world, task, budget, seed, workers, observes, out, stopping).verdict
    assert verdict is not None, "a comparison has a verdict"
    return verdict


def _judge(
    policies: tuple[AnyPolicy, ...],
    world: str,
    task: str,
    trials: int,
    seed: int,
    workers: int,
    observes: Collection[str] | None,
    out: Path | str | None,
    stopping: Stopping | None = None,
) -> Judged:
    """Runs the trials: `trials` per task, or with `stopping` as many over all tasks."""
    from roboscale.cli.judging import Request, expand_tasks, judge
    from roboscale.worlds import open_world

    opened = open_world(world)
    try:
        names = expand_tasks(opened, task)
        made = [_policy(p, opened, seed, observes) for p in policies]
    finally:
        opened.close()
    known = {p.name: p for p in made}
    if len(known) != len(made):
        raise RoboscaleError(f"two policies are named {made[0].name!r}; compare different policies")
    per_task = -(-trials // len(names)) if stopping else trials
    request = Request(tuple(known), world, names, per_task, seed)
    with tempfile.TemporaryDirectory() as scratch:
        return judge(request, Path(out or scratch), workers=workers, stopping=stopping, policies=known)


def _policy(policy: AnyPolicy, world: World, seed: int, observes: Collection[str] | None) -> Policy:
    from roboscale.cli.judging import API_KEY_VARIABLE
    from roboscale.policies.callables import as_policy
    from roboscale.policies.resolve import resolve_policy

    if isinstance(policy, str):
        return resolve_policy(policy, world=world, seed=seed, api_key=os.environ.get(API_KEY_VARIABLE))
    return as_policy(policy, spec=None if observes is None else world.observation_spec.select(observes))
