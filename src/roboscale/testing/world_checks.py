"""What every world promises, as a check that authors of worlds can run: `check_world(world, task)`."""

from __future__ import annotations

import hashlib

import numpy as np

from roboscale.core import (
    Case,
    HasExpert,
    PolicyError,
    RoboscaleError,
    SpecMismatch,
    World,
    cases,
    generator,
)

__all__ = ["check_world", "trial_digest"]

CHECK_STEPS = 60


def check_world(
    world: World, task: str, *, seed: int = 0, determinism: bool = False, images: bool = False
) -> list[str]:
    """Every broken promise in one sentence; empty when the world keeps them all.

    Args:
        determinism: also run one case twice, the second time after another case, and compare every byte.
        images: include the pictures in that comparison (slow).
    """
    case, other = cases(task, 2, seed, "eval")
    found = [problem for check in (_observations, _actions) for problem in check(world, case)]
    if determinism:
        first = trial_digest(world, case, images=images)
        trial_digest(world, other, images=False)
        if trial_digest(world, case, images=images) != first:
            found.append("the same case gave other bytes the second time")
    return found


def _observations(world: World, case: Case) -> list[str]:
    world.reset(case)
    seen = world.observe()
    try:
        world.observation_spec.check(seen, f"world {world.name}")
    except SpecMismatch as error:
        return [str(error)]
    if not world.instruction(case.task).strip():
        return ["the instruction is empty"]
    again = world.observe()
    if any(not np.array_equal(again[k], v) for k, v in seen.items()):
        return ["looking twice without a step shows two different things"]
    return []


def _actions(world: World, case: Case) -> list[str]:
    found = []
    field = world.action_spec["action"]
    for wrong, name in ((np.full(field.shape, np.nan), "NaN"), (np.zeros(field.shape[0] + 1), "a wrong size")):
        world.reset(case)
        try:
            world.step(wrong.astype(field.dtype))
            found.append(f"an action of {name} was accepted")
        except PolicyError:
            continue
    if field.high is not None:
        world.reset(case)
        step = world.step(np.asarray(field.high, field.dtype) * 2 + 1)
        if not step.clipped or (step.applied > np.asarray(field.high, field.dtype)).any():
            found.append("an action out of range was not clipped")
    try:
        world.reset(Case("no such task", 0))
        found.append("an unknown task was accepted")
    except RoboscaleError:
        pass  # as it should be
    return found


def trial_digest(world: World, case: Case, *, images: bool) -> str:
    """SHA-256 over all observations of one trial: the expert's where there is one, else random actions."""
    names = [f.name for f in world.observation_spec if images or not f.is_image]
    field = world.action_spec["action"]
    rng = generator("check", case.id)
    policy = world.expert() if isinstance(world, HasExpert) else None
    needs = None if policy is None or policy.observation_spec is None else policy.observation_spec.names
    expert = None if policy is None else policy.start(world.instruction(case.task), 0)
    digest = hashlib.sha256()
    world.reset(case)
    for _ in range(CHECK_STEPS):
        seen = world.observe(names)
        for name in names:
            digest.update(np.ascontiguousarray(seen[name]).tobytes())
        low = -1.0 if field.low is None else np.asarray(field.low)
        high = 1.0 if field.high is None else np.asarray(field.high)
        action = rng.uniform(low, high, field.shape) if expert is None else expert(world.observe(needs)).rows[0]
        step = world.step(action.astype(field.dtype))
        digest.update(f"{step.reward} {step.success}".encode())
        if step.terminated or step.truncated:
            break
    digest.update(repr(world.outcome()).encode())
    return digest.hexdigest()
