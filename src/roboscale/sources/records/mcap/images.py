"""Camera messages as pictures: `sensor_msgs/CompressedImage` (JPEG, PNG) and `sensor_msgs/Image`.

Depth and Bayer encodings are not read: they are no colour pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.pictures import decode_picture
from roboscale.sources.records.mcap.messages import MessageTypes

__all__ = ["IMAGE_MESSAGES", "decode_message", "done_to"]

IMAGE_MESSAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
"""Message types that are pictures."""

# encoding of sensor_msgs/Image -> channels in memory, and which of them are red, green and blue
_CHANNELS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
}


def decode_message(types: MessageTypes, topic: str, data: bytes, where: object, field: str) -> NDArray[np.uint8]:
    """One camera message as (H, W, 3) uint8 RGB.

    Raises:
        BadData: the picture is broken, or of an encoding that is no colour picture.
    """
    message = types.decode(topic, data)
    try:
        if types.learn(topic) == IMAGE_MESSAGES[0]:
            return decode_picture(bytes(message.data), where, field)
        return _raw(message, where, field)
    except (AttributeError, TypeError) as error:  # the bag's own definition may be of another message
        raise BadData(where, field, f"the fields of {types.learn(topic)}", error) from error


def done_to(kind: str, message: Any) -> str:
    """What a reader does to pictures like this one, for the proof; after one was decoded."""
    if kind == IMAGE_MESSAGES[0]:
        return f"{getattr(message, 'format', '') or 'pictures'} decoded"
    if message.encoding in ("mono8", "8UC1"):
        return f"{message.encoding} repeated in 3 channels"
    return "copied" if message.encoding == "rgb8" else f"{message.encoding} reordered to RGB"


def _raw(message: Any, where: object, field: str) -> NDArray[np.uint8]:
    if message.encoding not in _CHANNELS:
        raise BadData(where, field, f"an encoding of {', '.join(_CHANNELS)}", repr(message.encoding[:40]))
    channels, order = _CHANNELS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if min(height, width) < 1 or step < width * channels or len(message.data) != height * step:
        found = f"{len(message.data)} bytes in rows of {step}"
        raise BadData(where, field, f"{height} rows of {width} {message.encoding} pixels", found)
    rows = np.asarray(message.data, np.uint8).reshape(height, step)[:, : width * channels]
    return np.ascontiguousarray(rows.reshape(height, width, channels)[..., order])
