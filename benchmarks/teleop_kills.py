"""Kills what records, at random instants, and looks for every episode that the page said was kept.

    python -m benchmarks.teleop_kills [--kills 30] [--worker-kills 10] [--seed 0] [--out FOLDER]

A scripted operator records episodes of a few steps as fast as the page allows, so that a kill (SIGKILL) falls into
every part of a take, of saving one, and of opening the dataset again. Killed are the whole session, and one at a time
its workers: the page, the recording, and of an arm its guard and its camera. After a worker was killed the same
session has to keep another episode. Each kill is a session of its own on the same dataset, ten seconds or so; with
`--out` the datasets stay, each kill is a line of `kills.jsonl` there, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import roboscale as rs
from benchmarks.stats_sequential import markdown
from roboscale.dataset import Dataset
from roboscale.dataset.layout import Layout
from tests.jobs.operator_driving import SIM, Driver, driving, serve
from tests.worlds.bench_arm import declare

WORKERS = ("page", "recording", "guard", "camera")
VICTIMS = ("session", *WORKERS)
MANY = 500  # episodes that are asked for: no session ends by itself
WAIT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: in which phase it fell, the episodes that the page had said were kept, and those that were there."""

    victim: str
    phase: str
    said: int
    there: int

    @property
    def lost(self) -> int:
        return max(0, self.said - self.there)


def kept_in(out: Path) -> int:
    """Episodes that are there, each of which can be read."""
    dataset = Dataset(out) if Layout(out).info.exists() else None
    count = 0 if dataset is None else len(dataset.episodes)
    assert all(len(dataset.episode(index)) > 0 for index in range(count)), f"{out}: an episode without a step"
    return count


def press(driver: Driver) -> None:
    """The next thing to do at the page, so that episodes are kept one after the other."""
    phase = driver.state.get("phase")
    if phase == "ready":
        driver.act("begin")
    elif phase == "recording" and driver.state["rate_hz"]:
        driver.act("success")
    elif phase == "stopped":
        driver.act("release")
    elif phase == "check":
        driver.act("accept")
    elif phase == "judge":
        driver.act("success")


def kill_session(out: Path, draw: random.Random) -> Kill:
    """The whole command, while it records."""
    process, url, _ = serve(out.parent, str(out), "--robot", SIM, "--episodes", str(MANY), "--driven-hz", "40")
    try:
        with Driver(url) as driver:
            said = driver.phase("ready", seconds=WAIT_S)["counts"]["kept"]
            until = time.monotonic() + draw.uniform(0.3, 3.0)
            while time.monotonic() < until:
                said = max(said, driver.state["counts"]["kept"])
                press(driver)
                time.sleep(draw.uniform(0, 0.05))
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
            said, phase = max(said, driver.state["counts"]["kept"]), driver.state["phase"]
    finally:
        process.kill()  # nobody is left behind where the machine was too busy to answer
        process.wait(10)
    process.stdout.close(), process.stderr.close()  # type: ignore[union-attr]
    return Kill(victim="session", phase=phase, said=said, there=kept_in(out))


def kill_worker(out: Path, victim: str, draw: random.Random) -> Kill:
    """One of its processes; then the same session keeps another episode, and ends."""
    robot = arm_with_a_film(out.parent) if victim in ("guard", "camera") else SIM
    asked = rs.Teleoperate(out=out, robot=robot, episodes=MANY, driven_hz=40 if robot == SIM else None)
    with driving(asked) as (driver, done):
        before = driver.phase("ready", "check", "stopped", seconds=WAIT_S)["counts"]["kept"]
        go_on(driver, lambda state: state["counts"]["kept"] > before)
        until = time.monotonic() + draw.uniform(0.05, 1.0)
        while time.monotonic() < until:
            press(driver)
            time.sleep(draw.uniform(0, 0.05))
        phase = driver.state["phase"]
        process_of(victim, driver.session.process_ids).kill()
        if victim == "page":
            with Driver(driver.url) as again:
                said = keep_another(again)
        else:
            said = keep_another(driver)
    if isinstance(done[0], Exception):
        raise done[0]
    return Kill(victim=victim, phase=phase, said=said, there=kept_in(out))


def keep_another(driver: Driver) -> int:
    """How many episodes the page says are kept once another was begun and kept, and the session is over."""
    before = driver.until(lambda state: True, WAIT_S)["counts"]["kept"]
    go_on(driver, lambda state: state["counts"]["kept"] > before + 1)  # one may have been on its way
    go_on(driver, lambda state: state["phase"] == "ready")  # an arm that stopped is released first
    said = int(driver.state["counts"]["kept"])
    driver.act("stop")
    driver.phase("done", seconds=WAIT_S)
    return said


def go_on(driver: Driver, until: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not until(driver.state):
        if time.monotonic() > deadline:
            raise SystemExit(f"no episode came after the kill: {driver.state}")
        press(driver)
        time.sleep(0.05)


def process_of(victim: str, ids: dict[str, int]) -> psutil.Process:
    """A camera is the guard's; beside it the guard has the process that looks after shared memory."""
    if victim != "camera":
        return psutil.Process(ids[victim])
    mine = psutil.Process(ids["guard"]).children()
    return next(child for child in mine if any("spawn_main" in word for word in child.cmdline()))


def arm_with_a_film(folder: Path) -> str:
    """A declared stand-in, one of whose cameras OpenCV opens: a film, longer than any of these sessions."""
    import cv2

    film, file = folder / "film.avi", folder / "arm.toml"
    if file.exists():
        return str(file)
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 30, (48, 32))
    noise = np.random.default_rng(0)
    for _ in range(30 * 120):
        writer.write(noise.integers(0, 255, (32, 48, 3), np.uint8))
    writer.release()
    text = declare(folder).read_text()
    more = f'[[cameras]]\nname = "side"\nheight = 32\nwidth = 48\ndevice = "{film}"\n'
    text = text.replace("[workspace]", more + "[workspace]").replace("camera_s = 0.3", "camera_s = 1.0")
    file.write_text(text.replace("horizon = 12", "horizon = 4000"))
    return str(file)


def measure(folder: Path, kills: dict[str, int], seed: int) -> list[Kill]:
    """So many kills of each victim; those that are written down in the folder count."""
    file = folder / "kills.jsonl"
    done = [Kill(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
    for victim, wanted in kills.items():
        for number in range(sum(kill.victim == victim for kill in done), wanted):
            draw = random.Random(f"{seed} {victim} {number}")  # instants, no secrets
            out = folder / ("of an arm" if victim in ("guard", "camera") else "of a simulator")
            out.mkdir(parents=True, exist_ok=True)
            done.append(
                kill_session(out / "set", draw) if victim == "session" else kill_worker(out / "set", victim, draw)
            )
            with file.open("a") as lines:
                lines.write(json.dumps(dataclasses.asdict(done[-1])) + "\n")
    return done


def table(kills: list[Kill]) -> list[list[str]]:
    """A row of each victim: kills, in which phases they fell, episodes that were lost."""
    rows = []
    for victim in dict.fromkeys(kill.victim for kill in kills):
        mine = [kill for kill in kills if kill.victim == victim]
        phases = {phase: sum(kill.phase == phase for kill in mine) for phase in sorted({k.phase for k in mine})}
        fell = ", ".join(f"{phase} {count}" for phase, count in phases.items())
        rows.append([victim, str(len(mine)), fell, str(sum(kill.lost for kill in mine))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of the whole session")
    parser.add_argument("--worker-kills", type=int, default=10, help=f"of each of {', '.join(WORKERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of datasets and kills; one that is there is gone on with")
    asked = parser.parse_args()
    wanted = {victim: asked.kills if victim == "session" else asked.worker_kills for victim in VICTIMS}
    with tempfile.TemporaryDirectory() as folder:
        kills = measure(asked.out or Path(folder), wanted, asked.seed)
    print(markdown(["killed", "times", "while", "episodes lost"], table(kills)))
    said, lost = {}, sum(kill.lost for kill in kills)
    for kill in kills:
        place = "arm" if kill.victim in ("guard", "camera") else "simulator"
        said[place] = max(said.get(place, 0), kill.said)
    print(f"{sum(said.values())} episodes that the page had said were kept, {lost} lost (seed {asked.seed})")
    if lost:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
