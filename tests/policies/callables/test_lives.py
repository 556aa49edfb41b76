"""What one episode leaves in a user's object never reaches the next one, or somebody is told."""

from __future__ import annotations

import copy
import threading
from collections import deque
from typing import Any

import numpy as np
import pytest

from roboscale.core import InfrastructureError, Observation, PolicyError, SpecMismatch
from roboscale.policies.callables import as_policy
from roboscale.policies.callables.memory import LOOKS, SESSIONS, Memory, may_remember
from tests.policies.naming import no_address

SEEN = {"x": np.array([2.0])}


class Queue:
    """Answers 0, 1, 2, then 0 again: what LeRobot's select_action does with a chunk of three."""

    def __init__(self) -> None:
        self.queue = deque()

    def __call__(self, observation: Observation):
        if not self.queue:
            self.queue.extend([0.0, 1.0, 2.0])
        return [self.queue.popleft()]

    def select_action(self, observation: Observation):
        return self(observation)


class Resettable(Queue):
    def reset(self) -> None:
        self.queue.clear()


class Started(Queue):
    def start_episode(self) -> None:
        self.queue.clear()


class Selecting:
    def __init__(self) -> None:
        self.count = 0

    def select_action(self, observation: Observation):
        self.count += 1
        return [float(self.count - 1)]


class Lazy:
    """Gets its memory when it is first asked."""

    def __call__(self, observation: Observation):
        self.count = getattr(self, "count", -1) + 1
        return [float(self.count)]


class Slotted:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = -1

    def __call__(self, observation: Observation):
        self.count += 1
        return [float(self.count)]


def numbers(session: Any, count: int):
    return [float(session(SEEN).rows[0, 0]) for _ in range(count)]


@pytest.mark.parametrize(
    "thing",
    [
        *(Queue, Queue(), Queue().select_action, Resettable, Resettable(), Resettable().select_action, Started()),
        *(Selecting(), Selecting().select_action, Lazy(), Slotted(), Slotted),
    ],
    ids=no_address,
)
def test_an_episode_begins_where_it_should(thing: Any):
    policy = as_policy(thing)
    assert [numbers(policy.start("push", seed), 2) for seed in range(4)] == [[0.0, 1.0]] * 4


@pytest.mark.parametrize(
    "thing", [Queue, Queue(), Queue().select_action, Selecting(), Lazy(), Slotted()], ids=no_address
)
def test_episodes_may_run_side_by_side(thing: Any):
    policy = as_policy(thing)
    assert policy.sessions is None
    one, two = policy.start("push", 0), policy.start("push", 1)
    assert [numbers(s, 1) for s in (one, two, one, one, two)] == [[0.0], [0.0], [1.0], [2.0], [1.0]]


class Late:
    """Has its memory once it was reset, and not before."""

    def reset(self, seed: int) -> None:
        self.count = -1 + 10 * seed

    def __call__(self, observation: Observation):
        self.count += 1
        return [float(self.count)]


def test_a_class_with_a_reset_is_made_and_reset():
    policy = as_policy(Late)
    assert policy.sessions is None
    one, two = policy.start("push", 1), policy.start("push", 2)
    assert [numbers(s, 1) for s in (one, two, one)] == [[10.0], [20.0], [11.0]]


def test_an_object_that_was_used_is_still_the_same_policy():
    """It is known by what it begins with, not by what the last episode left in it."""
    thing = Resettable()
    before = as_policy(thing)
    numbers(before.start("push", 0), 2)
    assert as_policy(thing).identity == before.identity == as_policy(Resettable()).identity


@pytest.mark.parametrize("thing", [Resettable(), Started(), Resettable().select_action], ids=no_address)
def test_what_is_reset_runs_one_episode_at_a_time(thing: Any):
    policy = as_policy(thing)
    assert policy.sessions == 1
    assert "one episode at a time" in policy.notes[0]
    one = policy.start("push", 0)
    numbers(one, 2)
    two = policy.start("push", 1)
    assert numbers(two, 1) == [0.0]
    with pytest.raises(InfrastructureError, match="runs one episode at a time, and another one was started"):
        one(SEEN)
    assert numbers(two, 1) == [1.0]


def test_a_reset_gets_seed_and_instruction_where_it_takes_them():
    class Seeded:
        def reset(self, seed: int, *, instruction: str = "") -> None:
            self.number = seed + len(instruction)

        def __call__(self, observation: Observation):
            return [float(self.number)]

    assert numbers(as_policy(Seeded()).start("push", 3), 1) == [7.0]


def test_a_reset_that_asks_for_more_is_refused():
    class Needy(Queue):
        def reset(self, environment: Any) -> None: ...

    with pytest.raises(SpecMismatch, match=r"reset\(\), with seed and instruction at most, found 'environment'"):
        as_policy(Needy())


def test_a_reset_that_fails_costs_the_episode_and_not_the_run():
    class Failing(Queue):
        def reset(self) -> None:
            raise ZeroDivisionError

    session = as_policy(Failing()).start("push", 0)
    with pytest.raises(PolicyError, match="policy Failing raised ZeroDivisionError"):
        session(SEEN)


def test_a_class_is_made_once_per_session():
    made = []

    class Counted(Queue):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    policy = as_policy(Counted)
    assert len(made) == 1, "whether it can be made is seen before the first trial"
    sessions = [policy.start("push", s) for s in range(3)]
    assert len(made) == 3
    assert len({id(s.ask) for s in sessions}) == 3


def test_a_class_that_fails_later_costs_an_episode():
    count = iter(range(10))

    class Sometimes(Queue):
        def __init__(self) -> None:
            super().__init__()
            if next(count) == 1:
                raise MemoryError

    policy = as_policy(Sometimes)
    assert numbers(policy.start("push", 0), 1) == [0.0]
    with pytest.raises(InfrastructureError, match="MemoryError"):
        policy.start("push", 1)(SEEN)
    assert numbers(policy.start("push", 2), 1) == [0.0]


def test_copies_are_said():
    assert "fresh copy of Queue" in as_policy(Queue()).notes[0]
    assert as_policy(lambda observation: [0.0]).notes == as_policy(Queue).notes == ()


def test_what_cannot_be_copied_is_said_and_runs_one_episode_at_a_time():
    class Locked(Queue):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    policy = as_policy(Locked())
    assert policy.sessions == 1
    assert "cannot be copied" in policy.notes[0] and "runs into the next episode" in policy.notes[0]
    numbers(policy.start("push", 0), 1)
    assert numbers(policy.start("push", 1), 1) == [1.0]


def test_weights_are_shared_and_buffers_are_not():
    torch = pytest.importorskip("torch")

    class Policy:
        def __init__(self) -> None:
            self.net = torch.nn.BatchNorm1d(1)
            self.seen: list[Any] = []

        def __call__(self, observation: Observation):
            self.seen.append(self.net)
            self.net.running_mean += 1
            return self.net.running_mean

    mine = Policy()
    copies = []
    original = copy.deepcopy

    def watched(thing: Any, memo: Any = None):
        copies.append(original(thing, memo))
        return copies[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roboscale.policies.callables.lives.copy.deepcopy", watched)
        policy = as_policy(mine)
        assert [numbers(policy.start("push", s), 2) for s in range(2)] == [[1.0, 2.0]] * 2
    assert not mine.seen
    assert all(c.net.weight is mine.net.weight for c in copies if isinstance(c, Policy))


def test_a_function_that_keeps_something_outside_itself_is_said():
    step = 0

    def counts(observation: Observation):
        nonlocal step
        step += 1
        return [float(step)]

    notes = as_policy(counts).notes
    assert len(notes) == 1 and "keeps step outside itself, which runs into the next episode" in notes[0]


SHARED: list[float] = []
TABLE = {"gain": 1.0}


def keeps(observation: Observation):
    SHARED.append(1.0)
    return [float(len(SHARED))]


def reads(observation: Observation):
    return [TABLE["gain"]]


def plain(observation: Observation):
    kept = [0.0]  # its own, and gone when it returns
    kept.append(1.0)
    return [sum(kept)]


class Sharing:
    seen: list[float] = []

    def __call__(self, observation: Observation):
        self.seen.append(1.0)
        return [float(len(self.seen))]


@pytest.mark.parametrize(
    ("thing", "suspected"),
    [(keeps, True), (reads, True), (plain, False), (Sharing, True), (Queue, False), (lambda o: [0.0], False)],
    ids=no_address,
)
def test_what_looks_as_if_it_kept_something_runs_alone_at_first(thing: Any, suspected: bool):
    assert may_remember(thing) is suspected
    assert as_policy(thing).sessions == (1 if suspected else None)


@pytest.mark.parametrize("thing", [keeps, Sharing])
def test_what_is_kept_outside_a_session_is_seen_and_said(thing: Any):
    policy = as_policy(thing)
    numbers(policy.start("push", 0), 2)
    policy.start("push", 1)
    assert policy.sessions == 1
    assert any("keeps something outside itself" in note and "runs into the next" in note for note in policy.notes)


@pytest.mark.parametrize("thing", [reads, plain, Queue])
def test_what_keeps_nothing_runs_side_by_side_after_its_first_episode(thing: Any):
    policy = as_policy(thing)
    numbers(policy.start("push", 0), 2)
    policy.start("push", 1)
    assert policy.sessions is None and policy.notes == ()


def test_a_memory_that_is_empty_again_at_the_end_is_seen_while_it_acts():
    left: list[list[float]] = []

    def queue(observation: Observation):
        if not left:
            left.extend([[0.0]] * 2)
        return left.pop()

    policy = as_policy(queue)
    numbers(policy.start("push", 0), 2)
    assert left == [] and policy.sessions == 1 and policy.notes


def test_looking_has_an_end():
    looks: list[int] = []
    memory = Memory(lambda: looks.append(1) or "same", suspected=False)
    for _ in range(3 * SESSIONS):
        number = memory.begin()
        for _ in range(3 * LOOKS):
            memory.called(number)
    assert len(looks) <= LOOKS + SESSIONS and not memory.changed


def test_weights_are_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("roboscale.policies.callables.memory.time.perf_counter", lambda: now[0])
    looks: list[int] = []

    def dear() -> str:
        now[0] += 1.0
        looks.append(1)
        return "same"

    memory = Memory(dear, suspected=True)
    memory.called(memory.begin())
    memory.begin()
    assert len(looks) == 1
