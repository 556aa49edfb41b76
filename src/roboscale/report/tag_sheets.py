"""Sheets of tags as pages of a PDF, in true size. Knows squares and where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["sheet_canvas", "write_sheets"]

_INCH_MM = 25.4
_LINE_MM = 100.0


def sheet_canvas(sheet: Mapping[str, Any], bits: Mapping[int, NDArray[np.bool_]]) -> Canvas:
    """One sheet, one unit of its axes a millimetre.

    Args:
        sheet: name, width_mm, height_mm and tags (number, size_mm, x_mm, y_mm), as the job's JSON has them.
        bits: number -> (n, n) cells from the top left, True is black.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    width, height = sheet["width_mm"], sheet["height_mm"]
    canvas = Figure(figsize=(width / _INCH_MM, height / _INCH_MM))
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    for tag in sheet["tags"]:
        cells = bits[tag["number"]]
        edge = tag["size_mm"] / len(cells)
        left, top = tag["x_mm"] - tag["size_mm"] / 2, tag["y_mm"] + tag["size_mm"] / 2
        for row, column in np.argwhere(cells).tolist():
            # A hair wider than a cell, so that no viewer shows a seam; the outer edges stay where they are.
            right = 0.02 if column + 1 < len(cells) else 0.0
            down = 0.02 if row + 1 < len(cells) else 0.0
            box = (left + column * edge, top - (row + 1) * edge - down)
            axes.add_patch(Rectangle(box, edge + right, edge + down, facecolor="black", linewidth=0))
        below = top - tag["size_mm"] - tag["size_mm"] / len(cells)
        label = f"{tag['number']}: {tag['size_mm']:g} mm"
        axes.text(tag["x_mm"], below, label, ha="center", va="top", fontsize=6, color="0.4")
    begin, y = width / 2 - _LINE_MM / 2, 22.0
    axes.plot([begin, begin + _LINE_MM], [y, y], color="black", linewidth=0.6, solid_capstyle="butt")
    for x in (begin, begin + _LINE_MM):
        axes.plot([x, x], [y - 2, y + 2], color="black", linewidth=0.4)
    said = f"{sheet['name']}: print at 100 %, then measure this line: 100 mm"
    axes.text(width / 2, y - 4, said, ha="center", va="top", fontsize=9)
    return canvas


def write_sheets(path: Path, sheets: Sequence[Mapping[str, Any]], bits: Mapping[int, NDArray[np.bool_]]) -> None:
    """A PDF of all sheets, in one step; the same sheets give the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    part = path.with_name(path.name + ".part")
    facts = {"CreationDate": None, "Creator": None, "Producer": None, "Title": "roboscale tags"}
    with mpl.rc_context({"pdf.fonttype": 42}), PdfPages(part, metadata=facts) as pages:
        for sheet in sheets:
            pages.savefig(sheet_canvas(sheet, bits))
    part.replace(path)
