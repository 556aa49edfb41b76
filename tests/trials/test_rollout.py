"""The only step loop: what ends it, and as what."""

import numpy as np
import pytest

from roboscale.core import ActionChunk, Case, InfrastructureError, PolicyError
from roboscale.testing.toy_world import ToyWorld
from roboscale.trials import replay, rollout

CASE = Case("near", 3)


def run(world: ToyWorld, answer, record: bool = False, needs=None, case: Case = CASE):
    generator = rollout(world, case, needs, record=record)
    try:
        seen = next(generator)
        while True:
            reply = answer(seen)
            seen = generator.throw(reply) if isinstance(reply, Exception) else generator.send(reply)
    except StopIteration as done:
        return done.value


def expert(seen) -> ActionChunk:
    return ToyWorld().expert().start("", 0)(seen)


def test_success_ends_the_episode():
    result = run(ToyWorld(), expert)
    assert result.outcome.status == "success" and len(result.actions) == result.outcome.steps <= 5
    assert result.frames is None


def test_recording_keeps_commanded_and_applied_action_beside_what_was_seen():
    result = run(ToyWorld(), lambda seen: ActionChunk(np.full((4, 1), 0.5, np.float32), 4), record=True)
    frames = result.frames
    assert frames["action"].max() == 0.5 and frames["applied.action"].max() == np.float32(0.1)
    assert len({len(v) for v in frames.values()}) == 1
    x = frames["observation.state"][:, 0]
    np.testing.assert_allclose(np.diff(x), 0.1, atol=1e-6)  # every frame was seen before its own action
    assert result.outcome.damage.clipped_steps == len(x)


def test_only_the_needed_fields_are_observed():
    asked = []
    run(ToyWorld(), lambda seen: asked.append(set(seen)) or expert(seen), needs=("observation.state",))
    assert asked[0] == {"observation.state"}


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (ActionChunk(np.array([[np.nan]])), "finite"),
        (ActionChunk(np.zeros((1, 2))), r"shape [1], found [2]"),
        (ActionChunk(np.zeros(1)), "(H, D)"),
        (PolicyError("I divided by zero"), "divided"),
    ],
)
def test_a_policy_that_computes_nonsense_fails(chunk, reason: str):
    outcome = run(ToyWorld(), lambda seen: chunk).outcome
    assert outcome.status == "failure" and reason in outcome.reason


def test_a_transport_that_breaks_is_void():
    outcome = run(ToyWorld(), lambda seen: InfrastructureError("server died")).outcome
    assert (outcome.status, outcome.reason) == ("void", "server died")


def test_a_robot_that_breaks_is_void():
    assert run(ToyWorld({3: "void"}, horizon=9), lambda s: ActionChunk(np.zeros((9, 1)))).outcome.status == "void"


def test_the_horizon_truncates():
    outcome = run(ToyWorld(horizon=4), lambda seen: ActionChunk(np.zeros((8, 1)))).outcome
    assert outcome.status == "failure" and outcome.truncated and outcome.steps == 4


def test_replay_repeats_a_trial():
    first = run(ToyWorld(), expert)
    again = replay(ToyWorld(), CASE, first.actions, record=True)
    assert again.outcome == first.outcome and again.actions.tobytes() == first.actions.tobytes()


def test_a_replay_that_ends_early_is_a_failure_and_says_why():
    outcome = replay(ToyWorld(), CASE, np.zeros((2, 1), np.float32)).outcome
    assert outcome.status == "failure" and "recorded actions ended" in outcome.reason
