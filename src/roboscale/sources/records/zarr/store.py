"""Keys and bytes of a zarr store: a folder or a zip file. Knows no arrays."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched

__all__ = ["ByteStore", "FolderStore", "ZipStore", "open_store", "read_json"]

_JSON_BYTES = 256 * 2**20
_POINTER_BYTES = 1024  # what stands for a file that is not here is small
_ZIP_TAIL = 2**16 + 128  # the end record with its comment, and what large files have before it
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # an encrypted member
    OSError,
    ValueError,
    OverflowError,
    UnicodeDecodeError,
)


class ByteStore(Protocol):
    """What both kinds of stores can do."""

    path: Path

    def get(self, key: str, limit: int) -> bytes | None:
        """Bytes of a key, `None` when it is not there; BadData when it is broken or has more than `limit` bytes."""

    def has(self, key: str) -> bool:
        """Whether a key is there."""

    def arrays(self, group: str) -> Iterator[str]:
        """Paths of the arrays below a group, sorted; BadData for something there that belongs to none."""

    def close(self) -> None:
        """Lets go of open files."""


class FolderStore:
    """A folder with one file per key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, key: str, limit: int) -> bytes | None:
        file = self.path / key
        try:
            with file.open("rb") as stream:
                data = stream.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            require_fetched(file)
            return None
        except OSError as error:
            raise BadData(file, "bytes", "a readable file", error) from error
        if len(data) > limit:
            raise BadData(file, "bytes", f"at most {limit}", file.stat().st_size)
        if len(data) < _POINTER_BYTES:
            require_fetched(file)
        return data

    def has(self, key: str) -> bool:
        return (self.path / key).is_file()

    def arrays(self, group: str) -> Iterator[str]:
        folder = self.path / group
        if not folder.is_dir():
            return
        with os.scandir(folder) as entries:  # never inside an array: that may hold a file per picture
            names = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
        for name in names:
            key = f"{group}/{name}"
            node = _node(self, key)
            if node == "array":
                yield key
            elif node == "group":
                yield from self.arrays(key)
            else:
                raise BadData(folder / name, ".zarray", "to exist, or .zgroup or zarr.json", "neither")

    def close(self) -> None:
        """Nothing is held open."""


def _claimed_members(path: Path) -> int:
    """Members that the end record of a zip file counts: a broken length in the directory can hide some of them.

    Python's zipfile does not compare the two.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _ZIP_TAIL, 0))
        tail = stream.read()
    end = tail.rfind(b"PK\x05\x06")
    (claimed,) = struct.unpack_from("<H", tail, end + 10)
    large = tail.rfind(b"PK\x06\x06", 0, end)
    if claimed == 2**16 - 1 and large >= 0:
        (claimed,) = struct.unpack_from("<Q", tail, large + 32)
    return int(claimed)


class ZipStore:
    """A zip file; every member's checksum is verified when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
            members = self._zip.infolist()
            self._members = {info.filename: info for info in members}
            claimed = _claimed_members(self.path)
        except _ZIP_ERRORS as error:
            require_fetched(self.path)
            raise BadData(self.path, "zip", "a complete zip file", str(error)[:120]) from error
        if claimed not in (len(members), len(members) % 2**16):  # some writers count in 16 bits whatever there is
            raise BadData(self.path, "zip", f"{claimed} members, as its end record counts", len(members))
        self._pid = os.getpid()

    def get(self, key: str, limit: int) -> bytes | None:
        if self._pid != os.getpid():  # a file position that crossed a fork is shared with the parent
            self._open()
        info = self._members.get(key)
        if info is None:
            return None
        if info.file_size > limit:
            raise BadData(self.path, key, f"at most {limit} bytes", info.file_size)
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except _ZIP_ERRORS as error:
            raise BadData(self.path, key, "a whole member of the zip", str(error)[:120]) from error
        if len(data) != info.file_size:
            raise BadData(self.path, key, f"{info.file_size} bytes", len(data))
        return data

    def has(self, key: str) -> bool:
        return key in self._members

    def arrays(self, group: str) -> Iterator[str]:
        below = [PurePosixPath(key) for key in self._members if key.startswith(f"{group}/") and not key.endswith("/")]
        arrays = {str(key.parent) for key in below if key.name == ".zarray"}
        newer = {str(key.parent) for key in below if key.name == "zarr.json"}
        arrays |= {name for name in newer if _node(self, name) == "array"}
        for key in below:
            is_data = key.name not in (".zgroup", ".zattrs", "zarr.json")
            if is_data and not arrays & {str(parent) for parent in key.parents}:
                raise BadData(self.path, str(key.parent), "a member .zarray", "none")
        yield from sorted(arrays)

    def close(self) -> None:
        self._zip.close()


def _node(store: ByteStore, key: str) -> str:
    """`array` or `group`, in either version; empty where it is neither."""
    if store.has(f"{key}/.zarray"):
        return "array"
    if store.has(f"{key}/.zgroup"):
        return "group"
    return str((read_json(store, f"{key}/zarr.json") or {}).get("node_type") or "")


def open_store(path: Path) -> ByteStore:
    """The store at a path; BadData when it is neither a folder nor a complete zip file."""
    return FolderStore(path) if path.is_dir() else ZipStore(path)


def read_json(store: ByteStore, key: str) -> dict[str, Any] | None:
    """A JSON object, `None` when the key is not there; BadData when it is broken."""
    data = store.get(key, _JSON_BYTES)
    if data is None:
        return None
    where = store.path / key
    try:
        parsed = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadData(where, "file", "JSON", str(error)[:120]) from error
    if not isinstance(parsed, dict):
        raise BadData(where, "file", "a JSON object", type(parsed).__name__)
    return parsed
