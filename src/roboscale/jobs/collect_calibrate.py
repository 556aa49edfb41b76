"""Fits the lens of a handheld camera to a clip of a board, and measures how late its gyroscope is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import RoboscaleError, UsageError
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.sources.handheld.calibrating import LensFit

__all__ = ["CalibrateCamera", "CalibratedCamera", "calibrate_camera"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateCamera(Request):
    """Asks for a camera's calibration.

    Args:
        squares: of the board, across and down, e.g. 7x5.
        square, marker: edges of a square and of the tag in it on the print, metres; only their ratio matters here.
    """

    words: ClassVar[tuple[str, ...]] = ("collect", "calibrate")

    board: Annotated[Path, Argument("A clip of a ChArUco board, from all sides and in all parts of the picture.")]
    out: Annotated[Path, Argument("The calibration (JSON), for --intrinsics of collect handheld.")]
    squares: Annotated[str, Option("Squares across and down, e.g. 7x5.")] = "7x5"
    square: Annotated[float, Option("Edge of a square, metres.", min=0.001)] = 0.03
    marker: Annotated[float, Option("Edge of the tag in a square, metres.", min=0.001)] = 0.022
    dictionary: Annotated[str, Option("Of the tags, by OpenCV's name.")] = "DICT_4X4_50"

    def check(self) -> None:
        """Squares are two whole numbers, and a tag is smaller than its square."""
        counts = self.squares.lower().split("x")
        if len(counts) != 2 or not all(part.isdigit() and int(part) > 2 for part in counts):
            raise UsageError(f"--squares: expected two whole numbers from 3, e.g. 7x5, found {self.squares}")
        if self.marker >= self.square:
            raise UsageError(f"--marker: expected less than the square's {self.square:g} m, found {self.marker:g}")
        if not self.dictionary.startswith("DICT_"):
            raise UsageError(f"--dictionary: expected a name such as DICT_4X4_50, found {self.dictionary}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedCamera(Plain):
    """The calibration at `out`, and how far it may be believed."""

    out: Path
    fit: LensFit = field()


def calibrate_camera(request: CalibrateCamera, on_event: OnEvent = ignore) -> CalibratedCamera:
    """Fits the lens and writes it as `collect handheld --intrinsics` reads it.

    >>> calibrate_camera(CalibrateCamera(board=Path("board.mp4"), out=Path("lens.json")))
    Traceback (most recent call last):
    ...
    roboscale.core.errors.BadData: board.mp4: video: expected a complete video, found nothing

    Raises:
        BadData: no such clip, the board is hardly seen, or the fit does not hold for views that were left out.
        RoboscaleError: OpenCV knows no such dictionary, or there is no folder for OUT.
    """
    import cv2

    from roboscale.jobs.files import write_json
    from roboscale.sources.handheld.calibrating import Board, fit_lens

    if not hasattr(cv2.aruco, request.dictionary):
        raise RoboscaleError(f"--dictionary: OpenCV knows no {request.dictionary}")
    columns, rows = (int(part) for part in request.squares.lower().split("x"))
    board = Board(
        columns=columns,
        rows=rows,
        square_m=request.square,
        marker_m=request.marker,
        dictionary=request.dictionary,
    )
    fit = fit_lens(request.board, board)
    for text in fit.said:
        on_event(Note(text))
    if fit.reach < 0.8:
        text = (
            f"corners reach {100 * fit.reach:.0f} % of the way into the picture's corners; beyond, the lens is a guess"
        )
        on_event(Note(text))
    write_json(request.out, fit.to_calibration())
    on_event(Wrote("calibration", request.out))
    return CalibratedCamera(out=request.out, fit=fit)
