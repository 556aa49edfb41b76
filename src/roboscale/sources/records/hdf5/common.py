"""HDF5 as untrusted input: opened read only, walked without following links out of the file, sizes checked first.

Knows HDF5, not what anybody keeps in it. A file without checksums can have wrong numbers in the right places; that
cannot be seen here.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import json
import math
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched
from roboscale.sources.records.hdf5.guardfile import GuardedFile
from roboscale.sources.records.hdf5.references import check_attribute, check_dataset

__all__ = [
    "Files",
    "Frames",
    "Leaf",
    "attribute",
    "blob_reader",
    "check_stored",
    "find_group",
    "guarded",
    "leaves",
    "load_any_json",
    "members",
    "natural",
    "open_file",
    "read_array",
    "resolve",
    "resolve_dataset",
    "text",
]

# What h5py raises on broken bytes, by experiment; the library's own errors arrive as OSError or RuntimeError.
_FAULTS = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    SystemError,
)
_OURS = (errno.EMFILE, errno.ENFILE, errno.EACCES)  # the machine's fault, not the file's

_DEPTH = 8  # groups below an episode
_COUNT = 20_000  # members of an episode's groups
_CHUNK_BYTES = 2**30
_RATIO = 1100  # deflate cannot do better than 1032 : 1
_JSON_BYTES = 256 * 2**20


@contextlib.contextmanager
def guarded(where: object, field: str, *also: type[Exception]) -> Iterator[None]:
    """Turns whatever the HDF5 library, or `also`, raises on a broken file into BadData that names file and field."""
    try:
        yield
    except _FAULTS + also as error:
        if isinstance(error, OSError) and error.errno in _OURS:
            raise
        found = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise BadData(where, field, "readable data", found) from error


def open_file(path: Path) -> h5py.File:
    """Opens read only, without locking; BadData when it is cut off or no HDF5."""
    require_fetched(path)
    if not path.is_file():
        raise BadData(path, "file", "an HDF5 file", "no file")
    with guarded(path, "file"):
        if not h5py.is_hdf5(path):
            raise BadData(path, "signature", "that of HDF5", f"{path.stat().st_size} bytes without it")
        _close_at_exit()
        return h5py.File(GuardedFile(path), "r")


@functools.cache
def _close_at_exit() -> None:
    """What is open when the process ends is closed by the library, which then calls a Python that is gone: a crash."""
    atexit.register(_close_guarded)


def _close_guarded() -> None:
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
            with contextlib.suppress(*_FAULTS):
                h5py.File(file).close()


class Files:
    """Open HDF5 files of one process; a process that was forked or unpickled opens its own."""

    def __init__(self, size: int = 4) -> None:
        self._size, self._pid = size, os.getpid()
        self._open: OrderedDict[Path, h5py.File] = OrderedDict()
        self._inherited: list[OrderedDict[Path, h5py.File]] = []

    def get(self, path: Path) -> h5py.File:
        """The file, opened by this process; BadData when it is broken."""
        if self._pid != os.getpid():
            self._inherited.append(self._open)  # kept: closing them is the parent's business
            self._open, self._pid = OrderedDict(), os.getpid()
        file = self._open.pop(path, None) or open_file(path)
        self._open[path] = file
        while len(self._open) > self._size:
            _, oldest = self._open.popitem(last=False)
            with guarded(path, "file"):
                oldest.close()
        return file

    def close(self) -> None:
        if self._pid == os.getpid():
            for path, file in self._open.items():
                with guarded(path, "file"):
                    file.close()
        self._open = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"size": self._size}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["size"])  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a dataset says of itself.

    Args:
        shape: whole, time included.
        dtype: numpy's name in this machine's byte order; `bytes` for blobs of varying length, else `text`, `other`.
        chunked: stored in pieces.
    """

    shape: tuple[int, ...]
    dtype: str
    chunked: bool = False

    @property
    def numeric(self) -> bool:
        return self.dtype not in ("bytes", "text", "other")

    @property
    def frame(self) -> tuple[int, ...]:
        """Shape of one time step."""
        return self.shape[1:]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def _dtype(dtype: np.dtype[Any]) -> str:
    inner = h5py.check_vlen_dtype(dtype)
    if inner is not None and isinstance(inner, np.dtype) and inner.kind in "iu" and inner.itemsize == 1:
        return "bytes"
    if h5py.check_string_dtype(dtype) is not None:
        return "text"
    return dtype.newbyteorder("=").name if dtype.kind in "biuf" and dtype.itemsize <= 8 else "other"


def _leaf(path: Path, name: str, dataset: h5py.Dataset) -> Leaf:
    if dataset.is_virtual or dataset.external:
        raise BadData(path, name, "data in this file", "a reference to another file")
    if dataset.shape is None:
        return Leaf((0,), "other")
    leaf = Leaf(tuple(int(n) for n in dataset.shape), _dtype(dataset.dtype), dataset.chunks is not None)
    sized = leaf.dtype not in ("text", "other") or dataset.dtype.kind == "S"  # of others the library tells no size
    if sized and not leaf.chunked:  # of a chunked one this would load its whole index
        _check_contiguous(path, name, dataset, leaf)
    return leaf


def _check_contiguous(path: Path, name: str, dataset: h5py.Dataset, leaf: Leaf) -> None:
    claimed = math.prod(leaf.shape) * int(dataset.id.get_type().get_size())
    stored = int(dataset.id.get_storage_size())
    if claimed != stored or stored > path.stat().st_size:
        raise BadData(path, name, f"{claimed} bytes for {leaf}", f"{stored} bytes in a file of {path.stat().st_size}")


def check_stored(path: Path, name: str, dataset: h5py.Dataset) -> Leaf:
    """What a dataset says of itself, once it is sure that its bytes are there and that reading them stays bounded.

    Raises:
        BadData: fewer bytes or chunks are stored than its shape needs, or more is claimed than they can hold.
    """
    with guarded(path, name):
        leaf = _leaf(path, name, dataset)
        if leaf.chunked and all(leaf.shape):
            size = int(dataset.id.get_type().get_size())
            expected = math.prod(-(-n // c) for n, c in zip(leaf.shape, dataset.chunks, strict=True))
            found = int(dataset.id.get_num_chunks())
            if found != expected:
                raise BadData(path, name, f"{expected} chunks for {leaf}", f"{found} written")
            stored, claimed = int(dataset.id.get_storage_size()), math.prod(leaf.shape) * size
            chunk = math.prod(dataset.chunks) * size
            if claimed > _RATIO * stored + 2**20 or stored > path.stat().st_size or chunk > _CHUNK_BYTES:
                raise BadData(path, name, f"at most {_RATIO * stored + 2**20} bytes from {stored} stored", claimed)
        if leaf.dtype in ("bytes", "text") and dataset.dtype.kind == "O" and all(leaf.shape):
            check_dataset(path, name, dataset)
        return leaf


def find_group(path: Path, file: h5py.Group, name: str) -> h5py.Group:
    """A group by its path below `file`; BadData when it is not there, or leads out of the file."""
    node: Any = file
    for part in filter(None, name.split("/")):
        node = resolve(path, node, part)
        if not isinstance(node, h5py.Group):
            raise BadData(path, name, "a group", "a dataset")
    return node


def resolve(path: Path, group: h5py.Group, name: str) -> Any:
    """A member of a group, never one of another file."""
    field = f"{group.name.rstrip('/')}/{name}"
    with guarded(path, field):
        if group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_EXTERNAL:
            raise BadData(path, field, "data in this file", "a link to another file")
        return group[name]


def leaves(path: Path, group: h5py.Group) -> dict[str, Leaf]:
    """Every dataset below a group: its path -> what it says of itself.

    Raises:
        BadData: names the dataset that is broken; or groups that lead back to themselves.
    """
    arrays: dict[str, Leaf] = {}
    stack: list[tuple[str, h5py.Group, int]] = [("", group, 0)]
    visited = 0
    while stack:
        prefix, node, depth = stack.pop()
        for name in members(path, node):
            full, visited = prefix + name, visited + 1
            if depth >= _DEPTH or visited > _COUNT:
                raise BadData(path, f"{group.name}/{full}", f"at most {_DEPTH} levels and {_COUNT} members", "more")
            child = resolve(path, node, name)
            if isinstance(child, h5py.Group):
                stack.append((full + "/", child, depth + 1))
            elif isinstance(child, h5py.Dataset):
                with guarded(path, child.name or full):
                    arrays[full] = _leaf(path, str(child.name), child)
    return dict(sorted(arrays.items()))


def members(path: Path, group: h5py.Group) -> list[str]:
    """Names in a group; BadData when they are endless or no text."""
    with guarded(path, str(group.name)):
        names = [name for name, _ in zip(group, range(_COUNT + 1), strict=False)]
    for name in names:
        if not isinstance(name, str) or not name.isprintable() or len(names) > _COUNT:
            raise BadData(path, str(group.name), f"at most {_COUNT} names that can be printed", repr(name)[:60])
    return names


def read_array(path: Path, group: h5py.Group, name: str) -> NDArray[Any]:
    """A whole numeric dataset in this machine's byte order."""
    dataset, field = resolve_dataset(path, group, name)
    leaf = check_stored(path, field, dataset)
    if not leaf.numeric:
        raise BadData(path, field, "numbers", leaf)
    with guarded(path, field):
        values = np.asarray(dataset[()])
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def resolve_dataset(path: Path, group: h5py.Group, name: str) -> tuple[h5py.Dataset, str]:
    """A dataset below a group, and its full name."""
    parent, _, last = name.rpartition("/")
    place = resolve(path, find_group(path, group, parent), last)
    field = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(place, h5py.Dataset):
        raise BadData(path, field, "a dataset", "a group")
    return place, field


class Frames:
    """A dataset of pictures that slices like an array (T, H, W, 3) and is opened when somebody looks."""

    def __init__(self, files: Files, path: Path, group: str, name: str) -> None:
        self._files, self._path, self._group, self._name = files, path, group, name
        self._checked = False

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        group = find_group(self._path, self._files.get(self._path), self._group)
        dataset, field = resolve_dataset(self._path, group, self._name)
        if not self._checked:
            check_stored(self._path, field, dataset)
            self._checked = True
        with guarded(self._path, field):
            return np.asarray(dataset[rows])


def blob_reader(files: Files, path: Path, group: str, name: str) -> Callable[[int], bytes]:
    """Number of a frame -> its bytes, for a dataset of blobs of varying length or of padded rows."""
    held: tuple[h5py.File, h5py.Dataset, str] | None = None

    def read(number: int) -> bytes:
        nonlocal held
        file = files.get(path)
        if held is None or held[0] is not file:
            dataset, field = resolve_dataset(path, find_group(path, file, group), name)
            check_stored(path, field, dataset)
            held = file, dataset, field
        _, dataset, field = held
        with guarded(path, f"{field}[{number}]"):
            value = dataset[number]
        if isinstance(value, bytes):
            return value
        array = np.asarray(value)
        if array.dtype not in (np.uint8, np.int8) or array.ndim != 1:
            raise BadData(path, f"{field}[{number}]", "bytes", f"{array.dtype}{list(array.shape)}")
        return array.tobytes()

    return read


def attribute(path: Path, node: h5py.Group, name: str) -> Any:
    """An attribute, or None where there is none; bytes become text."""
    with guarded(path, f"{node.name}.attrs[{name}]"):
        check_attribute(path, node, name)
        value = node.attrs.get(name)
        return text(value) if isinstance(value, (bytes, str)) else value


def text(value: Any) -> str:
    """Text of an attribute or a cell, whatever its writer made of it."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def load_any_json(path: Path) -> Any:
    """A JSON file of a recording; BadData when it is broken."""
    try:
        if path.stat().st_size > _JSON_BYTES:
            raise BadData(path, "file", f"at most {_JSON_BYTES} bytes", path.stat().st_size)
        return json.loads(path.read_text("utf-8", "replace"))
    except (ValueError, OSError, RecursionError) as error:
        raise BadData(path, "file", "JSON", str(error)[:160]) from error


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `demo_2` before `demo_10`."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, len(p.lstrip("0")), p) if p[:1].isdigit() else (1, 0, p) for p in parts)
