"""One run done by several processes on PostgreSQL; one of them is killed; shards and reports say the same."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import roboscale as rs
from roboscale.core import RoboscaleError
from roboscale.dataset import Dataset
from roboscale.trials.log import open_log
from tests.trials.postgres import postgres  # noqa: F401

SLOW = """
import time
import numpy as np

def act(o):
    time.sleep(0.05)
    return 0.2 * np.sign(o["observation.environment_state"] - o["observation.state"])
"""


def start(place: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "roboscale.cli", *words],
        cwd=place,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def count(url: str) -> int:
    try:
        with open_log(url, read_only=True) as log:
            return log.count()
    except RoboscaleError:
        return 0  # the first process has not made it yet


def test_two_processes_share_a_run_on_postgresql_and_one_is_killed(place: Path, postgres):  # noqa: F811
    (place / "slow.py").write_text(SLOW)
    url = postgres.new_database()
    words = ("eval", "--policy", "slow.py:act", "--world", "point.toml", "--trials", "14", "--workers", "0")
    first = start(place, *words, "--store", url, "--json")
    deadline = time.monotonic() + 90
    while count(url) < 2 and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.05)  # polls what another process writes
    assert first.poll() is None, first.stderr.read()
    second = start(place, "trials", "work", url, "--workers", "0", "--json")
    before = count(url)
    while count(url) < before + 3 and time.monotonic() < deadline and second.poll() is None:
        time.sleep(0.05)  # the same
    first.send_signal(signal.SIGKILL)
    first.wait()
    out, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    done = json.loads(out)
    assert done["success"]["n"] == 14
    with open_log(url, read_only=True) as log:
        assert log.count() == 14, "every trial was made once"
        assert log.runs()[0].finished_ns is not None and len(log.runs()) == 1
    listed = rs.list_trials(rs.ListTrials(store=url))
    assert listed.judged.rate(listed.judged.used).value == done["success"]["value"]


def episodes_of(root: Path) -> int:
    return len(Dataset(root).episodes)


def begin_recording(place: Path, world: str) -> subprocess.Popen:
    """A process that records a run, and has tried two of its cases."""
    (place / "slow.py").write_text(SLOW)
    words = ("eval", "--policy", "slow.py:act", "--world", world, "--trials", "14", "--workers", "0")
    first = start(place, *words, "--store", "run", "--record", "rollouts")
    deadline = time.monotonic() + 90
    while count(str(place / "run")) < 2 and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.05)  # polls what another process writes
    assert first.poll() is None, first.stderr.read()
    return first


def test_a_recorder_that_is_killed_is_replaced_by_who_works_beside_it(place: Path):
    first = begin_recording(place, "point.toml")
    second = start(place, "trials", "work", "run", "--workers", "0")
    beside = "rollouts: another writer has this dataset open: whoever of both ends last records"
    said = next((line for line in second.stderr if beside in line), "")  # it has met the first, which records
    first.send_signal(signal.SIGKILL)
    first.wait()
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert said, errors
    assert episodes_of(place / "rollouts") == 14


def test_who_works_beside_a_recorder_of_what_cannot_be_repeated_is_told_how(place: Path, roboscale):
    text = (place / "point.toml").read_text()
    (place / "chance.toml").write_text(text.replace("horizon = 30", "horizon = 30\ndeterministic = false"))
    first = begin_recording(place, "chance.toml")
    refused = roboscale("trials", "work", "run", "--workers", "0", code=1)
    assert "another writer has this dataset open" in refused.stderr
    program, *words = shlex.split(refused.stderr.split("`")[1])
    assert program == "roboscale" and words[-2:] == ["--record", "rollouts-2"]
    second = roboscale(*words)
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors
    kept = [episodes_of(place / name) for name in ("rollouts", "rollouts-2")]
    assert sum(kept) == 14 and kept[0] >= 2
    assert f"{kept[0]} trials are recorded in another dataset, and not in rollouts-2" in second.stderr


def test_a_verdict_is_the_same_in_run_report_and_merged_shards(place: Path):
    asked = {"world": "point.toml", "budget": 12, "sequential": False, "workers": 0}
    policies = ("policies.py:good", "policies.py:still")
    whole = rs.compare(*policies, store="whole", **asked)
    for i in range(2):
        rs.compare(*policies, store=f"part{i}", shard=f"{i}/2", **asked)
    rs.merge_trials(rs.MergeTrials(out="merged", stores=("part0", "part1")))
    data = [rs.write_report(rs.WriteReport(store=store, videos=0)) for store in ("whole", "merged")]
    assert data[0].verdict == data[1].verdict == whole.verdict
    assert [p.success for p in data[0].policies] == [p.success for p in data[1].policies]
    assert Path("merged/report.html").is_file()
