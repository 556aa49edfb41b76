"""How bytes reach the page: one JSON head, then parts one after the other.

uint32, little endian   length of the head, padding included
head                    JSON, padded with spaces so that the body begins at a multiple of 8 bytes
body                    the parts
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["pack_parts", "unpack_parts"]

_SIZE = struct.Struct("<I")


def pack_parts(head: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    """Head and parts as one message. The head must say how long the parts are."""
    text = json.dumps(head).encode()
    text += b" " * (-(len(text) + _SIZE.size) % 8)
    return b"".join([_SIZE.pack(len(text)), text, *parts])


def unpack_parts(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and body of a message that `pack` made."""
    (size,) = _SIZE.unpack_from(message)
    return json.loads(message[_SIZE.size : _SIZE.size + size]), message[_SIZE.size + size :]
