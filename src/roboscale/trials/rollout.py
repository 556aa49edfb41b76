"""The only step loop: one case, one world, and whoever answers with actions.

It is a generator so that one process can drive many worlds and answer all that wait in one batch: it yields an
observation and is sent an `ActionChunk`, or an error of the policy is thrown into it. It knows no policy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Damage,
    InfrastructureError,
    Observation,
    Outcome,
    PolicyError,
    Spec,
    World,
)

__all__ = ["Answer", "RolloutResult", "recording_spec", "replay", "rollout", "void_result"]

Answer = ActionChunk | PolicyError | InfrastructureError
"""What a rollout gets for an observation: a chunk, or why there is none."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """What a rollout leaves.

    Args:
        outcome: how it ended; void when the world or the policy's carrier broke.
        actions: commanded actions, (T, D) float32.
        seconds: monotonic duration, reset included.
        frames: field name -> (T, ...) array when it was recorded, else `None`.
    """

    outcome: Outcome
    actions: NDArray[np.float32]
    seconds: float
    frames: Arrays | None = None


def recording_spec(world: World) -> Spec:
    """What a recorded rollout holds: all observations, the commanded action (which may leave its bounds) and the
    applied one (which does not)."""
    action = world.action_spec["action"]
    fields = (*world.observation_spec.fields, action, replace(action, name="applied.action"))
    return Spec(fields, world.observation_spec.rate_hz)


def rollout(
    world: World,
    case: Case,
    needs: Collection[str] | None = None,
    *,
    record: bool = False,
    watch: Callable[[World], None] | None = None,
) -> Generator[Observation, ActionChunk, RolloutResult]:
    """Runs one case; the generator's return value is the `RolloutResult`.

    Args:
        needs: observation fields that the policy reads; all of the world's by default.
        record: keep every step's observation and actions as arrays.
        watch: called before every step, for who wants pictures of the world.

    A `PolicyError` (thrown in, or the chunk is no chunk) ends it as a failure, an `InfrastructureError` (thrown in, or
    raised by the world) as void. Other exceptions of the world pass through to whoever owns it.
    """
    start = time.monotonic()
    frames: list[dict[str, NDArray[Any]]] = []
    actions: list[NDArray[np.float32]] = []
    broken: tuple[str, str] | None = None
    try:
        world.reset(case)
        yield from _steps(world, needs, frames if record else None, actions, watch or (lambda world: None))
    except PolicyError as error:
        broken = ("failure", str(error))
    except InfrastructureError as error:
        broken = ("void", str(error))
    outcome = _outcome(world, broken)
    size = world.action_spec["action"].shape
    stacked = {name: np.stack([f[name] for f in frames]) for name in frames[0]} if frames else None
    return RolloutResult(outcome, np.array(actions, np.float32).reshape(-1, *size), time.monotonic() - start, stacked)


def _steps(
    world: World,
    needs: Collection[str] | None,
    frames: list[dict[str, NDArray[Any]]] | None,
    actions: list[NDArray[np.float32]],
    watch: Callable[[World], None],
) -> Generator[Observation, ActionChunk, None]:
    while True:
        seen = world.observe(needs if frames is None else None)
        chunk = yield seen
        for i, action in enumerate(chunk.rows):
            if frames is not None and i:
                seen = world.observe()
            watch(world)
            step = world.step(action)
            commanded = np.asarray(action, np.float32)
            actions.append(commanded)
            if frames is not None:
                frames.append({**seen, "action": commanded, "applied.action": step.applied})
            if step.terminated or step.truncated:
                return


def _outcome(world: World, broken: tuple[str, str] | None) -> Outcome:
    if broken is None:
        return world.outcome()
    status, reason = broken
    if status == "void":
        return Outcome("void", reason, damage=Damage())
    return replace(world.outcome(), status="failure", reason=reason)


def replay(
    world: World,
    case: Case,
    actions: NDArray[np.floating[Any]],
    *,
    record: bool = False,
    watch: Callable[[World], None] | None = None,
) -> RolloutResult:
    """Plays recorded actions (T, D) again, open loop; in a deterministic world the trial repeats bit by bit."""
    run = rollout(world, case, (), record=record, watch=watch)
    try:
        next(run)
        run.send(ActionChunk(actions))
        run.throw(PolicyError("the recorded actions ended before the episode did"))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("a rollout ends when an error is thrown into it")


def void_result(reason: str) -> RolloutResult:
    """A rollout that did not happen."""
    return RolloutResult(Outcome("void", reason), np.zeros((0, 0), np.float32), 0.0)
