"""One record: an episode as `tf.train.Example` holds it, checked against features.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Pictures
from roboscale.dataset.pictures import ArrayPictures, EncodedPictures
from roboscale.sources.records.rlds.example import Values, parse_example
from roboscale.sources.records.rlds.features import FeatureLeaf, numbers, texts
from roboscale.sources.records.rlds.framing import Shard, read_payload

__all__ = ["Record", "read_episode_record"]


@dataclass(frozen=True, slots=True)
class Record:
    """Values of one episode.

    Args:
        file: its shard.
        where: which record of that, for errors.
        values: name -> flat values.
        length: steps; every leaf has values for that many.
    """

    file: Path
    where: str
    values: Mapping[str, Values]
    length: int

    def numbers(self, leaf: FeatureLeaf) -> NDArray[Any]:
        """(length, *leaf.shape), or (1, *leaf.shape) for metadata; BadData when a value does not fit."""
        return numbers(leaf, self.values[leaf.name], self.file, self.where)

    def texts(self, leaf: FeatureLeaf) -> list[str]:
        """One text per step, or one for metadata; BadData when it is not UTF-8."""
        return texts(leaf, self.values[leaf.name], self.file, self.where)

    def column(self, leaves: Sequence[FeatureLeaf]) -> NDArray[Any]:
        """One array, or several stacked along the last axis; scalars become (length, 1)."""
        arrays = [self.numbers(leaf) for leaf in leaves]
        if len(arrays) == 1 and leaves[0].shape:
            return arrays[0]
        return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)

    def blobs(self, leaf: FeatureLeaf) -> list[bytes]:
        """Encoded pictures, one per step."""
        values = self.values[leaf.name]
        if isinstance(values, np.ndarray):
            raise BadData(self.file, f"{self.where}: {leaf.name}", "encoded pictures", f"{values.dtype} values")
        return list(values)

    def pictures(self, leaf: FeatureLeaf) -> Pictures:
        """One camera, decoded when iterated."""
        field = f"{self.where}: {leaf.name}"
        if leaf.kind == "number":
            return ArrayPictures(self.file, field, self.numbers(leaf), 0, self.length)
        return EncodedPictures(self.file, field, self.blobs(leaf).__getitem__, self.length, leaf.shape)


def read_episode_record(shard: Shard, number: int, leaves: Sequence[FeatureLeaf]) -> Record:
    """Reads and checks one record.

    Raises:
        BadData: a checksum fails, the payload is no Example, or a leaf is missing or has values for another number
            of steps than the others.
    """
    where = f"record {number}"
    values = parse_example(read_payload(shard, number), shard.path, where)
    return Record(shard.path, where, values, _length(shard.path, where, values, leaves))


def _length(file: Path, where: str, values: Mapping[str, Values], leaves: Sequence[FeatureLeaf]) -> int:
    first, length = "", 0
    for leaf in leaves:
        if leaf.kind == "other":
            continue
        field = f"{where}: {leaf.name}"
        if leaf.name not in values:
            raise BadData(file, field, "values, as features.json says", "nothing")
        per_step = leaf.size if leaf.kind == "number" and leaf.encoding == "none" else 1
        count, rest = divmod(len(values[leaf.name]), per_step)
        if rest or not count:
            raise BadData(file, field, f"a multiple of {per_step} values", len(values[leaf.name]))
        if not leaf.in_steps and count != 1:
            raise BadData(file, field, "one value per episode", count)
        if leaf.in_steps and not first:
            first, length = leaf.name, count
        if leaf.in_steps and count != length:
            raise BadData(file, field, f"{length} steps, as {first} has", count)
    if not length:
        raise BadData(file, f"{where}: steps", "at least one step", "none")
    return length
