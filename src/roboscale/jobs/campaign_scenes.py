"""Which scenes an order is for: where the last recipe failed, and what no episode has covered yet.

A scene is what is first observed of it, in numbers. Of many scenes that could be collected, one after the other is
taken that is far from all episodes there are and from those already taken, times how often trials near it failed.
The trials of the next judging are of other scenes: whoever collects where it will be judged learns its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, World

__all__ = ["choose_scenes", "first_numbers", "number_names", "started_numbers"]

_LEAST = 0.15  # weight of a scene near which nothing failed: what is not covered counts, too
_NEAR = 5  # judged scenes that say how often trials near a scene fail

Floats = NDArray[np.float64]


def number_names(world: World) -> tuple[str, ...]:
    """What a world shows in numbers: the fields by which scenes are told apart."""
    return tuple(
        f.name
        for f in world.info.observation_spec
        if not f.is_image and f.unit != "ns" and f.name.startswith("observation.")
    )


def first_numbers(world: World, cases: Sequence[Case]) -> Floats | None:
    """What each case's scene shows first, without pictures, shape (cases, numbers); `None` without any numbers."""
    names = number_names(world)
    if not names or not cases:
        return None
    rows = []
    for case in cases:
        scene = world.start(case)
        try:
            seen = scene.observe(names)
            rows.append(np.concatenate([np.ravel(np.asarray(seen[name], float)) for name in names]))
        finally:
            scene.close()
    return np.array(rows)


def started_numbers(datasets: Sequence[Path], names: Sequence[str]) -> list[Floats]:
    """What each episode began with; datasets that lack one of the fields are left out."""
    from roboscale.dataset import Dataset

    rows: list[Floats] = []
    for root in datasets:
        dataset = Dataset(root)
        if all(name in dataset.spec for name in names):
            first = np.cumsum(dataset.lengths) - dataset.lengths
            parts = [np.asarray(dataset.arrays(name), float)[first] for name in names]
            rows += [np.concatenate([np.ravel(part[k]) for part in parts]) for k in range(len(first))]
    return rows


def choose_scenes(
    pool: Floats, judged: Floats, failed: Floats, covered: Floats, count: int
) -> tuple[list[int], Mapping[str, float]]:
    """Places in the pool, the most wanted first, and how often trials near them failed against all.

    Args:
        pool: scenes that could be collected, shape (scenes, numbers).
        judged: scenes of the last judging; `failed` is the share of training runs that failed each, shape (scenes,).
        covered: scenes of the episodes that there are, shape (episodes, numbers); may be empty.
        count: how many to choose.

    Source: greedy k-centres (Gonzalez, Theoretical Computer Science 38, 1985), distances weighted by failure.

    >>> pool = np.array([[0.0], [0.1], [0.9], [1.0]])
    >>> places, _ = choose_scenes(pool, np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.array([[0.5]]), 2)
    >>> places[0]
    3
    """
    spread = np.std(np.concatenate([pool, judged]), axis=0)
    kept = spread > 1e-9
    if not kept.any():
        return list(range(min(count, len(pool)))), {}
    scaled, tried = pool[:, kept] / spread[kept], judged[:, kept] / spread[kept]
    apart = np.linalg.norm(scaled[:, None] - tried[None], axis=2)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :_NEAR]
    risk = failed[nearest].mean(axis=1)
    far = np.full(len(pool), np.inf)
    for row in covered[:, kept] / spread[kept] if len(covered) else ():
        far = np.minimum(far, np.linalg.norm(scaled - row, axis=1))
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        reach = np.where(np.isfinite(far), far, 1.0)
        score = np.maximum(risk, _LEAST) * reach
        score[chosen] = -1.0
        place = int(np.argmax(score))
        chosen.append(place)
        far = np.minimum(far, np.linalg.norm(scaled - scaled[place], axis=1))
    return chosen, {"near": float(risk[chosen].mean()), "all": float(failed.mean())}
