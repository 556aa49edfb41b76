"""Trials: the only step loop, the schedule that pairs and orders, the store that never loses one."""

from roboscale.trials.collect import Collected, Collector, with_parents
from roboscale.trials.export import to_eval_info
from roboscale.trials.rollout import RolloutResult, recording_spec, replay, rollout
from roboscale.trials.schedule import Schedule, TrialRunner, check_policy_fits, interleave
from roboscale.trials.slots import Job, LocalSlot, ProcessSlot, Slot, make_slots, run_in_order
from roboscale.trials.store import TrialStore

__all__ = [
    "Collected",
    "Collector",
    "Job",
    "LocalSlot",
    "ProcessSlot",
    "RolloutResult",
    "Schedule",
    "Slot",
    "TrialRunner",
    "TrialStore",
    "check_policy_fits",
    "interleave",
    "make_slots",
    "recording_spec",
    "replay",
    "rollout",
    "run_in_order",
    "to_eval_info",
    "with_parents",
]
