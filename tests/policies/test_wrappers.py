"""Wrappers change what they say they change, the same way whether asked alone or in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    BadData,
    BatchedPolicy,
    Field,
    Observation,
    Policy,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
)
from roboscale.policies.wrappers import constant, noisy, replay, truncated

ACTION = Spec((Field("action", (4,), "float32"),), 80.0)


class Zeros:
    """Zeros, (5, 4) float32, three to be executed."""

    name, observation_spec, action_spec = "zeros", None, ACTION

    def __init__(self) -> None:
        self.started = []

    def start(self, instruction: str, seed: int):
        self.started.append((instruction, seed))
        return lambda observation: ActionChunk(np.zeros((5, 4), np.float32), execute=3)


class BatchedZeros(Zeros):
    name = "zeros"

    def __init__(self) -> None:
        super().__init__()
        self.batches = []

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]):
        self.batches.append(len(sessions))
        return [s(o) for s, o in zip(sessions, observations, strict=True)]


def rows(policy: Policy, seed: int = 0, count: int = 3):
    session = policy.start("push", seed)
    return np.concatenate([session({}).actions for _ in range(count)])


def test_noise_has_the_size_that_was_asked_for():
    noise = rows(noisy(Zeros(), 0.1), count=500)
    assert noise.std() == pytest.approx(0.1, rel=0.03)
    assert abs(noise.mean()) < 0.005
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 0.1


def test_the_seeds_fix_the_noise():
    policy = noisy(Zeros(), 0.1)
    assert np.array_equal(rows(policy, 1), rows(policy, 1))
    assert not np.array_equal(rows(policy, 1), rows(policy, 2))
    assert not np.array_equal(rows(policy, 1), rows(noisy(Zeros(), 0.1, seed=1), 1))


def test_a_ladder_of_noise_uses_the_same_draws():
    assert np.allclose(2 * rows(noisy(Zeros(), 0.1)), rows(noisy(Zeros(), 0.2)))


def test_noise_on_noise_is_new_noise():
    twice = rows(noisy(noisy(Zeros(), 0.1), 0.1), count=500)
    assert twice.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.03)


def test_noise_keeps_dtype_and_execution_and_passes_the_seed_on():
    inner = Zeros()
    chunk = noisy(inner, 0.1).start("push", 7)({})
    assert chunk.actions.dtype == np.float32
    assert chunk.execute == 3
    assert inner.started == [("push", 7)]
    assert noisy(inner, 0.1).name == "noisy:zeros:0.1"


def test_no_noise_changes_nothing():
    assert not rows(noisy(Zeros(), 0.0)).any()


@pytest.mark.parametrize("sigma", [-0.1, np.nan, np.inf])
def test_sigma_is_a_size(sigma: float):
    with pytest.raises(SpecMismatch, match="sigma"):
        noisy(Zeros(), sigma)


@pytest.mark.parametrize("wrap", [lambda p: noisy(p, 0.1), lambda p: truncated(p, 2)])
def test_batches_are_passed_on_and_mean_the_same(wrap: Callable[[Policy], Policy]):
    inner = BatchedZeros()
    policy = wrap(inner)
    assert isinstance(policy, BatchedPolicy)
    together = policy.act_many([policy.start("push", s) for s in (1, 2)], [{}, {}])
    alone = [policy.start("push", s)({}) for s in (1, 2)]
    assert inner.batches == [2]
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(together, alone, strict=True))


def test_who_takes_no_batches_does_not_learn_it_by_being_wrapped():
    """Asked again one by one after a failed batch, a session would otherwise have moved on twice."""
    assert not isinstance(noisy(Zeros(), 0.1), BatchedPolicy)


def test_truncated_asks_again_sooner_and_never_later():
    assert truncated(Zeros(), 2).start("push", 0)({}).execute == 2
    assert truncated(Zeros(), 9).start("push", 0)({}).execute == 3
    with pytest.raises(SpecMismatch, match="execute"):
        truncated(Zeros(), 0)


def test_constant():
    chunk = constant([0, 0, 1, -1], ACTION).start("push", 0)({})
    assert chunk.rows.tolist() == [[0, 0, 1, -1]]
    assert constant([0, 0, 1, -1], ACTION).name == "constant:0,0,1,-1"
    assert constant(None, ACTION).start("push", 0)({}).rows.tolist() == [[0, 0, 0, 0]]
    assert constant([1.5]).start("push", 0)({}).rows.tolist() == [[1.5]]
    assert constant(None, ACTION).observation_spec.names == (), "nobody renders for it"


@pytest.mark.parametrize(
    ("values", "spec", "says"),
    [
        (None, None, "needs a world"),
        ([1, 2], ACTION, "2 values"),
        ([np.nan] * 4, ACTION, "finite"),
        ([], None, "finite"),
    ],
)
def test_constants_that_do_not_fit(values: list[float] | None, spec: Spec | None, says: str):
    with pytest.raises(SpecMismatch, match=says):
        constant(values, spec)


class Recorded:
    """Three episodes of two instructions; episode i is i + 1 long and holds i."""

    spec = Spec((Field("observation.state", (2,), "float32"), *ACTION.fields), 80.0)
    instructions = ("push", "pull", "push")

    @property
    def episodes(self):
        return [SimpleNamespace(index=i, instruction=text) for i, text in enumerate(self.instructions)]

    def episode(self, index: int, images: bool = True):
        assert not images, "nobody decodes video for it"
        return SimpleNamespace(arrays={"action": np.full((index + 1, 4), index, np.float32)})


def test_replay_plays_an_episode_of_the_instruction_and_holds():
    policy = replay(Recorded(), "replay:x")
    session = policy.start("pull", 0)
    assert [session({}).rows.shape for _ in range(3)] == [(2, 4), (1, 4), (1, 4)]
    assert policy.action_spec["action"].shape == (4,)
    assert policy.observation_spec.names == ()


def test_replay_chooses_by_seed():
    policy = replay(Recorded())
    chosen = [int(policy.start("push", seed)({}).rows[0, 0]) for seed in range(20)]
    assert set(chosen) == {0, 2}
    assert chosen == [int(policy.start("push", seed)({}).rows[0, 0]) for seed in range(20)]
    other = replay(Recorded(), seed=1)
    assert chosen != [int(other.start("push", seed)({}).rows[0, 0]) for seed in range(20)]


def test_replay_of_something_never_recorded():
    with pytest.raises(UnknownName, match="did you mean push"):
        replay(Recorded()).start("pusch", 0)


def test_replay_of_an_empty_episode():
    empty = Recorded()
    empty.episode = lambda index, images: SimpleNamespace(arrays={"action": np.zeros((0, 4))})
    with pytest.raises(BadData, match="episode 1"):
        replay(empty).start("pull", 0)
