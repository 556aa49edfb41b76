"""Where a dataset lies that is no local folder: reading through fsspec (s3, gs, hf, http, memory, ...) by ranges.

`RemotePath` has the part of `pathlib.Path` that reading uses, so the catalog, the tables and the videos do not know
which of the two they were given; local reading takes no detour. Does not know datasets, and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from roboscale.core.errors import BadData

__all__ = ["RemotePath", "is_remote", "open_root", "source_of"]

_BLOCK = 2**18
"""Bytes of one range request: about ten pictures of 480x640, and the index of a video of 100 MiB."""


class RemotePath:
    """A file or folder behind a URL; the reading half of `pathlib.Path`.

    It is not `os.PathLike` on purpose: whatever expects a local file fails at once.

    Args:
        url: e.g. `s3://bucket/folder`, `hf://datasets/owner/name`, `memory://name`.
    """

    __slots__ = ("url",)

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __truediv__(self, other: str | os.PathLike[str]) -> RemotePath:
        return RemotePath(f"{self.url}/{os.fspath(other)}")

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemotePath({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __lt__(self, other: RemotePath) -> bool:
        return self.url < other.url

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.url.rsplit("/", 1)[0])

    def _resolve(self) -> tuple[Any, str]:
        """The file system, and the path in it. Looked up each time: fsspec keeps one per process, also after fork."""
        try:
            import fsspec
        except ImportError:
            raise BadData(self.url, "path", "the package fsspec to be installed, or a local folder", "none") from None
        try:
            fs, path = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:  # a protocol whose package is missing, or that there is none of
            raise BadData(self.url, "path", "a protocol that fsspec can open", error) from None
        return fs, path

    def exists(self) -> bool:
        fs, path = self._resolve()
        return bool(fs.exists(path))

    def relative_to(self, other: RemotePath) -> str:
        return self.url.removeprefix(f"{other.url}/")

    def read_bytes(self) -> bytes:
        fs, path = self._resolve()
        return bytes(fs.cat_file(path))

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def _children(self, paths: list[str], base: str) -> Iterator[RemotePath]:
        for path in paths:
            yield self / path.lstrip("/").removeprefix(base.strip("/")).lstrip("/")

    def iterdir(self) -> Iterator[RemotePath]:
        """FileNotFoundError where there is no folder, as `pathlib` has it."""
        fs, path = self._resolve()
        return self._children(fs.ls(path, detail=False), path)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        fs, path = self._resolve()
        return self._children(fs.glob(f"{path}/{pattern}"), path)

    def open_ranges(self) -> IO[bytes]:
        """The file, fetched in blocks where it is read; the last 32 blocks are kept."""
        fs, path = self._resolve()
        file: IO[bytes] = fs.open(path, "rb", block_size=_BLOCK, cache_type="blockcache")
        return file


def is_remote(root: object) -> bool:
    """True for a URL of anything but a local file."""
    return isinstance(root, RemotePath) or (isinstance(root, str) and "://" in root and not root.startswith("file://"))


def open_root(root: str | os.PathLike[str] | RemotePath) -> Path:
    """A local folder as `Path`, a URL as `RemotePath`.

    Typed as `Path`: what is read of either is the same, and nothing that writes is ever given the other.
    """
    if isinstance(root, RemotePath):
        return cast(Path, root)
    text = os.fspath(root)
    if is_remote(text):
        return cast(Path, RemotePath(text))
    return Path(text.removeprefix("file://"))


def source_of(path: Path | RemotePath) -> Any:
    """What PyAV and pyarrow open: a local file's name, or a file object that reads ranges. FileNotFoundError."""
    return path.open_ranges() if isinstance(path, RemotePath) else str(path)
