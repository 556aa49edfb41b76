"""A scripted operator with human limits drives the real page in Chromium: kept share, demonstrations an hour.

    python -m benchmarks.teleop_operator [--episodes 50] [--task pick-place-v3] [--out FOLDER]

With `--out` the dataset stays, and beside it `FOLDER.operator.jsonl` with a line for each attempt: the same command
goes on until the total is there, and its figures are of all sessions. An attempt that a kill fell into is in none.

At most five key events a second (a key that goes down and one that comes up are two), a decision 200 ms after what it
rests on is seen, and seen is what the page had 100 ms before. Everything goes through the page: keys into Chromium,
what is known out of the page's own text. It reads numbers there where a person looks at pictures, never tires, and
knows the task: people were not measured. Meta-World is driven at 20 of its 80 control steps a second, on the clock.
An hour counts everything from the first page to the last episode: resets, discarded takes and what was said of them.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats_sequential import markdown
from roboscale.dataset import Dataset
from roboscale.stats import clopper_pearson

KEY_S, REACTION_S, DISPLAY_S = 0.2, 0.2, 0.1
SPEEDS_M_S = (0.02, 0.06, 0.2)
KEYS = {(1, -1): "w", (1, 1): "s", (0, 1): "a", (0, -1): "d", (2, 1): "i", (2, -1): "k"}
"""Axis of the table and direction -> key, with the keys turned as the first camera looks (270 degrees)."""
PUBLISHED = (("RoboTurk", 16), ("SpaceMouse", 35), ("GELLO", 43), ("UMI", 111))
GIVE_UP_S = 75.0
LOOK = """() => ({phase: document.body.dataset.phase || "", hint: hint.textContent, facts: facts.textContent,
    closed: gripper.textContent.includes("closed"),
    numbers: [...numbers.children].map((e) => e.textContent)})"""


@dataclass(slots=True)
class Human:
    """Hands and eyes of somebody at a page, no quicker than people are.

    Args:
        page: of playwright. now: seconds.
    """

    page: Any
    begun_s: float = field(default_factory=time.monotonic)
    events: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # from what was seen to the key that answers it
    _seen: deque[tuple[float, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=400))

    def look(self) -> dict[str, Any]:
        """What the page had 100 ms ago, and what is decided on it is done 200 ms later: the newest that is so old."""
        while True:
            self._seen.append((time.monotonic(), self.page.evaluate(LOOK)))
            ready = [one for one in self._seen if time.monotonic() - one[0] >= REACTION_S + DISPLAY_S]
            if ready:
                at_s, seen = ready[-1]
                return {**seen, "at_s": at_s}
            self.pause(0.02)

    def settle(self) -> dict[str, Any]:
        """What is seen of the time after now."""
        since = time.monotonic()
        while (seen := self.look())["at_s"] < since:
            self.pause(0.02)
        return seen

    def pause(self, seconds: float) -> None:
        """Waits; the page's own clock goes on."""
        time.sleep(max(0.0, seconds))

    def down(self, key: str, seen: dict[str, Any]) -> None:
        """A key goes down, in answer to what was seen."""
        self._event()
        self.waits.append(time.monotonic() - seen["at_s"])
        self.page.keyboard.down(key)

    def up(self, key: str) -> None:
        self._event()
        self.page.keyboard.up(key)

    def press(self, key: str, seen: dict[str, Any]) -> None:
        self.down(key, seen)
        self.up(key)

    def hold(self, key: str, seconds: float, seen: dict[str, Any]) -> None:
        """A key is held for so long, and never for less than two events take."""
        self.down(key, seen)
        self.pause(self.events[-1] + seconds - time.monotonic())
        self.up(key)

    def _event(self) -> None:
        if self.events:
            self.pause(self.events[-1] + KEY_S - time.monotonic())
        self.events.append(time.monotonic())

    @property
    def most_in_a_second(self) -> int:
        """Key events in the busiest second."""
        at = np.array(self.events)
        return max((int(((at >= t) & (at < t + 0.999)).sum()) for t in at), default=0)


def numbers_of(seen: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Field -> its values, as the page writes them."""
    texts = seen["numbers"]
    return {name: np.array(values.split(), float) for name, values in zip(texts[::2], texts[1::2], strict=True)}


class Operator:
    """Drives one task of Meta-World by ballistic moves of one axis at a time, corrections, and further grasps."""

    def __init__(self, human: Human, task: str) -> None:
        self.human, self.task, self._level = human, task, 1

    def episode(self) -> str:
        """One attempt; what was said of it."""
        human = self.human
        seen = self.until("ready", "complete", "done")
        if seen["phase"] != "ready":
            return "done"
        human.press("Enter", seen)
        self.until("recording")
        begun = time.monotonic()
        said = ""
        targets, at = self.targets(), 0
        while at < len(targets) and not said:
            target, tolerance = targets[at]
            if target is None:
                self.grip()
            while target is not None and not said:
                seen = human.settle()
                said = self.verdict(seen, begun)
                if said or self.arrived(seen, target, tolerance):
                    break
                self.approach(seen, target, tolerance)
            at += 1
            if not said and target is not None and at > 3 and self.lost(seen):
                human.press("Space", seen)  # opens the hand: it begins anew
                at = 0
        while not said:
            seen = human.settle()
            said = self.verdict(seen, begun)
        human.press({"success": "ArrowRight", "discard": "ArrowLeft"}[said], seen)
        self.until("ready", "complete", "done")
        return said

    def until(self, *phases: str) -> dict[str, Any]:
        """What is seen once one of these phases is."""
        while (seen := self.human.settle())["phase"] not in phases:
            pass
        return seen

    def verdict(self, seen: dict[str, Any], begun: float) -> str:
        """`success` when the page says so, `discard` when it takes too long or the horizon came; else nothing."""
        if "The world says: success" in seen["hint"]:
            return "success"
        late = time.monotonic() - begun > GIVE_UP_S
        return "discard" if late or seen["phase"] == "judge" else ""

    def targets(self) -> list[tuple[Any, float]]:
        """(where the hand goes, how near) in order; `None` for the gripper."""
        if self.task.startswith("reach"):
            return [(lambda n: self.goal(n), 0.01)]
        above = np.array([-0.005, 0.0, 0.1])
        low = np.array([-0.005, 0.0, 0.015])
        return [
            (lambda n: self.thing(n) + above, 0.012),
            (lambda n: self.thing(n) + low, 0.012),
            (None, 0.0),
            (lambda n: np.array([*n["observation.state"][:2], max(self.goal(n)[2] + 0.02, 0.1)]), 0.03),
            (lambda n: self.goal(n) + np.array([0.0, 0.0, 0.02]), 0.02),
        ]

    @staticmethod
    def thing(numbers: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return numbers["observation.environment_state"][4:7]

    @staticmethod
    def goal(numbers: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return numbers["observation.environment_state"][36:39]

    def way(self, seen: dict[str, Any], target: Any) -> NDArray[np.float64]:
        numbers = numbers_of(seen)
        return np.asarray(target(numbers) - numbers["observation.state"][:3])

    def lost(self, seen: dict[str, Any]) -> bool:
        """Whether the thing did not come along."""
        numbers = numbers_of(seen)
        return bool(np.linalg.norm(self.thing(numbers) - numbers["observation.state"][:3]) > 0.07)

    def arrived(self, seen: dict[str, Any], target: Any, tolerance: float) -> bool:
        return bool((np.abs(self.way(seen, target)) <= tolerance).all())

    def approach(self, seen: dict[str, Any], target: Any, tolerance: float) -> None:
        """The axis that is farthest off, as far as it is off; the speed that fits is chosen first."""
        way = self.way(seen, target)
        axis = int(np.argmax(np.abs(way)))
        far = float(np.abs(way[axis]))
        level = 2 if far > 0.05 else 1 if far > SPEEDS_M_S[1] * KEY_S else 0
        if level != self._level:
            self.human.press(str(level + 1), seen)
            self._level = level
        self.human.hold(KEYS[axis, 1 if way[axis] > 0 else -1], far / SPEEDS_M_S[level], seen)

    def grip(self) -> None:
        """Closes the gripper, and waits until it is seen to be still."""
        human = self.human
        human.press("Space", human.settle())
        last = np.inf
        for _ in range(20):
            seen = human.settle()
            width = float(numbers_of(seen)["observation.state"][3])
            if abs(width - last) < 5e-4:
                return
            last = width


def served(out: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """The command, and the address of its page."""
    command = [sys.executable, "-m", "roboscale.cli", "collect", "teleop", str(out), *words, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"open (http://\S+)", line):
            return process, found[1]
    raise SystemExit("".join(lines))


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """An attempt, and what there was of its session at its end.

    Args:
        said: success or discard.
        seconds: since the session's page was opened.
        keys, most_keys, least_reaction_s: key events, those of the busiest second, and the quickest answer.
    """

    session: int
    said: str
    seconds: float
    keys: int
    most_keys: int
    least_reaction_s: float


def attempts_in(file: Path) -> list[Attempted]:
    """Those of earlier sessions; a last line that a kill left half written is none."""
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [Attempted(**json.loads(line)) for line in lines]


def drive(out: Path, task: str, episodes: int, horizon: int, most: int) -> list[Attempted]:
    """All attempts, those of earlier sessions included; drives until the total is there.

    Args:
        most: attempts after which the operator goes home.
    """
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        raise SystemExit("no Chromium on PATH")
    notes = out.with_name(f"{out.name}.operator.jsonl")
    done = attempts_in(notes)
    session = 1 + max((one.session for one in done), default=0)
    words = ["--robot", f"sim:metaworld/{task}", "--episodes", str(episodes), "--horizon", str(horizon)]
    if sum(one.said == "success" for one in done) >= episodes or len(done) >= most:
        return done
    process, url = served(out, *words, "--operator", "script")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        human = Human(page)
        operator = Operator(human, task)
        while len(done) < most and sum(one.said == "success" for one in done) < episodes:
            said = operator.episode()
            if said == "done":  # the dataset had one more than the notes: a kill fell between the two
                break
            seconds = time.monotonic() - human.begun_s
            done.append(
                Attempted(
                    session=session,
                    said=said,
                    seconds=seconds,
                    keys=len(human.events),
                    most_keys=human.most_in_a_second,
                    least_reaction_s=min(human.waits),
                )
            )
            with notes.open("a") as file:
                file.write(json.dumps(asdict(done[-1])) + "\n")
            print(f"{len(done):4} {said:8} {seconds:7.1f} s", file=sys.stderr)
        if process.poll() is None:
            human.press("Escape", human.settle())
        browser.close()
    process.communicate(timeout=60)
    return done


def steps_in(out: Path) -> tuple[int, int]:
    """Control steps of the episodes that were kept, and how many came late."""
    outcomes = [episode.outcome for episode in Dataset(out).episodes if episode.outcome is not None]
    late = sum(float(outcome.measures.get("late") or 0.0) for outcome in outcomes)
    return sum(outcome.steps or 0 for outcome in outcomes), round(late)


def lines_of(task: str, attempts: list[Attempted], steps: int, late: int) -> list[str]:
    """What there is to say of them."""
    last = {one.session: one for one in attempts}.values()
    kept, seconds = sum(one.said == "success" for one in attempts), sum(one.seconds for one in last)
    an_hour = 3600 * kept / seconds
    quickest = min(one.least_reaction_s for one in last)
    rows = [("this script, on the page, in a simulator in slow motion", f"{an_hour:.0f}")]
    rows += [(f"{name} (people, published)", str(rate)) for name, rate in PUBLISHED]
    return [
        f"{task}: kept {kept} of {len(attempts)} attempts in {len(last)} sessions: "
        f"{clopper_pearson(kept, len(attempts))}",
        f"{seconds / 60:.1f} minutes of the operator's time, resets included: {an_hour:.0f} demonstrations an hour",
        f"{sum(one.keys for one in last)} key events, at most {max(one.most_keys for one in last)} in a second; "
        f"the quickest answer to what was seen took {1000 * quickest:.0f} ms",
        f"{late} of {steps} control steps came late",
        "",
        markdown(("who", "demonstrations an hour"), rows),
        "People were not measured here: tasks, robots and operators of the published figures are others.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--task", default="pick-place-v3")
    parser.add_argument("--horizon", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = asked.out or Path(folder) / "driven"
        attempts = drive(out, asked.task, asked.episodes, asked.horizon, most=2 * asked.episodes)
        print("\n".join(lines_of(asked.task, attempts, *steps_in(out))))


if __name__ == "__main__":
    main()
