"""The tags of a capture as sheets to print: which number, how large, where on the paper; the numbers are UMI's.

    sheet `table`     number 13, 160 mm: the origin of the table's frame
    sheet `layout`    six of 60 mm whose centres are known to each other: their distances give metres
    sheet `fingers`   0 and 1 for a first gripper, 6 and 7 for a second, 16 mm, twice

A printer that fits a page to its paper changes every size. Each sheet has a line of 100 mm; what that measures on the
print is the scale of everything on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core.plain import Plain
from roboscale.sources.handheld.finger_tags import DICTIONARY, FINGER_TAG_M

__all__ = ["PAPERS_MM", "PrintedTag", "TagSheet", "tag_bits", "tag_sheets"]

PAPERS_MM = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
"""Width and height of the paper."""

_TABLE, _TABLE_MM = 13, 160.0
_LAYOUT, _LAYOUT_MM = (2, 3, 4, 5, 8, 9), 60.0
_STEP_MM = (85.0, 80.0)


@dataclass(frozen=True, slots=True)
class PrintedTag(Plain):
    """One tag: its number, the edge of its black square and its centre, mm; x right, y up from below left."""

    number: int
    size_mm: float
    x_mm: float
    y_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSheet(Plain):
    """One sheet of paper.

    Args:
        width_mm, height_mm: of the paper.
        line_mm: what the line of 100 mm measures on the print.
    """

    name: str
    width_mm: float
    height_mm: float
    tags: tuple[PrintedTag, ...]
    line_mm: float = 100.0
    dictionary: str = DICTIONARY

    def as_printed(self, line_mm: float) -> TagSheet:
        """The same sheet with the sizes that it has on the print."""
        factor = line_mm / 100.0
        tags = tuple(PrintedTag(t.number, t.size_mm * factor, t.x_mm * factor, t.y_mm * factor) for t in self.tags)
        return replace(self, tags=tags, line_mm=line_mm)


def tag_bits(number: int) -> NDArray[np.bool_]:
    """(6, 6) cells of a tag with its black border, from the top left; True is black."""
    import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
    return np.asarray(cv2.aruco.generateImageMarker(dictionary, number, 6) < 128)


def tag_sheets(paper: str) -> tuple[TagSheet, ...]:
    """Every sheet on a paper of `PAPERS_MM`."""
    width, height = PAPERS_MM[paper]
    middle_x, middle_y = width / 2, height / 2 + 8
    table = (PrintedTag(_TABLE, _TABLE_MM, middle_x, middle_y),)
    layout = tuple(
        PrintedTag(number, _LAYOUT_MM, middle_x + (i % 2 - 0.5) * _STEP_MM[0], middle_y + (1 - i // 2) * _STEP_MM[1])
        for i, number in enumerate(_LAYOUT)
    )
    fingers = tuple(
        PrintedTag(number, 1e3 * FINGER_TAG_M, middle_x + (i - 1.5) * 40, middle_y + row * 40)
        for row in (1, 0)
        for i, number in enumerate((0, 1, 6, 7))
    )
    named = (("table", table), ("layout", layout), ("fingers", fingers))
    return tuple(TagSheet(name=name, width_mm=width, height_mm=height, tags=tags) for name, tags in named)
