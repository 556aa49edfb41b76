"""Whether people or their screens can be seen in a dataset's pictures, and pictures in which they cannot be any more.

Faces are looked for with OpenCV's cascades (Viola and Jones, CVPR 2001; frontal and profile), whose files come with
OpenCV; a screen is a bright quadrangle with something on it. Both are old and cheap, and miss a lot: `NOT_LOOKED_FOR`
belongs beside every answer of this module. What is seen is a reason to look, what is not seen proves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Clip, Pictures, RecordedEpisode
from roboscale.core.extras import require_packages
from roboscale.core.plain import Plain
from roboscale.dataset import Dataset
from roboscale.dataset.packets import decode_in_order

__all__ = [
    "NOT_LOOKED_FOR",
    "Blurred",
    "Box",
    "Looked",
    "Sighting",
    "faces_in",
    "look_for_people",
    "mosaic",
    "screens_in",
]

NOT_LOOKED_FOR = (
    "faces turned away, covered, in motion blur or smaller than a tenth of the picture",
    "bodies, hands, tattoos and gaits",
    "text, name badges, letters and number plates",
    "voices, and what sensors other than colour cameras show",
    "pictures between the ones that were looked at",
)
"""What nobody has looked for, in the words that stand beside every result."""

_SIDE = 320  # pixels of the shorter side that every picture is brought to: cameras of robots have 96 to 1080
_FACE = 24  # pixels of the smallest face then: what the cascades were trained on
_VOTES = 6  # overlapping hits that make a face
_SCREEN = (0.01, 0.5)  # share of a picture that a screen takes
_BRIGHTER = 45.0  # grey levels that a screen is brighter than what is around it
_DETAIL = 6.0  # grey levels of deviation within it: a sheet of paper is flat
_GROWN = 0.25  # of a box's side, around it: hair and ears tell who somebody is
_MEMORY = 8  # frames before and after a hit in which it is hidden, too: detectors flicker
_BLOCKS = 6  # tiles across what is hidden


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels `left` to `left + width - 1`, `top` to `top + height - 1`."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting(Plain):
    """What was seen in one picture."""

    episode: int
    camera: str
    frame: int
    faces: tuple[Box, ...] = ()
    screens: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Plain):
    """What was looked at, and what was seen in it.

    Args:
        pictures: how many were looked at, of `of` that there are.
        not_looked_for: see `NOT_LOOKED_FOR`.
    """

    pictures: int
    of: int
    seen: tuple[Sighting, ...] = ()
    not_looked_for: tuple[str, ...] = field(default=NOT_LOOKED_FOR)

    def episodes(self, what: str) -> tuple[int, ...]:
        """Positions of the episodes with `faces` or `screens`."""
        return tuple(sorted({one.episode for one in self.seen if getattr(one, what)}))


def look_for_people(root: Path, *, every_s: float = 1.0, at_most: int = 12) -> Looked:
    """Looks at a picture a second of every camera and episode, first and last among them.

    Args:
        every_s: seconds between two pictures.
        at_most: pictures of one camera and episode.

    Raises:
        RoboscaleError: OpenCV is not installed.
        BadData: a video is broken.
    """
    require_packages("looking for people", "cv2")
    dataset = Dataset(root)
    seen: list[Sighting] = []
    looked = total = 0
    for episode in dataset.episodes:
        count = max(2, min(at_most, round(episode.length / dataset.fps / every_s) + 1))
        frames = sorted({*np.linspace(0, episode.length - 1, count).astype(int).tolist()})
        for camera in dataset.spec.images:
            pictures = dataset.decode(episode.index, camera.name)
            total += episode.length
            for frame in frames:
                looked += 1
                faces, screens = faces_in(pictures[frame]), screens_in(pictures[frame])
                if faces or screens:
                    seen.append(
                        Sighting(
                            episode=episode.index,
                            camera=camera.name,
                            frame=frame,
                            faces=tuple(faces),
                            screens=tuple(screens),
                        )
                    )
    return Looked(pictures=looked, of=total, seen=tuple(seen))


def faces_in(picture: NDArray[np.uint8]) -> list[Box]:
    """Faces from the front and from either side in (H, W, 3) uint8 RGB; overlapping ones may be listed twice."""
    import cv2

    scale = _SIDE / min(picture.shape[:2])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = cv2.equalizeHist(
        cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    )
    boxes: list[Box] = []
    for name in ("haarcascade_frontalface_alt2.xml", "haarcascade_profileface.xml"):
        boxes += _hits(_cascade(name), grey, scale)
    width = grey.shape[1]
    mirrored = _hits(_cascade("haarcascade_profileface.xml"), np.ascontiguousarray(grey[:, ::-1]), scale)
    return boxes + [replace(b, left=round(width / scale) - b.left - b.width) for b in mirrored]


def screens_in(picture: NDArray[np.uint8]) -> list[Box]:
    """Bright quadrangles with something on them in (H, W, 3) uint8 RGB: monitors, phones, and what looks like one."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    _, light = cv2.threshold(cv2.GaussianBlur(grey, (5, 5), 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours:
        area = cv2.contourArea(contour)
        corners = cv2.approxPolyDP(contour, 0.03 * cv2.arcLength(contour, True), True)
        low, high = (share * grey.size for share in _SCREEN)
        if len(corners) == 4 and cv2.isContourConvex(corners) and low < area < high and _glows(grey, contour):
            left, top, width, height = cv2.boundingRect(contour)
            boxes.append(Box(int(left), int(top), int(width), int(height)))
    return boxes


def _glows(grey: NDArray[np.uint8], contour: Any) -> bool:
    """Brighter than what is around it, and not as flat as paper."""
    import cv2

    inside = cv2.drawContours(np.zeros_like(grey), [contour], -1, 255, cv2.FILLED)
    around = cv2.dilate(inside, np.ones((15, 15), np.uint8)) & ~cv2.dilate(inside, np.ones((3, 3), np.uint8))
    core = cv2.erode(inside, np.ones((5, 5), np.uint8))
    if not around.any() or not core.any():
        return False
    lit, dark = grey[core > 0].astype(float), grey[around > 0].astype(float)
    return bool(lit.mean() - dark.mean() > _BRIGHTER and lit.std() > _DETAIL)


@cache
def _cascade(name: str) -> Any:
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))


def _hits(cascade: Any, grey: NDArray[np.uint8], scale: float) -> list[Box]:
    found = cascade.detectMultiScale(grey, scaleFactor=1.15, minNeighbors=_VOTES, minSize=(_FACE, _FACE))
    return [Box(*(round(float(side) / scale) for side in box)) for box in found]


def mosaic(picture: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with each box, grown by a quarter, as a few tiles of one colour each.

    Tiles of mean colours cannot be turned back; a Gaussian blur can, in part.
    """
    hidden = picture.copy()
    for box in boxes:
        dx, dy = round(_GROWN * box.width), round(_GROWN * box.height)
        top, left = max(0, box.top - dy), max(0, box.left - dx)
        part = hidden[top : box.top + box.height + dy, left : box.left + box.width + dx]
        rows, columns = (max(1, -(-side // _BLOCKS)) for side in part.shape[:2])
        for y in range(0, part.shape[0], rows):
            for x in range(0, part.shape[1], columns):
                tile = part[y : y + rows, x : x + columns]
                tile[:] = tile.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    return hidden


@dataclass(frozen=True, slots=True)
class Blurred:
    """An edit: every picture with the faces and screens hidden that are seen in it or shortly before and after."""

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        pictures: dict[str, Clip | Pictures] = {name: _Hidden(one) for name, one in episode.pictures.items()}
        return replace(episode, pictures=pictures)


@dataclass(frozen=True, slots=True)
class _Hidden:
    source: Clip | Pictures

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        clip = self.source
        images = decode_in_order(clip.path, clip.first, clip.length) if isinstance(clip, Clip) else iter(clip)
        near: deque[tuple[NDArray[np.uint8], list[Box]]] = deque()
        looked = ((image, [*faces_in(image), *screens_in(image)]) for image in images)
        near.extend(islice(looked, _MEMORY + 1))
        first = 0  # the frame at the left end of `near`, which reaches from _MEMORY before to _MEMORY after
        for place in range(len(self.source)):
            yield mosaic(near[place - first][0], [box for _, boxes in near for box in boxes])
            near.extend(islice(looked, 1))
            if place - first >= _MEMORY:
                near.popleft()
                first += 1
