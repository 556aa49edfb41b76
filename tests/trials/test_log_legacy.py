"""Logs of the earlier store: read as they are, brought to the newest shape, and never mixed with anything new."""

import json
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Case, Design, Judgement, Trial, cases
from roboscale.trials.log import TrialLog, open_log
from tests.trials.log_samples import assert_same, trial
from tests.trials.postgres import log_address, postgres  # noqa: F401

# What the earlier store made, word for word.
SCHEMA = """
    create table trial (
        policy text not null, world text not null, task text not null, scene text not null, seed integer not null,
        attempt integer not null, status text not null, reason text not null, outcome text not null,
        episode text not null, actions blob, actions_shape text, seconds real not null, versions text not null,
        details text not null, finished_ns integer not null,
        primary key (policy, world, task, scene, seed, attempt)
    ) without rowid;
    create table run (id text primary key, plan text not null, versions text not null, created_ns integer not null);
    pragma user_version=1;
"""
WORLD = "toy (1; success first, horizon 50)"
FIRST, SECOND, THIRD = (case.seed for case in cases("reach", 3, 7, "eval"))
PLAN = {
    "policies": ["anna", "bert"],
    "world": "toy",
    "tasks": ["reach"],
    "trials": 3,
    "seed": 7,
    "retries": 1,
    "shard": [0, 1],
    "profile": "",
    "render": False,
    "names": ["anna@12", "bert"],
    "stopping": {"budget": 3, "alpha": 0.1, "min_pairs": 2, "sequential": True},
}
ACTIONS = np.arange(6, dtype=np.float32).reshape(3, 2)
REFEREE = "success rule of an earlier version"


def outcome(status: str, reason: str = "", **more: object) -> dict:
    damage = {"peak_force_n": 1.5, "dropped": False, "off_table": None, "joint_limit_steps": 0, "clipped_steps": 2}
    fields = {"progress": None, "steps": 3, "terminated": False, "truncated": False, "damage": damage}
    return {"status": status, "reason": reason, **fields, **more}


def make(path: Path, rows: list[tuple] | None = None, plan: dict | None = None) -> Path:
    """A log as the earlier store left it."""
    rows = rows or [
        ("anna@12", "default", FIRST, 0, outcome("success", progress=1.0, terminated=True)),
        ("anna@12", "default", SECOND, 0, outcome("void", "refused", damage={})),
        ("anna@12", "default", SECOND, 1, outcome("failure", truncated=True)),
        ("anna@12", "light:2", THIRD, 0, outcome("failure", "NaN in an action")),
        ("bért", "default", FIRST, 0, outcome("success")),
    ]
    db = sqlite3.connect(path)
    db.execute("pragma journal_mode=wal")
    db.executescript(SCHEMA)
    for policy, scene, seed, attempt, result in rows:
        names = (policy, WORLD, "reach", scene, seed, attempt)
        values = (result["status"], result["reason"], json.dumps(result), "e1", ACTIONS.tobytes(), "[3, 2]")
        db.execute(
            f"insert into trial values ({', '.join('?' * 16)})",
            (*names, *values, 0.5, '{"toy": "1"}', '{"parents": ["a"]}', 10**18 + attempt),
        )
    db.execute("insert into run values (?, ?, ?, ?)", ("r", json.dumps(plan or PLAN), '{"v": "1"}', 5))
    db.commit()
    db.close()
    return path


def by_case(log: TrialLog) -> dict[tuple[str, int | str, int], Trial]:
    return {(t.policy.name, t.case.start, t.attempt): t for t in log.trials()}


@pytest.mark.parametrize("read_only", [True, False])
def test_its_trials_are_facts_and_judgements(tmp_path: Path, read_only: bool):
    with open_log(make(tmp_path / "trials.db"), read_only=read_only) as log:
        trials = by_case(log)
        assert {key: t.end for key, t in trials.items()} == {
            ("anna@12", FIRST, 0): "terminated",
            ("anna@12", SECOND, 0): "void",
            ("anna@12", SECOND, 1): "truncated",
            ("anna@12", THIRD, 0): "policy error",
            ("bért", FIRST, 0): "decided",
        }
        one = trials["anna@12", FIRST, 0]
        assert (one.steps, one.clipped, one.seconds, one.episode) == (3, 2, 0.5, "e1")
        assert one.started_ns == 10**18 - 5 * 10**8
        assert one.measures["peak_force"] == 1.5 and one.measures["off_table"] is None
        assert one.versions == {"toy": "1"} and one.details == {"parents": ["a"]}
        assert np.array_equal(one.actions, ACTIONS)
        assert trials["anna@12", SECOND, 0].reason == "refused"
        assert trials["anna@12", THIRD, 0].case == Case("reach", THIRD, "light:2")
        said = log.judgements()
        assert said[one.id] == (
            Judgement(trial=one.id, referee=REFEREE, time_ns=10**18, state="decided", success=True, progress=1.0),
        )
        assert said[trials["anna@12", THIRD, 0].id][0].reason == "NaN in an action"
        assert trials["anna@12", SECOND, 0].id not in said, "a void trial is no statement on the policy"
        assert {k: said[t.id][0].success for k, t in trials.items() if not t.void} == {
            ("anna@12", FIRST, 0): True,
            ("anna@12", SECOND, 1): False,
            ("anna@12", THIRD, 0): False,
            ("bért", FIRST, 0): True,
        }


def test_they_are_marked_and_equal_nothing_new(tmp_path: Path):
    with open_log(make(tmp_path / "trials.db")) as log:
        one = by_case(log)["anna@12", FIRST, 0]
        assert one.policy.unverified == one.world.unverified == ("filed under a name by an earlier version",)
        assert one.settings.text == f"{REFEREE}, horizon 0, 0 Hz unknown"
        new = trial(policy=one.policy.renamed("x"), world=one.world, case=one.case)
        assert log.save(new), "the same names under settings that somebody knows"
        assert one.policy.digest != one.policy.of_run("r").digest
        assert len({t.policy.digest for t in log.trials()}) == 2


def test_its_run_says_what_was_asked(tmp_path: Path):
    with open_log(make(tmp_path / "trials.db"), read_only=True) as log:
        (run,) = log.runs()
        assert run.request == PLAN and run.versions == {"v": "1"} and (run.id, run.created_ns) == ("r", 5)
        assert run.design == Design(budget=3, alpha=0.1, min_cases=2, sequential=True)
        assert run.cases == tuple(c.id for c in cases("reach", 3, 7, "eval"))
        assert [p.name for p in run.policies] == ["anna@12", "bert"] and run.command is None
        assert run.world.name == WORLD
        done = log.attempts(run.policies, run.world, run.settings)
        assert [t.attempt for t in done[run.policies[0].digest, run.cases[1]]] == [0, 1]


def test_reading_changes_not_a_byte_and_bringing_it_up_keeps_the_old_tables(tmp_path: Path):
    path = make(tmp_path / "trials.db")
    before = path.read_bytes()
    rows = sqlite3.connect(path).execute("select * from trial").fetchall()
    with open_log(path, read_only=True) as log:
        read = list(log.trials())
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["trials.db"]
    for _ in range(2):
        with open_log(path) as log:
            for a, b in zip(log.trials(), read, strict=True):
                assert_same(a, b)
    db = sqlite3.connect(path)
    assert db.execute("select * from legacy_trial").fetchall() == rows
    assert db.execute("select id from legacy_run").fetchall() == [("r",)]
    assert db.execute("pragma user_version").fetchone() == (4,)
    db.close()


def test_several_may_bring_it_up_at_once(tmp_path: Path):
    path, counts = make(tmp_path / "trials.db"), []

    def open_it() -> None:
        with open_log(path) as log:
            counts.append(log.count())

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [5] * 4


def test_a_row_that_cannot_be_read_is_named_and_the_file_stays_as_it_was(tmp_path: Path):
    path = make(tmp_path / "trials.db")
    with sqlite3.connect(path) as db:
        db.execute("update trial set outcome='{' where seed=?", (THIRD,))
    db.close()
    rows = sqlite3.connect(path).execute("select * from trial").fetchall()
    for read_only in (True, False):
        with pytest.raises(BadData, match=f"trial reach/light:2/{THIRD} of anna@12 in toy .*attempt 0"):
            open_log(path, read_only=read_only)
    db = sqlite3.connect(path)
    assert db.execute("select * from trial").fetchall() == rows
    assert db.execute("select name from sqlite_master where name='trials'").fetchall() == []
    db.close()


def test_merging_takes_it_in_marked(log_address: str, tmp_path: Path):  # noqa: F811
    path = make(tmp_path / "earlier.db")
    with open_log(log_address) as log:
        log.save(trial())
        counts = log.merge([str(path)])
        assert (counts.trials, counts.judgements, counts.runs, counts.identities) == (5, 4, 1, 4)
        assert log.merge([str(path)]).known == 5
        assert sum(not t.policy.verified for t in log.trials()) == 5
    assert sqlite3.connect(path).execute("pragma user_version").fetchone() == (1,)


@pytest.mark.parametrize(
    ("asked", "known"), [("toy", True), (WORLD, True), ("to", False), ("other", False), ("toy (2", False), ("", False)]
)
def test_a_run_is_of_the_world_that_its_name_begins_or_of_one_nobody_tried(tmp_path: Path, asked: str, known: bool):
    path = make(tmp_path / "trials.db", plan={**PLAN, "world": asked})
    with open_log(path, read_only=True) as log:
        (run,) = log.runs()
        (tried,) = {t.world for t in log.trials()}
        assert (run.world == tried) is known and run.world.name == (tried.name if known else asked)


def test_a_database_that_only_looks_like_it_is_refused(tmp_path: Path):
    db = sqlite3.connect(tmp_path / "x.db")
    db.executescript("create table trial (id); pragma user_version=1;")
    db.close()
    for read_only in (True, False):
        with pytest.raises(BadData, match=r"tables: expected a log of trials \(run, trial\), found trial"):
            open_log(tmp_path / "x.db", read_only=read_only)
