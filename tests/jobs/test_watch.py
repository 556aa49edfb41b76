"""Checkpoints are tried as they come: once each, when they rest and load, with claims that hold over all."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from roboscale.core import RoboscaleError
from roboscale.jobs.watch import WatchFolder, watch_folder

GOOD = """def act(observation):
    return 3 * (observation["observation.environment_state"] - observation["observation.state"])
"""
STILL = "def act(observation):\n    return [0.0, 0.0]\n"


def asked(**how: object) -> WatchFolder:
    fixed = {"folder": Path("steps"), "pattern": "*.py", "form": "{}:act", "world": "point.toml", "workers": 0}
    quick = {"trials": 30, "rest": 0.0, "poll": 0.05, "patience": 0.0, "store": "runs/watch"}
    return WatchFolder(**{**fixed, **quick, **how})  # type: ignore[arg-type]


@pytest.fixture
def steps(place: Path) -> Path:
    folder = place / "steps"
    folder.mkdir()
    return folder


def write(path: Path, text: str, age_s: float) -> None:
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)


def test_each_is_tried_once_in_the_order_of_appearance_and_compared(steps: Path):
    write(steps / "1.py", STILL, 30)
    write(steps / "2.py", GOOD, 20)
    write(steps / "3.py", GOOD, 10)
    done = watch_folder(asked())
    assert [point.name for point in done.curve.points] == ["1.py", "2.py"]
    assert done.curve.points[1].better_than == ("1.py",)
    assert done.skipped == {"3.py": "the same content as 2.py"}
    page = Path("runs/watch/watch.html").read_text()
    assert "2.py" in page and "over all that ever appear" in page
    kept = json.loads(Path("runs/watch/watch.json").read_text())
    assert kept["points"][1]["better_than"] == ["1.py"]
    assert watch_folder(asked()).curve == done.curve, "the same command finds what is done"


def test_what_is_still_written_waits_and_what_comes_later_is_tried(steps: Path):
    write(steps / "1.py", STILL, 30)

    def later() -> None:
        time.sleep(0.6)
        (steps / "2.py").write_text("def act(obs")  # half of a file, which rests for a while
        time.sleep(0.1)
        (steps / "2.py").write_text(GOOD)

    thread = threading.Thread(target=later)
    thread.start()
    done = watch_folder(asked(rest=0.5, patience=2.0))
    thread.join()
    assert [point.name for point in done.curve.points] == ["1.py", "2.py"]
    assert done.skipped == {}


def test_one_that_does_not_load_is_named_and_the_others_are_tried(steps: Path, roboscale):
    write(steps / "1.py", "raise ValueError('torn')\n", 30)
    write(steps / "2.py", GOOD, 20)
    words = ("watch", "steps", "--pattern", "*.py", "--form", "{}:act", "--world", "point.toml", "--trials", "3")
    shown = roboscale(*words, "--rest", "0", "--patience", "0", "--poll", "0.1", "--store", "runs/w", "--json")
    found = json.loads(shown.stdout)
    assert [point["name"] for point in found["points"]] == ["2.py"]
    assert "torn" in found["skipped"]["1.py"] and "1.py: not tried" in shown.stderr


def test_nothing_tried_is_no_success(steps: Path):
    with pytest.raises(RoboscaleError, match="nothing fits"):
        watch_folder(asked())
    with pytest.raises(RoboscaleError, match="no such folder"):
        watch_folder(asked(folder=Path("nowhere")))
    with pytest.raises(RoboscaleError, match="--form"):
        asked(form="x")
