"""A few pictures of the episodes that a finding about a camera names, for its page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding, Recording, RoboscaleError
from roboscale.dataset.audit.pictures import sample
from roboscale.dataset.audit.report import AuditReport

__all__ = ["film_strips"]

Strip = tuple[str, NDArray[np.uint8]]

_CHECKS = ("black-camera", "frozen-camera", "swapped-cameras", "image-stats-wrong", "near-duplicate", "video-surplus")


def film_strips(
    recording: Recording, report: AuditReport, *, pictures: int = 6, findings: int = 12
) -> dict[int, list[Strip]]:
    """Position in `report.findings` -> (caption, pictures (n, H, W, 3) uint8 RGB), at most two strips each.

    Pictures that cannot be decoded are left out: the finding about them says so.
    """
    strips: dict[int, list[Strip]] = {}
    for i, one in enumerate(report.findings):
        if one.check in _CHECKS and len(strips) < findings:
            pictured = list(_strips(recording, one, pictures))
            if pictured:
                strips[i] = pictured
    return strips


def _strips(recording: Recording, one: Finding, pictures: int) -> list[Strip]:
    cameras = [f.name for f in recording.spec.images]
    camera = one.field if one.field in cameras else (cameras or [""])[0]
    chosen = list(one.episodes[:1]) or [0]
    if one.check in ("swapped-cameras", "frozen-camera", "black-camera", "image-stats-wrong"):
        chosen += [i for i in range(len(recording.keys)) if i not in one.episodes][:1]
    pairs = one.evidence.get("pairs")
    if one.check == "near-duplicate" and pairs:
        chosen = list(pairs[0])
    strips = []
    for position in chosen[:2]:
        strip = _strip(recording, position, camera, pictures) if camera else None
        if strip is not None:
            named = "" if position in one.episodes else ", for comparison"
            strips.append((f"episode {position}, {camera}{named}", strip))
    return strips


def _strip(recording: Recording, position: int, camera: str, count: int) -> NDArray[np.uint8] | None:
    try:
        episode: Any = recording.read(recording.keys[position], [camera])
        if camera not in episode.pictures:
            return None
        return sample(episode.pictures[camera], count, 240, thin=False)[1]
    except RoboscaleError:
        return None
