"""Episodes that are nearly the same, within a dataset and between datasets, without comparing all pairs.

Two kinds: numbers that are close at every moment (a k-d tree on resampled courses), and rows that are exactly the
same though cut or packed differently (sketches of hashed rows; Broder 1997).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles
from roboscale.dataset.checks import finding, many

__all__ = ["judge_duplicates", "judge_leaks"]

_CLOSE = 0.02  # standard deviations of the dataset, root mean square over all times and dimensions
_LENGTHS = 0.1  # how much the lengths may differ
_SHARED = 0.5  # of the smaller sketch
_LEAST = 8  # rows that a sketch needs to say anything
_COMMON = 20  # a row in more episodes than this is a resting pose
_FEW = 300  # episodes whose distances are all computed

Pairs = dict[tuple[int, int], str]


def judge_duplicates(
    evidence: Sequence[EpisodeEvidence],
    spec: Spec,
    roles: FieldRoles,
    splits: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Finding]:
    """Episodes that repeat an earlier one; the repair drops the later. Those of another split are leaks.

    Args:
        splits: name -> keys of its episodes.
    """
    good = [e for e in evidence if not e.error]
    pairs = _pairs(good, spec, roles)
    split = {key: name for name, keys in (splits or {}).items() for key in keys}
    across = {pair: how for pair, how in pairs.items() if len({split.get(good[i].key, "") for i in pair}) > 1}
    if across:
        later = sorted({good[b].position for _, b in across})
        (a, b), how = next(iter(sorted(across.items())))
        first, second = (f"{good[i].position} ({split.get(good[i].key, 'no split')})" for i in (a, b))
        text = f"{many(len(later))} of one split also in another: episode {second} {how} episode {first}"
        yield finding("split-leak", text, episodes=later, field="splits", evidence=_listed(across, good, good))
        pairs = {pair: how for pair, how in pairs.items() if pair not in across}
    if pairs:
        later = sorted({good[b].position for _, b in pairs})
        (a, b), how = next(iter(sorted(pairs.items())))
        text = f"{many(len(later))} again: episode {good[b].position} {how} episode {good[a].position}"
        yield finding("near-duplicate", text, episodes=later, evidence=_listed(pairs, good, good))


def judge_leaks(
    evidence: Sequence[EpisodeEvidence], others: Mapping[str, Sequence[EpisodeEvidence]], spec: Spec, roles: FieldRoles
) -> Iterator[Finding]:
    """Episodes that are also in one of the other datasets."""
    good = [e for e in evidence if not e.error]
    for name, other in others.items():
        there = [e for e in other if not e.error]
        both = good + there
        pairs = {(a, b - len(good)): how for (a, b), how in _pairs(both, spec, roles).items() if a < len(good) <= b}
        if pairs:
            own = sorted({good[a].position for a, _ in pairs})
            (a, b), how = next(iter(sorted(pairs.items())))
            text = f"{many(len(own))} also in {name}: episode {good[a].position} {how} its {there[b].position}"
            evidence_ = {"other": name, **_listed(pairs, good, there)}
            yield finding("leaked-episode", text, episodes=own, evidence=evidence_)


def _listed(pairs: Pairs, first: Sequence[EpisodeEvidence], second: Sequence[EpisodeEvidence]) -> dict[str, Any]:
    rows = [[first[a].position, second[b].position] for a, b in sorted(pairs)]
    return {"count": len(rows), "pairs": rows[:50]}


def _pairs(evidence: Sequence[EpisodeEvidence], spec: Spec, roles: FieldRoles) -> Pairs:
    """Positions in `evidence`, the smaller first, and how they are the same."""
    pairs = dict.fromkeys(_close(evidence, spec, roles), "is nearly the same as")
    return pairs | dict.fromkeys(_sharing(evidence), "shares its rows with")


def _close(evidence: Sequence[EpisodeEvidence], spec: Spec, roles: FieldRoles) -> Iterator[tuple[int, int]]:
    sizes = {f.name: int(np.prod(f.shape, dtype=int)) for f in spec if roles.moves(f)}
    names = list(sizes)
    usable = [i for i, e in enumerate(evidence) if e.length > 1 and all(_whole(e, n, sizes[n]) for n in names)]
    if len(usable) < 2 or not names:
        return
    points = np.stack([_point([evidence[i].fields[n].course for n in names]) for i in usable])
    lengths = np.array([evidence[i].length for i in usable])
    keep = np.ptp(points, axis=(0, 1)) > 0
    points = points[:, :, keep] / points[:, :, keep].std(axis=(0, 1))
    moves = np.ptp(points, axis=1).max(axis=1) > 5 * _CLOSE if keep.any() else np.zeros(len(usable), np.bool_)
    flat = points.reshape(len(points), -1)
    radius = _CLOSE * np.sqrt(flat.shape[1])
    for a, b in _neighbours(_projected(flat), radius):
        near = np.linalg.norm(flat[a] - flat[b]) <= radius
        alike = abs(lengths[a] - lengths[b]) <= _LENGTHS * max(lengths[a], lengths[b])
        if near and alike and moves[a] and moves[b]:
            yield min(usable[a], usable[b]), max(usable[a], usable[b])


def _neighbours(points: NDArray[np.float64], radius: float) -> Iterable[tuple[int, int]]:
    """Pairs of rows (n, d) no further apart than `radius`, the smaller number first."""
    if len(points) > _FEW:
        from scipy.spatial import cKDTree  # a quarter of a second, which few episodes need not pay

        return cKDTree(points).query_pairs(radius)  # type: ignore[no-any-return]
    gaps = (np.linalg.norm(points[a + 1 :] - points[a], axis=1) for a in range(len(points)))
    return [(a, a + 1 + b) for a, gap in enumerate(gaps) for b in np.flatnonzero(gap <= radius).tolist()]


def _whole(one: EpisodeEvidence, name: str, size: int) -> bool:
    """Whether an episode has the field, of that many elements: another dataset may be another robot's."""
    if name not in one.fields or one.fields[name].broken:
        return False
    course = one.fields[name].course
    return course.size > 0 and course.shape[1] == size


def _point(courses: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.concatenate([c.astype(np.float64) for c in courses], axis=1)


def _projected(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Onto at most 12 directions: an orthogonal projection never makes two points further apart."""
    if points.shape[1] <= 12:
        return points
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(points.shape[1], 12)))[0]
    return np.asarray(points @ directions)


def _sharing(evidence: Sequence[EpisodeEvidence]) -> Iterator[tuple[int, int]]:
    holders: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(evidence):
        if len(one.sketch) >= _LEAST:
            for value in one.sketch.tolist():
                holders[value].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for group in holders.values():
        if 1 < len(group) <= _COMMON:
            shared.update((a, b) for k, a in enumerate(group) for b in group[k + 1 :])
    for (a, b), count in shared.items():
        if count >= _SHARED * min(len(evidence[a].sketch), len(evidence[b].sketch)):
            yield a, b
