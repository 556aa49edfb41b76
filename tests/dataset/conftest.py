"""Fixtures of the dataset tests."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from roboscale.dataset import DatasetWriter
from tests.dataset import recorder


@pytest.fixture(scope="session")
def robot() -> ModuleType:
    """The module `recorder`: SPEC, frames(seed, length), record(writer, seed, length)."""
    return recorder


@pytest.fixture
def root(tmp_path: Path, robot: ModuleType) -> Path:
    """A sealed dataset of three episodes, 5, 6 and 7 frames long, with seeds 0, 1 and 2."""
    path = tmp_path / "dataset"
    with DatasetWriter(path, robot.SPEC, robot_type="square") as writer:
        for seed in range(3):
            robot.record(writer, seed, 5 + seed, f"push the block number {seed % 2} to the goal")
    return path
