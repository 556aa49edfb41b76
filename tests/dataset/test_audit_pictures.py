"""Pictures are left out where nothing can hide between two others, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roboscale.core import Clip
from roboscale.dataset.audit.pictures import CameraEvidence, look
from roboscale.dataset.video import Encoder

LENGTH, SAMPLES, SIDE = 185, 24, 48
MOVING = [np.sin(np.arange(LENGTH)[:, None] / 15 + [0, 1.5])]
STEP = (LENGTH - 1) / (SAMPLES - 1)  # 8 frames: a picture looked at is never far from a key frame


def looked(folder: Path, images: Sequence[NDArray[np.uint8]]) -> CameraEvidence:
    encoder = Encoder(folder / "clip.mp4", (SIDE, SIDE, 3), 30, "h264")
    for image in images:
        encoder.add(image)
    encoder.close()
    return look(Clip(folder / "clip.mp4", 0, len(images)), MOVING, SAMPLES, 240)


@pytest.fixture
def images() -> list[NDArray[np.uint8]]:
    """A square that moves over a texture: no two pictures are alike."""
    coarse = np.random.default_rng(0).integers(0, 255, (SIDE // 8, SIDE // 8, 3), np.uint8)
    texture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    pictures = []
    for t in range(LENGTH):
        image = np.roll(texture, t, axis=1)
        image[10:20, 10:20] = t
        pictures.append(image)
    return pictures


def test_half_of_the_pictures_are_enough_where_all_differ(tmp_path: Path, images: list[NDArray[np.uint8]]) -> None:
    seen = looked(tmp_path, images)
    assert len(seen.frames) == SAMPLES // 2 + 1 and seen.frames[0] == 0 and seen.frames[-1] == LENGTH - 1
    assert not seen.frozen and not seen.black


@pytest.mark.parametrize("first", [0, 20, 40, 93, 137])
def test_a_camera_that_stands_still_is_found_as_if_all_were_looked_at(
    tmp_path: Path, images: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    last = first + round(5.5 * STEP)
    images[first : last + 1] = [images[first]] * (last + 1 - first)
    seen = looked(tmp_path, images)
    monkeypatch.setattr("roboscale.dataset.audit.pictures._first", lambda numbers, sizes: numbers)
    whole = looked(tmp_path, images)
    assert len(seen.frames) < len(whole.frames) == SAMPLES
    assert seen.frozen == whole.frozen and len(whole.frozen) == 1


@pytest.mark.parametrize("place", [1, 2, 11, 22])
def test_a_single_black_picture_that_would_have_been_looked_at_is(
    tmp_path: Path, images: list[NDArray[np.uint8]], place: int
) -> None:
    at = round(place * STEP)
    images[at - 1 : at + 2] = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 3
    ((begin, end),) = looked(tmp_path, images).black
    assert at - 1 <= begin <= end <= at + 1
