"""Small policies that have each property are told so, with the size of what differs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from roboscale.core import (
    PENDING,
    ActionChunk,
    Field,
    Identity,
    InfrastructureError,
    Observation,
    PolicyError,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
    generator,
)
from roboscale.testing.policy_checks import PolicyCheck, check_policy

LOOKS = [{"x": np.array([float(i)], np.float32)} for i in range(4)]
ACTION = Spec((Field("action", (2,), "float32", low=(-9.0, -9.0), high=(9.0, 9.0)),), 20.0)


class Still:
    """Twice what it sees."""

    name, observation_spec, action_spec, history = "still", None, ACTION, 1
    identity = Identity("still", "0" * 32)

    def start(self, instruction: str, seed: int) -> Session:
        return lambda observation: self.act(observation)

    def act(self, observation: Observation) -> Any:
        return ActionChunk(np.repeat(2 * observation["x"], 2)[None])


class Noisy(Still):
    """Noise that the seed sets."""

    def start(self, instruction: str, seed: int) -> Session:
        rng = generator("noisy", seed)
        return lambda o: ActionChunk(self.act(o).actions + rng.normal(0, 1, (1, 2)))


class Unseeded(Still):
    """Noise that nobody sets."""

    rng = np.random.default_rng(0)

    def act(self, observation: Observation) -> Any:
        return ActionChunk(super().act(observation).actions + self.rng.normal(0, 0.1, (1, 2)))


class Counting(Still):
    """Counts all that it was ever asked."""

    def __init__(self) -> None:
        self.count = 0

    def act(self, observation: Observation) -> Any:
        self.count += 1
        return ActionChunk(super().act(observation).actions + 0.001 * self.count)


class Queueing(Still):
    """A queue of two that runs into the next episode; an even number of questions hides it from who asks in order."""

    def __init__(self) -> None:
        self.queue: list[Any] = []

    def act(self, observation: Observation) -> Any:
        if not self.queue:
            self.queue = [super().act(observation)] * 2
        return self.queue.pop()


class Shared(Still):
    """The last session that was started decides for all."""

    def start(self, instruction: str, seed: int) -> Session:
        self.mine = object()
        mine = self.mine
        return lambda o: ActionChunk(self.act(o).actions + (mine is not self.mine))


class Remembering(Still):
    """Counts within its session, as it may."""

    def start(self, instruction: str, seed: int) -> Session:
        steps = iter(range(100))
        return lambda o: ActionChunk(self.act(o).actions + next(steps))


class Batched(Still):
    """Answers that depend on the size of the batch, by as much as rounding would."""

    error = np.float32(1e-6)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[Any]:
        size = np.float32(len(sessions) - 1)
        return [ActionChunk(s(o).actions + size * self.error) for s, o in zip(sessions, observations, strict=True)]


class Exact(Batched):
    error = np.float32(0)


class NoisyBatched(Noisy, Batched):
    """Both."""


CASES = {
    Still: ("deterministic",),
    Exact: ("deterministic",),
    Remembering: ("deterministic",),
    Noisy: ("seed-dependent",),
    Batched: ("batch-dependent",),
    NoisyBatched: ("seed-dependent", "batch-dependent"),
    Unseeded: ("stateful",),
    Counting: ("stateful",),
    Queueing: ("stateful",),
    Shared: ("stateful",),
}


def checked(policy: Any, **options: Any) -> PolicyCheck:
    return check_policy(policy, LOOKS, "push", **options)


@pytest.mark.parametrize("kind", CASES)
def test_each_property_is_told(kind: type):
    check = checked(kind())
    assert check.verdicts == CASES[kind]
    assert json.loads(json.dumps(check.to_json(), allow_nan=False))["verdicts"] == list(CASES[kind])
    assert check.lines[0].startswith(f"still: {', '.join(CASES[kind])} ({check.asked} answers)")


def test_the_size_of_each_difference_is_told():
    assert checked(Batched()).differences["batch of 16"] == pytest.approx(15e-6, rel=0.2)
    assert checked(Batched()).differences["batch of 1"] == 0
    assert checked(Shared()).differences == {
        **dict.fromkeys(("again", "order", "after"), 0.0),
        "beside": 1.0,
        **dict.fromkeys(("batch of 1", "batch of 4", "batch of 16", "seeds")),
    }
    assert 0.2 < checked(Noisy()).differences["seeds"] < 9
    assert checked(Still()).differences["seeds"] == 0


def test_what_cannot_be_told_is_none():
    """A policy that does not repeat itself says nothing of seeds; one without batches nothing of batches."""
    check = checked(Counting())
    assert check.differences["seeds"] is None and check.differences["batch of 4"] is None
    assert "not asked" in "\n".join(check.lines)


def test_one_session_at_a_time_is_kept_to():
    class Alone(Exact):
        sessions = 1
        running = 0

        def start(self, instruction: str, seed: int) -> Session:
            Alone.running += 1
            mine = Alone.running

            def act(observation: Observation) -> Any:
                assert mine == Alone.running, "another session was started"
                return self.act(observation)

            return act

    check = checked(Alone())
    assert check.verdicts == ("deterministic",)
    assert check.differences["beside"] is None and check.differences["batch of 4"] is None
    assert check.differences["batch of 1"] == 0
    assert [f.check for f in check.findings] == ["sessions"]


def test_another_shape_is_a_difference():
    class Growing(Still):
        length = 1

        def act(self, observation: Observation) -> Any:
            self.length += 1
            return ActionChunk(np.zeros((self.length, 2)))

    check = checked(Growing())
    assert check.verdicts == ("stateful",) and check.differences["again"] == np.inf
    assert check.to_json()["differences"]["again"] == "another shape"
    assert "another shape" in "\n".join(check.lines)


def answering(answer: Any):
    class Answering(Still):
        def act(self, observation: Observation) -> Any:
            return answer if observation["x"][0] == 2 else super().act(observation)

    return Answering()


def rows(*values: Any, **options: Any):
    return ActionChunk(np.array(values, **options))


@pytest.mark.parametrize(
    ("answer", "check", "says"),
    [
        (None, "no-chunk", "expected an ActionChunk, found None"),
        (np.zeros((1, 2)), "no-chunk", "found ndarray"),
        (rows(0.0, 0.0), "no-chunk", "shape"),
        (rows([0.0, np.nan]), "not-finite", "1 of 2 numbers"),
        (rows([0.0, 0.0, 0.0]), "shape", r"says \[2\], a row has \[3\]"),
        (rows([0, 0]), "dtype", "int64: a fraction cannot be said"),
        (rows([True, False]), "dtype", "bool, which are no numbers"),
        (rows([0.0, 10.0], [0.0, 9.0]), "out-of-bounds", "1 of 2 rows leave the bounds"),
        (PENDING, "pending", "still thinking"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_answer_is_found(answer: Any, check: str, says: str):
    findings = {f.check: f for f in checked(answering(answer)).findings}
    assert set(findings) == {check}
    assert re.search(says, findings[check].text)


def test_exceptions_are_findings_and_a_broken_machine_is_none():
    class Raising(Still):
        error: Exception = ZeroDivisionError("oh")

        def act(self, observation: Observation) -> Any:
            if observation["x"][0] == 2:
                raise self.error
            return super().act(observation)

    (finding,) = checked(Raising()).findings
    assert finding.severity == "error" and finding.text == "policy still raised ZeroDivisionError: oh"
    Raising.error = MemoryError()
    with pytest.raises(InfrastructureError, match="MemoryError"):
        checked(Raising())


def test_a_batch_that_fails_is_a_finding():
    class Short(Batched):
        def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[Any]:
            if len(sessions) == 4:
                raise KeyError("four")
            return super().act_many(sessions, observations)[: 15 if len(sessions) == 16 else None]

    assert {f.check for f in checked(Short()).findings} == {"batch-raises", "batch-length"}


def test_a_policy_that_never_acts_is_no_policy():
    class Never(Still):
        def act(self, observation: Observation) -> Any:
            return None

    with pytest.raises(PolicyError, match="policy still gives no action: expected an ActionChunk, found None"):
        checked(Never())


def test_what_it_needs_is_looked_at_first():
    needy = Still()
    needy.observation_spec = Spec((Field("x", (2,), "float32"),), 20.0)
    with pytest.raises(SpecMismatch, match=r"observation 0 for policy still: x: expected float32\[2\]"):
        checked(needy)
    with pytest.raises(SpecMismatch, match="2 or more observations, found 1"):
        check_policy(Still(), LOOKS[:1], "push")
    with pytest.raises(SpecMismatch, match=r"(?s)object is no policy yet:.*identity: expected an Identity"):
        checked(object())


def test_an_instruction_that_it_does_not_know_is_the_caller_s():
    class Particular(Still):
        def start(self, instruction: str, seed: int) -> Session:
            raise UnknownName("instruction", instruction, ["pull"])

    with pytest.raises(UnknownName):
        checked(Particular())


def test_observations_are_read_only_and_stay_as_they_are():
    class Writing(Still):
        def act(self, observation: Observation) -> Any:
            if observation["x"][0] == 2:
                observation["x"][0] = 7
            return super().act(observation)

    assert "read-only: copy first" in checked(Writing()).findings[0].text
    assert [look["x"][0] for look in LOOKS] == [0, 1, 2, 3] and LOOKS[0]["x"].flags.writeable


def test_a_history_is_the_last_steps_the_first_repeated():
    seen = []

    class Looking(Still):
        history = 3

        def act(self, observation: Observation) -> Any:
            seen.append(observation["x"][:, 0].tolist())
            return rows([0.0, 0.0])

    assert checked(Looking()).verdicts == ("deterministic",)
    assert seen[:4] == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]


def test_doubts_of_who_it_is_are_findings():
    doubtful = Still()
    doubtful.identity = Identity("still", "0" * 32, ("nobody says", "nobody knows"))
    assert [f.text for f in checked(doubtful).findings] == [
        "its identity is not verified: nobody says",
        "its identity is not verified: nobody knows",
    ]


def test_a_policy_that_says_nothing_of_its_actions_is_held_to_those_of_a_world():
    class Silent(Still):
        action_spec = None

        def act(self, observation: Observation) -> Any:
            return rows([0.0, 10.0])

    assert not checked(Silent()).findings
    assert [f.check for f in checked(Silent(), action_spec=ACTION).findings] == ["out-of-bounds"]
