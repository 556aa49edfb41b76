"""The printed tags of a scene: sheets with the size and the place of every tag, as `collect tags` writes them.

A sheet's frame has its origin in the middle of its tags, x to the right and y up on the paper, z out of it. The sheet
`fingers` is on the gripper; its tags move with the camera and say nothing of where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.core.declared import Positive, read_declared

__all__ = ["SheetTags", "TagLayout", "load_layout"]

Array = NDArray[np.float64]

_FINGERS = "fingers"
_CORNERS = np.array([[-0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, -0.5, 0], [-0.5, -0.5, 0]])
"""Of a tag of edge 1, in the order in which a detector gives them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    number: int
    size_mm: Positive
    x_mm: float
    y_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    name: str
    tags: tuple[_Tag, ...]
    width_mm: Positive | None = None
    height_mm: Positive | None = None
    line_mm: Positive | None = None
    dictionary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    version: int
    sheets: tuple[_Sheet, ...]


@dataclass(frozen=True, slots=True)
class SheetTags:
    """One sheet.

    Args:
        sizes: number of a tag -> edge of its black square, metres.
        centres: number -> (3,) metres in the sheet's frame.
    """

    name: str
    sizes: dict[int, float]
    centres: dict[int, Array]

    def corners(self, number: int) -> Array:
        """(4, 3) metres in the sheet's frame, in a detector's order."""
        return np.asarray(self.centres[number] + self.sizes[number] * _CORNERS)


@dataclass(frozen=True, slots=True)
class TagLayout:
    """Every sheet that lies in the scene, those with most tags first."""

    sheets: tuple[SheetTags, ...]

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(number for sheet in self.sheets for number in sheet.sizes)


def load_layout(path: Path) -> TagLayout:
    """The layout that `collect tags` wrote beside its PDF.

    Raises:
        BadData: no such file, no tag outside of the sheet `fingers`, or a number that stands twice.
    """
    said = read_declared(path, _File, limit=2**20)
    sheets, seen = [], set[int]()
    for sheet in said.sheets:
        if sheet.name == _FINGERS or not sheet.tags:
            continue
        middle = np.mean([[tag.x_mm, tag.y_mm] for tag in sheet.tags], axis=0)
        for tag in sheet.tags:
            if tag.number in seen:
                raise BadData(path, f"sheet {sheet.name}", "each number once", f"{tag.number} again")
            seen.add(tag.number)
        centres = {t.number: np.array([t.x_mm - middle[0], t.y_mm - middle[1], 0.0]) / 1e3 for t in sheet.tags}
        sheets.append(SheetTags(sheet.name, {t.number: t.size_mm / 1e3 for t in sheet.tags}, centres))
    if not sheets:
        raise BadData(path, "sheets", "one with tags that is not `fingers`", "none")
    return TagLayout(tuple(sorted(sheets, key=lambda sheet: -len(sheet.sizes))))
