"""A map of keyframes by COLMAP: features, matches, incremental mapping. The only file that imports pycolmap.

One thread and a fixed seed: the same pictures give the same map. What it gives has no scale.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.extras import require_packages
from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.lens import Lens
from roboscale.sources.records.own.pictures import PickedFrames

__all__ = ["CameraMap", "Keyframes", "solve_map"]

Array = NDArray[np.float64]

_FEATURES = 1024
_NEIGHBOURS = 8  # keyframes of a clip that each is matched with, and beyond those the ones 2, 4, 8 .. times as far
_ALL = 30  # keyframes up to which all are matched with all


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframes:
    """Some pictures of one clip.

    Args:
        frames: (K,) their numbers.
        hidden: of each, boxes (x0, y0, x1, y1) in pixels whose features move with the camera.
    """

    video: Path
    frames: NDArray[np.int64]
    shape: tuple[int, int, int]
    hidden: Sequence[Sequence[tuple[int, int, int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraMap:
    """Where the K keyframes were that found their place, in units of the map.

    Args:
        clip: (K,) which of the clips; frames: (K,) numbers within it, both increasing.
        poses: (K) `map_from_camera`, OpenCV axes.
        blur: (K,) radians of one standard deviation that the features leave to a keyframe's direction.
        depth: (K,) median distance of what it sees.
        residual_px: mean distance of features from where the map puts them.
        focal_share: the focal length that the map asks for, as a share of the lens's; it is not used, for a rolling
            shutter asks for a wrong one, too.
    """

    clip: NDArray[np.int64]
    frames: NDArray[np.int64]
    poses: Poses
    blur: Array
    depth: Array
    residual_px: float
    focal_share: float = 1.0

    def of(self, clip: int) -> NDArray[np.bool_]:
        """(K,) which keyframes are of a clip."""
        return np.asarray(self.clip == clip)


def solve_map(clips: Sequence[Keyframes], lens: Lens, mask: NDArray[np.bool_] | None = None) -> CameraMap | None:
    """One map of all clips; `None` where no two pictures are of one place.

    Args:
        lens: at the size of the pictures.
        mask: (H, W) False where every picture shows what moves with the camera.

    Raises:
        RoboscaleError: pycolmap is not installed.
    """
    require_packages("a map of a video", "pycolmap")
    import pycolmap

    pycolmap.logging.minloglevel = 2
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        names = _write(place, clips, mask)
        _extract(pycolmap, place, lens)
        _match(pycolmap, place, clips)
        options = pycolmap.IncrementalPipelineOptions()
        options.num_threads, options.random_seed = 1, 0
        options.multiple_models, options.extract_colors = False, False
        options.ba_refine_focal_length, options.ba_refine_extra_params = False, False
        options.ba_refine_principal_point = False
        made = pycolmap.incremental_mapping(place / "map.db", place / "pictures", place, options=options)
    if not made:
        return None
    largest = max(made.values(), key=lambda one: one.num_reg_images())
    return replace(_map_of(largest, names), focal_share=_focal_share(pycolmap, largest))


def _focal_share(pycolmap: Any, made: Any) -> float:
    """The focal length that the map asks for once it is free, as a share of the given one; changes the map."""
    (camera,) = made.cameras.values()
    given = float(camera.params[0])
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length, options.refine_extra_params, options.refine_principal_point = True, False, False
    options.print_summary = False
    pycolmap.bundle_adjustment(made, options)
    return float(camera.params[0]) / given


def _name(clip: int, frame: int) -> str:
    return f"{clip:03d}-{frame:07d}.png"


def _write(place: Path, clips: Sequence[Keyframes], mask: NDArray[np.bool_] | None) -> dict[str, tuple[int, int]]:
    """The pictures and their masks as files; gives their names."""
    from PIL import Image

    for folder in ("pictures", "masks"):
        (place / folder).mkdir()
    names = {}
    for number, clip in enumerate(clips):
        pictures = PickedFrames(clip.video, clip.frames, clip.shape)
        for frame, picture, boxes in zip(clip.frames.tolist(), pictures, clip.hidden, strict=True):
            name = _name(number, frame)
            names[name] = (number, frame)
            Image.fromarray(picture).convert("L").save(place / "pictures" / name)
            seen = np.full(clip.shape[:2], 255, np.uint8) if mask is None else mask.astype(np.uint8) * 255
            for x0, y0, x1, y1 in boxes:
                seen[max(y0, 0) : y1, max(x0, 0) : x1] = 0
            Image.fromarray(seen).save(place / "masks" / f"{name}.png")
    return names


def _extract(pycolmap: Any, place: Path, lens: Lens) -> None:
    reading = pycolmap.ImageReaderOptions()
    reading.camera_model, reading.mask_path = "OPENCV_FISHEYE", str(place / "masks")
    # COLMAP's first pixel has its middle at (.5, .5)
    parameters = (lens.fx, lens.fy, lens.cx + 0.5, lens.cy + 0.5, *lens.k)
    reading.camera_params = ",".join(repr(float(value)) for value in parameters)
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads, options.use_gpu, options.sift.max_num_features = 1, False, _FEATURES
    pycolmap.extract_features(
        place / "map.db",
        place / "pictures",
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reading,
        extraction_options=options,
    )


def _match(pycolmap: Any, place: Path, clips: Sequence[Keyframes]) -> None:
    """Neighbours within a clip, some far ones, and every keyframe with those of the other clips."""
    lines = []
    for number, clip in enumerate(clips):
        own = [_name(number, frame) for frame in clip.frames.tolist()]
        steps = set(range(1, _NEIGHBOURS + 1)) | {2**k for k in range(4, 12)}
        near = range(1, len(own)) if len(own) <= _ALL else sorted(steps)
        lines += [f"{a} {b}" for step in near for a, b in zip(own, own[step:], strict=False)]
        for other, further in enumerate(clips[number + 1 :], number + 1):
            lines += [f"{a} {_name(other, frame)}" for a in own for frame in further.frames.tolist()]
    (place / "pairs.txt").write_text("\n".join(lines))
    matching, pairing = pycolmap.FeatureMatchingOptions(), pycolmap.ImportedPairingOptions()
    matching.num_threads, matching.use_gpu = 1, False
    pairing.match_list_path = str(place / "pairs.txt")
    pycolmap.match_image_pairs(place / "map.db", matching_options=matching, pairing_options=pairing)


def _map_of(made: Any, names: dict[str, tuple[int, int]]) -> CameraMap:
    images = sorted((names[image.name], image) for image in made.images.values() if image.has_pose)
    (camera,) = made.cameras.values()
    residual = float(made.compute_mean_reprojection_error())
    turns, places, blur, depth = [], [], [], []
    for _, image in images:
        pose = image.cam_from_world()
        back = pose.inverse()
        turns.append(back.rotation.matrix())
        places.append(back.translation)
        points = [made.points3D[p.point3D_id].xyz for p in image.points2D if p.has_point3D()]
        ahead = (np.array(points) @ pose.rotation.matrix().T + pose.translation)[:, 2]
        depth.append(float(np.median(ahead)))
        blur.append(residual / camera.params[0] / np.sqrt(len(points)))
    who = np.array([name for name, _ in images], np.int64).reshape(-1, 2)
    return CameraMap(
        clip=who[:, 0],
        frames=who[:, 1],
        poses=Poses(np.stack(turns), np.stack(places)),
        blur=np.array(blur),
        depth=np.array(depth),
        residual_px=residual,
    )
