"""The protocol of generative augmenters: a folder is the question, and the answer lies in it.

    job.json      what is asked: prompt, seed, frames, frames a second, size
    input.mp4     the recorded video
    edges.mp4     control videos, rendered by us: edges always, `depth.mp4` and `segmentation.mp4` where they are known
    output.mp4    made by the worker: as many frames, as large, as quick
    result.json   made by the worker, if it likes: `model`, `version`, anything else

A worker is any program that is called with the folder as its last word and ends with 0 when `output.mp4` is there.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, InfrastructureError
from roboscale.core.plain import Plain

__all__ = ["AugmentationJob", "GeneratedVideo", "ask_worker", "edges_of", "write_job"]

FORM = "roboscale augmentation 1"
_WORDS = 2000  # of a worker's last words


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationJob(Plain):
    """What a worker is asked.

    Args:
        name: of the folder and of what is made.
        prompt: what the video is to look like. seed: of the worker's own chance.
        frames, fps, width, height: of the video, which the answer must keep.
        controls: kind (`edges`, `depth`, `segmentation`) -> file in the folder.
    """

    name: str
    prompt: str
    seed: int
    frames: int
    fps: float
    width: int
    height: int
    controls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneratedVideo:
    """What a worker made.

    Args:
        pictures: (T, H, W, 3). fps: of the file.
        about: what the worker says of itself.
    """

    pictures: NDArray[np.uint8]
    fps: float
    about: Mapping[str, Any]


def write_job(
    folder: Path,
    video: NDArray[np.uint8],
    fps: float,
    *,
    prompt: str,
    seed: int,
    controls: Mapping[str, NDArray[np.uint8]] | None = None,
) -> AugmentationJob:
    """Writes a folder for a worker; edges are drawn here.

    Args:
        video: (T, H, W, 3).
        controls: further control videos of the same shape by kind.
    """
    from roboscale.dataset.video import Encoder

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"edges": edges_of(video), **(controls or {})}
    for name, pictures in {"input": video, **drawn}.items():
        encoder = Encoder(folder / f"{name}.mp4", video.shape[1:], fps, "h264")
        for picture in pictures:
            encoder.add(picture)
        encoder.close()
    frames, height, width = video.shape[:3]
    job = AugmentationJob(
        name=folder.name,
        prompt=prompt,
        seed=seed,
        frames=frames,
        fps=fps,
        width=width,
        height=height,
        controls={kind: f"{kind}.mp4" for kind in drawn},
    )
    (folder / "job.json").write_text(json.dumps({"form": FORM, **job.to_json(), "input": "input.mp4"}, indent=1))
    return job


def ask_worker(folder: Path, worker: Sequence[str], timeout_s: float) -> GeneratedVideo:
    """Runs the worker on a folder; an answer that is there already is taken.

    Raises:
        InfrastructureError: it cannot be started, fails or takes too long.
        BadData: it made no video, or none that can be read.
    """
    from roboscale.dataset.video import VideoReader, probe

    output = folder / "output.mp4"
    if not output.exists():
        try:
            done = subprocess.run([*worker, str(folder)], capture_output=True, text=True, timeout=timeout_s)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError(f"worker {worker[0]}: {folder.name}: {error}") from error
        if done.returncode:
            last = " ".join((done.stderr or done.stdout)[-_WORDS:].split())
            raise InfrastructureError(f"worker {worker[0]}: {folder.name}: ended with {done.returncode}: {last}")
    if not output.exists():
        raise BadData(folder, "output.mp4", "a video that the worker made", "none")
    found = probe(output)
    fps = float(found.fps or 0.0)
    reader = VideoReader(output, fps)
    try:
        pictures = reader.read(range(found.frames))
    finally:
        reader.close()
    said = folder / "result.json"
    try:
        about = json.loads(said.read_text()) if said.exists() else {}
    except ValueError as error:
        raise BadData(said, "file", "JSON", error) from error
    return GeneratedVideo(pictures=pictures, fps=fps, about=about if isinstance(about, dict) else {"said": about})


def edges_of(video: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """White where a picture's grey changes most, (T, H, W, 3): Sobel's gradient, stretched to its 99th percentile."""
    strength = gradient_of(video)
    limit = np.maximum(np.percentile(strength, 99, axis=(1, 2), keepdims=True), 1.0)
    shown = np.clip(255 * strength / limit, 0, 255).astype(np.uint8)
    return np.repeat(shown[..., None], 3, axis=-1)


def gradient_of(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sobel's gradient of the grey of each picture, (T, H, W), edges repeated."""
    grey = np.pad(video.astype(np.float64).mean(-1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = grey[:, :, 2:] - grey[:, :, :-2]
    down = grey[:, 2:] - grey[:, :-2]
    across = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    strength: NDArray[np.float64] = np.hypot(across, down)
    return strength
