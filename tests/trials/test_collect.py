"""Collecting: only successes, in case order, nothing done twice."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import ActionChunk, RoboscaleError, cases
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.testing.toy_world import ToyWorld
from roboscale.trials import Collector, TrialRunner, TrialStore, make_slots, recording_spec, with_parents


class Sometimes:
    """Succeeds on every second session; tells of its parents."""

    name = "sometimes"
    observation_spec = None
    action_spec = None

    def __init__(self, every: int = 2) -> None:
        self.every = every

    def start(self, instruction: str, seed: int):
        works = seed % self.every == 0

        def act(seen) -> ActionChunk:
            x, goal = seen["observation.state"]
            return ActionChunk(np.array([[np.clip(goal - x, -0.1, 0.1) if works else 0.0]], np.float32))

        act.parents, act.details = ("p1", "p2"), {"shift": [1.0]}
        return act


def stream(first: int, count: int):
    return cases("near", count, 0, "generate", first)


def collect(path: Path, want: int, policy=None, workers: int = 0):
    policy = policy or Sometimes()
    slots = make_slots(ToyWorld, workers)
    saved: list[str] = []
    with DatasetWriter(path / "d", recording_spec(ToyWorld())) as writer, TrialStore(path / "a.db") as store:
        runner = TrialRunner(ToyWorld(), "toy", {policy.name: policy}, slots, store)
        try:
            done = Collector(runner, policy.name, writer, with_parents, saved.append).collect(stream, want)
        finally:
            for slot in slots:
                slot.close()
    return done, saved


@pytest.mark.parametrize("workers", [0, 2])
def test_only_successes_are_kept_in_case_order(tmp_path: Path, workers: int):
    done, saved = collect(tmp_path, 6, workers=workers)
    dataset = Dataset(tmp_path / "d")
    seeds = [e.provenance.seed for e in dataset.episodes]
    order = [c.seed for c in stream(0, 200)]
    assert list(done.episodes) == saved == [e.id for e in dataset.episodes] and done.successes == 6
    assert seeds == sorted(seeds, key=order.index)
    assert all(e.outcome.status == "success" and e.provenance.parents == ("p1", "p2") for e in dataset.episodes)
    assert dataset.episodes[0].provenance.details["shift"] == [1.0]
    assert done.attempts == order.index(seeds[-1]) + 1


def test_the_same_call_again_does_nothing_and_a_larger_one_the_rest(tmp_path: Path):
    first, _ = collect(tmp_path, 3)
    again, saved = collect(tmp_path, 3)
    assert again == first and saved == []
    more, saved = collect(tmp_path, 5)
    assert more.episodes[:3] == first.episodes and len(saved) == 2


def test_a_policy_that_never_succeeds_is_given_up_with_its_reasons(tmp_path: Path):
    with pytest.raises(RoboscaleError, match="no success in .* attempts, such as: no success within 20 steps"):
        collect(tmp_path, 2, Sometimes(every=10**9))


def test_a_world_that_does_not_repeat_is_found_out(tmp_path: Path):
    class Moody(ToyWorld):
        resets = 0

        def reset(self, case) -> None:
            super().reset(case)
            Moody.resets += 1
            self._goal += 0.3 * (Moody.resets % 2)

    slots = make_slots(partial(Moody), 0)
    with DatasetWriter(tmp_path / "d", recording_spec(ToyWorld())) as writer, TrialStore(tmp_path / "a.db") as store:
        runner = TrialRunner(ToyWorld(), "toy", {"expert": ToyWorld().expert()}, slots, store)
        with pytest.raises(RoboscaleError, match="unlike the trial"):
            Collector(runner, "expert", writer).collect(stream, 1)
        assert not writer.episode_ids
