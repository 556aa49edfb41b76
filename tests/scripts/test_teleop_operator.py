"""The scripted operator keeps to what people can do, and drives the real page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.teleop_operator import DISPLAY_S, KEY_S, REACTION_S, Human

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
