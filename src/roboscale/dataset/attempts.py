"""Every attempt of an operator, those of which no episode is left, too: practice, and takes that nobody wanted.

    {"operator": "ada", "task": "reach", "kind": "practice", "result": "success", "seconds": 4.2, "score": 79, ...}

One line each in `meta/roboscale/attempts.jsonl`, only ever appended. A last line that a killed process left half
written is no attempt; any other that cannot be read is an error.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from roboscale.core.errors import BadData
from roboscale.core.plain import Plain
from roboscale.dataset.layout import Layout, atomic_write

__all__ = ["Attempt", "AttemptLog", "pool_attempts"]

_FILE = "attempts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Plain):
    """One attempt.

    Args:
        operator: who drove; several, joined by ` + `, where it was handed over meanwhile.
        kind: `practice` is never saved.
        result: what it ended as; `taken back` is said later, of an episode that had been saved.
        seconds: of the operator's time. score: of practice, 0 to 100; see `practice_score`.
        episode: its id, where one was saved.
    """

    operator: str
    task: str
    kind: Literal["practice", "recorded"]
    result: Literal["success", "failure", "discarded", "taken back"]
    seconds: float
    score: int | None = None
    episode: str = ""
    time_ns: int = field(default_factory=time.time_ns)


class AttemptLog:
    """The attempts of a dataset that is driven, oldest first.

    Args:
        root: of the dataset; nothing is made before something is added.

    Raises:
        BadData: a line is no attempt; says which, and why.
    """

    def __init__(self, root: Path) -> None:
        self.path = Layout(root).own / _FILE
        whole = self.path.read_bytes() if self.path.exists() else b""
        self._bytes = whole.rfind(b"\n") + 1  # what comes behind was never finished
        lines = whole[: self._bytes].decode("utf-8", "replace").split("\n")[:-1]
        self.attempts = [self._attempt(line, number) for number, line in enumerate(lines, 1)]

    def add(self, attempt: Attempt) -> None:
        """Appends one line, which a killed process does not take along."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(attempt.to_json(), ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab") as file:
            file.truncate(self._bytes)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._bytes += len(line)
        self.attempts.append(attempt)

    def practised(self, operator: str, task: str) -> list[int]:
        """The scores of somebody's practice on a task, oldest first."""
        return [
            one.score
            for one in self.attempts
            if one.kind == "practice" and one.score is not None and (one.operator, one.task) == (operator, task)
        ]

    def _attempt(self, line: str, number: int) -> Attempt:
        try:
            return Attempt(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise BadData(
                self.path, f"line {number}", "an attempt of an operator", f"{line[:60]!r}: {error}"
            ) from error


def pool_attempts(out: Path, members: Iterable[Path]) -> int:
    """Writes the attempts of all members into the dataset that they became, oldest first; how many there are.

    Episodes keep their ids when they are merged, so that an attempt still names its own. No file where nobody has one.

    Raises:
        BadData: as `AttemptLog`.
    """
    attempts = sorted((one for root in members for one in AttemptLog(root).attempts), key=lambda one: one.time_ns)
    if attempts:
        lines = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in attempts)
        atomic_write(Layout(out).own / _FILE, lines.encode())
    return len(attempts)
