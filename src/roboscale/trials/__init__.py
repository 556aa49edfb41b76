"""Trials: the only step loop, the schedule that pairs and orders, the log that never loses one."""

from roboscale.trials.evidence import count_trials, evidence_of, outcome_of, outcome_value, waits
from roboscale.trials.export import to_eval_info
from roboscale.trials.recording import (
    Collected,
    Collector,
    Recorder,
    differences,
    episode_id,
    live_keeping,
    records_afterwards,
    with_parents,
    without_policy,
)
from roboscale.trials.rollout import Asking, RolloutResult, answered, recording_spec, replay, rollout
from roboscale.trials.schedule import Schedule, TrialRunner, check_policy_fits, interleave
from roboscale.trials.slots import Finished, Job, Keeping, LocalSlot, ProcessSlot, Slot, make_slots, run_in_order
from roboscale.trials.timing import time_spent

__all__ = [
    "Asking",
    "Collected",
    "Collector",
    "Finished",
    "Job",
    "Keeping",
    "LocalSlot",
    "ProcessSlot",
    "Recorder",
    "RolloutResult",
    "Schedule",
    "Slot",
    "TrialRunner",
    "answered",
    "check_policy_fits",
    "count_trials",
    "differences",
    "episode_id",
    "evidence_of",
    "interleave",
    "live_keeping",
    "make_slots",
    "outcome_of",
    "outcome_value",
    "recording_spec",
    "records_afterwards",
    "replay",
    "rollout",
    "run_in_order",
    "time_spent",
    "to_eval_info",
    "waits",
    "with_parents",
    "without_policy",
]
