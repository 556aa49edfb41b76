"""A trial: one case under one policy in one world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Outcome
from roboscale.core.world import Case

__all__ = ["Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened when a policy was tried on a case.

    Args:
        policy, world: their names.
        case: what was asked.
        outcome: success, failure or void.
        attempt: 0, or the number of void attempts before this one.
        episode: id of the recorded episode; empty when none was recorded.
        actions: commanded actions (T, D), enough to replay the trial in a deterministic world.
        seconds: duration of the trial on a monotonic clock.
        versions: versions of what took part.
        details: what the policy's session says of what it did (parents, transforms); JSON types only.
    """

    policy: str
    world: str
    case: Case
    outcome: Outcome
    attempt: int = 0
    episode: str = ""
    actions: NDArray[np.float32] | None = None
    seconds: float = 0.0
    versions: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
