"""Pictures of a gripper's finger tags through a fisheye lens, by asking every pixel what it looks at."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.handheld.lens import Lens

__all__ = ["LENS", "picture_of_fingers", "write_finger_video", "write_lens"]

LENS = Lens(width=480, height=360, fx=210.0, fy=211.0, cx=238.7, cy=181.3, k=(0.02, -0.005, 0.003, -0.001))
"""Of the made pictures; every number differs from its neighbours, so that none can be taken for another."""

_DEPTH_M, _EDGE_M, _DOWN_M = 0.072, 0.016, 0.02


def _patch(number: int) -> NDArray[np.uint8]:
    """A tag of 6 x 6 cells with a white margin of one cell."""
    import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    tag = cv2.aruco.generateImageMarker(dictionary, number, 6)
    return np.pad(tag, 1, constant_values=255)


@functools.cache
def _seen() -> NDArray[np.float64]:
    """What 3 x 3 rays of every pixel see of the plane of the fingers, metres."""
    fine = (np.arange(3) - 1) / 3
    rows, columns = (np.arange(n)[:, None] + fine for n in (LENS.height, LENS.width))
    grid = np.stack(np.meshgrid(columns.reshape(-1), rows.reshape(-1)), axis=-1)
    return LENS.directions(grid.reshape(-1, 2)).reshape(*grid.shape) * _DEPTH_M


def picture_of_fingers(
    width_m: float, *, closed_m: float = 0.024, hidden: tuple[int, ...] = (), seed: int = 0
) -> NDArray[np.uint8]:
    """(360, 480, 3) pixels with tags 0 and 1 so far apart, with noise of 2 levels; 3 x 3 rays a pixel."""
    rng = np.random.default_rng(seed)
    seen = _seen()
    shade = np.full(seen.shape[:2], 90.0)
    for number, x in ((0, -(width_m + closed_m) / 2), (1, (width_m + closed_m) / 2)):
        if number in hidden:
            continue
        patch, cell = _patch(number), _EDGE_M / 6
        i, j = (np.floor((seen[..., a] - centre) / cell + 4).astype(int) for a, centre in ((1, _DOWN_M), (0, x)))
        inside = (i >= 0) & (i < 8) & (j >= 0) & (j < 8)
        shade[inside] = patch[i[inside], j[inside]]
    shade = shade.reshape(LENS.height, 3, LENS.width, 3).mean(axis=(1, 3))
    noisy = (shade + rng.normal(0, 2, shade.shape)).clip(0, 255).astype(np.uint8)
    return np.repeat(noisy[:, :, None], 3, axis=2)


def write_finger_video(file: Path, widths: NDArray[np.float64], *, unseen: tuple[int, ...] = ()) -> Path:
    """A clip of fingers that are so far apart; in the frames `unseen` no tag is there. Gives `file` back."""
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = LENS.width, LENS.height, "yuv420p"
        for k, width in enumerate(widths):
            picture = picture_of_fingers(float(width), hidden=(0, 1) if k in unseen else (), seed=k)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file


def write_lens(file: Path, lens: Lens = LENS) -> Path:
    """A lens as OpenImuCameraCalibrator writes it. Gives `file` back."""
    said = {
        "intrinsic_type": "FISHEYE",
        "image_width": lens.width,
        "image_height": lens.height,
        "intrinsics": {
            "aspect_ratio": lens.fy / lens.fx,
            "focal_length": lens.fx,
            "principal_pt_x": lens.cx,
            "principal_pt_y": lens.cy,
            **{f"radial_distortion_{i}": k for i, k in enumerate(lens.k, 1)},
            "skew": 0.0,
        },
    }
    file.write_text(json.dumps(said))
    return file
