"""Three processes do one comparison together while they are killed again and again.

    python -m benchmarks.trial_kills [--kills 30] [--cases 40] [--seed 0]

On SQLite and on PostgreSQL, with the whole budget and with a sequential stop: workers (`roboscale trials work`) are
killed (SIGKILL) in drawn order at drawn instants and started again, as a cluster does. Then it is looked at whether
every case was judged exactly once, whether a lease is left, and whether the verdict is that of one process that was
left alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import RoboscaleError
from roboscale.jobs.judged import judged_run
from roboscale.trials.log import open_log
from tests.jobs.conftest import DECLARATION, ENVIRONMENT
from tests.trials.postgres import binaries, running_cluster

POLICIES = """
import time
import numpy as np

def good(o):
    time.sleep(0.05)
    return o["observation.environment_state"] - o["observation.state"]

def fair(o):
    time.sleep(0.05)
    goal = o["observation.environment_state"]
    return (goal if goal[0] > -0.3 else -goal) - o["observation.state"]
"""
WORKERS = 3
LIMIT_S = 900.0


class Crowd:
    """The workers of one comparison."""

    def __init__(self, folder: Path, store: str, words: Sequence[str], workers: int) -> None:
        self._folder, self._store, self._run = folder, store, ""
        asked = ["compare", "policies.py:good", "policies.py:fair", "--world", "point.toml", *words]
        self.processes = [self._start([*asked, "--workers", "0", "--store", store])]
        while not self._run:
            time.sleep(0.1)
            self._run = self._begun()
        self.processes += [self._start(self._work) for _ in range(workers - 1)]

    @property
    def _work(self) -> list[str]:
        return ["trials", "work", self._store, "--run", self._run, "--workers", "0"]

    def _begun(self) -> str:
        try:
            with open_log(self._store, read_only=True) as log:
                return next((run.id for run in log.runs()), "")
        except RoboscaleError:
            return ""  # not made yet

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "said.txt").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "roboscale.cli", *words],
                cwd=self._folder,
                env=dict(os.environ),
                stdout=said,
                stderr=said,
            )

    def kill(self, number: int) -> bool:
        """Kills one that is at work, and starts another; False where it has ended by itself."""
        victim = self.processes[number]
        if victim.poll() is not None:
            return False
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self.processes[number] = self._start(self._work)
        return True

    @property
    def working(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    def result(self) -> dict[str, Any]:
        """What the log says, and whether something was done twice."""
        with open_log(self._store, read_only=True) as log:
            run = next(one for one in log.runs() if one.id == self._run)
            judged, trials = judged_run(log, run), list(log.trials(light=True))
            said = log.judgements()
            leases = len(log.leases())
        assert judged.decided is not None, "it is a comparison"
        needed = {(one.policy.digest, one.case.id) for one in judged.used}
        return {
            "verdict": judged.decided.verdict.to_json(),
            "used": judged.decided.used,
            "needed": len(needed),
            "trials": len(trials),
            "twice": len(trials) - len({(t.policy.digest, t.case.id) for t in trials}),
            "judgements": sorted(set(map(len, said.values()))),
            "unjudged": sum(t.id not in said for t in trials),
            "finished": run.finished_ns is not None,
            "leases": leases,
        }


def killed(
    folder: Path, store: str, words: Sequence[str], *, workers: int = 1, kills: int = 0, seed: int = 0
) -> tuple[int, dict[str, Any]]:
    """How many kills found a worker at work, and what it came to."""
    rng, done = np.random.default_rng(seed), 0
    crowd, deadline = Crowd(folder, store, words, workers), time.monotonic() + LIMIT_S
    while crowd.working and time.monotonic() < deadline:
        time.sleep(float(rng.uniform(0.3, 2.5)))
        if done < kills:
            done += crowd.kill(int(rng.integers(workers)))
    codes = [process.poll() for process in crowd.processes]
    if any(codes) or None in codes:
        raise SystemExit(f"workers ended with {codes}:\n{(folder / 'said.txt').read_text()[-2000:]}")
    return done, crowd.result()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    bin_ = binaries()
    if bin_ is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    budget = ("--budget", str(asked.cases))
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as short:
        folder = Path(short)
        (folder / "pg").mkdir()
        folder.chmod(0o755)
        for name, text in (("my_env.py", ENVIRONMENT), ("point.toml", DECLARATION), ("policies.py", POLICIES)):
            (folder / name).write_text(text)
        with running_cluster(folder / "pg", bin_) as cluster:
            for kind, words in (("sequential stop", budget), ("whole budget", (*budget, "--no-sequential"))):
                _, wanted = killed(folder, str(folder / f"{kind}, alone.db"), words)
                for database in ("sqlite", "postgresql"):
                    store = str(folder / f"{kind}.db") if database == "sqlite" else cluster.new_database()
                    done, found = killed(folder, store, words, workers=WORKERS, kills=asked.kills, seed=asked.seed)
                    print(_line(database, kind, done, found, wanted), flush=True)


def _line(database: str, kind: str, done: int, found: dict[str, Any], wanted: dict[str, Any]) -> str:
    same = "the verdict of one process" if found["verdict"] == wanted["verdict"] else "ANOTHER VERDICT"
    return (
        f"{database:10} {kind}: {done} kills of {WORKERS} workers; {found['trials']} trials ({found['needed']} needed "
        f"by the verdict, after {found['used']} cases), {found['twice']} made twice, judgements of a trial "
        f"{found['judgements']}, {found['unjudged']} not judged, {found['leases']} leases left; {same}"
    )


if __name__ == "__main__":
    main()
