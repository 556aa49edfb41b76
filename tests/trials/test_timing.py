"""Where the time of trials goes: what is charged to whom, what waiting is, and what is said of it."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale import compare, evaluate
from roboscale.core import ActionChunk, Provenance, RolloutSettings, Trial, combine
from roboscale.core.timing import TIME_PARTS
from roboscale.trials import Schedule, time_spent, with_parents
from roboscale.trials.timing import TIME, split_time
from tests.toy_world import IMAGE, STATE, ToyScene, ToyWorld
from tests.trials.test_schedule import CASES, Stay, runner

NAP_S = 0.02
STEPS = 4


class SlowScene(ToyScene):
    """Sleeps whenever it steps, and three times as long when it shows a picture."""

    def step(self, action):
        time.sleep(NAP_S)
        return super().step(action)

    def observe(self, names=None):
        if names is None or IMAGE.name in names:
            time.sleep(3 * NAP_S)
        return super().observe(names)


class SlowWorld(ToyWorld):
    def start(self, case):
        scene = super().start(case)
        scene.__class__ = SlowScene
        return scene


class SlowPolicy(Stay):
    """Sleeps twice as long as a step takes, at every step; it looks at the picture."""

    def start(self, instruction, seed):
        super().start(instruction, seed)
        time.sleep(5 * NAP_S)

        def act(seen):
            time.sleep(2 * NAP_S)
            return ActionChunk(np.zeros((1, 1), np.float32))

        return act


def tried(policy, worlds: int = 1, **more) -> list[Trial]:
    path = more.pop("path")
    path.mkdir(exist_ok=True)
    with_slow = runner(path, [policy], worlds=worlds, factory=partial(SlowWorld, horizon=STEPS), **more)
    with_slow.settings = RolloutSettings(horizon=STEPS, rate_hz=10.0, watch="success (first)")
    counted = with_slow.run(Schedule(policies=(policy.identity,), cases=CASES[:worlds]))
    return [c.trial for c in counted if c.trial is not None]


def test_every_part_is_charged_with_what_it_took(tmp_path: Path):
    (trial,) = tried(SlowPolicy(), path=tmp_path)
    parts = trial.details[TIME]
    assert tuple(parts) == TIME_PARTS
    assert parts["policy"] >= (5 + 2 * STEPS) * NAP_S
    assert parts["world"] >= STEPS * NAP_S
    assert parts["rendering"] >= 3 * STEPS * NAP_S
    assert parts["waiting"] + parts["rest"] < 5 * NAP_S
    assert sum(parts.values()) == pytest.approx(trial.seconds + 5 * NAP_S, abs=3 * NAP_S)


def test_who_looks_at_numbers_alone_renders_nothing(tmp_path: Path):
    blind = SlowPolicy()
    blind.observation_spec = ToyWorld().info.observation_spec.select([STATE.name])
    (trial,) = tried(blind, path=tmp_path)
    assert trial.details[TIME]["rendering"] == 0.0


def test_who_is_asked_after_others_waits_and_a_batch_is_shared(tmp_path: Path):
    one_by_one = tried(SlowPolicy(), worlds=2, path=tmp_path / "a")
    waited = [t.details[TIME]["waiting"] for t in one_by_one]
    assert min(waited) >= 2 * NAP_S * (STEPS - 1), "each waits for the other"

    class Together(SlowPolicy):
        def act_many(self, sessions, observations):
            time.sleep(2 * NAP_S)
            return [ActionChunk(np.zeros((1, 1), np.float32)) for _ in observations]

    for trial in tried(Together(), worlds=2, path=tmp_path / "b"):
        assert trial.details[TIME]["policy"] >= (5 + STEPS) * NAP_S, "half of each batch"
        assert trial.details[TIME]["waiting"] >= STEPS * NAP_S, "the other half"


def test_time_waited_for_the_control_rate_is_waiting():
    parts = split_time(
        {"world": 1.0, "rendering": 0.5, "waiting": 2.0}, seconds=6.0, thinking_s=2.0, starting_s=0.25, answering_s=1.5
    )
    assert parts == {"policy": 1.75, "world": 1.0, "rendering": 0.5, "waiting": 2.5, "rest": 0.5}


def _trial(started_s: float, **parts: float) -> Trial:
    who = combine("p", "p")
    return Trial(
        policy=who,
        world=who,
        case=CASES[0],
        settings=RolloutSettings(horizon=20, rate_hz=10.0),
        steps=30,
        started_ns=int(started_s * 1e9),
        details={TIME: dict.fromkeys(TIME_PARTS, 0.0) | parts} if parts else {},
    )


def test_trials_at_once_are_counted_once_in_the_clock_and_pauses_not_at_all():
    spent = time_spent(
        [_trial(0, policy=10.0), _trial(5, world=10.0), _trial(6, waiting=1.0), _trial(100, rest=5.0), _trial(50)]
    )
    assert spent is not None
    assert (spent.trials, spent.unmeasured, spent.busy_s, spent.total_s) == (4, 1, 20.0, 26.0)
    assert spent.trials_per_hour == 720 and spent.steps_per_s == 6
    assert spent.shares["policy"] == pytest.approx(10 / 26) and sum(spent.shares.values()) == pytest.approx(1)
    assert spent.to_json()["shares"]["rendering"] == 0.0
    assert spent.work_shares == {"policy": 10 / 25, "world": 10 / 25, "rendering": 0.0, "rest": 5 / 25}
    assert time_spent([_trial(0)]) is None


@pytest.mark.parametrize("odd", [3, {"policy": 1.0}, dict.fromkeys(TIME_PARTS, float("nan")), {"policy": "1"}])
def test_what_is_no_time_is_not_measured(odd):
    known = _trial(0, policy=1.0)
    spent = time_spent([known, replace(known, details={TIME: odd})])
    assert spent is not None and (spent.trials, spent.unmeasured) == (1, 1)


def test_it_is_said_in_text_json_and_page(tmp_path: Path):
    done = evaluate("expert", world=ToyWorld(), task="near", trials=3, workers=0, store=tmp_path / "store")
    assert any("an hour" in line for line in done.lines)
    (shares,) = [line for line in done.lines if "of the time of a trial" in line]
    assert all(part in shares for part in TIME_PARTS)
    said = done.to_json()
    assert said["time"]["trials"] == 3 and said["policies"]["expert"]["time"]["trials"] == 3

    from roboscale.jobs.report_data import report_data
    from roboscale.report.trials import report_page

    page = report_page(report_data(done.judged, title="t", created=""))
    assert "Where the time went" in page and "control steps a second" in page


def test_a_comparison_says_it_of_each_policy():
    done = compare("expert", "constant", world=ToyWorld(), task="near", budget=4, workers=0)
    said = done.to_json()["policies"]
    assert all(said[name]["time"]["trials"] for name in ("expert", "constant"))


def test_a_generated_episode_does_not_hold_how_long_it_took():
    trial = _trial(0, policy=1.0)
    assert TIME not in with_parents(trial, Provenance(source="eval")).details
