"""Whether what reaches a policy, and what it answers, means here what it meant in training.

Knows profiles and arrays. Does not know worlds, datasets or checkpoints: `jobs.policy_check` reads those.
"""

from roboscale.policies.remote.pitfalls.evidence import Moves, Seen, TrainedNumbers, TrainedOn
from roboscale.policies.remote.pitfalls.finding import Fitting, Pitfall, find_pitfalls
from roboscale.policies.remote.pitfalls.lines import Line, apply_lines

__all__ = [
    "Fitting",
    "Line",
    "Moves",
    "Pitfall",
    "Seen",
    "TrainedNumbers",
    "TrainedOn",
    "apply_lines",
    "find_pitfalls",
]
