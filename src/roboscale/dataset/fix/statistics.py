"""`stats.json`, and our own mergeable statistics, corrected from the numbers and pictures that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.fix.mending import Mending, VerifiedEpisode
from roboscale.dataset.layout import Info, Layout, atomic_write, load_json, to_json
from roboscale.dataset.seal import load_statistics, save_statistics
from roboscale.dataset.statistics import PixelCounts, Statistics, shape_of
from roboscale.dataset.video import VideoReader

__all__ = ["mend_statistics"]

_COLOUR = 0.05  # of the full scale: the mean of some pictures against the claimed mean of all
_LOOKED = (32, 8)  # episodes, and pictures of each, that are looked at before all are


def mend_statistics(mending: Mending, info: Info, episodes: Sequence[VerifiedEpisode]) -> None:
    """Statistics of numbers from all of them; of a camera only where a look at some pictures contradicts them."""
    path = mending.root / "meta/stats.json"
    try:
        claimed = load_json(path)
    except BadData as error:
        mending.note(str(error))
        claimed = {}
    numbers = _of_numbers(mending, info, episodes)
    cameras = _of_cameras(mending, info, claimed, episodes)
    stats, wrong = dict(claimed), []
    counted: dict[str, Statistics | PixelCounts] = {**numbers, **cameras}
    for name, one in counted.items():
        entry = one.to_lerobot()
        before = claimed[name] if isinstance(claimed.get(name), dict) else {}
        bad = [key for key, value in entry.items() if not _close(before.get(key), value, key in ("min", "max"))]
        if bad:
            wrong.append(f"{name} ({', '.join(bad)})")
            stats[name] = entry
    if wrong:
        mending.note(f"stats.json: claimed other numbers than the data have: {'; '.join(wrong)}")
        mending.replace(path, lambda target: atomic_write(target, to_json(stats)))
    _mend_own(mending, info, numbers, cameras)


def _of_numbers(mending: Mending, info: Info, episodes: Sequence[VerifiedEpisode]) -> dict[str, Statistics]:
    counted = {}
    for name, feature in info.columns.items():
        values = np.concatenate([e.columns[name].reshape(e.length, *feature["shape"]) for e in episodes])
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            mending.note(f"statistics of {name}: not computed, for it holds NaN or infinity")
        else:
            counted[name] = Statistics.of(values)
    return counted


def _of_cameras(
    mending: Mending, info: Info, claimed: Mapping[str, Any], episodes: Sequence[VerifiedEpisode]
) -> dict[str, PixelCounts]:
    """Those of the cameras whose pictures contradict the claim; what cannot be decoded is not judged."""
    counted = {}
    for camera in info.colour_cameras:
        try:
            if not _shows(info, camera, claimed.get(camera), episodes):
                counted[camera] = _of_camera(info, camera, episodes)
        except BadData as error:
            mending.note(f"statistics of {camera}: not computed: {error}")
    return counted


def _close(claimed: Any, found: Any, exact: bool = False) -> bool:
    """Within .1 % of the size of the numbers, for quantiles of a histogram are not exact; extremes are."""
    near = 1e-6 if exact else 1e-3
    try:
        a, b = np.asarray(claimed, np.float64), np.asarray(found, np.float64)
        return a.shape == b.shape and bool(np.allclose(a, b, near, near * float(np.abs(b).max(initial=1e-9))))
    except (TypeError, ValueError):
        return False


def _shows(info: Info, camera: str, claim: Any, episodes: Sequence[VerifiedEpisode]) -> bool:
    """Whether the claimed statistics are whole and some pictures of a camera have about their mean colour."""
    if not isinstance(claim, dict) or not {"min", "max", "mean", "std", "count"} <= claim.keys():
        return False
    if any(shape_of(claim[name]) != (3, 1, 1) for name in ("min", "max", "mean", "std")):
        return False
    some = [episodes[i] for i in np.unique(np.linspace(0, len(episodes) - 1, _LOOKED[0]).astype(int))]
    means = [_pictures(info, camera, e, _LOOKED[1]).mean(axis=(0, 1, 2)) / 255 for e in some]
    try:
        said = np.asarray(claim["mean"], np.float64).reshape(3)
    except (TypeError, ValueError):
        return False
    return bool((np.abs(np.average(means, axis=0, weights=[e.length for e in some]) - said) <= _COLOUR).all())


def _of_camera(info: Info, camera: str, episodes: Sequence[VerifiedEpisode]) -> PixelCounts:
    """As the writer counts them: one picture in memory at a time."""
    parts = []
    for episode in episodes:
        path, first = _video(info, camera, episode.row)
        reader = VideoReader(path, info.fps)
        parts.append(reader.count_pixels(first, episode.length))
        reader.close()
    return reduce(PixelCounts.merge, parts)


def _pictures(info: Info, camera: str, episode: VerifiedEpisode, count: int) -> NDArray[np.uint8]:
    path, first = _video(info, camera, episode.row)
    reader = VideoReader(path, info.fps)
    images = reader.read(np.unique(np.linspace(first, first + episode.length - 1, count).astype(int)).tolist())
    reader.close()
    return images


def _video(info: Info, camera: str, row: Mapping[str, Any]) -> tuple[Path, int]:
    at = f"videos/{camera}"
    path = info.video_file(camera, row[f"{at}/chunk_index"], row[f"{at}/file_index"])
    return path, round(row[f"{at}/from_timestamp"] * info.fps)


def _mend_own(
    mending: Mending, info: Info, numbers: Mapping[str, Statistics], cameras: Mapping[str, PixelCounts]
) -> None:
    """What the next seal goes on from."""
    path = Layout(mending.root).statistics
    if not path.exists():
        return
    try:
        before = load_statistics(path)
    except BadData as error:
        mending.note(str(error))
        before = {}
    after = {name: entry for name, entry in before.items() if name in info.features} | {**numbers, **cameras}
    entries = {name: entry.to_lerobot() for name, entry in after.items()}
    same = before.keys() == after.keys() and all(
        _close(before[name].to_lerobot().get(key), value)
        for name, entry in entries.items()
        for key, value in entry.items()
    )
    if not same:
        mending.note("meta/roboscale/statistics.npz: claimed other numbers than the data have")
        mending.replace(path, lambda target: save_statistics(target, after))
