"""A case: what a trial is asked. The same case under two policies is what a paired comparison pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roboscale.core.errors import BadData
from roboscale.core.seeds import derive_seed

__all__ = ["NOMINAL", "Case", "CaseSplit", "StartKind", "cases"]

NOMINAL = "nominal"

CaseSplit = Literal["collect", "generate", "eval"]

StartKind = Literal["seed", "episode", "picture"]
"""What a case may start from."""


@dataclass(frozen=True, slots=True)
class Case:
    """Task, start and variation.

    Args:
        task: one of the world's tasks.
        start: how the scene begins: a simulator's seed (an integer), `episode:<uuid>@<frame>` of a dataset, or
            `picture:<digest>` of an initial picture.
        variation: `nominal`, or axes with levels such as `light:2,camera:1`.
    """

    task: str
    start: int | str
    variation: str = NOMINAL

    @property
    def id(self) -> str:
        """Canonical text, unique among cases: `task/variation/start`."""
        return f"{self.task}/{self.variation}/{self.start}"

    @property
    def kind(self) -> str:
        """What kind of start it has: `seed`, `episode` or `picture`."""
        return "seed" if isinstance(self.start, int) else self.start.partition(":")[0]

    @property
    def seed(self) -> int | None:
        """The simulator's seed; `None` where the start is no seed."""
        return self.start if isinstance(self.start, int) else None

    @classmethod
    def parse(cls, text: str) -> Case:
        """Inverse of `id`. BadData when the text is none."""
        task, first, rest = text.partition("/")
        variation, second, start = rest.partition("/")
        if not (task and first and variation and second and start):
            raise BadData("case", "id", "task/variation/start", repr(text))
        number = start.lstrip("-").isdigit()
        return cls(task, int(start) if number else start, variation)


def cases(task: str, count: int, seed: int, split: CaseSplit, first: int = 0) -> tuple[Case, ...]:
    """`count` cases of a task whose seeds are disjoint between splits (up to a hash collision in 2**31)."""
    return tuple(Case(task, derive_seed("case", split, seed, task, i)) for i in range(first, first + count))
