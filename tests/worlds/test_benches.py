"""Two benches as one robot: a case is tried at one of them, whichever policy drives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Case, SpecMismatch, UnknownName
from roboscale.worlds import open_world
from roboscale.worlds.real.benches import RobotBenches, declared_tasks
from tests.worlds.bench_arm import calls, declare


def two_benches(folder: Path) -> Path:
    """`benches.toml` with an arm each in the folders left and right."""
    for name in ("left", "right"):
        (folder / name).mkdir()
        declare(folder / name)
    file = folder / "benches.toml"
    file.write_text('name = "two"\n[benches]\nleft = "left/arm.toml"\nright = "right/arm.toml"\n')
    return file


def test_a_case_belongs_to_a_bench_and_only_that_arm_moves(tmp_path: Path):
    world = open_world(f"robot:{two_benches(tmp_path)}")
    robot = world.robot
    assert isinstance(robot, RobotBenches)
    sentence = "move the tip of the arm to the red ball"
    assert world.info.tasks == {"reach on left": sentence, "reach on right": sentence}, "a policy is told no bench"
    for place in ("left", "right"):
        before = {name: calls(tmp_path / name).count("send") if place == "right" else 0 for name in ("left", "right")}
        scene = world.start(Case(f"reach on {place}", 0))
        assert robot.place == place
        for _ in range(3):
            scene.step(scene.observe()["observation.state"] + np.array([0.01, 0], np.float32))
        assert scene.measures()["guard jump"] == 0
        scene.close()
        assert calls(tmp_path / place).count("send") > before[place] + 3
    robot.protective_stop()
    for name in ("left", "right"):  # each is told at its guard's next tick
        robot._place = name
        while robot.reason is None:
            robot.read()
    told = [event.kind for event in robot.events if event.kind != "expired"]  # a busy machine's commands come late
    assert told == ["stop", "stop"], "whoever presses it may stand between them"
    with pytest.raises(UnknownName, match="reach on middle"):
        world.start(Case("reach on middle", 0))
    world.close()
    assert all(calls(tmp_path / name)[-1] == "disconnect" for name in ("left", "right"))


def test_benches_that_differ_are_refused_with_both_sides(tmp_path: Path):
    file = two_benches(tmp_path)
    right = tmp_path / "right/arm.toml"
    text = right.read_text()
    right.write_text(text.replace("horizon = 12", "horizon = 13"))
    with pytest.raises(SpecMismatch, match="horizon: bench left 12, bench right 13"):
        RobotBenches(file)
    right.write_text(text.replace("width = 18", "width = 20"))
    with pytest.raises(SpecMismatch, match=r"(?s)bench left.*bench right"):
        RobotBenches(file)
    file.write_text('name = "one"\n[benches]\nleft = "left/arm.toml"\n')
    with pytest.raises(BadData, match="benches: expected at least two benches"):
        RobotBenches(file)


def test_one_declaration_is_not_two_benches_and_tasks_are_known_without_a_robot(tmp_path: Path):
    file = two_benches(tmp_path)
    assert declared_tasks(file) == ("reach on left", "reach on right") == tuple(RobotBenches(file).tasks)
    assert declared_tasks(tmp_path / "left/arm.toml") == ("reach",)
    file.write_text('name = "one"\n[benches]\nleft = "left/arm.toml"\nright = "left/../left/arm.toml"\n')
    with pytest.raises(BadData, match=r"benches\.right: expected another declaration than that of left"):
        RobotBenches(file)
