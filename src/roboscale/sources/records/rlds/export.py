"""Writes a dataset as RLDS, in the layout that `tfds.builder_from_directory` opens.

Pictures become PNG, which loses nothing more than the video did. TFRecords have no float64: a column that is not
exact in float32 is refused.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roboscale.core import BadData, Field, SpecMismatch
from roboscale.dataset import Dataset, EpisodeInfo
from roboscale.sources.records.rlds.example import Values, serialize_example
from roboscale.sources.records.rlds.features import FeatureLeaf, feature_json
from roboscale.sources.records.rlds.framing import write_payload

__all__ = ["export_rlds"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SHARD_BYTES = 512 * 2**20
_VERSION = "1.0.0"
_FLAGS = {
    f"steps/{name}": FeatureLeaf(name=f"steps/{name}", kind="number", shape=(), dtype="bool")
    for name in ("is_first", "is_last", "is_terminal")
}
_INSTRUCTION = FeatureLeaf(name="steps/language_instruction", kind="text")
_METADATA = {
    "episode_metadata/roboscale_id": FeatureLeaf(name="episode_metadata/roboscale_id", kind="text"),
    "episode_metadata/provenance": FeatureLeaf(name="episode_metadata/provenance", kind="text"),
    "episode_metadata/outcome": FeatureLeaf(name="episode_metadata/outcome", kind="text"),
    "episode_metadata/rate_hz": FeatureLeaf(name="episode_metadata/rate_hz", kind="number", shape=(), dtype="float32"),
}


def export_rlds(
    dataset: Dataset,
    out: Path,
    *,
    name: str = "roboscale_dataset",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes every episode of a dataset as one record of the split `train`.

    Args:
        out: folder to make; must not hold anything yet.
        name: of the dataset, in small letters, digits and _.
        progress: called with the number of episodes written and of all.

    Raises:
        BadData: `out` holds something.
        SpecMismatch: a column cannot be written without loss, or the name is none; nothing is written then.
    """
    if not _NAME.fullmatch(name):
        raise SpecMismatch(f"name: expected small letters, digits and _, found {name!r}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadData(out, "folder", "nothing there yet", "a file" if out.is_file() else "files")
    leaves = {field.name: _leaf(field) for field in dataset.spec}
    _require_apart(leaves)
    _require_exact(dataset)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        lengths, size = _write_shards(dataset, leaves, part, name, progress)
        _write_json(part / "features.json", _features(leaves))
        _write_json(part / "dataset_info.json", _info(name, lengths, size, dataset.fps))
        if out.exists():
            out.rmdir()
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _leaf(field: Field) -> FeatureLeaf:
    """Where the reader finds a field again."""
    name, shape = field.name, field.shape
    head, _, tail = name.partition(".")
    if field.is_image:
        return FeatureLeaf(
            name=f"steps/observation/{name.removeprefix('observation.images.')}",
            kind="image",
            shape=shape,
            dtype="uint8",
            encoding="png",
        )
    if head == "observation":
        full = f"steps/observation/{tail}"
    elif head == "commanded":
        full = f"steps/action_dict/{tail}"
    elif name in ("next.reward", "next.discount"):
        full = f"steps/{tail}"
    else:
        full = f"steps/{name}"
    return FeatureLeaf(name=full, kind="number", shape=shape, dtype=np.dtype(field.dtype).name)


def _require_apart(leaves: Mapping[str, FeatureLeaf]) -> None:
    """SpecMismatch where two fields would lie under one name."""
    taken = {leaf.name: "a name that every dataset has" for leaf in (*_FLAGS.values(), _INSTRUCTION)}
    for name, leaf in leaves.items():
        if leaf.name in taken:
            raise SpecMismatch(f"{name}: would be {leaf.name} in RLDS, which is {taken[leaf.name]} already")
        taken[leaf.name] = name


def _require_exact(dataset: Dataset) -> None:
    """SpecMismatch for numbers that a TFRecord cannot hold."""
    for field in dataset.spec:
        if field.is_image:
            continue
        dtype = np.dtype(field.dtype)
        if dtype.kind not in "fiub":
            raise SpecMismatch(f"{field.name}: RLDS holds numbers, found {field.dtype}")
        array = dataset.arrays(field.name)
        if dtype == np.uint64 and len(array) and array.max() > np.iinfo(np.int64).max:
            raise SpecMismatch(f"{field.name}: RLDS holds integers up to 2**63 - 1, found {array.max()}")
        if dtype.kind == "f" and dtype.itemsize > 4:
            lost = ~((array.astype(np.float32) == array) | np.isnan(array))
            if lost.any():
                raise SpecMismatch(
                    f"{field.name}: RLDS holds float32, which is not exact for {lost.sum()} of {lost.size} "
                    f"{field.dtype} values, e.g. {array[lost][0]!r}"
                )


def _write_shards(
    dataset: Dataset,
    leaves: Mapping[str, FeatureLeaf],
    part: Path,
    name: str,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[int], int]:
    """Writes the records; gives how many each shard holds, and the bytes of all."""
    lengths, size, shard_size = [0], 0, 0
    frames = dataset.as_recorded()
    file: BinaryIO = (part / "0").open("wb")
    try:
        for episode in dataset.episodes:
            payload = serialize_example(_values(dataset, frames, episode, leaves))
            if shard_size and shard_size + len(payload) > _SHARD_BYTES:
                file.close()
                file, shard_size = (part / str(len(lengths))).open("wb"), 0
                lengths.append(0)
            write_payload(file, payload)
            lengths[-1] += 1
            size, shard_size = size + len(payload), shard_size + len(payload)
            if progress is not None:
                progress(episode.index + 1, len(dataset.episodes))
    finally:
        file.close()
    for number in range(len(lengths)):
        (part / str(number)).rename(part / f"{name}-train.tfrecord-{number:05d}-of-{len(lengths):05d}")
    return lengths, size


def _values(
    dataset: Dataset, frames: Dataset, episode: EpisodeInfo, leaves: Mapping[str, FeatureLeaf]
) -> dict[str, Values]:
    """One episode as names and values."""
    length, first = episode.length, episode.from_index
    steps, last = np.arange(length), length - 1
    outcome = episode.outcome
    terminal = episode.provenance.details.get("is_terminal", outcome is not None and outcome.terminated)
    values: dict[str, Values] = {
        "steps/is_first": np.asarray(steps == 0, np.int64),
        "steps/is_last": np.asarray(steps == last, np.int64),
        "steps/is_terminal": np.asarray((steps == last) & bool(terminal), np.int64),
        _INSTRUCTION.name: [episode.instruction.encode()] * length,
        "episode_metadata/roboscale_id": [episode.id.encode()],
        "episode_metadata/provenance": [json.dumps(episode.provenance.to_json(), ensure_ascii=False).encode()],
        "episode_metadata/outcome": [json.dumps(outcome.to_json() if outcome else None).encode()],
        "episode_metadata/rate_hz": np.array([dataset.fps], np.float32),
    }
    for name, leaf in leaves.items():
        if leaf.kind == "number":
            array = dataset.arrays(name)[first : first + length].reshape(-1)
            floats = array.dtype.kind == "f"
            values[leaf.name] = array.astype(np.float32) if floats else array.astype(np.int64)
    cameras = {name: leaf for name, leaf in leaves.items() if leaf.kind == "image"}
    blobs: dict[str, list[bytes]] = {leaf.name: [] for leaf in cameras.values()}
    for index in range(first, first + length) if cameras else ():
        frame = frames[index]
        for name, leaf in cameras.items():
            blobs[leaf.name].append(_png(frame[name]))
    return {**values, **blobs}


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _features(leaves: Mapping[str, FeatureLeaf]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    everything = (*leaves.values(), *_FLAGS.values(), _INSTRUCTION, *_METADATA.values())
    for leaf in everything:
        *folders, name = leaf.name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = leaf
    return feature_json(tree)


def _info(name: str, lengths: list[int], size: int, fps: float) -> dict[str, Any]:
    split = {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": "train",
        "numBytes": str(size),
        "shardLengths": [str(n) for n in lengths],
    }
    return {
        "description": f"Episodes at {fps} Hz, exported by roboscale.",
        "fileFormat": "tfrecord",
        "moduleName": f"{name}.{name}_dataset_builder",
        "name": name,
        "releaseNotes": {_VERSION: "Exported."},
        "splits": [split],
        "version": _VERSION,
    }


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=4) + "\n", "utf-8")
