"""Which action lies between two pictures: a small linear model, to tell videos that show other motions.

Pictures become grey, small, and of mean 0 and deviation 1 each, so that other light, contrast or tint says little. How
each part of them moves (Lucas and Kanade 1981, in 8 x 8 cells) is mapped to the action by ridge regression. It is a
judge of whether a video still shows what was done, and no policy: it needs no graphics card, and says how much it
knows (`skill`) on episodes that it did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError

__all__ = ["InverseDynamics", "fit_inverse_dynamics", "normal_grey"]

SIDE = 32  # pixels of the small picture
CELLS = 8  # a side of the grid in which motion is looked at
_PENALTY = 1.0
_FLAT = 0.05  # what a cell without edges is damped by: its motion cannot be seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InverseDynamics:
    """A fitted model.

    Args:
        weights: (features, A), the last row constant.
        mean, scale: of the actions, (A,); residuals are in units of `scale`.
        skill: share of the variance of actions that it explains in episodes that were left out while it was fitted;
            0 or less where it knows nothing.
    """

    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    skill: float

    def predict(self, video: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Actions (T - 1, A) of a video (T, H, W, 3)."""
        return _features(video) @ self.weights * self.scale + self.mean

    def residual(self, video: NDArray[np.uint8], actions: NDArray[Any]) -> float:
        """Root mean square of predicted minus given actions (T, A), in standard deviations of the actions."""
        wanted = np.asarray(actions, float)[: len(video) - 1]
        return float(np.sqrt(np.mean(((self.predict(video) - wanted) / self.scale) ** 2)))


def fit_inverse_dynamics(
    videos: Sequence[NDArray[np.uint8]], actions: Sequence[NDArray[Any]], seed: int = 0
) -> InverseDynamics:
    """Fits on whole episodes; its skill is measured by leaving a fifth of them out, each once.

    Args:
        videos: (T, H, W, 3) each, of one camera. actions: (T, A) each.

    Raises:
        RoboscaleError: fewer than two episodes, or episodes too short.
    """
    if len(videos) < 2 or any(len(video) < 3 for video in videos):
        found = f"{len(videos)} of {min((len(v) for v in videos), default=0)} steps and more"
        raise RoboscaleError(f"inverse dynamics: expected 2 episodes or more of 3 steps or more, found {found}")
    inputs = [_features(video) for video in videos]
    targets = [np.asarray(one, float)[: len(x)] for one, x in zip(actions, inputs, strict=True)]
    every = np.concatenate(targets)
    mean: NDArray[np.float64] = every.mean(0)
    scale: NDArray[np.float64] = every.std(0)
    scale[scale <= 1e-9] = 1.0
    scaled = [(one - mean) / scale for one in targets]
    folds = np.random.default_rng(seed).permutation(len(inputs)) % min(5, len(inputs))
    missed = total = 0.0
    for fold in range(int(folds.max()) + 1):
        inside = [k for k in range(len(inputs)) if folds[k] != fold]
        weights = _ridge([inputs[k] for k in inside], [scaled[k] for k in inside])
        for k in np.flatnonzero(folds == fold):
            missed += float(((inputs[k] @ weights - scaled[k]) ** 2).sum())
            total += float((scaled[k] ** 2).sum())
    skill = 1 - missed / total if total else 0.0
    return InverseDynamics(weights=_ridge(inputs, scaled), mean=mean, scale=scale, skill=skill)


def _ridge(inputs: Sequence[NDArray[np.float64]], targets: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    x, y = np.concatenate(inputs), np.concatenate(targets)
    penalty = _PENALTY * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0  # the constant
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y), np.float64)


def _features(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T - 1, 2 CELLS^2 + 1): how the picture moves in each cell, along x and y in small pixels, and 1."""
    small = normal_grey(video)
    mean, change = (small[1:] + small[:-1]) / 2, small[1:] - small[:-1]
    down: NDArray[np.float64] = np.asarray(np.gradient(mean, axis=1), np.float64)
    across: NDArray[np.float64] = np.asarray(np.gradient(mean, axis=2), np.float64)
    xx, yy, xy = (_cells(one) for one in (across * across, down * down, across * down))
    xt, yt = _cells(across * change), _cells(down * change)
    xx, yy = xx + _FLAT, yy + _FLAT
    size = xx * yy - xy**2
    moved = [(xy * yt - yy * xt) / size, (xy * xt - xx * yt) / size]
    flat = [one.reshape(len(change), -1) for one in moved]
    return np.concatenate([*flat, np.ones((len(change), 1))], axis=1)


def _cells(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over cells, (T, CELLS, CELLS), of (T, SIDE, SIDE)."""
    size = SIDE // CELLS
    mean: NDArray[np.float64] = values.reshape(len(values), CELLS, size, CELLS, size).mean((2, 4))
    return mean


def normal_grey(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Small grey pictures (T, SIDE, SIDE), each of mean 0 and deviation 1: other light says little."""
    rows, columns = (np.linspace(0, n, SIDE + 1).astype(int) for n in video.shape[1:3])
    grey = video.astype(np.float64).mean(-1)
    pooled = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=1), columns[:-1], axis=2)
    area = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    small = pooled / np.maximum(area, 1)
    small = small - small.mean((1, 2), keepdims=True)
    normal: NDArray[np.float64] = small / np.maximum(small.std((1, 2), keepdims=True), 1e-6)
    return normal
