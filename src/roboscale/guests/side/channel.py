"""Messages over a socket of this machine: eight bytes of length, then one message of the wire.

Knows bytes. Does not know what a message means.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from roboscale.wire import pack, unpack

__all__ = ["Channel", "Closed"]

_LENGTH = 8
_MOST = 1 << 31  # bytes of one message; a length beyond it is no length


class Closed(Exception):
    """The other side is gone."""


class Channel:
    """One end of a socket pair.

    Args:
        stream: a connected socket; the channel closes it.
    """

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream

    def fileno(self) -> int:
        return self._stream.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """One message.

        Raises:
            Closed: nobody is there to take it.
            socket.timeout: nobody reads it, for as long as the last answer might have taken.
            CannotEncode: a value that the wire has no place for; nothing was sent.
        """
        body = pack(message)
        try:
            self._stream.sendall(len(body).to_bytes(_LENGTH, "little") + body)
        except TimeoutError:  # nobody reads: the other side hangs
            raise
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, wait_s: float | None = None) -> Any:
        """The next message; its arrays are read-only.

        Args:
            wait_s: how long each part of it may take; `None` for ever.

        Raises:
            Closed: the other side is gone.
            CannotDecode: what came is no message.
            socket.timeout: nothing came in time.
        """
        if self._stream.gettimeout() != wait_s:  # two system calls that most messages need not
            self._stream.settimeout(wait_s)
        size = int.from_bytes(self._exactly(_LENGTH), "little")
        if size > _MOST:
            raise Closed(f"a message of {size} bytes is none")
        return unpack(self._exactly(size))

    def close(self) -> None:
        self._stream.close()

    def _exactly(self, size: int) -> bytes:
        block = bytearray(size)
        view, have = memoryview(block), 0
        while have < size:
            try:
                count = self._stream.recv_into(view[have:])
            except TimeoutError:
                raise
            except OSError as error:
                raise Closed(str(error)) from error
            if count == 0:
                raise Closed("the other side closed")
            have += count
        return bytes(block)
