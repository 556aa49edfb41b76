"""How large a map is, and where the table is in it: by the centres of printed tags, or the corners of one.

    centres of at least three tags of one sheet   their distances are known; what refining does to corners cancels
    one tag                                       its four corners, which refining pulls inwards by a part of a pixel

Tags are placed in the map by the rays of all keyframes that see them; a similarity then takes the map to the sheet.

Source: S. Umeyama, Least-squares estimation of transformation parameters between two point patterns (PAMI 1991).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.lens import Lens
from roboscale.sources.handheld.mapping.layout import SheetTags, TagLayout

__all__ = ["Metric", "edge_ratio", "metric_by_tags", "tag_middle"]

Array = NDArray[np.float64]
Seen = Mapping[int, Array]

_LEAST_TAGS = 3
_LEAST_RAYS = 3
_INSET_PX = 0.3  # by which refining may pull a corner inwards, at most
_LEAST_PX = 0.3  # by which blur and a rolling shutter move tags together, which nothing that is left shows
_FAR_PX = 3.0  # from where a placed tag should be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Metres of a map.

    Args:
        scale: metres a unit of the map.
        rotation, translation: `sheet_from_map` of points that were scaled before.
        spread: one standard deviation of the scale, as a share, from what is left of the tags.
        left_m: one standard deviation of a tag's place along an axis, by what the similarity leaves; `worst_m`: the
            largest distance of a tag from where the sheet has it.
        extent_m: rms distance of them from their middle.
        tags: how many; `corners` whether their corners were taken.
    """

    scale: float
    rotation: Array
    translation: Array
    spread: float
    left_m: float
    worst_m: float
    extent_m: float
    sheet: str
    tags: int
    corners: bool

    @property
    def how(self) -> str:
        if self.corners:
            return f"the corners of one printed tag of sheet {self.sheet}, its size taken on trust"
        return f"the centres of {self.tags} printed tags of sheet {self.sheet}, their distances taken on trust"

    def poses(self, of_map: Poses) -> Poses:
        """Poses of the map in the sheet's frame, metres."""
        places = self.scale * of_map.translation @ self.rotation.T + self.translation
        return Poses(self.rotation @ of_map.rotation, places)

    def sigma(self, places: Array, focal_px: float) -> tuple[Array, float]:
        """One standard deviation of positions (N, 3) in the sheet's frame, metres, and of rotations, radians: what the
        tags leave of scale and place, and at least a fraction of a pixel. It grows with the distance from them."""
        count = 4 if self.corners else self.tags
        away = np.linalg.norm(places, axis=1)
        left = max(self.left_m, _LEAST_PX / focal_px * float(np.median(away)))
        turn = left / (self.extent_m * np.sqrt(count))
        return np.hypot(left / np.sqrt(count), away * np.hypot(turn, self.spread)), float(turn)


def tag_middle(plane: Array) -> Array:
    """(2,) where the diagonals of four corners (4, 2) cross, which perspective does not move."""
    a, c, b, d = (np.append(plane[i], 1.0) for i in (0, 2, 1, 3))
    crossed = np.cross(np.cross(a, c), np.cross(b, d))
    return np.asarray(crossed[:2] / crossed[2])


def metric_by_tags(poses: Poses, seen: Sequence[Seen], lens: Lens, layout: TagLayout) -> Metric | None:
    """The best evidence that tags give; `None` where too few keyframes see one.

    Args:
        poses: (K) `map_from_camera`.
        seen: of each keyframe, number -> corners (4, 2) in pixels.
    """
    for sheet in layout.sheets:
        middles = {}
        for number in sheet.sizes:
            placed = _placed(poses, seen, lens, number, lambda plane: tag_middle(plane)[None])
            if placed is not None:
                middles[number] = placed[0][0]
        if len(middles) >= _LEAST_TAGS:
            there = np.stack([sheet.centres[n] for n in middles])
            return _similar(np.stack(list(middles.values())), there, sheet.name, corners=False)
    best: tuple[int, Metric] | None = None
    for sheet in layout.sheets:
        for number in sheet.sizes:
            placed = _placed(poses, seen, lens, number, lambda plane: plane)
            if placed is None or (best is not None and placed[1] <= best[0]):
                continue
            made = _similar(placed[0], sheet.corners(number), sheet.name, corners=True)
            edge = np.median([np.linalg.norm(one[number][0] - one[number][1]) for one in seen if number in one])
            doubt = max(made.spread, _INSET_PX / float(edge))  # half of what two corners may lose
            best = placed[1], replace(made, spread=doubt)
    return best[1] if best is not None else None


def _placed(
    poses: Poses, seen: Sequence[Seen], lens: Lens, number: int, points_of: Callable[[Array], Array]
) -> tuple[Array, int] | None:
    """Points (P, 3) of a tag in the map and how many keyframes see it; `None` where they are too few or too near."""
    rows = [k for k, one in enumerate(seen) if number in one]
    if len(rows) < _LEAST_RAYS:
        return None
    ways = np.stack([points_of(lens.directions(seen[k][number])) for k in rows])
    ways = np.concatenate([ways, np.ones((*ways.shape[:2], 1))], axis=2)
    ways = np.einsum("kij,kpj->kpi", poses.rotation[rows], ways / np.linalg.norm(ways, axis=2, keepdims=True))
    from_ = poses.translation[rows]
    points = [_crossing(from_, ways[:, p], lens) for p in range(ways.shape[1])]
    if any(point is None for point in points):
        return None
    return np.stack([point for point in points if point is not None]), len(rows)


def _crossing(from_: Array, ways: Array, lens: Lens) -> Array | None:
    """(3,) nearest to rays (K, 3) from (K, 3), without those that miss it by pixels; `None` where too few are left."""
    kept = np.ones(len(ways), bool)
    for _ in range(3):
        if kept.sum() < _LEAST_RAYS:
            return None
        across = np.eye(3) - ways[kept, :, None] * ways[kept, None, :]
        whole = across.sum(axis=0)
        if np.linalg.cond(whole) > 1e4:  # rays that are all but parallel
            return None
        point = np.linalg.solve(whole, np.einsum("kij,kj->i", across, from_[kept]))
        to = point - from_
        sine = np.linalg.norm(np.cross(ways, to), axis=1) / np.linalg.norm(to, axis=1)
        kept = (sine * lens.fx < _FAR_PX) & ((ways * to).sum(axis=1) > 0)
    return point


def _similar(there: Array, printed: Array, sheet: str, *, corners: bool) -> Metric:
    """The similarity that takes points of the map (P, 3) to printed ones, with what is left of them."""
    a, b = there - there.mean(axis=0), printed - printed.mean(axis=0)
    u, values, vt = np.linalg.svd(b.T @ a)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ np.diag(signs) @ vt
    scale = float((values * signs).sum() / (a**2).sum())
    translation = printed.mean(axis=0) - scale * turn @ there.mean(axis=0)
    free = max(3 * len(there) - 7, 1)
    left = scale * there @ turn.T + translation - printed
    sigma = float(np.sqrt((left**2).sum() / free))  # of one coordinate
    size = float(np.sqrt((b**2).sum()))
    return Metric(
        scale=scale,
        rotation=turn,
        translation=translation,
        spread=sigma / size,
        left_m=sigma,
        worst_m=float(np.linalg.norm(left, axis=1).max()),
        extent_m=float(size / np.sqrt(len(printed))),
        sheet=sheet,
        tags=1 if corners else len(printed),
        corners=corners,
    )


def edge_ratio(poses: Poses, seen: Sequence[Seen], lens: Lens, sheet: SheetTags) -> tuple[float, float] | None:
    """How large tags look beside the size that the sheet says, and how far that may be off for their corners alone.

    `None` where nobody can tell: fewer than three tags are placed.

    Args:
        poses: (K) `sheet_from_camera`, metres.
    """
    ratios, doubts = [], []
    for number in sheet.sizes:
        placed = _placed(poses, seen, lens, number, lambda plane: plane)
        if placed is None:
            continue
        edges = np.linalg.norm(placed[0] - np.roll(placed[0], -1, axis=0), axis=1)
        pixels = [np.linalg.norm(one[number][0] - one[number][1]) for one in seen if number in one]
        ratios.append(float(edges.mean()) / sheet.sizes[number])
        doubts.append(2 * _INSET_PX / float(np.median(pixels)))
    if len(ratios) < _LEAST_TAGS:
        return None
    return float(np.median(ratios)), float(np.median(doubts))
