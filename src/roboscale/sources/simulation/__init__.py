"""Demonstrations multiplied in physics: segments found, moved to a new scene and followed in closed loop.

demonstration   a recorded episode by the names in its layout
segments        where it is cut, and on which evidence
transform       moving paths and joining them (pure functions)
track           a demonstration made ready to be followed
generator       the policy that follows it
pose_*          the same of demonstrations in poses: the tip is turned, too
replaying       which of the two follows what
"""

from roboscale.sources.simulation.demonstration import Demonstration
from roboscale.sources.simulation.generator import ReplaySession, SegmentReplay
from roboscale.sources.simulation.pose_replay import PoseReplay, PoseReplaySession
from roboscale.sources.simulation.replaying import replay_of
from roboscale.sources.simulation.segments import Segment, find_segments

__all__ = [
    "Demonstration",
    "PoseReplay",
    "PoseReplaySession",
    "ReplaySession",
    "Segment",
    "SegmentReplay",
    "find_segments",
    "replay_of",
]
