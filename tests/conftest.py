"""What tests of several rooms share."""

import fcntl
import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer.testing

from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import DatasetWriter
from tests.pusher_world import COLLECTORS, record_pushes

LONGEST = (
    "test_bench.py",
    "test_repair_of_defects.py",
    "test_teleop.py",
    "test_demo.py",
    "test_commands.py",
    "test_campaign.py",
    "test_data_commands.py",
    "test_house.py",
    "test_robot_run.py",
    "test_durability.py",
    "test_blindness.py",
    "test_first_hour.py",
    "test_bench_robot.py",
    "test_many_workers.py",
    "test_identity_of_results.py",
    "test_fetch_and_adroit.py",
    "test_examples.py",
    "test_report_browser.py",
    "test_learned.py",
    "test_show_browser.py",
    "test_advice_on_v2_sets.py",
    "test_teleop_browser.py",
    "test_cluster.py",
)
"""What takes longest comes first: a file runs on one worker, and one that begins last keeps the other idle. What waits
most of its time (a bench, a browser) stands beside what computes, so that three workers fill two cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


# The tree of all commands takes typer 50 ms to put together, as often as a test runs one.
typer.testing._get_command = functools.cache(typer.testing._get_command)


@pytest.fixture(autouse=True)
def _scheduled_as_before() -> Iterator[None]:
    """What runs in real time starves the machine, with every browser and server that later tests start from it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    yield
    after = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    if after != before:
        os.sched_setscheduler(0, before[0], os.sched_param(before[1]))
    assert after == before, "the test changed how this process is scheduled"


@pytest.fixture(scope="session")
def _examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    rates = {"good": 0.9, "fair": 0.5, "poor": 0.1}
    rng = np.random.default_rng(0)
    hardness = {case: rng.uniform() for case in range(60)}
    for name, first, last in (("trials", 0, 60), ("robot", 0, 30), ("simulator", 0, 60)):
        rows = [f"{p},{c},{int(hardness[c] < rate)}" for p, rate in rates.items() for c in range(first, last)]
        (folder / f"{name}.csv").write_text("\n".join(["policy,case,success", *rows]) + "\n")
    (folder / "points.csv").write_text(
        "task,source,demonstrations,successes,rollouts\n"
        "cup,teleop,10,8,40\ncup,teleop,20,14,40\ncup,teleop,40,22,40\n"
        "cup,generated,10,4,40\ncup,generated,20,5,40\ncup,generated,40,6,40\n"
    )
    (folder / "campaign.toml").write_text(
        'title = "To nine in ten"\ntasks = ["reach-v3"]\n[budget]\nhours = 10\n'
        '[[sources]]\nname = "person"\nkind = "order"\nseconds = 60\n'
    )
    (folder / "event.toml").write_text(
        'title = "A course"\ntrials = 2\nprizes = ["a book"]\n[[worlds]]\nworld = "metaworld"\n'
        'tasks = ["reach-v3"]\nhorizon = 10\n'
        + "".join(
            f'[[teams]]\nname = "{team}"\ndataset = "{data}"\npolicy = "{policy}"\nconsent = "No camera."\n'
            for team, data, policy in (("ash", "recorded", "constant"), ("birch", "more", "constant:0,0,1,0"))
        )
    )
    (folder / "evaluations").mkdir()
    for name, day, lifted, poured in (("old", 1, 18, 9), ("new", 2, 6, 9)):
        rows = [f"{name},lift,{k},{int(k < lifted)},2026-11-0{day}" for k in range(20)]
        rows += [f"{name},pour,{k},{int(k < poured)},2026-11-0{day}" for k in range(20)]
        (folder / "evaluations" / f"{name}.csv").write_text("\n".join(["policy,task,case,success,date", *rows]) + "\n")
    for name in ("recorded", "more"):
        _record(folder / name, len(name))
    record_pushes(folder / "pushes", 16)
    return folder


@pytest.fixture(scope="session")
def learned_pusher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `twin`, learned from the episodes in `pushes` and its gates checked, and `starts`, the first
    frames of the cases 9000 to 9039. Not to be changed: the first of the workers that needs it makes it for all."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        root = tmp_path_factory.mktemp("learned")
        _learn_pushing(root)
        return root
    root = tmp_path_factory.getbasetemp().parent / "learned"  # the folder of this run, which its workers share
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "made").exists():
            shutil.rmtree(root, ignore_errors=True)  # a worker that died has begun it
            root.mkdir()
            _learn_pushing(root)
            (root / "made").touch()
    return root


def _learn_pushing(root: Path) -> None:
    """A dozen processor seconds."""
    from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks
    from roboscale.jobs.world_train import TrainWorld, train_world

    record_pushes(root / "pushes", 300)
    record_pushes(root / "starts", 40, first=9000, collectors=COLLECTORS[:1])
    train_world(TrainWorld(dataset=root / "pushes", out=root / "twin", steps=1200, members=2))
    check_world_tasks(CheckWorldTasks(world=str(root / "twin")))


def _record(root: Path, seed: int) -> None:
    """Three episodes of a one-armed robot that follows its actions."""
    spec = Spec(
        (
            Field("observation.state", (2,), "float32", unit="rad", layout=("hip", "knee")),
            Field("observation.environment_state", (3,), "float32", unit="m", layout=("x", "y", "z")),
            Field("action", (2,), "float32", unit="rad", layout=("hip", "knee")),
        ),
        10,
    )
    rng = np.random.default_rng(seed)
    with DatasetWriter(root, spec, robot_type="leg") as writer:
        for _ in range(3):
            take = writer.begin("lift the foot", Provenance("example", licence="MIT"))
            for row in np.cumsum(rng.normal(0, 0.1, (20, 2)), axis=0).astype(np.float32):
                place = np.array([*row, 0], np.float32)
                take.add({"observation.state": row, "observation.environment_state": place, "action": row})
            take.save()


@pytest.fixture
def example_folder(_examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which examples of docstrings run: tables of results and datasets, in the working directory."""
    folder = tmp_path / "examples"
    shutil.copytree(_examples, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROBOSCALE_GUESTS", str(tmp_path / "guests"))  # whatever this machine has begun to install
    return folder
