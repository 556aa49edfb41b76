"""Demonstrations multiplied in physics: segments found, moved to a new scene and followed in closed loop.

demonstration   a recorded episode by the names in its layout
segments        where it is cut, and on which evidence
transform       moving paths and joining them (pure functions)
track           a demonstration made ready to be followed
generator       the policy that follows it
"""

from roboscale.sources.simulation.demonstration import Demonstration
from roboscale.sources.simulation.generator import ReplaySession, SegmentReplay
from roboscale.sources.simulation.segments import Segment, find_segments

__all__ = ["Demonstration", "ReplaySession", "Segment", "SegmentReplay", "find_segments"]
