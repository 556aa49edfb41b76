"""Resized as Pillow resizes, which is what openpi's checkpoints were shown."""

from __future__ import annotations

import numpy as np
import pytest

from roboscale.policies.remote.images import resize_stretch, resize_with_pad


def picture(height: int, width: int):
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(480, 640), (96, 96), (224, 224), (37, 201), (500, 20)])
@pytest.mark.parametrize("to", [(224, 224), (64, 96)])
def test_stretch_is_pillow_s_within_one_level(size: tuple[int, int], to: tuple[int, int]):
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not here to compare with")
    source = picture(*size)
    wanted = np.asarray(image_module.fromarray(source).resize(to[::-1], image_module.BILINEAR)).astype(int)
    found = resize_stretch(source, *to)
    assert found.dtype == np.uint8
    assert np.abs(found - wanted).max() <= 1


def test_padding_keeps_the_aspect_and_centres():
    white = np.full((480, 640, 3), 255, np.uint8)
    padded = resize_with_pad(white, 224, 224)
    assert padded.shape == (224, 224, 3)
    rows = padded[:, 112, 0]
    assert (rows[:28] == 0).all()
    assert (rows[28:196] == 255).all()
    assert (rows[196:] == 0).all()
    assert resize_with_pad(white.transpose(1, 0, 2), 224, 224)[112, 27, 0] == 0


def test_the_right_size_is_left_alone():
    source = picture(32, 48)
    assert np.array_equal(resize_with_pad(source, 32, 48), source)


def test_a_constant_picture_stays_constant():
    assert (resize_stretch(np.full((50, 70, 3), 77, np.uint8), 33, 91) == 77).all()
