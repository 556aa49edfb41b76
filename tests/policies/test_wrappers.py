"""Wrappers change what they say they change, the same way whether asked alone or in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from roboscale.core import (
    PENDING,
    ActionChunk,
    BatchedPolicy,
    Field,
    Identity,
    Observation,
    Policy,
    Session,
    Spec,
    SpecMismatch,
)
from roboscale.policies.wrappers import constant, noisy, truncated

ACTION = Spec((Field("action", (4,), "float32"),), 80.0)


class Zeros:
    """Zeros, (5, 4) float32, three to be executed."""

    name, observation_spec, action_spec, history = "zeros", None, ACTION, 1

    def __init__(self, identity: Identity = Identity("zeros", "0" * 32)) -> None:
        self.identity = identity
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


def test_an_identity_is_what_is_wrapped_and_how():
    zeros, other = Zeros(), Zeros(Identity("zeros", "1" * 32))
    policies = [
        *(zeros, other, noisy(zeros, 0.1), noisy(zeros, 0.2), noisy(zeros, 0.1, seed=1), noisy(other, 0.1)),
        *(truncated(zeros, 2), truncated(zeros, 3), truncated(noisy(zeros, 0.1), 2), noisy(truncated(zeros, 2), 0.1)),
        *(constant([0.0]), constant([1.0]), constant([0.0, 0.0])),
    ]
    assert len({p.identity for p in policies}) == len(policies)
    assert noisy(Zeros(), 0.1).identity == noisy(Zeros(), 0.1).identity
    assert all(p.identity.name == p.name for p in policies)


def test_what_is_not_known_of_the_inner_policy_is_not_known_of_the_outer_one():
    doubtful = Zeros(Identity("zeros", "0" * 32, ("nobody says",)))
    assert noisy(truncated(doubtful, 2), 0.1).identity.unverified == ("nobody says",)


def test_a_name_changes_no_number():
    renamed = Zeros()
    renamed.name = "nil"
    assert np.array_equal(rows(noisy(Zeros(), 0.1)), rows(noisy(renamed, 0.1)))


def test_what_the_inner_policy_says_of_itself_is_passed_on():
    inner = Zeros()
    inner.history, inner.sessions, inner.notes = 4, 1, ("it is reset",)
    policy = truncated(noisy(inner, 0.1), 2)
    assert (policy.history, policy.sessions, policy.notes) == (4, 1, ("it is reset",))
    assert (noisy(Zeros(), 0.1).sessions, noisy(Zeros(), 0.1).notes) == (None, ())


def test_what_the_inner_session_says_is_passed_on():
    class Telling(Zeros):
        def start(self, instruction: str, seed: int):
            session = super().start(instruction, seed)
            session.details, session.parents = {"seed": seed}, ("a",)
            return session

    session = noisy(truncated(Telling(), 2), 0.1).start("push", 7)
    assert session.details == {"seed": 7} and session.parents == ("a",)
    silent = noisy(Zeros(), 0.1).start("push", 7)
    assert silent.details == {} and silent.parents == ()


def test_who_is_still_thinking_is_left_to_think():
    class Thinking(BatchedZeros):
        def start(self, instruction: str, seed: int):
            return lambda observation: PENDING

    policy = noisy(truncated(Thinking(), 2), 0.1)
    session = policy.start("push", 0)
    assert session({}) is PENDING
    assert policy.act_many([session], [{}]) == [PENDING]
