"""Videos and pictures as bytes."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from roboscale.core.errors import SpecMismatch
from roboscale.report.video import encode_mp4, encode_png, film_strip


def picture(steps: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([x * 3 + 5 * t, y * 3, 200 - x - y], axis=-1) % 256 for t in range(steps)]
    return np.array(frames, np.uint8)


def decode(content: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(("height", "width"), [(64, 48), (65, 49)])
def test_mp4_is_what_browsers_play(height: int, width: int):
    frames = picture(12, height, width) // 2 + 60
    content = encode_mp4(frames, 12.5)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p") and "Baseline" in str(context.profile)
        assert (stream.frames, float(stream.average_rate)) == (12, 12.5)
        assert (context.height % 2, context.width % 2) == (0, 0)
    assert content.index(b"moov") < content.index(b"mdat")
    decoded = decode(content)
    error = np.array([image[:height, :width].astype(float) for image in decoded]) - frames
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 25


def test_same_frames_same_bytes():
    frames = picture(8, 64, 64)
    assert encode_mp4(frames, 20) == encode_mp4(frames, 20)
    assert encode_mp4(frames, 20) != encode_mp4(frames[::-1], 20)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((0, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)],
)
def test_wrong_frames_are_refused(frames: np.ndarray):
    with pytest.raises(SpecMismatch, match="video: expected uint8"):
        encode_mp4(frames, 10)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_that_is_none_is_refused(fps: float):
    with pytest.raises(SpecMismatch, match="fps > 0"):
        encode_mp4(picture(2, 16, 16), fps)


def test_film_strip_shows_first_and_last_frame_without_loss():
    frames = picture(9, 20, 30)
    (image,) = decode(film_strip(frames, 3))
    assert image.shape == (20, 90, 3)
    assert np.array_equal(image[:, :30], frames[0]) and np.array_equal(image[:, 60:], frames[-1])
    assert decode(film_strip(frames[:2], 6))[0].shape == (20, 60, 3)


def test_png_refuses_other_shapes():
    with pytest.raises(SpecMismatch, match=r"picture: expected uint8 \(H, W, 3\)"):
        encode_png(np.zeros((4, 4), np.uint8))
