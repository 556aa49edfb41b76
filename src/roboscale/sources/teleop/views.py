"""Whether arm and cameras stand as they did: a picture of each camera at the home pose, beside that of the last time.

An arm whose calibration slipped says that it is at home and stands elsewhere; a camera that was bumped shows all of
the scene elsewhere. Both are seen in a picture, and neither in the numbers. Brightness is taken out patch by patch, so
that a cloud is no finding; a thing that lies elsewhere in view is one, and somebody has to look.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.core.plain import Plain
from roboscale.dataset.layout import Layout, atomic_write, load_json, to_json

__all__ = ["ReferenceViews", "ViewChange", "compare_views"]

Picture = NDArray[np.uint8]

_WIDTH = 192  # pixels that are compared at; a larger picture is averaged down
_PATCH = 16
_STEP = 8
_TEXTURE = 6.0  # grey levels: a patch with less deviation shows nothing
_ALIKE = 0.9  # correlation of two patches that show the same
_SOME = 2  # changed patches that are no chance: a patch and its neighbour share half of their pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewChange(Plain):
    """What differs between a camera's picture and the one of the last time.

    Args:
        patches: that show something, in either picture. changed: of them, those that show something else.
        boxes: of the changed ones, (row, column, size) in the picture's pixels.
    """

    camera: str
    patches: int
    changed: int
    boxes: tuple[tuple[int, int, int], ...] = ()

    @property
    def found(self) -> bool:
        """Whether somebody has to look."""
        return self.changed >= _SOME or not self.patches

    @property
    def text(self) -> str:
        """For people."""
        if not self.patches:
            return f"{self.camera}: nothing in the picture has an edge: it cannot be compared"
        said = f"{self.changed} of {self.patches} patches show something else than the last time"
        if not self.found:
            return f"{self.camera}: as the last time ({said})"
        return f"{self.camera}: the camera, the arm, or something in view stands elsewhere ({said})"

    def laid_over(self, before: Picture, seen: Mapping[str, NDArray[Any]]) -> Picture:
        """The camera's picture now, (H, W, 3), half under the one of before, what differs framed in red."""
        now = np.asarray(seen[f"observation.images.{self.camera}"])
        laid: Picture = ((before.astype(np.uint16) + now) // 2).astype(np.uint8)
        for row, column, size in self.boxes:
            for edge in (slice(row, row + 1), slice(row + size - 1, row + size)):
                laid[edge, column : column + size] = (255, 40, 40)
            for edge in (slice(column, column + 1), slice(column + size - 1, column + size)):
                laid[row : row + size, edge] = (255, 40, 40)
        return laid


def compare_views(camera: str, before: Picture, now: Picture) -> ViewChange:
    """What differs between two pictures (H, W, 3) of one camera.

    Raises:
        BadData: they differ in size.

    >>> grey = np.zeros((96, 128, 3), np.uint8)
    >>> grey[30:60, 40:80] = 200
    >>> compare_views("top", grey, np.roll(grey, 6, axis=1)).found, compare_views("top", grey, grey // 2).found
    (True, False)
    """
    if before.shape != now.shape:
        raise BadData(camera, "picture", f"the size of the last time, {before.shape}", now.shape)
    scale = max(1, -(-before.shape[1] // _WIDTH))
    left, right = (_patches(_grey(picture, scale)) for picture in (before, now))
    textured = np.maximum(left.std(axis=(2, 3)), right.std(axis=(2, 3))) >= _TEXTURE
    a, b = (one - one.mean(axis=(2, 3), keepdims=True) for one in (left, right))
    norm = np.sqrt((a * a).sum(axis=(2, 3)) * (b * b).sum(axis=(2, 3)))
    alike = (a * b).sum(axis=(2, 3)) / np.maximum(norm, 1e-9)
    changed = textured & (alike < _ALIKE)
    boxes = tuple(
        (int(row) * _STEP * scale, int(column) * _STEP * scale, _PATCH * scale) for row, column in np.argwhere(changed)
    )
    return ViewChange(camera=camera, patches=int(textured.sum()), changed=int(changed.sum()), boxes=boxes)


def _grey(picture: Picture, scale: int) -> NDArray[np.float64]:
    height, width = (side // scale * scale for side in picture.shape[:2])
    grey = picture[:height, :width].astype(np.float64).mean(axis=2)
    return np.asarray(grey.reshape(height // scale, scale, width // scale, scale).mean(axis=(1, 3)))


def _patches(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns, 16, 16), half a patch apart; a seam of the picture may be in none."""
    windows = np.lib.stride_tricks.sliding_window_view(grey, (_PATCH, _PATCH))
    return np.asarray(windows[::_STEP, ::_STEP])


class ReferenceViews:
    """The pictures at the home pose of the last time, kept beside a dataset in `meta/roboscale/views`.

    Args:
        root: of the dataset.

    Attributes:
        looked: whether they were compared in this session.
    """

    def __init__(self, root: Path) -> None:
        self.looked = False
        self._folder = Layout(root).own / "views"
        self._file = self._folder / "views.json"

    @property
    def pictures(self) -> dict[str, Picture]:
        """Camera -> its picture; nothing the first time. BadData where one cannot be read."""
        from PIL import Image, UnidentifiedImageError

        known: dict[str, Picture] = {}
        for camera in load_json(self._file).get("cameras", ()) if self._file.exists() else ():
            file = self._folder / f"{camera}.png"
            try:
                known[str(camera)] = np.asarray(Image.open(file).convert("RGB"))
            except (OSError, UnidentifiedImageError) as error:
                raise BadData(file, "picture", "a PNG of the home pose", str(error)) from error
        return known

    def compare(self, now: Mapping[str, Picture]) -> list[ViewChange]:
        """What differs, camera by camera; of a camera that is new nothing is said."""
        before = self.pictures
        return [compare_views(name, before[name], picture) for name, picture in now.items() if name in before]

    def keep(self, now: Mapping[str, Picture], joints: Sequence[float], found: Sequence[ViewChange]) -> None:
        """These are the pictures to compare with from now on; what differed stays on record.

        Args:
            joints: as they were read at the home pose.
            found: what somebody has looked at, and called right.
        """
        from PIL import Image

        self._folder.mkdir(parents=True, exist_ok=True)
        for name, picture in now.items():
            written = io.BytesIO()
            Image.fromarray(picture).save(written, "PNG")
            (self._folder / f".{name}.png").write_bytes(written.getvalue())
            (self._folder / f".{name}.png").replace(self._folder / f"{name}.png")
        told: list[Any] = load_json(self._file).get("accepted", []) if self._file.exists() else []
        told += [[change.to_json() for change in found if change.found]] if any(c.found for c in found) else []
        said = {"version": 1, "cameras": sorted(now), "joints": [float(x) for x in joints], "accepted": told}
        atomic_write(self._file, to_json(said))
