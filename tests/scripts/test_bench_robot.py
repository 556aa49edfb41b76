"""What `make bench-robot` measures, in small: it runs, and what must hold on any machine holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import robot_kills, robot_pace, study_kills

pytest.importorskip("mujoco")


def test_the_arm_stops_whoever_is_killed(tmp_path: Path):
    stops = robot_kills.measure(tmp_path, kills=1, seed=1, moving_m_s=0.01)  # a busy machine is slow, and may be
    assert [stop.victim for stop in stops] == list(robot_kills.VICTIMS)
    assert all(stop.speed_m_s >= 0.01 for stop in stops), "it was moving"
    assert all(stop.after_kill_m < 0.06 for stop in stops), "the bar of 20 mm is for a machine that does nothing else"
    assert [row[:2] for row in robot_kills.table(stops)] == [[victim, "1"] for victim in robot_kills.VICTIMS]


def test_the_way_of_a_flange_is_measured_along_its_path_from_an_instant_on():
    path = np.array([[0.0, 0, 0, 0], [0.1, 0.1, 0, 0], [0.2, 0.1, 0.2, 0], [0.3, 0.1, 0.2, 0]])
    assert robot_kills.way(path, 0.0) == pytest.approx(0.3) and robot_kills.way(path, 0.1) == pytest.approx(0.2)
    assert robot_kills.way(path, 9.0) == 0.0


def test_steps_on_the_arm_are_paced(tmp_path: Path):
    nothing, steps = robot_pace.measure(tmp_path, seconds=10)
    assert len(nothing) == 99 and len(steps) == 99
    assert (nothing >= 0).all() and (steps >= 0).all(), "how large they may be is for a machine that does nothing else"


def test_a_study_whose_processes_are_killed_loses_nothing_and_counts_nothing_twice(tmp_path: Path):
    bench, killed = study_kills.run(tmp_path, cases=4, kills=1, seed=3, horizon=24)
    wrong, found = study_kills.problems(bench)
    assert not wrong, f"{wrong}; {found}"
    assert set(killed) <= set(study_kills.VICTIMS) and sum(killed.values()) >= 3
