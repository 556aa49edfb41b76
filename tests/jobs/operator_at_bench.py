"""An operator at the page of a bench, as a script; and the command that serves it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx


class Operator:
    """A person at the page, as a script."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=10)
        self.said: list[str] = []  # everything that was ever fetched

    def state(self) -> dict[str, Any]:
        answer = self.client.get("api/state")
        self.said.append(answer.text)
        return answer.json()

    def until(self, *phases: str, seconds: float = 40) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state()
            if state["phase"] in phases:
                return state
            time.sleep(0.03)  # polls a page
        raise AssertionError(f"never {phases}: {state}")

    def until_true(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 40) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state()
            if wanted(state):
                return state
            time.sleep(0.03)  # polls a page
        raise AssertionError(f"never so: {state}")

    def click(self, action: str, **values: Any) -> httpx.Response:
        headers = {"x-roboscale-session": self.state()["session"]}
        return self.client.post("api/act", json={"action": action, **values}, headers=headers)

    def score(self, success: bool, stage: int = 1, **values: Any) -> None:
        state = self.until("score")
        answer = self.click("score", number=state["number"], success=success, stage=stage, **values)
        assert answer.status_code == 200, answer.text


def begin(folder: Path, *words: str) -> tuple[subprocess.Popen[str], Operator]:
    """The command, and the operator at its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "roboscale.cli", "compare", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        found = re.search(r"open (http://\S+)", line)
        if found:
            return process, Operator(found[1])
    raise AssertionError("".join(lines))


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err
