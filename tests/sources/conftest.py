"""Expert demonstrations in physics for the tests of this room, without pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    Case,
    Episode,
    Outcome,
    Policy,
    Provenance,
    RolloutSettings,
    Session,
    Spec,
    Trial,
    cases,
)
from roboscale.referees import SuccessReferee
from roboscale.trials import Asking, Job, outcome_of, rollout
from roboscale.worlds.simulated.metaworld import MetaWorld

OBSERVED = ("observation.environment_state", "contact.gripper_n")


@pytest.fixture(scope="session")
def world() -> Iterator[MetaWorld]:
    opened = MetaWorld()
    yield opened
    opened.close()


def drive(world: MetaWorld, policy: Policy, case: Case, seed: int = 0) -> tuple[Outcome, Episode, Session]:
    """One case to its end: outcome, what was recorded, and the session."""
    info = world.info
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch="success (first)")
    referee = SuccessReferee(info.rule)
    trial = Trial(policy=policy.identity, world=info.identity, case=case, settings=settings)
    session = policy.start(info.instruction(case.task), seed)
    run = rollout(world, case, settings, referee=referee, asking=Asking(needs=OBSERVED))
    frames: list[dict[str, np.ndarray]] = []
    try:
        seen = next(run)
        while True:
            chunk: ActionChunk = session(seen)
            frames.append({**seen, "action": np.asarray(chunk.rows[0], np.float32)})
            seen = run.send(ActionChunk(chunk.rows[:1]))
    except StopIteration as done:
        finished = Job(trial=trial, referee=referee).finish(done.value)
    outcome = outcome_of(finished.trial, [finished.judgement])
    assert outcome is not None
    spec = Spec((*info.observation_spec.select(OBSERVED), *info.action_spec), info.rate_hz)
    arrays = {name: np.stack([frame[name] for frame in frames]) for name in spec.names}
    provenance = Provenance("simulation.record", task=case.task, seed=case.seed)
    return (
        outcome,
        Episode(
            id=case.id,
            spec=spec,
            arrays=arrays,
            instruction=info.instruction(case.task),
            provenance=provenance,
            outcome=outcome,
        ),
        session,
    )


@pytest.fixture(scope="session")
def demonstrations(world: MetaWorld) -> Callable[[str, int], list[Episode]]:
    """`demonstrations(task, count)`: the expert's first successes on the cases of `collect`."""
    made: dict[str, list[Episode]] = {}

    def of(task: str, count: int) -> list[Episode]:
        known = made.setdefault(task, [])
        for case in cases(task, 20, 0, "collect"):
            if len(known) >= count:
                break
            outcome, episode, _ = drive(world, world.expert(), case)
            if outcome.success and episode.id not in [e.id for e in known]:
                known.append(episode)
        return known[:count]

    return of


@pytest.fixture(scope="session")
def try_case() -> Callable[..., tuple[Outcome, Episode, Session]]:
    """`try_case(world, policy, case, seed)`: one case to its end."""
    return drive
