"""Trials on disk: nothing finished is lost or counted twice."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Case, Damage, InfrastructureError, Outcome, Trial
from roboscale.trials import TrialStore

TRIAL = Trial(
    "expert",
    "toy",
    Case("near", 3),
    Outcome("success", progress=1.0, steps=3, terminated=True, damage=Damage(1.5, None, False, 2, 0)),
    actions=np.arange(6, dtype=np.float32).reshape(3, 2),
    seconds=0.5,
    versions={"toy": "1"},
    details={"parents": ["a"]},
)


def same(a: Trial, b: Trial) -> bool:
    return replace(a, actions=None) == replace(b, actions=None) and np.array_equal(a.actions, b.actions)


def test_a_trial_survives_the_disk(tmp_path: Path):
    with TrialStore(tmp_path / "t.db") as store:
        store.save(TRIAL)
    with TrialStore(tmp_path / "t.db") as store:
        (found,) = list(store)
        assert same(found, TRIAL) and same(store.find("expert", "toy", TRIAL.case)[0], TRIAL)
        assert store.find("expert", "toy", Case("near", 4)) == []


def test_it_is_committed_before_save_returns(tmp_path: Path):
    store = TrialStore(tmp_path / "t.db")
    store.save(TRIAL)
    other = sqlite3.connect(tmp_path / "t.db")
    assert other.execute("select count(*) from trial").fetchone() == (1,)
    assert other.execute("pragma journal_mode").fetchone() == ("wal",)


def test_the_same_trial_twice_is_one_and_a_contradiction_is_an_error(tmp_path: Path):
    with TrialStore(tmp_path / "t.db") as store:
        store.save(TRIAL)
        store.save(TRIAL)
        assert len(store) == 1
        with pytest.raises(BadData, match="expected success, found failure"):
            store.save(replace(TRIAL, outcome=Outcome("failure")))


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path):
    with TrialStore(tmp_path / "t.db") as store:
        store.save(TRIAL)
        pages = store._db.execute("pragma page_count").fetchone()[0]
        store._db.execute(f"pragma max_page_count={pages}")
        large = replace(TRIAL, case=Case("near", 4), actions=np.zeros((50_000, 4), np.float32))
        with pytest.raises(InfrastructureError, match=r"t\.db: trial near/default/4 of expert: .*full; the 1 trials"):
            store.save(large)
    with TrialStore(tmp_path / "t.db") as store:
        assert len(store) == 1


def test_merge_is_a_union_and_all_or_nothing(tmp_path: Path):
    for name, seeds in (("a", [1, 2]), ("b", [2, 3])):
        with TrialStore(tmp_path / f"{name}.db") as store:
            for seed in seeds:
                store.save(replace(TRIAL, case=Case("near", seed)))
    with TrialStore(tmp_path / "c.db") as store:
        store.save(replace(TRIAL, case=Case("near", 9)))
        store.save(replace(TRIAL, case=Case("near", 3), outcome=Outcome("failure")))
    with TrialStore(tmp_path / "all.db") as store:
        assert store.merge([tmp_path / "a.db", tmp_path / "b.db"]) == 3
        assert store.merge([tmp_path / "a.db"]) == 0
        with pytest.raises(BadData, match="near/default/3"):
            store.merge([tmp_path / "c.db"])
        assert len(store) == 3, "a merge that fails adds nothing"
        with pytest.raises(BadData, match=r"no\.db"):
            store.merge([tmp_path / "no.db"])


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    (tmp_path / "t.db").write_text("these are not trials, but long enough to be read as a header of something")
    with pytest.raises(BadData, match=r"t\.db.*SQLite"):
        TrialStore(tmp_path / "t.db")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path):
    TrialStore(tmp_path / "t.db").close()
    sqlite3.connect(tmp_path / "t.db").execute("pragma user_version=99")
    with pytest.raises(BadData, match="newer version"):
        TrialStore(tmp_path / "t.db")


def test_a_row_that_lies_is_named(tmp_path: Path):
    with TrialStore(tmp_path / "t.db") as store:
        store.save(TRIAL)
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute("update trial set outcome='{'")
    with TrialStore(tmp_path / "t.db") as store, pytest.raises(BadData, match="readable rows"):
        list(store)


def test_runs_are_remembered_once(tmp_path: Path):
    with TrialStore(tmp_path / "t.db") as store:
        store.record_run("r", {"seed": 1}, {"v": "1"})
        store.record_run("r", {"seed": 1}, {"v": "2"})
        assert [(r["id"], r["plan"], r["versions"]) for r in store.runs()] == [("r", {"seed": 1}, {"v": "1"})]
