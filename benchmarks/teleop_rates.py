"""Late steps, jitter and picture latency of a driven recording with two cameras, in Chromium on this machine.

    python -m benchmarks.teleop_rates [--seconds 30] [--hz 30] [--height 240 --width 320] [--pictures webrtc]

Two cameras whose pictures were drawn beforehand (a software renderer would be the bound, not what is measured),
recorded as h264 while a page in Chromium shows both. Late is a step that comes more than half a period after it was
due, as every rollout counts it. Jitter is how far the time between two steps is off the period; beside it stands that
of an empty loop that only waits, on the same machine just before. Latency is from the look at the cameras to the
screen.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.teleop_operator import LOOK, served
from roboscale.core.pacing import give_way
from roboscale.dataset import Dataset

WORLD = '''"""Two cameras whose pictures were drawn beforehand."""
import itertools
import numpy as np
from roboscale.core import Field, Measure, Spec, Step, WorldInfo, combine
from tests.driven_world import ACTION, GOAL, STATE, ReachingScene

AXES = ("height", "width", "channel")
NAMES = ("observation.images.front", "observation.images.wrist")
CAMERAS = [Field(name, ({height}, {width}, 3), "uint8", layout=AXES) for name in NAMES]


def film():
    y, x = np.mgrid[0:{height}, 0:{width}]
    rng = np.random.default_rng(0)
    ground = np.stack([80 + x // 4, 90 + y // 3, 120 + 0 * x], -1) + rng.integers(-8, 9, ({height}, {width}, 3))
    for k in range(60):
        drawn = ground.copy()
        drawn[np.hypot(x - 5 * k % {width}, y - {height} / 2) < 20] = (220, 60, 40)
        yield np.clip(drawn, 0, 255).astype(np.uint8)


class Scene(ReachingScene):
    pictures = list(film())

    def observe(self, names=None):
        seen = super().observe([STATE.name, GOAL.name])
        for k, camera in enumerate(CAMERAS):
            seen[camera.name] = self.pictures[(self.steps + 30 * k) % 60]
        return seen if names is None else {{name: seen[name] for name in names}}


class Prerendered:
    def __init__(self):
        self.info = WorldInfo(
            name="prerendered", kind="simulated", version="1", identity=combine("prerendered", {height}, {width}),
            tasks={{"watch": "move the hand while two cameras look on"}}, horizon=10**6,
            observation_spec=Spec((STATE, GOAL, *CAMERAS), {hz}), action_spec=Spec((ACTION,), {hz}),
            measures=(Measure(name="success", unit="bool"),), hold=(0.0,) * 4, past_success=True)

    def start(self, case):
        return Scene(case.seed)

    def close(self):
        pass
'''


def empty_loop(hz: float, seconds: float) -> NDArray[np.float64]:
    """How far each period of a loop that only waits is off, s."""
    due, at = time.monotonic(), []
    for _ in range(int(hz * seconds)):
        due += 1 / hz
        time.sleep(max(0.0, due - time.monotonic()))
        at.append(time.monotonic())
    return np.abs(np.diff(at) - 1 / hz)


def drive(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """One episode of so many seconds, watched and driven in Chromium."""
    from playwright.sync_api import sync_playwright

    (folder / "cameras.py").write_text(WORLD.format(height=asked.height, width=asked.width, hz=asked.hz))
    robot = f"sim:{folder / 'cameras.py'}:Prerendered/watch"
    words = ["--robot", robot, "--episodes", "1", "--driven-hz", str(asked.hz), "--pictures", asked.pictures]
    process, url = served(folder / "driven", *words)
    give_way()  # the browser draws in software: it stands for one on another machine, and takes what is left here
    latencies = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        until(page, "ready")
        page.keyboard.press("Enter")
        until(page, "recording")
        over = time.monotonic() + asked.seconds
        shown = int(page.evaluate("document.body.dataset.pictures"))
        while time.monotonic() < over:
            page.keyboard.down("w")
            time.sleep(0.25)
            page.keyboard.up("w")
            time.sleep(0.25)
            text = str(page.evaluate("latency.textContent"))
            latencies += [float(text.split()[0])] if text[0].isdigit() else []
        pictures = int(page.evaluate("document.body.dataset.pictures")) - shown
        by = str(page.evaluate("facts.lastElementChild.textContent"))
        page.keyboard.press("n")
        until(page, "complete", "done")
        page.keyboard.press("Escape")
        browser.close()
    process.communicate(timeout=60)
    episode = Dataset(folder / "driven").episodes[0]
    times = Dataset(folder / "driven").episode(0, images=False).arrays["time.step_ns"][:, 0] / 1e9
    outcome = episode.outcome
    assert outcome is not None
    return {
        "steps": len(times),
        "late": int(outcome.measures["late"] or 0),
        "jitter_s": np.abs(np.diff(times) - 1 / asked.hz),
        "latency_ms": float(np.median(latencies)) if latencies else float("nan"),
        "shown_hz": pictures / asked.seconds,
        "by": by,
    }


def until(page: Any, *phases: str) -> None:
    """Waits for a phase of the page."""
    deadline = time.monotonic() + 60
    while page.evaluate(LOOK)["phase"] not in phases:
        if time.monotonic() > deadline:
            raise SystemExit(f"the page never said {phases}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--pictures", choices=["jpeg", "webrtc"], default="jpeg", help="how the page gets them")
    asked = parser.parse_args()
    idle = empty_loop(asked.hz, min(10.0, asked.seconds))
    with tempfile.TemporaryDirectory() as folder:
        done = drive(Path(folder), asked)
    late, p99, empty = done["late"] / done["steps"], *(1000 * np.quantile(j, 0.99) for j in (done["jitter_s"], idle))
    print(
        f"two cameras of {asked.width} x {asked.height} at {asked.hz:g} Hz, recorded and shown, {done['steps']} steps"
    )
    print(f"late steps: {done['late']} of {done['steps']} ({100 * late:.2f} %)")
    print(f"p99 jitter: {p99:.1f} ms; of an empty loop just before: {empty:.1f} ms")
    shown = f"{done['shown_hz']:.1f} a second on the page, latency {done['latency_ms']:.0f} ms (median)"
    print(f"pictures by {done['by']}: {shown}")


if __name__ == "__main__":
    main()
