"""The file as the HDF5 library sees it: read only, and looked at before the library does.

libhdf5 (2.0 and before) never returns from a global heap that holds a free block of size 0, which is what a block of
zeros on a disk looks like. Text attributes and blobs of varying length live in such heaps. So every read goes
through here, and a heap is checked before the library parses it; nothing else in Python can interrupt the library.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

from roboscale.core import BadData

__all__ = ["GuardedFile", "heap_objects"]

_HEAP = b"GCOL\x01\0\0\0"  # signature, version, reserved bytes of a global heap collection
_OBJECT = struct.Struct("<HHIQ")  # index, references, reserved bytes, size
_BLOCKS = 2**17  # of one heap; an index has 16 bits


def heap_objects(path: Path, file: int, at: int, whose: str = "") -> dict[int, int]:
    """Number of each object in the global heap at `at` -> its size in bytes.

    Walks the blocks as the library does; each must move on and stay inside.

    Args:
        path: of the file, for errors.
        file: its descriptor.
        whose: the field that is read, for errors.

    Raises:
        BadData: there is no such heap, or it is broken.
    """
    field = f"{whose}: global heap at {at}".removeprefix(": ")
    room = max(os.fstat(file).st_size - at, 0)
    head = os.pread(file, len(_HEAP) + 8, at) if room else b""
    if head[:8] != _HEAP or len(head) < 16:
        raise BadData(path, field, "its signature", repr(head[:8]))
    size = int.from_bytes(head[8:], "little")
    if not 16 <= size <= room:
        raise BadData(path, field, f"at most {room} bytes", size)
    sizes: dict[int, int] = {}
    position, blocks = 16, 0
    while position + _OBJECT.size <= size:
        index, _, _, length = _OBJECT.unpack(os.pread(file, _OBJECT.size, at + position))
        step = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
        blocks += 1
        if not _OBJECT.size <= step <= size - position or blocks > _BLOCKS:
            expected = f"{_OBJECT.size} to {size - position} bytes, at most {_BLOCKS} blocks"
            raise BadData(path, f"{field}, block {blocks} at {position}", expected, step)
        if index:
            sizes[index] = length
        position += step
    return sizes


class GuardedFile(io.RawIOBase):
    """A file for `h5py.File(..., driver="fileobj")`.

    Raises:
        BadData: on reading a global heap that is broken.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._size, self._at = os.fstat(self._file).st_size, 0
        self._checked: set[int] = set()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):  # one call of the system gives at most 2 GiB
            data = os.pread(self._file, min(len(view) - done, 2**30), self._at)
            if not data:
                break
            view[done : done + len(data)] = data
            self._check_heaps(data, self._at)
            done, self._at = done + len(data), self._at + len(data)
        return done

    def _check_heaps(self, data: bytes, first: int) -> None:
        place = data.find(_HEAP)
        while place >= 0:
            if first + place not in self._checked:
                heap_objects(self._path, self._file, first + place)
                self._checked.add(first + place)
            place = data.find(_HEAP, place + 1)

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()
