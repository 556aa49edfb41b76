"""An episode that was saved and not sealed can be taken back: it leaves the dataset and is kept aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.layout import Layout

SPEC = Spec((Field("observation.state", (2,), "float32"), Field("action", (2,), "float32")), 10)


def saved(writer: DatasetWriter, value: float) -> str:
    take = writer.begin("lift the cup", Provenance("test"))
    for _ in range(3):
        take.add({name: np.full(2, value, np.float32) for name in SPEC.names})
    return take.save()


def test_a_saved_episode_is_taken_back_into_quarantine(tmp_path: Path):
    root = tmp_path / "set"
    with DatasetWriter(root, SPEC) as writer:
        first, second, third = (saved(writer, value) for value in (1.0, 2.0, 3.0))
        where = writer.retract(second)
        assert writer.episode_ids == (first, third)
        assert where.is_relative_to(Layout(root).quarantine) and (where / "frames.parquet").is_file()
        with pytest.raises(BadData, match="expected one that is saved and not sealed, found none"):
            writer.retract(second)
        fourth = saved(writer, 4.0)
        writer.seal()
        with pytest.raises(BadData, match="found one that is sealed"):
            writer.retract(first)
    dataset = Dataset(root)
    assert [episode.id for episode in dataset.episodes] == [first, third, fourth]
    assert [float(dataset.episode(i).arrays["action"][0, 0]) for i in range(3)] == [1.0, 3.0, 4.0]
    with DatasetWriter(root, SPEC) as writer:
        assert writer.episode_ids == (first, third, fourth)
