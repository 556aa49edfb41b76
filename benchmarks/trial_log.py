"""What a large log of trials costs: reading a report of it, and saving from many writers at once.

    python -m benchmarks.trial_log [--trials 100000] [--writers 8] [--seconds 60]

A run of 100,000 trials (two policies, 80 steps of four actions each, judged) on SQLite and on PostgreSQL: seconds that
the queries of a report take by themselves, and seconds until everything is judged and ready for a page. The same for a
run of 1,000 trials in that log. Then writers save new trials on PostgreSQL, which waits for the disk at every commit
(`fsync`), and once more without that.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from roboscale.core import Case, Identity, Judgement, RolloutSettings, Trial, combine
from roboscale.jobs.judged import judged_run
from roboscale.trials.log import Run, open_log
from roboscale.trials.log.store import SqlLog
from roboscale.trials.log.writing import insert_identities, insert_judgements, insert_trials
from tests.trials.postgres import Cluster, binaries, running_cluster

POLICIES = (combine("first", "weights", 1), combine("second", "weights", 2))
WORLD = combine("toy", "world", 1)
SETTINGS = RolloutSettings(horizon=500, rate_hz=20.0, watch="success (first)")
TASKS = 50
STEPS = 80


def make_trial(number: int, policy: Identity) -> Trial:
    """A trial as a small simulator leaves it."""
    rng = np.random.default_rng(number)
    return Trial(
        policy=policy,
        world=WORLD,
        case=case_of(number),
        settings=SETTINGS,
        end="decided",
        steps=STEPS,
        actions=rng.normal(size=(STEPS, 4)).astype(np.float32),
        series={"success": (np.arange(STEPS) == STEPS - 1).astype(np.float32)},
        measures={"success": float(rng.random() < 0.6), "peak_force": 3.5, "damage": None},
        run="large",
        started_ns=1_700_000_000_000_000_000 + number,
        seconds=1.5,
        thinking_s=0.25,
        versions={"roboscale": "1", "numpy": "2"},
        details={"spent": {"policy": 0.25, "world": 0.9, "rendering": 0.3}},
    )


def case_of(number: int) -> Case:
    return Case(f"task-{number % TASKS}", number // TASKS)


def judged(trial: Trial) -> Judgement:
    good = bool(trial.measures["success"])
    return Judgement(
        trial=trial.id,
        referee="success (first)",
        time_ns=trial.started_ns,
        state="decided",
        success=good,
        progress=float(good),
        reason="success at step 79" if good else "no success in 500 steps",
        by="",
    )


def run_of(name: str, cases: int) -> Run:
    return Run(
        id=name,
        request={"command": "eval", "fields": {}},
        policies=POLICIES,
        world=WORLD,
        world_info={"name": "toy", "horizon": 500, "tasks": {f"task-{k}": "do it" for k in range(TASKS)}},
        cases=tuple(case_of(k).id for k in range(cases)),
        settings=SETTINGS,
        created_ns=cases,
    )


def fill(log: SqlLog, cases: int) -> None:
    """All trials of a run of two policies, in few transactions."""
    log.begin_run(run_of("large", cases))
    log.begin_run(run_of("small", min(cases, 500)))
    for begin in range(0, cases, 1000):
        trials = [make_trial(k, p) for k in range(begin, min(begin + 1000, cases)) for p in POLICIES]
        with log._writing("filling") as connection:
            insert_identities(connection, "policy", POLICIES)
            insert_identities(connection, "world", (WORLD,))
            insert_trials(connection, trials, log.where)
            insert_judgements(connection, [judged(trial) for trial in trials], log.where)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is executed meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def read(address: str, name: str) -> str:
    """What a report of one run costs, as a line."""
    with open_log(address, read_only=True) as log:
        assert isinstance(log, SqlLog), "the benchmark repeats its statements"
        run = next(one for one in log.runs() if one.id == name)
        begun, spent = time.perf_counter(), time.process_time()
        with statements() as asked:
            result = judged_run(log, run)
        whole, whole_cpu = time.perf_counter() - begun, time.process_time() - spent
        trials = len(result.counted)
        del result  # else Python's collector goes through it while the rows come
        gc.collect()
        with log._reading() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None, "it is open"
            cursor, begun, spent = raw.cursor(), time.perf_counter(), time.process_time()
            rows = 0
            for statement, parameters in asked:
                cursor.execute(statement, parameters)
                rows += len(cursor.fetchall())
            alone, alone_cpu = time.perf_counter() - begun, time.process_time() - spent
    return (
        f"{trials:7} trials: queries {alone:5.2f} s, {alone_cpu:.2f} of this process's processor "
        f"({len(asked)} statements, {rows} rows); judged {whole:5.2f} s, {whole_cpu:.2f} of it"
    )


def write_on(address: str, number: int, seconds: float, results: Any, barrier: Any) -> None:
    """Saves new trials until the time is over; tells how many, and the milliseconds that saves took."""
    trials = [make_trial(k, combine(f"writer {number}", number)) for k in range(200)]
    with open_log(address) as log:
        barrier.wait()
        begun, took, count = time.perf_counter(), [], 0
        while (now := time.perf_counter()) - begun < seconds:
            base = trials[count % len(trials)]
            trial = Trial(**{**vars_of(base), "round": count // len(trials)})
            log.save(trial, [judged(trial)])
            took.append(1e3 * (time.perf_counter() - now))
            count += 1
    results.put((count, np.percentile(took, [50, 99]).tolist(), max(took)))


def vars_of(trial: Trial) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in trial.__dataclass_fields__}


def write(address: str, writers: int, seconds: float) -> str:
    """What many writers at once save, as a line."""
    with open_log(address):  # made once
        pass
    spawn = multiprocessing.get_context("spawn")
    results, barrier = spawn.Queue(), spawn.Barrier(writers)
    processes = [spawn.Process(target=write_on, args=(address, k, seconds, results, barrier)) for k in range(writers)]
    for process in processes:
        process.start()
    told = [results.get(timeout=seconds + 120) for _ in processes]
    for process in processes:
        process.join()
    saved = sum(count for count, _, _ in told)
    with open_log(address, read_only=True) as log:
        there = log.count()
    assert there == saved, f"{saved} saves, {there} trials"
    half, most = np.median([p[0] for _, p, _ in told]), max(p[1] for _, p, _ in told)
    slowest = max(worst for _, _, worst in told)
    return (
        f"{saved} saves by {writers} writers in {seconds:g} s: {saved / seconds:.0f} a second; "
        f"median {half:.1f} ms, 99 % within {most:.1f} ms, slowest {slowest:.0f} ms; all {there} are there"
    )


def in_cluster(folder: Path, *, fsync: bool) -> Any:
    bin_ = binaries()
    if bin_ is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    return running_cluster(folder, bin_, fsync=fsync)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as short:
        folder = Path(short)
        folder.chmod(0o755)
        places = [folder / name for name in ("on", "off", "files")]
        for place in places:
            place.mkdir()
        with in_cluster(places[0], fsync=True) as cluster:
            _read_both(cluster, places[2], asked.trials // len(POLICIES))
            said = write(cluster.new_database(), asked.writers, asked.seconds)
            print(f"postgresql, waiting for the disk: {said}", flush=True)
        with in_cluster(places[1], fsync=False) as cluster:
            print(f"postgresql, without: {write(cluster.new_database(), asked.writers, asked.seconds)}", flush=True)


def _read_both(cluster: Cluster, folder: Path, cases: int) -> None:
    for kind, address in (("sqlite", str(folder / "trials.db")), ("postgresql", cluster.new_database())):
        with open_log(address) as log:
            assert isinstance(log, SqlLog), "it is filled in few transactions"
            fill(log, cases)
        for name in ("large", "small"):
            print(f"{kind:10} {read(address, name)}", flush=True)


if __name__ == "__main__":
    main()
