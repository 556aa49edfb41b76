"""The step loop: what is looked at, what ends an episode, what is clipped, held and counted."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import (
    PENDING,
    ActionChunk,
    Case,
    InfrastructureError,
    PolicyError,
    RoboscaleError,
    RolloutSettings,
    SuccessRule,
    WallClock,
)
from roboscale.referees import Person, SuccessReferee
from roboscale.trials import Asking, recording_spec, replay, rollout
from roboscale.trials.rollout import void_result
from tests.toy_world import IMAGE, STATE, ToyWorld

CASE = Case("near", 1)


def settings(world: ToyWorld, rule: SuccessRule | None = SuccessRule(), **more) -> RolloutSettings:
    watch = "" if rule is None else f"success ({rule})"
    info = world.info
    return RolloutSettings(
        **{"horizon": info.horizon, "rate_hz": info.rate_hz, "pace": info.pace, "watch": watch, **more}
    )


def play(world: ToyWorld, answer, rule: SuccessRule | None = SuccessRule(), case: Case = CASE, **more):
    """Runs a case with `answer(observation)` in every place; the result and the observations."""
    referee = SuccessReferee(rule) if rule is not None and world.judged else Person()
    keywords = {k: more.pop(k) for k in ("asking", "take", "film", "clock") if k in more}
    run = rollout(world, case, settings(world, rule, **more), referee=referee, **keywords)
    seen = []
    try:
        seen.append(next(run))
        while True:
            seen.append(run.send(answer(seen[-1])))
    except StopIteration as done:
        return done.value, seen


def chunk_of(rows: int, dx: float = 0.0):
    return lambda observation: ActionChunk(np.full((rows, 1), dx, np.float32))


def towards(observation) -> ActionChunk:
    x, goal = observation[STATE.name].reshape(-1, 2)[-1]
    return ActionChunk(np.array([[goal - x]], np.float32))


def test_success_ends_an_episode_under_first_and_the_horizon_any_other():
    result, _ = play(ToyWorld(), towards)
    assert (result.end, result.satisfied) == ("decided", True) and result.series["success"].tolist()[-1] == 1
    result, _ = play(ToyWorld(), chunk_of(4))
    assert (result.end, result.steps, result.satisfied) == ("truncated", 20, False)
    assert len(result.actions) == 20 and result.series["success"].sum() == 0


@pytest.mark.parametrize("horizon", [1, 7, 33])
def test_the_rollout_owns_the_horizon(horizon: int):
    result, _ = play(ToyWorld(), chunk_of(5), horizon=horizon)
    assert result.steps == horizon and result.end == "truncated"


def test_clipping_is_the_rollouts_and_is_counted():
    result, _ = play(ToyWorld(), chunk_of(4, dx=-5.0))
    assert result.clipped == 20
    assert np.all(result.actions == -5.0), "the command is kept as it was said"


@given(rows=st.integers(1, 9), history=st.integers(1, 5))
def test_only_the_steps_that_the_policy_reads_are_looked_at(rows: int, history: int):
    world = ToyWorld(horizon=24)
    _, seen = play(world, chunk_of(rows), asking=Asking(needs=(IMAGE.name,), history=history))
    asked_at = list(range(0, 24, rows))
    read = {step for asked in asked_at for step in range(max(0, asked - history + 1), asked + 1)}
    # a look ahead of the last question is made before anybody knows that the horizon comes first
    beyond = {s for s in range(max(0, asked_at[-1] + rows - history + 1), asked_at[-1] + rows) if s < 24} - read
    assert len(read) <= world.looks[IMAGE.name] <= len(read | beyond)
    shape = (16, 16, 3) if history == 1 else (history, 16, 16, 3)
    assert all(o[IMAGE.name].shape == shape for o in seen)


def test_a_history_holds_the_last_steps_oldest_first_and_repeats_the_first():
    world = ToyWorld(horizon=4)
    _, seen = play(world, chunk_of(1, dx=0.01), asking=Asking(needs=(STATE.name,), history=3))
    x = [[round(float(v), 2) for v in o[STATE.name][:, 0]] for o in seen]
    assert x == [[0, 0, 0], [0, 0, 0.01], [0, 0.01, 0.02], [0.01, 0.02, 0.03]]


@pytest.mark.parametrize("history", [1, 2])
def test_observations_are_read_only(history: int):
    def writes(observation):
        observation[STATE.name][...] = 7
        return ActionChunk(np.zeros((1, 1)))

    with pytest.raises(ValueError, match="read-only"):
        play(ToyWorld(), writes, asking=Asking(needs=(STATE.name,), history=history))


def test_hold_goes_on_past_the_worlds_own_end_where_the_world_can():
    result, _ = play(ToyWorld(past_success=True), towards, SuccessRule("hold", 3))
    assert result.end == "decided" and result.satisfied and result.series["success"].tolist()[-3:] == [1, 1, 1]
    with pytest.raises(RoboscaleError, match="ends at the first success"):
        play(ToyWorld(past_success=False), towards, SuccessRule("hold", 3))


def test_the_rule_end_takes_the_worlds_own_end_as_the_end():
    result, _ = play(ToyWorld(), towards, SuccessRule("end"))
    assert result.end == "terminated" and result.satisfied


def test_without_a_rule_nobody_but_world_and_horizon_ends_it():
    result, _ = play(ToyWorld(judged=False), towards, None)
    assert (result.end, result.steps, result.satisfied) == ("truncated", 20, None)
    assert "success" not in result.measures


def test_what_cannot_be_measured_is_none_and_not_a_number_in_the_series():
    result, _ = play(ToyWorld(), chunk_of(1))
    assert result.measures["peak_force"] is None
    assert set(result.series) == {"success", "progress"} and not any(map(math.isnan, result.series["progress"]))


def test_what_a_rule_reads_is_kept_whatever_the_world_declares():
    """A success measured without `series=True` was a failure in every trial, and nobody said so."""
    world = ToyWorld()
    world.info = replace(world.info, measures=tuple(replace(m, series=False) for m in world.info.measures))
    result, _ = play(world, towards)
    assert set(result.series) == {"success", "progress"} and result.series["success"][-1] == 1


def test_a_mistake_of_the_policy_keeps_what_was_done_before():
    answers = iter([ActionChunk(np.zeros((3, 1))), PolicyError("nonsense")])
    result, _ = play(ToyWorld(), lambda o: next(answers))
    assert (result.end, result.reason, result.steps) == ("policy error", "nonsense", 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "expected an ActionChunk"),
        (ActionChunk(np.full((1, 1), np.nan)), "finite"),
        (ActionChunk(np.zeros((1, 2))), "shape"),
        (ActionChunk(np.zeros((1, 2, 1))), "shape"),
    ],
)
def test_what_is_no_action_is_the_policys_mistake(answer, reason: str):
    result, _ = play(ToyWorld(), lambda o: answer)
    assert result.end == "policy error" and reason in result.reason and result.steps == 0


@pytest.mark.parametrize("at", ["answer", "world", "start"])
def test_what_carries_a_trial_can_break_anywhere(at: str):
    world = ToyWorld({1: "void"} if at == "world" else None, start_faults={1: "void"} if at == "start" else None)
    answer = (lambda o: InfrastructureError("gone")) if at == "answer" else chunk_of(5)
    if at == "start":
        run = rollout(world, CASE, settings(world))
        with pytest.raises(StopIteration) as done:
            next(run)
        result = done.value.value
    else:
        result, _ = play(world, answer)
    assert result.end == "void" and result.reason and not world.open, "the scene is closed whatever happens"


def test_an_unexpected_exception_of_the_world_passes_through_and_closes_the_scene():
    world = ToyWorld({1: "raise"})
    with pytest.raises(ZeroDivisionError):
        play(world, chunk_of(5))
    assert not world.open


def test_pending_holds_still_and_is_counted():
    answers = iter([PENDING, PENDING, ActionChunk(np.full((3, 1), 0.05))])
    result, _ = play(ToyWorld(horizon=5), lambda o: next(answers))
    assert result.held == 2 and result.actions[:, 0].tolist() == pytest.approx([0, 0, 0.05, 0.05, 0.05])
    result, _ = play(ToyWorld(hold=None), lambda o: PENDING)
    assert result.end == "void" and "no action that holds still" in result.reason


def test_thinking_time_is_charged_when_asked(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(observation) -> ActionChunk:
        now[0] += 0.35  # 3 whole steps of 100 ms
        return ActionChunk(np.full((2, 1), 0.01))

    charged, _ = play(ToyWorld(horizon=10), slow, latency=True)
    assert charged.held == 6 and charged.thinking_s == pytest.approx(0.7)
    free, _ = play(ToyWorld(horizon=10), slow)
    assert free.held == 0 and free.thinking_s == pytest.approx(1.75)


class SlowClock:
    """Wall-clock time that passes when somebody waits, and as much more as the test says."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, []

    def now_s(self) -> float:
        return self.now

    def wait_until(self, time_s: float) -> None:
        self.waits.append(time_s - self.now)
        self.now = max(self.now, time_s)


def test_steps_are_paced_at_the_declared_rate_and_late_ones_are_counted():
    clock = SlowClock()
    result, _ = play(ToyWorld(horizon=6, pace="wall"), chunk_of(2), clock=clock)
    assert result.late == 0 and clock.now == pytest.approx(0.5), "the first at once, then one every 100 ms"

    def dawdles(observation) -> ActionChunk:
        clock.now += 0.3
        return ActionChunk(np.zeros((2, 1)))

    clock = SlowClock()
    result, _ = play(ToyWorld(horizon=6, pace="wall"), dawdles, clock=clock)
    assert result.late == 3, "one for each time that the policy was waited for"
    assert clock.now == pytest.approx(3 * 0.3 + 3 * 0.1), "what is lost is not hurried after"


@pytest.mark.parametrize(("thought_s", "late"), [(0.04, 0), (0.06, 1), (0.14, 1)])
def test_a_step_is_late_after_half_a_period(thought_s: float, late: int):
    clock = SlowClock()

    def thinks(observation) -> ActionChunk:
        clock.now += thought_s
        return ActionChunk(np.zeros((1, 1)))

    result, _ = play(ToyWorld(horizon=1, pace="wall"), thinks, clock=clock)
    assert result.late == late


def test_the_wall_clock_waits():
    clock = WallClock()
    begun = clock.now_s()
    clock.wait_until(begun + 0.05)
    assert clock.now_s() >= begun + 0.05


class Kept:
    """A take that keeps what it is given."""

    def __init__(self) -> None:
        self.frames = []

    def add(self, frame) -> None:
        self.frames.append({k: np.array(v) for k, v in frame.items()})


def test_a_take_gets_every_step_as_it_comes():
    world, take = ToyWorld(horizon=6), Kept()
    result, _ = play(world, chunk_of(3, dx=-0.2), take=take)
    assert len(take.frames) == 6 == result.steps
    assert set(take.frames[0]) == set(recording_spec(world.info).names)
    assert [round(float(f["action"][0]), 2) for f in take.frames] == [-0.2] * 6
    assert [round(float(f["applied.action"][0]), 2) for f in take.frames] == [-0.1] * 6
    assert [round(float(f[STATE.name][0]), 1) for f in take.frames] == [0.0, -0.1, -0.2, -0.3, -0.4, -0.5]


def test_a_replay_repeats_a_trial_and_says_when_the_actions_ended_too_early():
    world = ToyWorld()
    tried, _ = play(world, towards, asking=Asking(needs=(STATE.name,)))
    again = replay(world, CASE, settings(world), tried.actions, referee=SuccessReferee(SuccessRule()))
    assert again.end == tried.end and again.measures == tried.measures
    assert np.array_equal(again.series["progress"], tried.series["progress"])
    short = replay(world, CASE, settings(world), tried.actions[:2], referee=SuccessReferee(SuccessRule()))
    assert short.end == "policy error" and "ended before" in short.reason


def test_rows_executed_can_be_set_for_any_policy():
    asked = []
    result, _seen = play(ToyWorld(horizon=12), lambda o: asked.append(1) or ActionChunk(np.zeros((8, 1))), execute=3)
    assert len(asked) == 4 and result.steps == 12


def test_two_starts_of_one_case_have_one_digest_and_other_cases_others():
    digests = [play(ToyWorld(), chunk_of(1), case=case)[0].first_seen for case in (CASE, CASE, Case("near", 2))]
    assert digests[0] == digests[1] != digests[2] and digests[0]


def test_a_rollout_that_did_not_happen_has_no_step_and_no_number():
    none = void_result("the simulator is not installed")
    assert (none.end, none.reason) == ("void", "the simulator is not installed")
    assert len(none.actions) == 0 and none.actions.dtype == np.float32
    counts = (none.steps, none.clipped, none.held, none.late, none.seconds, none.thinking_s)
    assert counts == (0,) * 6 and not none.series and not none.measures
    assert none.satisfied is None and none.first_seen == ""
