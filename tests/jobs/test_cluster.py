"""Workers elsewhere: processes by submitit's local executor and actors of Ray; each case is judged once."""

import importlib.util
import json
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import InfrastructureError, RoboscaleError
from roboscale.jobs.cluster import RemoteWorker, slurm_settings
from roboscale.trials.log import open_log


def begun(store: str) -> str:
    """A store with a run of twelve trials of which one is made: the others are taken away again."""
    import sqlite3

    rs.evaluate(rs.Evaluate(policy="policies.py:good", world="point.toml", trials=12, workers=0, store=store))
    with sqlite3.connect(Path(store) / "trials.db") as connection:
        connection.execute("delete from judgements where trial not in (select id from trials limit 1)")
        connection.execute("delete from trials where id not in (select id from trials limit 1)")
        connection.execute("update runs set finished_ns = null")
    with open_log(store, read_only=True) as log:
        assert log.count() == 1
        return log.runs()[0].id


@pytest.mark.parametrize(("engine", "needs"), [("local", "submitit"), ("ray", "ray")])
def test_workers_elsewhere_do_what_is_left_once(place: Path, roboscale, engine: str, needs: str):
    pytest.importorskip(needs)
    run = begun("run")
    done = roboscale("trials", "work", "run", "--engine", engine, "--jobs", "2", "--workers", "0", "--json")
    told = json.loads(done.stdout)
    assert told["success"]["n"] == 12 and told["success"]["value"] == 1.0
    with open_log("run", read_only=True) as log:
        assert log.count() == 12 and log.leases() == ()
        assert log.runs()[0].id == run and log.runs()[0].finished_ns is not None
    again = roboscale("trials", "work", "run", "--engine", engine, "--json")
    assert "all 12 trials are tried: no worker is started" in again.stderr
    if engine == "local":
        assert "what they print is in runs/jobs" in done.stderr
        assert Path("runs/jobs").joinpath(run[:8]).stat().st_mode & 0o077 == 0, "the store's password is nobody's"


def test_a_worker_that_fails_says_why_and_the_run_is_not_done(place: Path):
    begun("run")
    (place / "policies.py").unlink()
    worker = RemoteWorker(folder=str(place), fields={"store": "run", "workers": 0})
    assert "policies.py" in worker() and "\n" not in worker()
    if importlib.util.find_spec("submitit"):
        with pytest.raises(InfrastructureError, match=r"the worker failed, 11 trials are left: .*policies\.py"):
            rs.work_trials(rs.WorkTrials(store="run", engine="local", workers=0))
    gone = RemoteWorker(folder=str(place / "elsewhere"), fields={"store": "run", "workers": 0})
    assert "the machines must share the folder" in gone()


def test_a_worker_that_is_killed_is_started_again(place: Path):
    (place / "policies.py").write_text(
        "import os, pathlib, signal\n"
        "def good(o):\n"
        "    mark = pathlib.Path('killed')\n"
        "    if mark.exists():\n"
        "        return o['observation.environment_state'] - o['observation.state']\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (place / "killed").touch()
    begun("run")
    (place / "killed").unlink()
    assert RemoteWorker(folder=str(place), fields={"store": "run", "workers": 0})() == ""
    with open_log("run", read_only=True) as log:
        assert log.count() == 12 and (place / "killed").exists()


def test_what_cannot_be_shared_is_refused_before_anything_starts(place: Path, monkeypatch: pytest.MonkeyPatch):
    begun("run")
    with pytest.raises(RoboscaleError, match=r"--engine slurm: run is SQLite.*expected a postgresql:// store"):
        rs.work_trials(rs.WorkTrials(store="run", engine="slurm"))
    monkeypatch.setenv("RAY_ADDRESS", "ray://nowhere:1")
    with pytest.raises(RoboscaleError, match="SQLite"):
        rs.work_trials(rs.WorkTrials(store="run", engine="ray"))
    with pytest.raises(RoboscaleError, match="2 workers would write one dataset"):
        rs.work_trials(rs.WorkTrials(store="run", engine="local", jobs=2, record=Path("set")))
    with pytest.raises(RoboscaleError, match="this process is one worker"):
        rs.WorkTrials(store="run", jobs=2)
    with pytest.raises(RoboscaleError, match="only --engine slurm takes it"):
        rs.WorkTrials(store="run", engine="local", slurm=("partition=gpu",))
    for engine in ("here", "ray"):
        with pytest.raises(RoboscaleError, match=f"only --engine local and slurm take it, found --engine {engine}"):
            rs.WorkTrials(store="run", engine=engine, minutes=5)  # type: ignore[arg-type]


def test_an_engine_that_is_missing_names_its_extra(place: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    begun("run")
    for engine, module, extra in (("local", "submitit", "slurm"), ("ray", "ray", "ray")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InfrastructureError, match=rf"pip install 'roboscale\[{extra}\]'"):
            rs.work_trials(rs.WorkTrials(store="run", engine=engine))


def test_settings_of_slurm_are_key_and_value():
    assert slurm_settings(("partition=gpu", "gpus_per_node=2")) == {
        "slurm_partition": "gpu",
        "slurm_gpus_per_node": 2,
    }
    with pytest.raises(RoboscaleError, match="expected KEY=VALUE"):
        slurm_settings(("gpu",))
