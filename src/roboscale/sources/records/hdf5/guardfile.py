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

__all__ = ["GuardedFile"]

_HEAP = b"GCOL\x01\0\0\0"  # signature, version, reserved bytes of a global heap collection
_OBJECT = struct.Struct("<HHIQ")  # index, references, reserved bytes, size


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
        found = data.find(_HEAP)
        while found >= 0:
            if first + found not in self._checked:
                self._check_heap(first + found)
                self._checked.add(first + found)
            found = data.find(_HEAP, found + 1)

    def _check_heap(self, at: int) -> None:
        """Walks the blocks of a collection as the library does; each must move on and stay inside."""
        size = int.from_bytes(os.pread(self._file, 8, at + len(_HEAP)), "little")
        if not 16 <= size <= self._size - at:
            raise BadData(self._path, f"global heap at {at}", f"at most {self._size - at} bytes", size)
        data = os.pread(self._file, size, at)
        position = 16
        while position + _OBJECT.size <= size:
            index, _, _, length = _OBJECT.unpack_from(data, position)
            step = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
            if not _OBJECT.size <= step <= size - position:
                field = f"global heap at {at}, block at {position}"
                raise BadData(self._path, field, f"{_OBJECT.size} to {size - position} bytes", step)
            position += step

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()
