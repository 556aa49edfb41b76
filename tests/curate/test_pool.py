"""The index of many datasets: fast, true to what was added, and a way to collections."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roboscale import CurateDataset, PoolDatasets, curate_dataset, pool_datasets
from roboscale.cli.app import app
from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.curate.pool import Pool, PooledEpisode, PoolEntry, _entry_table, repeated_in
from roboscale.dataset.collection import Collection
from roboscale.jobs.data_pool import quality_of

ENTRY = PoolEntry(
    name="a",
    root="/nowhere/a",
    content="c",
    robot="widowx",
    licence="MIT",
    episodes=10,
    frames=1000,
    hours=0.02,
    rate_hz=15.0,
    action="7 elements, mixed, absolute",
    tasks=("put the carrot on the plate",),
    cameras=("front",),
)


def episode(number: int, **more: object) -> PooledEpisode:
    sketch = np.arange(100 * number, 100 * number + 20, dtype=np.uint64)
    facts = {"content": f"c{number}", "sketch": sketch, "instruction": "x", "frames": 20, "seconds": 2.0} | more
    return PooledEpisode(id=f"id{number}", **facts)


def test_two_thousand_datasets_are_listed_in_two_seconds(tmp_path: Path):
    (tmp_path / "episodes").mkdir()
    entries = [replace(ENTRY, name=f"set{n:04d}", robot=("so101", "aloha")[n % 2]) for n in range(2000)]
    pq.write_table(_entry_table(entries), tmp_path / "datasets.parquet")
    begun = time.process_time()
    result = CliRunner().invoke(app, ["data", "pool", str(tmp_path), "--find", "ALOHA carrot", "--json"])
    took = time.process_time() - begun
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert len(said["datasets"]) == 1000 and said["total"] == 2000 and took < 2


def test_a_name_is_told_apart_and_a_folder_is_one_dataset(tmp_path: Path):
    pool = Pool(tmp_path / "pool")
    pool.add(ENTRY, [episode(1)])
    other = pool.add(replace(ENTRY, root="/elsewhere/a"), [episode(2)])
    pool.add(replace(ENTRY, episodes=11), [episode(1), episode(3)])
    assert other.name == "elsewhere-a" and [e.name for e in pool.entries()] == ["a", "elsewhere-a"]
    assert [e.id for e in pool.episodes("a")] == ["id1", "id3"] and pool.entries()[0].episodes == 11
    pool.drop("a")
    with pytest.raises(UnknownName, match="elsewhere-a"):
        pool.episodes("a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("")
    with pytest.raises(BadData, match=r"thesis\.txt"):
        Pool(tmp_path / "mine")


def test_copies_and_parts_of_episodes_are_recognised():
    there = {"old": [episode(1), episode(2)]}
    part = episode(7, sketch=np.arange(200, 212, dtype=np.uint64))
    other = episode(9)
    again = repeated_in([replace(episode(1), id="new"), part, other], there)
    assert again["new"] == "the same as old, episode id1"
    assert "shares most of its rows with old, episode id2" in again["id7"] and "id9" not in again


def test_quality_is_counted_by_month_and_silence_is_kept():
    listed = [episode(n, operator="ada", month="2026-10", success=n > 2, findings=int(n == 1)) for n in range(5)]
    quality = quality_of({"a": [*listed, episode(6)]})
    ada = next(q for q in quality if q.who == "ada")
    assert (ada.episodes, ada.month, ada.found.value, ada.succeeded.value) == (5, "2026-10", 0.2, 0.4)
    assert {q.who for q in quality if q.kind == "site"} == {""}


@pytest.mark.usefixtures("example_folder")
def test_what_was_found_becomes_a_collection_and_scores_stay_beside_it(tmp_path: Path):
    curate_dataset(CurateDataset(dataset="recorded", out="best.json", method="length", keep=0.5))
    asked = PoolDatasets(pool="pool", members=("recorded",), scores=("best.json",), workers=0, html="p.html")
    (entry,) = pool_datasets(asked).entries
    assert entry.scores == {"length": -20.0} and "length -20" in Path("p.html").read_text()
    pool_datasets(PoolDatasets(pool="pool", members=("more",), workers=0))
    done = pool_datasets(PoolDatasets(pool="pool", find="lift foot", collection="both"))
    assert {m.name for m in Collection(done.collection).members} == {"recorded", "more"}
    with pytest.raises(RoboscaleError, match="none of 2 datasets has 'banana'"):
        pool_datasets(PoolDatasets(pool="pool", find="banana"))
    with pytest.raises(BadData, match=r"best\.json: selection by length: expected scores of episodes of more"):
        pool_datasets(PoolDatasets(pool="pool", members=("more",), scores=("best.json",), workers=0))


@pytest.mark.usefixtures("example_folder")
def test_scores_reach_what_they_speak_of_and_stay_while_numbers_do():
    curate_dataset(CurateDataset(dataset="recorded", out="best.json", method="length", keep=0.5))
    both = PoolDatasets(pool="pool", members=("recorded", "more"), scores=("best.json",), workers=0)
    scores = {entry.name: dict(entry.scores) for entry in pool_datasets(both).entries}
    assert scores == {"more": {}, "recorded": {"length": -20.0}}
    again = pool_datasets(PoolDatasets(pool="pool", members=("recorded",), workers=0))
    assert again.entries[1].scores == {"length": -20.0}, "added again with the same numbers"
    pool_datasets(PoolDatasets(pool="later", members=("recorded", "more"), workers=0))
    later = pool_datasets(PoolDatasets(pool="later", scores=("best.json",)))
    assert later.entries[1].scores == {"length": -20.0}, "without members, what the pool has"


def test_a_pool_is_a_folder_and_a_wrong_name_makes_none(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="found a file"):
        Pool(tmp_path / "file")
    with pytest.raises(UnknownName):
        Pool(tmp_path / "none").drop("x")
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("example_folder")
def test_members_that_cannot_be_opened_are_refused_before_any_is_added():
    with pytest.raises(BadData, match="nowhere"):
        pool_datasets(PoolDatasets(pool="pool", members=("recorded", "nowhere"), workers=0))
    assert not Path("pool").exists()
