"""Trials become episodes: those that were wanted, in their order, each once, and only what repeats its trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import ActionChunk, Case, Provenance, RoboscaleError, RolloutSettings, SuccessRule, combine
from roboscale.dataset import DatasetWriter
from roboscale.referees import SuccessReferee
from roboscale.trials import (
    Collector,
    Recorder,
    Schedule,
    TrialRunner,
    differences,
    episode_id,
    make_slots,
    recording_spec,
    with_parents,
)
from roboscale.trials.log import open_log
from tests.toy_world import STATE, ToyExpert, ToyWorld
from tests.trials.log_samples import trial as trial_of_log


class Picky(ToyExpert):
    """Walks to goals that are further than 0.35 m, and stays where it is otherwise."""

    name, identity = "picky", combine("picky", "toy", 1)

    def start(self, instruction: str, seed: int):
        walk = super().start(instruction, seed)
        stay = ActionChunk(np.zeros((1, 1), np.float32))
        return lambda seen: walk(seen) if seen[STATE.name][1] > 0.35 else stay


@contextmanager
def recorder(
    folder: Path, policy, scenes: int = 2, world=ToyWorld
) -> Iterator[tuple[Recorder, DatasetWriter, list[str]]]:
    info, saved = ToyWorld().info, []
    referee = SuccessReferee(SuccessRule())
    with DatasetWriter(folder / "set", recording_spec(info)) as sink, open_log(folder / "t.db") as log:
        slots = make_slots(world, workers=0, worlds=scenes, sink=sink.apart())
        runner = TrialRunner(
            info=info,
            world=info.identity,
            policies={policy.identity: policy},
            settings=RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch=referee.name),
            referee=referee,
            slots=slots,
            log=log,
        )
        yield Recorder(runner=runner, sink=sink, on_saved=saved.append), sink, saved
        for slot in slots:
            slot.close()


def near(first: int, count: int) -> list[Case]:
    return [Case("near", seed) for seed in range(first, first + count)]


def reached(case: Case) -> bool:
    return ToyWorld().start(case).goal > 0.35


def tried(recorder: Recorder, cases: list[Case]):
    (policy,) = recorder.runner.policies
    return [c.trial for c in recorder.runner.run(Schedule(policies=(policy,), cases=tuple(cases)))]


def test_a_collection_has_as_many_successes_as_were_wanted_and_says_what_they_took(tmp_path: Path):
    with recorder(tmp_path, Picky()) as (record, sink, saved):
        done = Collector(recorder=record, policy=Picky.identity).collect(near, 3)
        good = [case for case in near(0, 40) if reached(case)][:3]
        assert done.attempts == good[-1].seed + 1 and done.successes == 3
        assert done.attempts > 3, "some failed on the way, or the test shows nothing"
        assert list(done.episodes) == saved == list(sink.episode_ids)


@pytest.mark.parametrize("want", [1, 3, 7])
def test_no_more_is_tried_than_could_be_wanted(tmp_path: Path, want: int):
    """Of a policy that always succeeds as many as are wanted; after failures as many as the rate so far asks for."""
    asked: list[tuple[int, int]] = []

    def stream(first: int, count: int) -> list[Case]:
        asked.append((first, count))
        return near(first, count)

    with recorder(tmp_path / "expert", ToyExpert()) as (record, _, _):
        done = Collector(recorder=record, policy=ToyExpert().identity).collect(stream, want)
        assert asked == [(0, want)] and (done.attempts, done.successes) == (want, want)
    asked.clear()
    with recorder(tmp_path / "picky", Picky()) as (record, _, _):
        done = Collector(recorder=record, policy=Picky.identity).collect(stream, want)
    for first, count in asked:
        good = sum(map(reached, near(0, first)))
        rate = (good + 1) / (first + 1)
        assert (want - good) / rate <= count < (want - good) / rate + 1
    assert [first for first, _ in asked] == [sum(n for _, n in asked[:k]) for k in range(len(asked))]


def test_an_episode_of_a_generator_says_its_parents_and_all_else_that_its_session_told():
    told = {"alpha": 1, "parents": ["a", "b"], "shift_m": 0.1, "zoom": "none"}
    one = replace(trial_of_log(), details=told)
    made = with_parents(one, Provenance(source="eval", details={"trial": "t", "alpha": 0}))
    assert made.parents == ("a", "b") and made.source == "simulation.generate"
    assert made.details == {"trial": "t", "alpha": 1, "shift_m": 0.1, "zoom": "none"}
    assert with_parents(replace(one, details={}), Provenance(source="eval")).parents == ()


def test_nobody_waits_for_a_policy_that_never_succeeds(tmp_path: Path):
    class Still(Picky):
        name, identity = "still", combine("still", "toy", 1)

        def start(self, instruction: str, seed: int):
            return lambda seen: ActionChunk(np.zeros((1, 1), np.float32))

    with (
        recorder(tmp_path, Still()) as (record, _, _),
        pytest.raises(RoboscaleError, match="still: no success in 40 attempts"),
    ):
        Collector(recorder=record, policy=Still.identity).collect(near, 4)


def test_episodes_stand_in_the_order_of_their_trials_and_none_is_recorded_twice(tmp_path: Path):
    with recorder(tmp_path, ToyExpert(), scenes=3) as (record, sink, saved):
        trials = tried(record, [Case("far", 0), Case("near", 0), Case("far", 1), Case("near", 1), Case("far", 2)])
        assert len({t.steps for t in trials}) > 1, "or whoever ends first is whoever began first"
        expected = [episode_id(t) for t in trials]
        assert record.record(trials[:2]) == expected[:2]
        assert record.record(trials) == expected
        assert saved == expected == list(sink.episode_ids)


def test_a_trial_without_a_step_is_no_episode(tmp_path: Path):
    with recorder(tmp_path, ToyExpert()) as (record, sink, _):
        (trial,) = tried(record, near(0, 1))
        record.record([replace(trial, steps=0), replace(trial, attempt=1, actions=None)])
        assert list(sink.episode_ids) == []


def test_a_replay_that_goes_another_way_is_never_kept(tmp_path: Path):
    with recorder(tmp_path, ToyExpert()) as (record, sink, _):
        (trial,) = tried(record, near(0, 1))
        other = replace(trial, measures={**trial.measures, "overshoot": 7.0})
        with pytest.raises(RoboscaleError, match="overshoot was 7.0 when tried"):
            record.record([other])
        assert list(sink.episode_ids) == []
        assert differences(trial, trial) == ""
        longer = replace(trial, steps=trial.steps + 1)
        assert f"after {trial.steps + 1} when replayed" in differences(trial, longer)
        series = {**trial.series, "progress": trial.series["progress"] + 1}
        assert "progress took another course" in differences(trial, replace(trial, series=series))
        unmeasured = replace(trial, measures={**trial.measures, "overshoot": None})
        assert "overshoot was" in differences(trial, unmeasured) and "was None" in differences(unmeasured, trial)


class Startless(ToyWorld):
    """A case of it names what it does not have."""

    def start(self, case):
        raise RoboscaleError("the scene has no such start")


def test_a_mistake_of_the_user_before_the_first_step_leaves_no_take(tmp_path: Path):
    with recorder(tmp_path / "good", ToyExpert()) as (record, _, _):
        trials = tried(record, near(0, 1))
    with recorder(tmp_path / "bad", ToyExpert(), 1, Startless) as (record, sink, saved):
        (slot,) = record.runner.slots
        take, begun = slot.host.take, []
        slot.host.take = lambda keep: begun.append(take(keep)) or begun[-1]
        with pytest.raises(RoboscaleError, match="no such start"):
            record.record(trials)
        assert saved == [] == list(sink.episode_ids)
        with pytest.raises(RoboscaleError, match="is discarded"):
            begun[0].save(None)
