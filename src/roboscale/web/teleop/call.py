"""The cameras as one video over WebRTC, for a page on a line that loses packets. The server makes the offer.

All cameras lie side by side in one picture, so that they are of one moment; a strip above them has the picture's
number in black and white blocks, which survive every encoder, so that a page can say what it has on the screen. No
server elsewhere is asked: both ends know only their own addresses. Whether the call came about is the page's to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame
from numpy.typing import NDArray

from roboscale.core.errors import RoboscaleError

if TYPE_CHECKING:
    from roboscale.web.teleop.api import StepShown

__all__ = ["PictureCall", "PictureSheet"]

_BITS = 16  # of a picture's number
_STRIP = 16  # pixels: a block of every encoder is as high
_LOOK_S = 0.005  # how often it looks for a new picture
_AGAIN_S = 0.25  # after which a picture is sent again: else a still scene would look like a dead line
_CLOCK_HZ = 90_000  # of video over RTP
_REMEMBERED = 256  # pictures whose times are known


class PictureSheet:
    """Where each camera lies in the picture that is sent.

    Args:
        sizes: camera -> (height, width), pixels.

    Attributes:
        boxes: [x, y, width, height] of each camera, pixels. shape: (height, width, 3) of the whole.

    >>> PictureSheet({"front": (120, 160), "wrist": (96, 128)}).boxes
    [[0, 32, 160, 120], [160, 32, 128, 96]]
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        self.sizes = dict(sizes)
        lefts = np.cumsum([0, *(width for _, width in sizes.values())])
        self.boxes = [
            [int(x), 2 * _STRIP, width, height] for x, (height, width) in zip(lefts, sizes.values(), strict=False)
        ]
        whole = [2 * _STRIP + max(height for height, _ in sizes.values()), int(lefts[-1])]
        self.shape = (*(-(-side // _BITS) * _BITS for side in whole), 3)

    def lay(self, number: int, pictures: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The whole picture, (height, width, 3) RGB; black where a camera has none, or one of another size."""
        sheet = np.zeros(self.shape, np.uint8)
        bits = number >> np.arange(_BITS) & 1
        sheet[:_STRIP] = np.repeat(255 * bits.astype(np.uint8), self.shape[1] // _BITS)[:, None]
        for (name, size), (x, y, width, height) in zip(self.sizes.items(), self.boxes, strict=True):
            picture = pictures.get(name)
            if picture is not None and picture.shape[:2] == size:
                sheet[y : y + height, x : x + width] = picture
                sheet[_STRIP:y, x : x + width] = picture[0]  # so that an encoder draws no strip into the picture
        return sheet

    @staticmethod
    def number(sheet: NDArray[np.uint8]) -> int:
        """What stands in the strip of a picture, as it was received.

        >>> sheet = PictureSheet({"front": (120, 160)})
        >>> PictureSheet.number(sheet.lay(4711, {}))
        4711
        """
        width = sheet.shape[1] // _BITS
        middles = sheet[_STRIP // 2, width // 2 :: width, 1][:_BITS]
        return int(((middles > 127) << np.arange(_BITS)).sum())


class _Cameras(VideoStreamTrack):
    """The newest pictures, as soon as there are new ones."""

    def __init__(self, shown: Callable[[], StepShown]) -> None:
        super().__init__()
        self._shown, self._begun_s = shown, time.monotonic()
        self._last = (-1, -np.inf)  # number, and when it was sent
        self.taken_s: dict[int, float] = {}  # number -> when what is on the picture was there
        first = shown()
        self.sheet = PictureSheet({name: (p.shape[0], p.shape[1]) for name, p in first.pictures.items()})

    async def recv(self) -> VideoFrame:
        number, sent_s = self._last
        while (seen := self._shown()).number == number or not seen.pictures:
            if seen.pictures and time.monotonic() - sent_s > _AGAIN_S:
                break
            await asyncio.sleep(_LOOK_S)
        now = time.monotonic()
        self._last = (seen.number, now)
        short = seen.number % 2**_BITS
        self.taken_s[short] = seen.at_s
        if len(self.taken_s) > _REMEMBERED:
            del self.taken_s[next(iter(self.taken_s))]
        frame = VideoFrame.from_ndarray(self.sheet.lay(short, seen.pictures), format="rgb24")
        frame.pts, frame.time_base = int((now - self._begun_s) * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
        return frame


class PictureCall:
    """One page that is called.

    Args:
        shown: the newest pictures; there are some when it is made.
    """

    def __init__(self, shown: Callable[[], StepShown]) -> None:
        self._cameras = _Cameras(shown)
        self._line = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # its own default asks a server elsewhere

    async def offer(self) -> dict[str, Any]:
        """What the page is sent: `sdp`, and the `boxes` of the cameras."""
        self._line.addTransceiver(self._cameras, direction="sendonly")
        await self._line.setLocalDescription(await self._line.createOffer())
        return {"sdp": self._line.localDescription.sdp, "boxes": self._cameras.sheet.boxes}

    async def answer(self, sdp: str) -> None:
        """What the page says to it.

        Raises:
            RoboscaleError: it is no answer to the offer.
        """
        try:
            await self._line.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:  # its parser of a stranger's text raises whatever comes up
            raise RoboscaleError(f"answer: it is none to the offer: {error or type(error).__name__}") from error

    def taken_s(self, number: int) -> float | None:
        """When what is on the picture of that number was there; `None` where nobody remembers."""
        return self._cameras.taken_s.get(number)

    async def close(self) -> None:
        """Hangs up."""
        self._cameras.stop()
        await self._line.close()
