"""What a file of HDF5 holds, whoever wrote it: numbers, texts, compressed pictures, attributes, the rest by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from roboscale.core import BadData
from roboscale.sources.records.hdf5.common import (
    Leaf,
    attribute,
    check_stored,
    find_group,
    guarded,
    leaves,
    open_file,
    read_array,
    resolve_dataset,
    text,
)
from roboscale.sources.records.own.held import Held

__all__ = ["inside_hdf5"]

_PICTURE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_MOST = 200  # attributes that are named


def inside_hdf5(path: Path, start: str, group: str) -> Iterator[Held]:
    """Everything in a file, or in one group of it, not read yet.

    Args:
        start: what the names begin with.
    """
    with open_file(path) as file:
        node = find_group(path, file, group)
        nodes, said = leaves(path, node), _attributes(path, node)
    for name, leaf in nodes.items():
        yield _of_leaf(path, group, f"{start}{name}", name, leaf)
    for name, value in said.items():
        yield Held(name=f"{start}@{name}", kind="texts", path=path, rows=1, load=partial(list, [value]))


def _attributes(path: Path, node: h5py.Group) -> dict[str, str]:
    """Attributes of a group as texts."""
    with guarded(path, f"{node.name}.attrs"):
        names = [name for name, _ in zip(node.attrs, range(_MOST), strict=False)]
    said = {}
    for name in names:
        try:
            said[str(name)] = str(attribute(path, node, name))[:10_000]
        except BadData:
            said[str(name)] = "an attribute that cannot be read"
    return said


def _of_leaf(path: Path, group: str, whole: str, name: str, leaf: Leaf) -> Held:
    rows = leaf.shape[0] if leaf.shape else 1
    if leaf.numeric and leaf.shape:
        load = partial(_numbers, path, group, name)
        shape = tuple(leaf.shape[1:])
        return Held(name=whole, kind="numbers", path=path, rows=rows, shape=shape, dtype=leaf.dtype, load=load)
    if leaf.numeric or leaf.dtype == "text":
        return Held(name=whole, kind="texts", path=path, rows=rows, load=partial(_texts, path, group, name))
    if (
        leaf.dtype == "bytes"
        and len(leaf.shape) == 1
        and rows
        and _blobs(path, group, name, 1)[0].startswith(_PICTURE)
    ):
        return Held(name=whole, kind="pictures", path=path, rows=rows, load=partial(_blobs, path, group, name, rows))
    return Held(name=whole, kind="objects", path=path, rows=rows, load=partial(_refuse, path, name, leaf))


def _numbers(path: Path, group: str, name: str) -> Any:
    with open_file(path) as file:
        return read_array(path, find_group(path, file, group), name)


def _texts(path: Path, group: str, name: str) -> list[str]:
    with open_file(path) as file:
        dataset, field = resolve_dataset(path, find_group(path, file, group), name)
        check_stored(path, field, dataset)
        with guarded(path, field):
            return [text(value) for value in np.atleast_1d(dataset[()]).reshape(-1).tolist()]


def _blobs(path: Path, group: str, name: str, count: int) -> list[bytes]:
    with open_file(path) as file:
        dataset, field = resolve_dataset(path, find_group(path, file, group), name)
        check_stored(path, field, dataset)
        with guarded(path, field):
            return [np.asarray(dataset[number]).tobytes() for number in range(count)]


def _refuse(path: Path, name: str, leaf: Leaf) -> Any:
    raise BadData(path, name, "numbers, texts or compressed pictures", leaf)
