"""The scripted operator keeps to what people can do, and drives the real page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.teleop_operator import DISPLAY_S, KEY_S, REACTION_S, Attempted, Human, attempts_in, lines_of

ROOT = Path(__file__).parents[2]


class Page:
    """Shows the time at which it was looked at, and notes when its keys went."""

    def __init__(self) -> None:
        self.keys: list[tuple[float, str]] = []
        self.keyboard = self

    def evaluate(self, script: str) -> dict[str, Any]:
        return {"shown_s": time.monotonic()}

    def down(self, key: str) -> None:
        self.keys.append((time.monotonic(), key))

    up = down


def test_hands_and_eyes_are_no_quicker_than_people():
    human = Human(Page())
    for _ in range(3):
        seen = human.look()
        assert time.monotonic() - seen["shown_s"] >= REACTION_S + DISPLAY_S
        human.press("a", seen)
        human.hold("b", 0.25, seen)
    at = np.array([when for when, _ in human.page.keys])
    assert np.diff(at).min() >= KEY_S - 0.005 and len(at) == 12
    assert human.most_in_a_second <= 5 and min(human.waits) >= REACTION_S + DISPLAY_S
    before = time.monotonic()
    assert human.settle()["shown_s"] >= before - 0.01, "what is seen after now"


def test_figures_are_of_all_sessions_and_a_half_written_line_is_no_attempt(tmp_path: Path):
    file, said = tmp_path / "notes.jsonl", {"keys": 10, "most_keys": 4, "least_reaction_s": 0.31}
    made = [Attempted(session=s, said="success", seconds=30.0 * k, **said) for s in (1, 2) for k in (1, 2)]
    file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in made) + '{"session": 3')
    assert attempts_in(file) == made
    first, minutes, keys, *_ = lines_of("reach-v3", [*made, replace(made[-1], said="discard", seconds=120.0)], 9, 3)
    assert first.startswith("reach-v3: kept 4 of 5 attempts in 2 sessions: ")
    assert minutes == "3.0 minutes of the operator's time, resets included: 80 demonstrations an hour"
    assert keys.startswith("20 key events, at most 4 in a second; ")


@pytest.mark.browser
def test_it_records_an_episode_through_the_page_in_chromium():
    pytest.importorskip("metaworld")
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium on PATH")
    command = [sys.executable, "-m", "benchmarks.teleop_operator", "--episodes", "1", "--task", "reach-v3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"reach-v3: kept 1 of [12] attempts", done.stdout), done.stdout
    assert re.search(
        r"at most [1-5] in a second; the quickest answer .* took (3\d\d|[4-9]\d\d|\d{4,}) ms", done.stdout
    )
    assert "RoboTurk (people, published)" in done.stdout
