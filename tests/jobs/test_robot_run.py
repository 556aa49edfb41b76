"""A robot of sixty lines: one connection, its own rate, judged by a person, corrected once, filmed as recorded."""

import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.trials.log import open_log
from tests.jobs.test_many_workers import count, start
from tests.trials.postgres import postgres  # noqa: F401

ROBOT = '''
import time
from pathlib import Path
import numpy as np
from roboscale.core import Field, Spec

CALLS = Path("calls.txt")


class Arm:
    """A stand-in for hardware: one joint and a camera; notes every call with its time."""

    name, version, horizon, hold = "stand-in arm", "driver 1", 12, (0.0,)
    tasks = {"point": "point the arm at the red cross"}
    observation_spec = Spec(
        (
            Field("observation.state", (1,), "float32", unit="rad", layout=("joint",)),
            Field("observation.images.front", (64, 96, 3), "uint8", layout=("height", "width", "channel")),
        ),
        20.0,
    )
    action_spec = Spec(
        (Field("action", (1,), "float32", unit="rad", layout=("joint",), low=(-1.0,), high=(1.0,)),),
        20.0,
    )

    def __init__(self):
        self._joint = 0.0

    def _note(self, call):
        with CALLS.open("a") as file:
            file.write(f"{call} {time.monotonic()}\\n")

    def connect(self):
        self._note("connect")

    def read(self):
        picture = np.full((64, 96, 3), 60, np.uint8)
        picture[:, int(47 + 40 * self._joint) : int(50 + 40 * self._joint)] = 255
        return {"observation.state": np.array([self._joint], np.float32), "observation.images.front": picture}

    def send(self, action):
        self._note("send")
        self._joint = float(np.clip(action[0], -0.8, 0.8))
        return np.array([self._joint], np.float32)

    def stop(self):
        self._note("stop")

    def disconnect(self):
        self._note("disconnect")


def sweep(observation):
    return observation["observation.state"] + 0.05


def rest(observation):
    return np.zeros(1, np.float32)
'''


@pytest.fixture
def bench(place: Path) -> Path:
    (place / "robot.py").write_text(ROBOT)
    return place


def calls(bench: Path) -> list[tuple[str, float]]:
    return [(line.split()[0], float(line.split()[1])) for line in (bench / "calls.txt").read_text().splitlines()]


def test_a_robot_is_tried_judged_corrected_and_reported(bench: Path, roboscale):
    words = ("compare", "robot.py:sweep", "robot.py:rest", "--world", "robot.py:Arm", "--budget", "4")
    more = ("--no-sequential", "--out", "bench", "--record", "rollouts", "--workers", "2", "--json")
    ran = roboscale(*words, *more, timeout=200)
    tried = json.loads(ran.stdout)
    assert "runs in this process" in ran.stderr, "a robot is never given to two processes"
    names = [name for name, _ in calls(bench)]
    assert names.count("connect") == 1 and names.count("disconnect") == 1 and names[-1] == "disconnect"
    assert names.count("send") == 8 * 12 and names[names.index("disconnect") - 1] == "stop"
    times = [at for name, at in calls(bench) if name == "send"]
    episodes = [times[i : i + 12] for i in range(0, len(times), 12)]
    for episode in episodes:
        assert episode[-1] - episode[0] >= 11 / 20 * 0.98, "never faster than its rate"
    assert sum(len(p["pending"]) for p in tried["policies"].values()) == 8

    assert len(rs.list_trials(rs.ListTrials(store="bench")).judged.pending) == 8
    listed = rs.list_trials(rs.ListTrials(store="bench")).to_json()["trials"]
    for one in listed:  # a scripted person
        won = one["policy"] == "robot.py:sweep"
        judge = rs.JudgeTrial(store="bench", trial=one["trial"][:10], success=won, failure=not won, by="ada")
        rs.judge_trial(judge)
    with open_log(bench / "bench", read_only=True) as log:
        assert log.runs()[-1].finished_ns is not None
    before = rs.list_trials(rs.ListTrials(store="bench")).to_json()["trials"]
    assert [one["status"] for one in before].count("success") == 4

    wrong = next(one for one in before if one["status"] == "success")
    roboscale(
        *("trials", "judge", "bench", "--trial", wrong["trial"], "--failure", "--by", "ada", "--reason", "it slipped")
    )
    after = json.loads(roboscale("trials", "list", "bench", "--json").stdout)["trials"]
    corrected = next(one for one in after if one["trial"] == wrong["trial"])
    assert corrected["status"] == "failure"
    assert [j["success"] for j in corrected["judgements"] if j["state"] == "decided"] == [True, False]

    roboscale("report", "bench", "--recorded", "rollouts")
    page = (bench / "bench" / "report.html").read_text()
    assert page.count("data:video/mp4") == 8 and "recorded while tried" in page
    assert "it slipped" in page and "ada" in page and "before" in page.lower()
    assert re.search(r"roboscale compare robot\.py:sweep robot\.py:rest", page)

    judged = rs.list_trials(rs.ListTrials(store="bench")).judged
    assert judged.before is not None and judged.decided is not None
    assert judged.before.verdict != judged.decided.verdict
    from roboscale.dataset import Dataset

    assert len(Dataset(bench / "rollouts").episodes) == 8


def test_a_world_given_as_an_object_is_one_connection(bench: Path, roboscale):
    import runpy

    arm = runpy.run_path(str(bench / "robot.py"))["Arm"]
    done = rs.evaluate("robot.py:rest", world=arm, trials=2, store="bench")
    assert len(done.judged.pending) == 2 and done.success.n == 0
    assert [name for name, _ in calls(bench)].count("connect") == 1
    assert done.judged.run.command is None
    (advice,) = [line for line in done.lines if "wait to be judged" in line]
    roboscale(*shlex.split(advice.partition("with: roboscale ")[2]))
    assert len(rs.list_trials(rs.ListTrials(store="bench")).judged.pending) == 1, "as printed, it judges one of them"


def wait_for(holds, process, seconds: float = 120) -> None:
    """Until something that other processes write holds, or one of them has ended."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)  # polls a database


def test_the_same_on_postgresql_with_two_workers_of_which_one_is_killed(bench: Path, roboscale, postgres):  # noqa: F811
    url = postgres.new_database()
    words = ("compare", "robot.py:sweep", "robot.py:rest", "--world", "robot.py:Arm", "--budget", "6")
    more = ("--no-sequential", "--horizon", "20", "--record", "rollouts", "--store", url)
    first = start(bench, *words, *more)
    wait_for(lambda: count(url) >= 2, first)
    assert first.poll() is None, first.stderr.read()
    second = start(bench, "trials", "work", url, "--record", "others", "--json")
    wait_for(lambda: [name for name, _ in calls(bench)].count("connect") == 2, second)
    first.send_signal(signal.SIGKILL)
    first.wait()
    with open_log(url) as log:  # its lease runs out now, not in half a minute
        for worker in {one.worker for one in log.leases() if f"/{first.pid}/" in one.worker}:
            log.heartbeat(worker, 0.0)
    out, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert sum(len(p["pending"]) for p in json.loads(out)["policies"].values()) == 12
    names = [name for name, _ in calls(bench)]
    assert names.count("connect") == 2, "each worker has one connection"
    listed = json.loads(roboscale("trials", "list", url, "--json").stdout)["trials"]
    assert len(listed) == 12, "every trial was made once"

    for one in listed:  # a scripted person
        won = one["policy"] == "robot.py:sweep"
        rs.judge_trial(rs.JudgeTrial(store=url, trial=one["trial"], success=won, failure=not won, by="ada"))
    wrong = next(one["trial"] for one in listed if one["policy"] == "robot.py:sweep")
    rs.judge_trial(rs.JudgeTrial(store=url, trial=wrong, failure=True, by="ada", reason="it slipped"))
    roboscale("report", url, "--out", "page.html", "--recorded", "others")
    page = (bench / "page.html").read_text()
    assert "it slipped" in page and "recorded while tried" in page
    judged = rs.list_trials(rs.ListTrials(store=url)).judged
    assert len(judged.used) == 12 and judged.run.finished_ns is not None
