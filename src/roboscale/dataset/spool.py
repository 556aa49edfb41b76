"""Rows of several arrays as they come, some in memory and the rest in a file: a take may last for hours.

How long an episode will be is not known while it is recorded, and which of its frames LeRobot samples depends on
that, so what is known of every frame must be kept until its end; just not in memory.

The file holds blocks of equally many rows, and of every block one array after the other. It is nobody's format:
whoever writes it reads it, and it goes when the take is saved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Spool"]

_BYTES = 2 * 2**20  # of a block; it is all that a take keeps in memory of its numbers
_ROWS = 1024  # of a block, at most


class Spool:
    """Rows by name; a take that fits into one block never makes a file.

    Args:
        path: of the file, which is not there yet.
        fields: name -> shape and dtype of a row.
    """

    def __init__(self, path: Path, fields: Mapping[str, tuple[tuple[int, ...], DTypeLike]]) -> None:
        row_bytes = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in fields.values())
        self._path = path
        self._rows = max(1, min(_ROWS, _BYTES // max(1, row_bytes)))
        self._block = {name: np.empty((self._rows, *shape), dtype) for name, (shape, dtype) in fields.items()}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, row: Mapping[str, NDArray[Any]]) -> None:
        """Appends a copy of one row of every field. OSError when the disk is full."""
        at = self._length % self._rows
        if self._length and not at:
            with self._path.open("ab") as file:
                for array in self._block.values():
                    file.write(array.tobytes())
        for name, array in self._block.items():
            array[at] = row[name]
        self._length += 1

    def blocks(self, names: Collection[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """The rows of the named fields from the first, a block at a time: arrays (n, *shape)."""
        whole = max(0, self._length - 1) // self._rows
        size = sum(array.nbytes for array in self._block.values())
        for number in range(whole):
            with self._path.open("rb") as file:
                yield {name: self._read(file, number * size, name) for name in names}
        rest = self._length - whole * self._rows
        if rest:
            yield {name: self._block[name][:rest] for name in names}

    def _read(self, file: Any, start: int, name: str) -> NDArray[Any]:
        for other, array in self._block.items():
            if other == name:
                break
            start += array.nbytes
        file.seek(start)
        return np.frombuffer(file.read(array.nbytes), array.dtype).reshape(array.shape)

    def close(self) -> None:
        """Lets go of everything, the file included."""
        self._block, self._length = {}, 0
        self._path.unlink(missing_ok=True)
