"""Messages between processes that share nothing but bytes: a codec that believes no size it is told.

Imports numpy and msgpack, nothing of ours, and is written for Python 3.8, because a stranger's environment runs it.
"""

from roboscale.wire.codec import CannotDecode, CannotEncode, WireError, pack, unpack

__all__ = ["CannotDecode", "CannotEncode", "WireError", "pack", "unpack"]
