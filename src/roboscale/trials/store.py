"""Finished trials on disk: one SQLite file in WAL mode, one row per attempt, written before anything else starts.

A trial's key is policy, world, case and attempt, and no run: the same command finds what is done, a longer run
re-uses a shorter one, and shards merge by union.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData, Case, InfrastructureError, Outcome, Trial

__all__ = ["TrialStore"]

_MIGRATIONS = (
    """
    create table trial (
        policy text not null, world text not null, task text not null, scene text not null, seed integer not null,
        attempt integer not null, status text not null, reason text not null, outcome text not null,
        episode text not null, actions blob, actions_shape text, seconds real not null, versions text not null,
        details text not null, finished_ns integer not null,
        primary key (policy, world, task, scene, seed, attempt)
    ) without rowid;
    create table run (id text primary key, plan text not null, versions text not null, created_ns integer not null);
    """,
)


class TrialStore:
    """Trials in the file `path`; made if missing. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, timeout=30)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")  # safe against a killed process; power loss is not claimed
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise BadData(self.path, "trials", "a SQLite file of trials", error) from error

    def _migrate(self) -> None:
        have = self._db.execute("pragma user_version").fetchone()[0]
        if have > len(_MIGRATIONS):
            raise BadData(
                self.path, "user_version", f"at most {len(_MIGRATIONS)}", f"{have}, written by a newer version"
            )
        for number, script in enumerate(_MIGRATIONS[have:], have + 1):
            self._db.executescript(f"begin; {script} pragma user_version={number}; commit;")

    def save(self, trial: Trial) -> None:
        """Commits one attempt; the same key again with the same status is no error, with another it is BadData.

        Raises:
            InfrastructureError: it cannot be written (a full disk); what was committed before stays.
        """
        try:
            with self._db:
                self._insert(_row(trial))
        except sqlite3.OperationalError as error:
            raise InfrastructureError(
                f"{self.path}: trial {trial.case.id} of {trial.policy}: {error}; "
                f"the {len(self)} trials before are saved"
            ) from error

    def _insert(self, row: tuple[Any, ...]) -> None:
        marks = ",".join("?" * len(row))
        if not self._db.execute(f"insert or ignore into trial values ({marks})", row).rowcount:
            found = self._db.execute(
                "select status from trial where (policy, world, task, scene, seed, attempt) = (?,?,?,?,?,?)", row[:6]
            ).fetchone()[0]
            if found != row[6]:
                raise BadData(self.path, f"trial {'/'.join(map(str, row[:6]))}", found, row[6])

    def find(self, policy: str, world: str, case: Case) -> list[Trial]:
        """All attempts of one case, oldest first."""
        return list(
            self._select("policy=? and world=? and task=? and scene=? and seed=?", policy, world, *_case(case))
        )

    def __iter__(self) -> Iterator[Trial]:
        return self._select("1")

    def __len__(self) -> int:
        return int(self._db.execute("select count(*) from trial").fetchone()[0])

    def _select(self, where: str, *values: object) -> Iterator[Trial]:
        query = f"select * from trial where {where} order by policy, world, task, scene, seed, attempt"
        try:
            for row in self._db.execute(query, values):
                yield _trial(row)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise BadData(self.path, "trial", "readable rows", error) from error

    def record_run(self, run: str, plan: Mapping[str, Any], versions: Mapping[str, Any]) -> None:
        """Notes what was asked, so that a report can say it; the first record of a run stays."""
        with self._db:
            row = (run, json.dumps(plan), json.dumps(versions), time.time_ns())
            self._db.execute("insert or ignore into run values (?,?,?,?)", row)

    def runs(self) -> list[dict[str, Any]]:
        """What was asked, oldest first."""
        rows = self._db.execute("select id, plan, versions, created_ns from run order by created_ns")
        return [
            {"id": i, "plan": json.loads(plan), "versions": json.loads(versions), "created_ns": created}
            for i, plan, versions, created in rows
        ]

    def merge(self, others: Iterable[Path]) -> int:
        """Adds the trials of other files, all or nothing; returns how many were new. BadData on a contradiction."""
        before = len(self)
        with self._db:
            for path in others:
                if not Path(path).is_file():
                    raise BadData(path, "file", "a SQLite file of trials", "no file")
                with TrialStore(path) as other:
                    for trial in other:
                        self._insert(_row(trial))
        return len(self) - before

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> TrialStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _case(case: Case) -> tuple[str, str, int]:
    return case.task, case.scene, case.seed


def _row(trial: Trial) -> tuple[Any, ...]:
    actions = None if trial.actions is None else np.ascontiguousarray(trial.actions, np.float32)
    return (
        trial.policy,
        trial.world,
        *_case(trial.case),
        trial.attempt,
        trial.outcome.status,
        trial.outcome.reason,
        json.dumps(trial.outcome.to_json()),
        trial.episode,
        None if actions is None else actions.tobytes(),
        None if actions is None else json.dumps(actions.shape),
        trial.seconds,
        json.dumps(dict(trial.versions)),
        json.dumps(dict(trial.details)),
        time.time_ns(),
    )


def _trial(row: tuple[Any, ...]) -> Trial:
    (
        policy,
        world,
        task,
        scene,
        seed,
        attempt,
        _,
        _,
        outcome,
        episode,
        actions,
        shape,
        seconds,
        versions,
        details,
        _,
    ) = row
    return Trial(
        policy=policy,
        world=world,
        case=Case(task, seed, scene),
        outcome=Outcome.from_json(json.loads(outcome)),
        attempt=attempt,
        episode=episode,
        actions=None if actions is None else np.frombuffer(actions, np.float32).reshape(json.loads(shape)),
        seconds=seconds,
        versions=json.loads(versions),
        details=json.loads(details),
    )
