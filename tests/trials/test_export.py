"""LeRobot's `eval_info.json` holds what the trials were, in LeRobot's units."""

from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Case, Counted, Estimate, Outcome, RolloutSettings, Trial, combine
from roboscale.trials import to_eval_info

POLICY, WORLD = combine("A", 1), combine("toy", 2)


def interval(successes: int, n: int) -> Estimate:
    """A rate that is wrong by exactly .125, or no data."""
    if n == 0:
        return Estimate(value=None, low=None, high=None, level=0.95, n=0, method="none")
    rate = successes / n
    return Estimate(value=rate, low=rate - 0.125, high=rate + 0.125, level=0.95, n=n, method="fixed")


def counted(seed: int, success: bool | None, reward=None, task="push", pending=False) -> Counted:
    trial = Trial(
        policy=POLICY,
        world=WORLD,
        case=Case(task, seed),
        settings=RolloutSettings(horizon=5, rate_hz=10),
        series={} if reward is None else {"reward": np.array(reward, np.float32)},
        seconds=1.5,
    )
    status = "void" if success is None else "success" if success else "failure"
    outcome = Outcome(status, reason="motor off" if success is None and not pending else "")
    return Counted(policy=POLICY, world=WORLD, case=trial.case, outcome=outcome, pending=pending, trial=trial)


def test_rates_are_in_per_cent_with_their_interval():
    info = to_eval_info([counted(0, True), counted(1, True), counted(2, False), counted(3, False)], interval)
    assert info["overall"]["pc_success"] == 50.0
    assert info["overall"]["pc_success_ci95"] == [37.5, 62.5]
    assert (info["overall"]["n_success"], info["overall"]["n_episodes"]) == (2, 4)
    assert (info["overall"]["eval_s"], info["overall"]["eval_ep_s"]) == (6.0, 1.5)
    assert info["per_group"]["toy"]["pc_success"] == 50.0


def test_rewards_are_rewards_and_a_trial_without_one_adds_none():
    trials = [counted(0, True, (0.25, 0.5)), counted(1, False, (1.0, -3.0)), counted(2, False, (1.0, np.nan))]
    info = to_eval_info([*trials, counted(3, False), counted(4, False, ())], interval)
    (task,) = info["per_task"]
    assert task["metrics"]["sum_rewards"] == [0.75, -2.0] and task["metrics"]["max_rewards"] == [0.5, 1.0]
    assert task["metrics"]["seeds"] == [0, 1, 2, 3, 4]
    assert info["overall"]["avg_sum_reward"] == -0.625 and info["overall"]["avg_max_reward"] == 0.75


def test_tasks_stand_apart_in_their_order():
    info = to_eval_info([counted(0, True), counted(0, False, task="pull"), counted(1, False)], interval)
    named = [(task["task_group"], task["task_id"], task["task"]) for task in info["per_task"]]
    assert named == [("toy", 0, "push"), ("toy", 1, "pull")]
    assert [task["metrics"]["successes"] for task in info["per_task"]] == [[True, False], [False]]


def test_what_nobody_could_judge_is_no_episode_and_is_not_lost():
    info = to_eval_info([counted(0, True), counted(1, None), counted(2, None, pending=True)], interval)
    assert info["overall"]["n_episodes"] == 1 and info["overall"]["pc_success"] == 100.0
    assert info["overall"]["eval_ep_s"] == pytest.approx(1.5)
    void, pending = info["roboscale"]["void"], info["roboscale"]["pending"]
    assert [(one["seed"], one["reason"]) for one in void] == [(1, "motor off")]
    assert [one["seed"] for one in pending] == [2]


def test_no_trials_are_no_rate():
    info = to_eval_info([], interval)
    assert info["per_task"] == [] and info["per_group"] == {}
    assert info["overall"]["pc_success"] is None and info["overall"]["pc_success_ci95"] is None
    assert info["overall"]["avg_sum_reward"] is None and info["overall"]["eval_ep_s"] == 0


def test_what_cannot_be_verified_is_said_once():
    foreign = replace(POLICY, unverified=("a server that says nothing",))
    trials = [replace(counted(seed, True), policy=foreign) for seed in (0, 1)]
    assert to_eval_info(trials, interval)["roboscale"]["unverified"] == ["a server that says nothing"]
