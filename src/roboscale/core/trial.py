"""A trial: one case under one policy in one world. Facts that never change, apart from what anybody thinks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core.case import Case
from roboscale.core.episode import Outcome
from roboscale.core.identity import Identity
from roboscale.core.plain import Plain
from roboscale.core.referee import Judgement
from roboscale.core.seeds import derive_id

__all__ = ["Counted", "End", "RolloutSettings", "Trial"]

End = Literal["terminated", "truncated", "decided", "policy error", "void"]
"""How an episode ended: the world's own end, the horizon, the watching referee, a mistake of the policy, or something
that carries the trial broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSettings(Plain):
    """What decides how an episode runs, apart from policy, world and case. Its text is part of a trial's key.

    Args:
        horizon: control steps after which it is cut.
        rate_hz: control rate.
        pace: `simulated`, or `wall`.
        execute: rows executed of every chunk; `None` for as many as the policy says.
        watch: name of the referee that may end it; empty where nobody may.
        latency: whether the policy's thinking time passes in the world.
    """

    horizon: int
    rate_hz: float
    pace: str = "simulated"
    execute: int | None = None
    watch: str = ""
    latency: bool = False

    @property
    def text(self) -> str:
        """Canonical text."""
        execute = "" if self.execute is None else f", {self.execute} rows of a chunk"
        latency = ", thinking time charged" if self.latency else ""
        return f"{self.watch or 'no rule'}, horizon {self.horizon}, {self.rate_hz:g} Hz {self.pace}{execute}{latency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What happened when a policy was tried on a case.

    Args:
        policy, world: who and where, by content.
        case: what was asked.
        settings: how it ran.
        round: 0, or how many times the whole was asked for again before.
        attempt: 0, or the number of void attempts before this one in the round.
        end, reason: how it ended and, for `policy error` and `void`, why.
        steps: control steps executed.
        clipped: how many of them had an action that had to be clipped to its range.
        held: how many of them held still because the policy was still thinking.
        late: how many of them came later than the rate allows (wall clock).
        actions: commanded actions (T, D), enough to replay the trial in a deterministic world.
        series: measure -> its value after every step (T,), NaN where it could not be measured.
        measures: measure -> its last value; `None` where it could not be measured.
        episode: id of the recorded episode; empty when none was recorded.
        run: id of the run that made it; no part of the key.
        started_ns: when, nanoseconds since 1970.
        seconds: duration on a monotonic clock, the setting up included.
        thinking_s: how much of that the policy took.
        versions: of what took part.
        details: what the policy's session says of what it did (parents, transforms); JSON types only.
    """

    policy: Identity
    world: Identity
    case: Case
    settings: RolloutSettings
    round: int = 0
    attempt: int = 0
    end: End = "truncated"
    reason: str = ""
    steps: int = 0
    clipped: int = 0
    held: int = 0
    late: int = 0
    actions: NDArray[np.float32] | None = None
    series: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    measures: Mapping[str, float | None] = field(default_factory=dict)
    episode: str = ""
    run: str = ""
    started_ns: int = 0
    seconds: float = 0.0
    thinking_s: float = 0.0
    versions: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """What makes it this trial: policy, world, case, settings, round, attempt."""
        return (
            self.policy.digest,
            self.world.digest,
            self.case.id,
            self.settings.text,
            self.round,
            self.attempt,
        )

    @property
    def id(self) -> str:
        """32 hex digits that follow from the key."""
        return derive_id("trial", *self.key)

    @property
    def void(self) -> bool:
        """Whether something that carries the trial broke: no statement on the policy."""
        return self.end == "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One case under one policy with the outcome that counts, ours or from somebody's table.

    Args:
        policy, world, case: as in a trial. Of a table, identities are made from the names in it.
        outcome: of the judgement that counts; `void` where the trial broke.
        attempt: number of void attempts before.
        pending: whether nobody has decided yet; the outcome is then void and says so.
        trial: the facts, where they are ours.
        judgements: all that was said of it, oldest first.
        rounds: how many rounds there were; the newest counts.
    """

    policy: Identity
    world: Identity
    case: Case
    outcome: Outcome
    attempt: int = 0
    pending: bool = False
    trial: Trial | None = None
    judgements: tuple[Judgement, ...] = ()
    rounds: int = 1
