"""Chunks that are asked for while others run: merged by what was consumed, never by a clock."""

from __future__ import annotations

import time
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roboscale as rs
from roboscale.core import PENDING, ActionChunk, PolicyError, SpecMismatch, combine
from roboscale.policies.asynchronous import Asynchronous, AsynchronousSession

LENGTH, STEP = 16, 0.02


class Walker:
    """From where the arm is seen, a step of .02 each row; the arm is always where it was sent last."""

    name, observation_spec, action_spec, history = "walker", None, None, 1
    identity = combine("walker", "walker")

    def __init__(self, wait_s: tuple[float, ...] = ()) -> None:
        self.wait_s, self.asked = list(wait_s), 0

    def start(self, instruction: str, seed: int):
        return self

    def __call__(self, observation):
        self.asked += 1
        time.sleep(self.wait_s.pop(0) if self.wait_s else 0)  # a model that computes
        return ActionChunk(observation["at"] + STEP * np.arange(1, LENGTH + 1)[:, None])


def walk(session, steps: int, between=lambda step: None) -> tuple[list[float], int]:
    """Where the arm was after every step, and how often it held."""
    at, path, held = 0.0, [0.0], 0
    for step in range(steps):
        answer = session({"at": np.array([at])})
        if answer is PENDING:
            held += 1
        else:
            assert answer.actions.shape == (1, 1)
            at = float(answer.actions[0, 0])
        path.append(at)
        between(step)
    return path, held


def largest_step(path: list[float]) -> float:
    return float(np.abs(np.diff(path)).max())


class Later:
    """Answers after a drawn number of steps."""

    def __init__(self, delays: list[int]) -> None:
        self.delays, self.open = delays, []

    def __call__(self, think):
        future: Future = Future()
        self.open.append([self.delays.pop(0) if self.delays else 1, future, think()])
        return future

    def pass_step(self, step: int) -> None:
        for one in list(self.open):
            one[0] -= 1
            if one[0] <= 0:
                one[1].set_result(one[2])
                self.open.remove(one)


@settings(max_examples=200, deadline=None)
@given(delays=st.lists(st.integers(0, 25), max_size=30), ask_at=st.integers(0, LENGTH))
def test_a_jittering_server_makes_no_step_larger_than_the_policys_own(delays: list[int], ask_at: int):
    later = Later(list(delays))
    path, held = walk(AsynchronousSession(Walker(), later, ask_at, 20.0), 120, later.pass_step)
    assert largest_step(path) <= STEP + 1e-9
    assert path[-1] == pytest.approx(STEP * (120 - held)), "every step that did not hold went on"


def test_a_warm_up_of_700_ms_is_waited_for_once_and_delays_nothing_else():
    policy = Asynchronous(Walker((0.7,)), 4, 20.0)
    session = policy.start("go", 0)
    begun = time.monotonic()
    _, held = walk(session, 1)
    assert time.monotonic() - begun >= 0.7 and held == 0
    _, held = walk(session, 11)  # the arm of this walk begins anew at 0; the queue goes on
    assert held == 0
    policy.close()


def test_while_it_executes_the_next_chunk_is_computed_beside():
    policy = Asynchronous(Walker((0.0, *[0.05] * 10)), LENGTH - 2, 50.0)
    path, held = walk(policy.start("go", 0), 40, lambda step: time.sleep(0.02))  # a control period
    assert held == 0 and largest_step(path) <= STEP + 1e-9
    policy.close()


def test_a_starved_queue_holds_and_goes_on_without_a_leap():
    later = Later([60, 1, 1, 1])
    path, held = walk(AsynchronousSession(Walker(), later, 4, 20.0), 120, later.pass_step)
    assert held > 40 and largest_step(path) <= STEP + 1e-9 and path[-1] > path[60]


@pytest.mark.parametrize("delay", [0, 1, 3, 8])
def test_in_simulated_time_the_delay_is_a_known_integer(delay: int):
    inner = Walker()
    path, held = walk(Asynchronous(inner, 8, 20.0, delay).start("go", 0), 60)
    assert held == 0 and largest_step(path) <= STEP + 1e-9 and inner.asked >= 60 // LENGTH


def test_policies_that_condition_are_given_tail_delay_and_rate():
    said = []

    class Real(Walker):
        def condition(self, tail, delay, rate_hz):
            said.append((tail.shape, delay, rate_hz))

    walk(Asynchronous(Real(), 6, 20.0, 3).start("go", 0), 40)
    assert said[0] == ((6, 1), 0, 20.0) and {delay for _, delay, _ in said[1:]} == {3}


def test_an_error_of_the_policy_comes_out_and_its_own_identity_is_another():
    class Broken(Walker):
        def __call__(self, observation):
            if self.asked:
                raise PolicyError("no idea")
            return super().__call__(observation)

    with pytest.raises(PolicyError, match="no idea"):
        walk(Asynchronous(Broken(), 8, 20.0, 1).start("go", 0), 30)
    names = {Asynchronous(Walker(), *how).identity for how in ((4, 20.0), (5, 20.0), (4, 20.0, 1))}
    assert len(names | {Walker.identity}) == 4
    with pytest.raises(SpecMismatch, match="0 or more"):
        Asynchronous(Walker(), -1, 20.0)


def test_simulated_time_needs_a_delay_that_is_said_and_the_delay_is_another_policy(tmp_path):
    asked = {"policy": "constant", "tasks": "reach-v3", "trials": 1, "horizon": 5, "store": str(tmp_path)}
    with pytest.raises(rs.RoboscaleError, match="--delay says how many steps an answer takes"):
        rs.evaluate(rs.Evaluate(**asked, asynchronous=0))
    with pytest.raises(rs.RoboscaleError, match="--asynchronous says when"):
        rs.Evaluate(**asked, delay=2)
    done = rs.evaluate(rs.Evaluate(**asked, asynchronous=0, delay=2))
    assert done.judged.run.policies[0].name == "constant (asynchronous at 0, 2 steps late)"
