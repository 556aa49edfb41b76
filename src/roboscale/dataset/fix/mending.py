"""What is wrong with the metadata of a dataset, and the files that shall replace them: the nouns of `mend`.

Knows neither what is checked nor how files are replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mending", "VerifiedEpisode", "remove_file"]


@dataclass(slots=True, kw_only=True)
class Mending:
    """What is wrong with the metadata of a dataset, and the files that replace it.

    Args:
        changes: one sentence each, with both sides.
        lost: why some episodes cannot be kept; empty when all can.
        claimed: how many episodes the episode table has.
        kept: claimed numbers of the episodes that are verified; their positions are their new numbers.
        files: path under the root -> writes the new file to a path.
        rows_before, rows_after: rows of the data files that can be read, and those that stay.
        kept_as_they_are: features whose metadata nobody here can judge, such as depth.
    """

    root: Path
    changes: list[str] = field(default_factory=list)
    lost: str = ""
    claimed: int = 0
    kept: tuple[int, ...] = ()
    files: dict[str, Callable[[Path], None]] = field(default_factory=dict)
    rows_before: int = 0
    rows_after: int = 0
    kept_as_they_are: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What would change, counted and named; the functions that change it have no JSON."""
        plain = ("changes", "lost", "rows_before", "rows_after", "kept_as_they_are")
        said = {name: getattr(self, name) for name in plain}
        return {**said, "kept": len(self.kept), "files": sorted(self.files)}

    def change(self, what: str, claimed: object, found: object) -> None:
        """Writes down a difference, once."""
        self.note(f"{what}: claimed {claimed}, found {found}")

    def note(self, sentence: str) -> None:
        if sentence not in self.changes:
            self.changes.append(sentence)

    def replace(self, path: Path, write: Callable[[Path], None]) -> None:
        self.files[str(path.relative_to(self.root))] = write


@dataclass(slots=True, kw_only=True)
class VerifiedEpisode:
    """One verified episode.

    Args:
        number: as its rows claim it.
        row: its row of the episode table.
        columns: its numbers; (T, ...) each.
        file, rows: where its rows lie, in the order of its frames; (T,) int64.
        lost_before: rows of its first frames are lost, whose pictures are not.
        tasks: what it shows, once that is known; the first is its instruction.
    """

    number: int
    row: dict[str, Any]
    columns: dict[str, NDArray[Any]]
    file: Path
    rows: NDArray[np.int64]
    lost_before: bool = False
    tasks: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether its rows do not follow one another in the file."""
        return bool((np.diff(self.rows) != 1).any())

    @property
    def length(self) -> int:
        return len(self.columns["episode_index"])


def remove_file(path: Path) -> None:
    """A file that has no successor."""
