"""A small RLDS dataset, written by the `tfrecord` package, which shares no code with our reader."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["write"]

_NAME = "sample_dataset"
_CLASS = "tensorflow_datasets.core.features"


def write(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """Writes `folder` with one shard of split `train` and gives it back. 10 Hz; the same seed gives the same bytes."""
    from tfrecord.writer import TFRecordWriter

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps(_features(), indent=4))
    (folder / "dataset_info.json").write_text(json.dumps(_info(episodes), indent=4))
    writer = TFRecordWriter(str(folder / f"{_NAME}-train.tfrecord-00000-of-00001"))
    for number in range(episodes):
        writer.write(_record(rng, number, frames))
    writer.close()
    return folder


def _record(rng: np.random.Generator, number: int, frames: int) -> dict[str, tuple[Any, str]]:
    steps = np.arange(frames)
    pictures = [_jpeg(rng) for _ in steps]
    return {
        "steps/observation/image_0": (pictures, "byte"),
        "steps/observation/state": (rng.normal(size=frames * 7).astype(np.float32).tolist(), "float"),
        "steps/observation/force": (rng.normal(size=frames * 3).astype(np.float32).tolist(), "float"),
        "steps/action": (rng.normal(size=frames * 7).astype(np.float32).tolist(), "float"),
        "steps/reward": ((steps == frames - 1).astype(np.float32).tolist(), "float"),
        "steps/discount": ([1.0] * frames, "float"),
        "steps/is_first": ((steps == 0).astype(int).tolist(), "int"),
        "steps/is_last": ((steps == frames - 1).astype(int).tolist(), "int"),
        "steps/is_terminal": ((steps == frames - 1).astype(int).tolist(), "int"),
        "steps/language_instruction": ([f"put block {number} into the bowl".encode()] * frames, "byte"),
        "steps/language_embedding": ([0.5] * (frames * 8), "float"),
        "episode_metadata/file_path": ([f"/raw/{number}.npy".encode()], "byte"),
        "episode_metadata/episode_id": ([number], "int"),
    }


def _jpeg(rng: np.random.Generator) -> bytes:
    small = rng.integers(0, 256, (4, 6, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.kron(small, np.ones((8, 8, 1), np.uint8))).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    dimensions = {"dimensions": [str(n) for n in shape]} if shape else {}
    return {
        "pythonClassName": f"{_CLASS}.{'tensor_feature.Tensor' if shape else 'scalar.Scalar'}",
        "tensor": {"shape": dimensions, "dtype": dtype, "encoding": "none"},
    }


def _dict(features: Mapping[str, Any]) -> dict[str, Any]:
    return {"pythonClassName": f"{_CLASS}.features_dict.FeaturesDict", "featuresDict": {"features": dict(features)}}


def _features() -> dict[str, Any]:
    text = {"pythonClassName": f"{_CLASS}.text_feature.Text", "text": {}}
    image = {
        "pythonClassName": f"{_CLASS}.image_feature.Image",
        "image": {"shape": {"dimensions": ["32", "48", "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"},
    }
    steps = {
        "observation": _dict({"image_0": image, "state": _tensor("float32", 7), "force": _tensor("float32", 3)}),
        "action": _tensor("float32", 7),
        "reward": _tensor("float32"),
        "discount": _tensor("float32"),
        "is_first": _tensor("bool"),
        "is_last": _tensor("bool"),
        "is_terminal": _tensor("bool"),
        "language_instruction": text,
        "language_embedding": _tensor("float32", 8),
    }
    sequence = {
        "pythonClassName": f"{_CLASS}.dataset_feature.Dataset",
        "sequence": {"feature": _dict(steps), "length": "-1"},
    }
    return _dict({"steps": sequence, "episode_metadata": _dict({"file_path": text, "episode_id": _tensor("int32")})})


def _info(episodes: int) -> dict[str, Any]:
    split = {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": "train",
        "numBytes": "0",
        "shardLengths": [str(episodes)],
    }
    return {"name": _NAME, "version": "1.0.0", "fileFormat": "tfrecord", "splits": [split]}
