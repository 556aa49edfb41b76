"""The stand-in whose motors are a process of their own: they outlive their driver, and hold without a setpoint."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import InfrastructureError
from roboscale.worlds.simulated.stand_in_motors import StandInMotors

pytest.importorskip("mujoco")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[StandInMotors]:
    made = StandInMotors(str(tmp_path / "m.sock"), 24, 32, watchdog_s=0.1, log=str(tmp_path / "flange.txt"))
    made.connect()
    yield made
    made.disconnect()
    pid = motors_of(tmp_path)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def motors_of(folder: Path) -> int | None:
    """The process that listens at the socket."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if str(folder / "m.sock") in words:
                return int(entry.name)
    return None


def test_it_reads_moves_measures_and_is_found_again_where_it_was_left(driver: StandInMotors, tmp_path: Path):
    seen = driver.read()
    assert seen["observation.images.top"].shape == (24, 32, 3) and seen["observation.state"].shape == (3,)
    driver.arrange(5)
    assert 0.05 < driver.measure()["distance"] < 1.0
    goal = seen["observation.state"] + np.array([0.2, 0, 0], np.float32)
    until = time.monotonic() + 30
    while np.abs(driver.read()["observation.state"] - goal).max() > 0.02:
        assert time.monotonic() < until, "never"
        driver.send(goal)
        time.sleep(0.02)  # motors turn in real time
    driver.disconnect()
    with pytest.raises(InfrastructureError, match="not connected"):
        driver.read()
    again = StandInMotors(str(tmp_path / "m.sock"), 24, 32)
    again.connect()
    assert again.read()["observation.state"] == pytest.approx(goal, abs=0.03), "it was not started anew"
    again.disconnect()
    driver.connect()


def test_without_a_setpoint_the_motors_hold_where_they_are(driver: StandInMotors, tmp_path: Path):
    def still() -> np.ndarray:
        until, before = time.monotonic() + 30, driver.read()["observation.state"] + 1
        while np.abs((held := driver.read()["observation.state"]) - before).max() > 0.01:
            assert time.monotonic() < until, "never still"
            before = held
            time.sleep(0.3)
        return held

    for _ in range(20):  # across all that it can turn, which takes longer than the watchdog waits
        driver.send(np.array([-1.45, 0.9, -1.6], np.float32))
        time.sleep(0.02)
    begun = still()
    driver.send(begun + np.array([2.9, 0, 0], np.float32))  # far away, and nothing follows
    held = still()
    assert 0.1 < held[0] - begun[0] < 2.7, "it began to move, and did not arrive"
    rows = [line.split() for line in (tmp_path / "flange.txt").read_text().splitlines()]
    assert all(len(row) == 5 for row in rows[:-1]) and rows[-2][4] == str(os.getpid())
