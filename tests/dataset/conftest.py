"""Fixtures of the dataset tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roboscale.dataset import DatasetWriter

RECORDER = Path(__file__).with_name("recorder.py")


@pytest.fixture(scope="session")
def robot() -> ModuleType:
    """The module `recorder`: SPEC, frames(seed, length), record(writer, seed, length)."""
    spec = importlib.util.spec_from_file_location("dataset_recorder", RECORDER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look modules up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path, robot: ModuleType) -> Path:
    """A sealed dataset of three episodes, 5, 6 and 7 frames long, with seeds 0, 1 and 2."""
    path = tmp_path / "dataset"
    with DatasetWriter(path, robot.SPEC, robot_type="square") as writer:
        for seed in range(3):
            robot.record(writer, seed, 5 + seed, f"push the block number {seed % 2} to the goal")
    return path
