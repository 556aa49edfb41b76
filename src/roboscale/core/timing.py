"""Where the time of trials went: a value for terminals, JSON and pages.

Seconds of several trials that ran at once are added up, so that their shares say what one of them waits for, while
`busy_s` says how long it took all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from roboscale.core.plain import Plain

__all__ = ["TIME_PARTS", "TimeSpent"]

TIME_PARTS = ("policy", "world", "rendering", "waiting", "rest")
"""What the time of a trial is divided into; together they are the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpent(Plain):
    """What trials took, in seconds on a monotonic clock.

    Args:
        trials, steps: how many trials and control steps were measured.
        busy_s: during which at least one of them ran; they may have run at once, or with pauses between.
        policy_s: in the policy, the start of its episodes included; a batch is shared by those in it.
        world_s: in the world: setting up, steps, measures, and looks at numbers.
        rendering_s: in looks at pictures. A world that draws within its step is charged there.
        waiting_s: for other trials (of the same batch, too), other processes, and the control rate of a real world.
        rest_s: in everything else, recording among it.
        unmeasured: trials whose time nobody knows: of older releases, or in processes that died.
    """

    json_also: ClassVar[tuple[str, ...]] = ("trials_per_hour", "steps_per_s", "shares", "work_shares")

    trials: int
    steps: int
    busy_s: float
    policy_s: float
    world_s: float
    rendering_s: float
    waiting_s: float
    rest_s: float
    unmeasured: int = 0

    @property
    def total_s(self) -> float:
        """All trials one after the other."""
        return self.policy_s + self.world_s + self.rendering_s + self.waiting_s + self.rest_s

    @property
    def shares(self) -> dict[str, float | None]:
        """Part -> its share of `total_s` (0..1), in the order of `TIME_PARTS`; `None` where no time passed."""
        total_s = self.total_s
        return {part: getattr(self, f"{part}_s") / total_s if total_s > 0 else None for part in TIME_PARTS}

    @property
    def work_shares(self) -> dict[str, float | None]:
        """The same of all but waiting: where a faster part would help. Trials that take turns wait for each other."""
        work_s = self.total_s - self.waiting_s
        parts = [part for part in TIME_PARTS if part != "waiting"]
        return {part: getattr(self, f"{part}_s") / work_s if work_s > 0 else None for part in parts}

    @property
    def trials_per_hour(self) -> float | None:
        """Of all that ran at once; `None` where no time passed."""
        return 3600 * self.trials / self.busy_s if self.busy_s > 0 else None

    @property
    def steps_per_s(self) -> float | None:
        """Control steps of all that ran at once; `None` where no time passed."""
        return self.steps / self.busy_s if self.busy_s > 0 else None
