"""A person who drives is a policy: what an operator's page says becomes actions, and an episode says who acted.

Knows inputs, driving, leases and what is recorded beside a rollout. Serves no page, steps no world, writes no file but
the one that says how a dataset is collected.
"""

from roboscale.sources.teleop.configuration import (
    Configuration,
    DiskSpace,
    collected_before,
    pool_configurations,
    require_same,
)
from roboscale.sources.teleop.driving import SPEEDS_M_S, Driving, HandDeltas, JointGoals, driving_for
from roboscale.sources.teleop.inputs import OperatorInput, parse_input
from roboscale.sources.teleop.leader import LeaderArm, LeaderReader
from roboscale.sources.teleop.lease import ControlLease
from roboscale.sources.teleop.marks import MARKS, MarkedTake, marked_spec
from roboscale.sources.teleop.person import SaidByOperator, Teleoperator
from roboscale.sources.teleop.station import Shown, Station
from roboscale.sources.teleop.views import ReferenceViews, ViewChange

__all__ = [
    "MARKS",
    "SPEEDS_M_S",
    "Configuration",
    "ControlLease",
    "DiskSpace",
    "Driving",
    "HandDeltas",
    "JointGoals",
    "LeaderArm",
    "LeaderReader",
    "MarkedTake",
    "OperatorInput",
    "ReferenceViews",
    "SaidByOperator",
    "Shown",
    "Station",
    "Teleoperator",
    "ViewChange",
    "collected_before",
    "driving_for",
    "marked_spec",
    "parse_input",
    "pool_configurations",
    "require_same",
]
