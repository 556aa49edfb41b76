"""What a selection promises: the right frames of the right episodes, and never of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.curate.choose import choose, overruled
from roboscale.curate.controls import LengthAlone, RandomChoice
from roboscale.curate.log import Label
from roboscale.curate.selection import Chosen, Left, Selection, episode_contents, read_selection
from roboscale.dataset import Dataset, Excerpt
from roboscale.dataset.collection import NewMember, write_collection
from roboscale.jobs.files import write_json
from roboscale.jobs.training import said_of_selection
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import draw_batch, load_training_data
from tests.curate.planted import reach, write


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    return write(tmp_path_factory.mktemp("six") / "six", [reach(rng, frames=10 + k) for k in range(6)])


def test_the_shortest_episodes_are_kept_within_the_budget(six: Path):
    dataset = Dataset(six)
    selection = choose(dataset, LengthAlone(), frames=0.5, asked="half")
    kept = [excerpt.index for excerpt in selection.of(dataset)]
    assert kept == [0, 1, 2] and selection.frames == 33  # of 75: a fourth, of 13, would exceed 37.5 by more than half
    assert {row.reason for row in selection.dropped} == {"13 frames", "14 frames", "15 frames"}


def test_a_selection_survives_its_file(six: Path, tmp_path: Path):
    selection = choose(Dataset(six), RandomChoice(), frames=0.5, asked="half", seed=3)
    write_json(tmp_path / "s.json", selection.to_json())
    assert read_selection(tmp_path / "s.json") == selection


def test_mistakes_in_a_file_are_told_all_at_once(six: Path, tmp_path: Path):
    good = choose(Dataset(six), LengthAlone(), frames=0.5, asked="half").to_json()
    row = good["kept"][0]
    good["kept"] = [row | {"first": 0, "last": 5}, row | {"first": 5, "last": 2}, row | {"weight": 0, "extra": 1}]
    (tmp_path / "bad.json").write_text(json.dumps(good))
    with pytest.raises(BadData) as error:
        read_selection(tmp_path / "bad.json")
    for words in ("kept[1].last: expected 5 or more", "kept[2].weight: expected a number above 0", "extra"):
        assert words in str(error.value)


def test_ranges_that_overlap_are_refused(six: Path, tmp_path: Path):
    one = choose(Dataset(six), LengthAlone(), frames=0.5, asked="half")
    row = one.kept[0]
    twice = replace(one, kept=(replace(row, last=5), replace(row, first=5)))
    write_json(tmp_path / "s.json", twice.to_json())
    with pytest.raises(BadData, match="do not overlap"):
        read_selection(tmp_path / "s.json")


def test_other_numbers_than_it_was_made_from_are_refused(six: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    selection = choose(Dataset(six), LengthAlone(), frames=0.5, asked="half")
    same = write(tmp_path / "same", [reach(rng, frames=10 + k) for k in range(6)])
    with pytest.raises(BadData, match="no such episode"):
        selection.of(Dataset(same))  # ids are new: another recording of the same numbers
    (first, *rest) = selection.kept
    changed = replace(selection, kept=(replace(first, content="0" * 32), *rest))
    with pytest.raises(BadData, match=f"content {'0' * 32}"):
        changed.of(Dataset(six))
    beyond = replace(selection, kept=(replace(first, last=99), *rest))
    with pytest.raises(BadData, match="frames below 10"):
        beyond.of(Dataset(six))


def test_what_it_does_not_mention_is_listed(six: Path, tmp_path: Path):
    dataset = Dataset(six)
    selection = choose(dataset, LengthAlone(), frames=0.5, asked="half")
    fewer = replace(selection, dropped=selection.dropped[:-1])
    assert fewer.unmentioned(dataset) == [selection.dropped[-1].episode] and selection.unmentioned(dataset) == []
    write_json(tmp_path / "fewer.json", fewer.to_json())
    said = said_of_selection(six, tmp_path / "fewer.json")
    assert "33 of 75 frames are learned from; 1 episodes that it does not mention are not used" in said


def test_training_sees_the_kept_frames_alone_as_often_as_they_weigh(six: Path):
    whole = load_training_data(six, TrainConfig(inputs="state"))
    parts = [Excerpt(index=1, first=2, last=6, weight=3.0), Excerpt(index=4, first=0, last=13)]
    data = load_training_data(six, TrainConfig(inputs="state"), parts=parts)
    ends = np.cumsum(whole.lengths)
    rows = [*range(ends[0] + 2, ends[0] + 7), *range(ends[3], ends[3] + 14)]
    np.testing.assert_array_equal(data.arrays["action"], whole.arrays["action"][rows])
    assert data.lengths.tolist() == [5, 14] and data.fingerprint != whole.fingerprint
    config = TrainConfig(inputs="state", batch=4000)
    drawn = np.bincount(draw_batch(data, config, 0).episodes)
    assert abs(drawn[0] / 4000 - 15 / 29) < 0.04, "5 frames of weight 3 beside 14 of weight 1"
    alike = load_training_data(six, TrainConfig(inputs="state"), parts=[replace(p, weight=1.0) for p in parts])
    assert alike.weights is None and abs(np.bincount(draw_batch(alike, config, 0).episodes)[0] / 4000 - 5 / 19) < 0.04


def test_pictures_are_those_of_the_kept_frames(tmp_path: Path):
    rng = np.random.default_rng(1)
    root = write(tmp_path / "seen", [reach(rng, frames=12) for _ in range(3)], camera=True)
    config = TrainConfig(inputs="images", auxiliary=())
    whole = load_training_data(root, config)
    part = load_training_data(
        root, config, parts=[Excerpt(index=1, first=3, last=8), Excerpt(index=0, first=0, last=1)]
    )
    (name,) = part.images
    np.testing.assert_array_equal(part.images[name], whole.images[name][[15, 16, 17, 18, 19, 20, 0, 1]])


def test_a_selection_of_several_ranges_is_trained_on_and_not_copied(six: Path, tmp_path: Path):
    from roboscale.jobs.data_fix import FixDataset, fix_dataset

    dataset = Dataset(six)
    contents = episode_contents(dataset)
    ids = [e.id for e in dataset.episodes]
    row = Chosen(episode=ids[2], content=contents[ids[2]], first=0, last=3)
    left = tuple(Left(episode=i, content=contents[i], reason="planted") for i in ids if i != ids[2])
    one = Selection(method="by hand", asked="", seed=0, dataset="six", kept=(row,), dropped=left)
    write_json(tmp_path / "one.json", one.to_json())
    done = fix_dataset(FixDataset(dataset=six, out=tmp_path / "copy", selection=tmp_path / "one.json", workers=0))
    assert done.episodes == 1 and done.frames == 4 and set(done.dropped.values()) == {"planted"}
    np.testing.assert_array_equal(
        Dataset(tmp_path / "copy").arrays("action"), dataset.arrays("action")[21:25]
    )  # after episodes of 10 and 11 frames
    two = replace(one, kept=(row, replace(row, first=6, last=9)))
    write_json(tmp_path / "two.json", two.to_json())
    with pytest.raises(BadData, match="one piece"):
        fix_dataset(FixDataset(dataset=six, out=tmp_path / "no", selection=tmp_path / "two.json", workers=0))
    assert load_training_data(six, TrainConfig(inputs="state"), parts=two.of(dataset)).lengths.tolist() == [4, 4]


def test_nothing_kept_is_no_selection_and_a_task_that_is_lost_is_named(six: Path, tmp_path: Path):
    with pytest.raises(RoboscaleError, match=r"six: nothing is kept: a hundredth"):
        choose(Dataset(six), LengthAlone(), frames=0.01, asked="a hundredth")
    rng = np.random.default_rng(1)
    takes = [replace(reach(rng, frames=10), instruction="lift it up"), *(reach(rng, frames=10) for _ in range(4))]
    dataset = Dataset(write(tmp_path / "two", takes))
    some = choose(dataset, LengthAlone(), frames=0.25, asked="a quarter")
    assert "no episode is kept of 'lift it up': not learned at all" in some.notes
    labels = {row.episode: Label(decision="drop", author="ada") for row in some.kept}
    with pytest.raises(RoboscaleError, match="people dropped all that length kept"):
        overruled(some, dataset, labels)
    noted = overruled(some, dataset, {"not here": Label(decision="keep")}).notes
    assert "1 decisions of people speak of episodes that are not in the dataset" in noted


def test_a_selection_of_a_collection_is_refused_in_those_words(six: Path, tmp_path: Path):
    write_json(tmp_path / "s.json", choose(Dataset(six), LengthAlone(), frames=0.5, asked="half").to_json())
    write_collection(tmp_path / "set", [NewMember(root=six, robot_type="dot")], absolute=True)
    with pytest.raises(BadData, match="of one dataset; merge the members with theirs first, found a collection"):
        said_of_selection(tmp_path / "set", tmp_path / "s.json")
