"""The same jobs from Python. Wiring, like the command line: it may import every room, and no room imports it.

from roboscale.api import evaluate
print(evaluate(my_policy, world="metaworld", task="reach-v3", trials=20))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roboscale.core import Estimate, Policy

__all__ = ["evaluate"]


def evaluate(
    policy: Policy | Callable[..., Any] | str,
    *,
    world: str = "metaworld",
    task: str = "all",
    trials: int = 10,
    seed: int = 0,
    workers: int = 0,
    out: Path | str | None = None,
) -> Estimate:
    """Success rate of a policy on held-out cases, with its Clopper-Pearson interval.

    Args:
        policy: a `Policy`, a text as for `roboscale eval --policy`, or a function of (observation, instruction) or of
            the observation alone that returns one action (D,) or a chunk (H, D).
        task: task names separated by commas, or `all`.
        trials: per task.
        workers: worlds in processes of their own; 0 runs in this one.
        out: folder that keeps the trials; the same folder resumes. By default nothing is kept.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
    """
    from roboscale.cli.judging import Request, expand_tasks, judge, rates
    from roboscale.policies.callables import from_callable
    from roboscale.worlds import open_world

    opened = open_world(world)
    names = expand_tasks(opened, task)
    opened.close()
    known: dict[str, Policy] | None = None
    if not isinstance(policy, str):
        made: Any = policy if hasattr(policy, "start") else from_callable(policy)
        known = {made.name: made}
    label = policy if isinstance(policy, str) else next(iter(known or {}))
    request = Request((label,), world, names, trials, seed)
    with tempfile.TemporaryDirectory() as scratch:
        judged = judge(request, Path(out or scratch), workers=workers, policies=known)
    return rates(judged.trials, sequential=False)
