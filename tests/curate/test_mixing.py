"""Shares of the draws: where they come from, what they do to a training, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import RoboscaleError, UnknownName
from roboscale.curate.mixing import LEAST, episode_groups, mixed, robust_shares
from roboscale.curate.selection import read_selection
from roboscale.dataset import Dataset
from roboscale.jobs.data_mix import MixDataset, mix_dataset
from roboscale.jobs.events import Note, ignore
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import draw_batch, load_training_data
from tests.curate.planted import noisy, reach, write


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 episodes of a person, 12 of a generator that jitters."""
    rng = np.random.default_rng(0)
    person = [replace(reach(rng, frames=20), source="person") for _ in range(4)]
    generated = [replace(noisy(rng, reach(rng, frames=20), 0.3), source="generated") for _ in range(12)]
    return write(tmp_path_factory.mktemp("two") / "two", [*person, *generated])


def test_frames_are_drawn_as_the_shares_say(two: Path):
    dataset = Dataset(two)
    groups = episode_groups(dataset, "source")
    shares = {"person": 0.75, "generated": 0.25}
    selection = mixed(dataset, groups, shares, method="uniform", asked="most of the person")
    config = TrainConfig(inputs="state", batch=4000, steps=1)
    data = load_training_data(two, config, parts=selection.of(dataset))
    frames = draw_batch(data, config, 0).frames
    assert np.mean(frames < 80) == pytest.approx(0.75, abs=0.03)  # 4 episodes of 20 frames come first


def test_a_group_of_share_nothing_is_left_out_by_name(two: Path):
    dataset = Dataset(two)
    groups = episode_groups(dataset, "source")
    selection = mixed(dataset, groups, {"person": 1.0, "generated": 0.0}, method="plan", asked="")
    assert len(selection.kept) == 4 and len(selection.dropped) == 12
    assert selection.dropped[0].reason == "generated: 0.00 of the draws, 0.75 of the frames"


def test_episodes_are_told_apart_by_what_they_say(two: Path):
    dataset = Dataset(two)
    assert {name: len(mine) for name, mine in episode_groups(dataset, "source").items()} == {
        "person": 4,
        "generated": 12,
    }
    with pytest.raises(UnknownName, match="embodiment, instruction, operator, source"):
        episode_groups(dataset, "robot")
    with pytest.raises(RoboscaleError, match=r"operator of every episode is \(not said\): there is nothing to mix"):
        episode_groups(dataset, "operator")


class Learner:
    """Its loss of each group is the reference's and what is still to be learned of it, less the more it is drawn."""

    def __init__(self, left: Mapping[str, float]) -> None:
        self.left, self.asked = left, []

    def losses(self, shares: Mapping[str, float], *, reference: bool) -> Mapping[str, float]:
        self.asked.append((dict(shares), reference))
        return {name: 1.0 if reference else 1 + left * (1 - shares[name]) for name, left in self.left.items()}


def test_what_is_still_to_be_learned_is_drawn_more_often_and_noise_is_not(two: Path):
    groups = episode_groups(Dataset(two), "source")
    learner = Learner({"person": 1.0, "generated": 0.0})
    shares, lines = robust_shares(groups, learner, rounds=6)
    assert learner.asked[0] == ({"person": 0.25, "generated": 0.75}, True), "the reference sees the data as they are"
    assert shares["person"] > 0.7 and shares["generated"] >= LEAST / 2 and sum(shares.values()) == pytest.approx(1)
    assert lines[0].startswith("round 1 of 6: person 0.50 (excess +0.50), generated 0.50 (excess +0.00)")
    even, _ = robust_shares(groups, Learner({"person": 0.0, "generated": 0.0}), rounds=2)
    assert even == pytest.approx({"person": 0.5, "generated": 0.5})


def test_the_built_in_policy_is_asked_on_episodes_that_it_never_saw(two: Path, tmp_path: Path):
    heard: list[str] = []
    request = MixDataset(dataset=two, out=tmp_path / "mix.json", method="robust", rounds=1, steps=40)
    done = mix_dataset(request, lambda event: heard.append(event.text) if isinstance(event, Note) else None)
    assert heard[0] == "robust: held out 1 of person, 2 of generated; states, no pictures; a training a round"
    assert heard[1].startswith("round 1 of 1: person 0.50 (excess +") and len(heard) == 2
    assert sum(done.shares.values()) == pytest.approx(1) and done.frames["person"] == 0.25
    assert read_selection(tmp_path / "mix.json").kept[0].weight == pytest.approx(done.shares["person"] / 0.25)


def test_shares_by_plan_are_what_each_source_adds(two: Path, tmp_path: Path):
    rows = [("person", n, k) for n, k in ((2, 8), (4, 16), (8, 24), (16, 34))]
    rows += [("generated", n, k) for n, k in ((4, 1), (16, 2), (64, 4), (128, 6))]
    table = "task,source,demonstrations,successes,rollouts\n" + "".join(f"go,{s},{n},{k},40\n" for s, n, k in rows)
    (tmp_path / "points.csv").write_text(table)
    request = MixDataset(dataset=two, out=tmp_path / "mix.json", method="plan", points=(tmp_path / "points.csv",))
    done = mix_dataset(request)
    assert done.shares["person"] > 0.6 and done.estimates["person"].low < done.shares["person"]
    assert "90 % intervals" in done.selection.notes[-1]
    assert set(done.to_json()["estimates"]["person"]) >= {"value", "low", "high", "n", "method"}
    (tmp_path / "points.csv").write_text(table.replace("generated", "simulated"))
    with pytest.raises(RoboscaleError, match="no curve of generated, which source of the dataset names"):
        mix_dataset(request)
    (tmp_path / "points.csv").write_text("\n".join(table.splitlines()[:2]))
    with pytest.raises(RoboscaleError, match="no curve of generated"):
        mix_dataset(request)


def test_requests_that_contradict_themselves(two: Path, tmp_path: Path):
    with pytest.raises(RoboscaleError, match="--method plan needs --points"):
        MixDataset(dataset=two, out=tmp_path / "m", method="plan").check()
    with pytest.raises(RoboscaleError, match="belong together"):
        MixDataset(dataset=two, out=tmp_path / "m", method="size", tasks="push-v3").check()
    one = write(tmp_path / "one", [replace(reach(np.random.default_rng(1)), source=s) for s in ("a", "b", "b")])
    with pytest.raises(RoboscaleError, match="holds episodes of each group out, and a has one"):
        mix_dataset(MixDataset(dataset=one, out=tmp_path / "m", method="robust"))


def test_a_dry_run_says_the_groups_and_writes_nothing(two: Path, tmp_path: Path):
    request = MixDataset(dataset=two, out=tmp_path / "mix.json", method="robust")
    assert mix_dataset(request, dry_run=True).frames == {"person": 0.25, "generated": 0.75}
    assert not (tmp_path / "mix.json").exists()


def test_shares_are_weighed_by_success(tmp_path: Path):
    """The whole way, at the smallest size: two episodes a source, one training a side, one trial."""
    from roboscale.jobs.filling import Filling, recorded

    root = tmp_path / "recorded"
    tasks = ("reach-v3", "push-v3")
    recorded(
        Filling(world="metaworld", tasks=tasks, per_task=2, out=root, seed=0, workers=0, images=False),
        "expert",
        ignore,
    )
    request = MixDataset(
        dataset=root,
        out=tmp_path / "mix.json",
        method="uniform",
        by="task",
        validate=tmp_path / "proof",
        tasks="reach-v3",
        runs=2,
        trials=1,
        steps=2,
        workers=0,
    )
    done = mix_dataset(request)
    assert done.reading[0].startswith("shares by uniform were not shown to be better than size")
    assert [line.split(",")[0] for line in done.reading[1:]] == ["  mixed", "  size"]
    said = json.loads(json.dumps(done.to_json()))
    assert set(said["validation"]["runs"]) == {"mixed", "size"} and len(said["reading"]) == 3
