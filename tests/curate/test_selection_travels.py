"""A selection is taken by whoever copies or learns: merging, exporting; and a collection by merging and training."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from roboscale import (
    CurateDataset,
    ExportDataset,
    MergeDatasets,
    PoolDatasets,
    ShowDataset,
    curate_dataset,
    export_dataset,
    merge_datasets,
    pool_datasets,
    show_dataset,
)
from roboscale.core import BadData
from roboscale.curate.log import LOG, CurationLog
from roboscale.curate.selection import read_selection
from roboscale.dataset import Dataset

pytestmark = pytest.mark.usefixtures("example_folder")


@pytest.fixture
def best(example_folder: Path) -> Path:
    """One of the three episodes of `recorded`."""
    asked = CurateDataset(dataset=Path("recorded"), out=Path("best.json"), method="random", keep=0.4)
    assert len(curate_dataset(asked).selection.kept) == 1
    return Path("best.json")


def kept_rows(best: Path) -> np.ndarray:
    recorded = Dataset("recorded")
    (part,) = read_selection(best).of(recorded)
    first = recorded.episodes[part.index].from_index
    return recorded.arrays("action")[first + part.first : first + part.last + 1]


def test_a_merge_takes_what_the_selection_of_a_member_keeps(best: Path):
    asked = MergeDatasets(members=("recorded", "more"), out="both", same=True, selection=(best,), workers=0)
    done = merge_datasets(asked)
    assert done.members == {"recorded": 1, "more": 3}
    both = Dataset("both")
    assert len(both.episodes) == 4
    np.testing.assert_array_equal(both.arrays("action")[: both.episodes[0].length], kept_rows(best))
    with pytest.raises(BadData, match="of none"):
        merge_datasets(MergeDatasets(members=("more",), out="less", selection=(best,), workers=0))


def test_an_export_takes_it_and_leaves_no_copy_behind(best: Path):
    asked = ExportDataset(dataset="recorded", out="old", to="lerobot-v2.1", selection=best)
    done = export_dataset(asked)
    assert (done.episodes, done.frames) == (1, 20) and done.largest_difference["action"] == 0
    assert not [path.name for path in Path().iterdir() if path.name.startswith(".old")]


def test_scores_are_on_the_timeline_and_people_overrule_them(best: Path):
    recorded = Dataset("recorded")
    (kept,), dropped = read_selection(best).kept, read_selection(best).dropped
    with show_dataset(ShowDataset(dataset="recorded", selection=best)) as page:
        index = next(e.index for e in recorded.episodes if e.id == dropped[0].episode)
        said = json.loads(urllib.request.urlopen(f"{page.url}api/episode/{index}").read())
        (finding,) = said["findings"]
        assert "left out, score" in finding["text"] and finding["spans"] == [{"first": 0, "last": 19}]
        CurationLog(Path("recorded") / LOG).append(dropped[0].episode, "keep", author="ada")
        CurationLog(Path("recorded") / LOG).append(kept.episode, "drop", author="ada")
    asked = CurateDataset(dataset="recorded", out="mine.json", method="random", keep=0.4, labels=True)
    mine = curate_dataset(asked).selection
    assert [row.episode for row in mine.kept] == [dropped[0].episode]
    assert mine.kept[0].reason == "kept by ada, over random" and len(mine.dropped) == 2


def test_a_collection_is_merged_and_learned_from():
    pytest.importorskip("torch")
    from roboscale.policies.builtin import TrainConfig
    from roboscale.policies.builtin.data import load_training_data

    pool_datasets(PoolDatasets(pool="pool", members=("recorded", "more"), collection="set", workers=0))
    done = merge_datasets(MergeDatasets(members=("set",), out="both", same=True, workers=0))
    assert sum(done.members.values()) == 6
    config = TrainConfig(inputs="state")
    whole, parts = load_training_data(Path("both"), config), load_training_data(Path("set"), config)
    assert parts.lengths.sum() == 120 and len(parts.frames) == 120
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, parts.arrays[name])
