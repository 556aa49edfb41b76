"""A condition set: a file of cases that is agreed on before anything is tried, by everybody who compares.

    {"roboscale_cases": 1, "name": "...", "split": "test", "digest": "...", "cases": ["task/nominal/1000", ...]}

The digest covers the cases in their order, so that two people can see in eight letters that they use the same.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from roboscale.core import NOMINAL, BadData, Case, UnknownName, WorldInfo, combine

__all__ = ["ConditionSet", "Split"]

Split = Literal["train", "test"]
_KEYS = ("roboscale_cases", "name", "split", "digest", "cases")


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """Cases in the order in which their evidence counts.

    Args:
        name: what people call it.
        split: `train` where data was collected on them, `test` where they are held out.
    """

    name: str
    cases: tuple[Case, ...]
    split: Split = "test"

    def __post_init__(self) -> None:
        twice = [case for case, count in Counter(case.id for case in self.cases).items() if count > 1]
        if twice or not self.cases:
            raise BadData(self.name, "cases", "at least one case, each once", twice[0] if twice else "none")

    @property
    def digest(self) -> str:
        """32 hex digits over the cases in their order and the split."""
        return combine("cases", [case.id for case in self.cases], self.split).digest

    def to_json(self) -> dict[str, Any]:
        """The file itself: its version first, the cases as their names."""
        listed = [case.id for case in self.cases]
        return {"roboscale_cases": 1, "name": self.name, "split": self.split, "digest": self.digest, "cases": listed}

    @classmethod
    def load(cls, path: Path) -> ConditionSet:
        """Reads a file.

        Raises:
            BadData: it is no such file, or its digest is not that of its cases; names file and key.
            UnknownName: a key that no such file has.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadData(path, "file", "JSON, made by `roboscale cases make`", error) from error
        if not isinstance(data, dict) or data.get("roboscale_cases") != 1:
            raise BadData(path, "roboscale_cases", 1, data.get("roboscale_cases") if isinstance(data, dict) else data)
        for key in data:
            if key not in _KEYS:
                raise UnknownName(f"key in {path}:", key, _KEYS)
        if data.get("split") not in ("train", "test"):
            raise BadData(path, "split", "train or test", data.get("split"))
        listed = data.get("cases")
        if not isinstance(listed, list) or not all(isinstance(case, str) for case in listed):
            raise BadData(path, "cases", "a list of texts task/variation/start", listed)
        made = cls(str(data.get("name", path.stem)), tuple(map(Case.parse, listed)), cast(Split, data["split"]))
        if data.get("digest") not in (None, made.digest):
            raise BadData(path, "digest", f"{made.digest}, of the cases in the file", data["digest"])
        return made

    def check(self, info: WorldInfo) -> None:
        """UnknownName for a task, kind of start or variation that the world does not have."""
        for case in self.cases:
            info.instruction(case.task)
            if case.kind not in info.starts:
                raise UnknownName(f"kind of start of {info.name}", case.kind, info.starts)
            axes = [] if case.variation == NOMINAL else [part.partition(":")[0] for part in case.variation.split(",")]
            for axis in axes:
                if axis not in info.variations:
                    raise UnknownName(f"variation of {info.name}", axis, (*info.variations, NOMINAL))
