"""What texts and blobs of varying length claim to hold, looked at before the HDF5 library allocates it.

Such a value is stored as a reference: its length, the address of a global heap, the number of an object in that heap.
libhdf5 (2.0 and before) allocates the length first and looks for the object afterwards, so four broken bytes cost
gigabytes before there is an error. Here the object must be there, and be that long, before the library reads. A type
of varying length is one of values or of text; the library runs into nothing where it is said to be of a third kind.

Not looked at, because damage to them breaks a checksum that the library verifies: references in compressed chunks,
and attributes in object headers of version 2 (those of version 1, which h5py writes, have none).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from roboscale.core import BadData
from roboscale.sources.records.hdf5.guardfile import heap_objects

__all__ = ["check_attribute", "check_dataset"]

_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
_HEADER = struct.Struct("<BxHII4x")  # version, messages, links, bytes
_MESSAGE = struct.Struct("<HHB3x")  # kind, bytes, flags
_ATTRIBUTE = struct.Struct("<BBHHH")  # version, flags, bytes of name, datatype and dataspace
_IS_TYPE, _IS_ATTRIBUTE, _IS_CONTINUATION = 0x03, 0x0C, 0x10
_IS_VARYING = 9  # class of a datatype
_BLOCKS = 1024  # of one object header
_BLOCK_BYTES = 2**24


class _Source:
    """The file's bytes, beside the library; addresses count from `base`."""

    def __init__(self, path: Path, base: int) -> None:
        self.path, self.base = path, base
        self._objects: dict[int, dict[int, int]] = {}

    def __enter__(self) -> _Source:
        self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes; none outside the file."""
        return os.pread(self._file, size, at) if 0 <= at < 2**63 else b""

    def check(self, field: str, data: bytes) -> None:
        """BadData when one of the references in `data` claims more than its heap holds."""
        for number, (length, heap, index) in enumerate(np.frombuffer(data, _REFERENCE).tolist()):
            if not length or not heap:
                continue  # an empty value
            if heap not in self._objects:
                self._objects[heap] = heap_objects(self.path, self._file, self.base + heap, f"{field}[{number}]")
            held = self._objects[heap].get(index, 0)
            if length > held:
                raise BadData(self.path, f"{field}[{number}]", f"at most the {held} bytes of its heap", length)


def check_dataset(path: Path, field: str, dataset: h5py.Dataset) -> None:
    """Looks at the references of a dataset of texts or of blobs of varying length.

    Raises:
        BadData: one of them claims more than there is.
    """
    with _Source(path, 0 if dataset.file is None else dataset.file.userblock_size) as source:
        for kind, body in _messages(source, source.base + h5py.h5o.get_info(dataset.id).addr):
            if kind == _IS_TYPE:
                _require_kind(path, field, body)
        for at, size in _places(path, field, dataset):
            data = source.read(at, size)
            source.check(field, data[: len(data) // _REFERENCE.itemsize * _REFERENCE.itemsize])


def _places(path: Path, field: str, dataset: h5py.Dataset) -> list[tuple[int, int]]:
    """Offset and size of what is stored of a dataset, without compressed chunks."""
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is None:
            raise BadData(path, field, "references in a place of their own", "none")
        return [(int(offset), int(dataset.id.get_storage_size()))]
    chunks: list[h5py.h5d.StoreInfo] = []
    if not dataset.id.get_create_plist().get_nfilters():
        dataset.id.chunk_iter(chunks.append)
    return [(int(chunk.byte_offset), int(chunk.size)) for chunk in chunks]


def check_attribute(path: Path, node: h5py.Group, name: str) -> None:
    """Looks at the references of an attribute, if it is of varying length.

    Raises:
        BadData: one of them claims more than there is.
    """
    with _Source(path, node.file.userblock_size) as source:
        for kind, body in _messages(source, source.base + h5py.h5o.get_info(node.id).addr):
            if kind == _IS_ATTRIBUTE:
                field = f"{node.name}.attrs[{name}]"
                source.check(field, _references(path, field, body, name))


def _messages(source: _Source, at: int) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message of an object header of version 1; nothing of other versions."""
    head = source.read(at, _HEADER.size)
    if len(head) < _HEADER.size or head[0] != 1:
        return
    blocks = [(at + _HEADER.size, _HEADER.unpack(head)[3])]
    for begin, size in blocks:  # grows as continuations are found
        data, position = source.read(begin, min(size, _BLOCK_BYTES)), 0
        while position + _MESSAGE.size <= len(data):
            kind, length, _ = _MESSAGE.unpack_from(data, position)
            position += _MESSAGE.size
            body = data[position : position + length]
            position += length
            if kind == _IS_CONTINUATION and len(body) >= 16 and len(blocks) < _BLOCKS:
                offset, rest = struct.unpack_from("<QQ", body)
                blocks.append((source.base + offset, rest))
            yield kind, body


def _require_kind(path: Path, field: str, datatype: bytes) -> None:
    """BadData where a datatype of varying length is neither of values nor of text."""
    if len(datatype) > 1 and datatype[0] & 0x0F == _IS_VARYING and datatype[1] & 0x0F > 1:
        raise BadData(path, f"{field}: datatype", "values (0) or text (1) of varying length", datatype[1] & 0x0F)


def _references(path: Path, field: str, body: bytes, name: str) -> bytes:
    """References in the message of the attribute `name`; empty for another one, or one of another type."""
    if len(body) < _ATTRIBUTE.size:
        return b""
    version, flags, *sizes = _ATTRIBUTE.unpack_from(body)
    named = _ATTRIBUTE.size + (version == 3)  # version 3 tells how the name is encoded
    step = 8 if version == 1 else 1
    typed, data = (named + sum(-(-size // step) * step for size in sizes[:n]) for n in (1, 3))
    text = name.encode() + b"\0"
    if body[named : named + len(text)] != text or flags & 1 or typed >= len(body):
        return b""  # flag 1: the datatype is elsewhere, which h5py writes on request only
    if body[typed] & 0x0F != _IS_VARYING:
        return b""
    _require_kind(path, field, body[typed:])
    return body[data : data + (len(body) - data) // _REFERENCE.itemsize * _REFERENCE.itemsize]
