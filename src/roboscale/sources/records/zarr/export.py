"""Writes a dataset as the zarr store that diffusion_policy's ReplayBuffer opens (format 2).

Numbers in Blosc chunks of about a megabyte, pictures one per chunk. Rate, instructions, ids and our names go into
`.zattrs`, which readers that do not know them ignore.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, SpecMismatch
from roboscale.dataset import Dataset
from roboscale.sources.records.zarr.mapping import source_name
from roboscale.sources.records.zarr.notes import NOTES_KEY, Notes

__all__ = ["export_zarr", "write_zarr_array", "write_zarr_chunk", "write_zarr_json", "write_zarr_metadata"]

_CHUNK_BYTES = 2**20


def export_zarr(dataset: Dataset, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes every episode of a dataset.

    Args:
        out: folder to make; must not hold anything yet.
        progress: called with the number of frames whose pictures are written and of all.

    Raises:
        BadData: `out` holds something.
        SpecMismatch: there is no episode, or two fields would get one name; nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadData(out, "folder", "nothing there yet", "a file" if out.is_file() else "files")
    names = _names(dataset)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        _write_groups(part, dataset, names)
        for field in dataset.spec:
            if not field.is_image:
                array = dataset.arrays(field.name).reshape(len(dataset), *field.shape)
                rows = max(1, _CHUNK_BYTES // max(1, array.itemsize * int(np.prod(field.shape))))
                write_zarr_array(part / "data" / names[field.name], array, rows)
        _write_pictures(part, dataset, names, progress)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _names(dataset: Dataset) -> dict[str, str]:
    """Field -> array."""
    if not dataset.episodes:
        raise SpecMismatch(f"{dataset.root}: expected at least one episode, found none")
    names: dict[str, str] = {}
    for field in dataset.spec:
        source = source_name(field)
        if source in names.values() or "/" in source or source.startswith("."):
            taken = next((name for name, other in names.items() if other == source), "nobody")
            raise SpecMismatch(f"{field.name}: would be data/{source} in zarr, which is no name or taken by {taken}")
        names[field.name] = source
    return names


def _write_groups(part: Path, dataset: Dataset, names: Mapping[str, str]) -> None:
    for folder in (part, part / "data", part / "meta"):
        folder.mkdir(exist_ok=True)
        write_zarr_json(folder / ".zgroup", {"zarr_format": 2})
    episodes = dataset.episodes
    notes = Notes(
        rate_hz=float(dataset.fps),
        instructions=[episode.instruction for episode in episodes],
        ids=[episode.id for episode in episodes],
        fields={source: name for name, source in names.items()},
    )
    write_zarr_json(part / ".zattrs", {NOTES_KEY: notes.to_json()})
    ends = np.cumsum([episode.length for episode in episodes]).astype(np.int64)
    write_zarr_array(part / "meta" / "episode_ends", ends, len(ends))


def _write_pictures(
    part: Path, dataset: Dataset, names: Mapping[str, str], progress: Callable[[int, int], None] | None
) -> None:
    """Frame by frame: an episode need not fit into memory."""
    cameras = dataset.spec.images
    codec = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.NOSHUFFLE)
    for field in cameras:
        write_zarr_metadata(
            part / "data" / names[field.name], (len(dataset), *field.shape), 1, np.dtype(np.uint8), codec
        )
    frames = dataset.as_recorded()
    for index in range(len(dataset)) if cameras else ():
        frame = frames[index]
        for field in cameras:
            key = ".".join(map(str, (index, 0, 0, 0)))
            write_zarr_chunk(part / "data" / names[field.name] / key, frame[field.name][None], codec)
        if progress is not None:
            progress(index + 1, len(dataset))


def write_zarr_array(folder: Path, array: NDArray[Any], rows: int) -> None:
    """A whole array, `rows` to a chunk."""
    codec = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)
    rows = min(rows, len(array))
    write_zarr_metadata(folder, array.shape, rows, array.dtype, codec)
    tail = ".0" * (array.ndim - 1)
    for number, first in enumerate(range(0, len(array), rows)):
        chunk = array[first : first + rows]
        if len(chunk) < rows:  # chunks are whole in format 2
            chunk = np.concatenate([chunk, np.zeros((rows - len(chunk), *array.shape[1:]), array.dtype)])
        write_zarr_chunk(folder / f"{number}{tail}", chunk, codec)


def write_zarr_chunk(file: Path, chunk: NDArray[Any], codec: Any) -> None:
    """One chunk, whole."""
    file.write_bytes(bytes(codec.encode(np.ascontiguousarray(chunk))))


def write_zarr_metadata(folder: Path, shape: tuple[int, ...], rows: int, dtype: np.dtype[Any], codec: Any) -> None:
    """What an array is, `rows` to a chunk; makes its folder."""
    folder.mkdir(parents=True)
    metadata = {
        "chunks": [rows, *shape[1:]],
        "compressor": codec.get_config(),
        "dtype": dtype.str,
        "fill_value": False if dtype.kind == "b" else 0,
        "filters": None,
        "order": "C",
        "shape": list(shape),
        "zarr_format": 2,
    }
    write_zarr_json(folder / ".zarray", metadata)


def write_zarr_json(path: Path, data: Mapping[str, Any]) -> None:
    """One of a store's small files."""
    path.write_text(json.dumps(data, indent=4, ensure_ascii=False) + "\n", "utf-8")
