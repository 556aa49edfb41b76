"""Which replay follows demonstrations: of positions, or of poses where the actions turn the tip, too."""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.core import Episode
from roboscale.sources.simulation.generator import SegmentReplay
from roboscale.sources.simulation.pose_demonstration import ACTION, takes_poses
from roboscale.sources.simulation.pose_replay import PoseReplay

__all__ = ["replay_of"]


def replay_of(demonstrations: Sequence[Episode]) -> SegmentReplay | PoseReplay:
    """One attempt at every case, by the first demonstration's action; a failed attempt is no demonstration.

    Raises:
        SpecMismatch: there is no demonstration, or neither replay can follow them; says what is missing.
    """
    if demonstrations and ACTION in demonstrations[0].spec and takes_poses(demonstrations[0].spec[ACTION]):
        return PoseReplay(demonstrations)
    return SegmentReplay(demonstrations, retries=False)
