"""The running account of one simulated episode: steps, success under a rule, clipping, best progress.

Knows no simulator; each simulated world feeds it one step at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from roboscale.core import Damage, Outcome, SuccessRule

__all__ = ["Account"]


@dataclass(slots=True)
class Account:
    """Accumulates an episode; `outcome` can be asked at any time."""

    rule: SuccessRule
    horizon: int
    steps: int = 0
    streak: int = 0
    clipped: int = 0
    progress: float | None = None
    terminated: bool = False
    truncated: bool = False
    damage: Damage = field(default_factory=Damage)

    def add(self, *, success: bool, clipped: bool, progress: float | None, ended: bool = False) -> None:
        """One control step. `ended` is the environment's own wish to terminate."""
        self.steps += 1
        self.streak = self.streak + 1 if success else 0
        self.clipped += clipped
        if progress is not None:
            self.progress = max(self.progress or 0.0, min(max(progress, 0.0), 1.0))
        self.terminated = ended or self.rule.finishes(self.streak)
        self.truncated = not self.terminated and self.steps >= self.horizon

    def outcome(self) -> Outcome:
        success = self.rule.succeeded(self.streak)
        damage = Damage(
            self.damage.peak_force_n,
            self.damage.dropped,
            self.damage.off_table,
            self.damage.joint_limit_steps,
            self.clipped,
        )
        return Outcome(
            status="success" if success else "failure",
            reason="" if success else self._why_not(),
            progress=1.0 if success else self.progress,
            steps=self.steps,
            terminated=self.terminated,
            truncated=self.truncated,
            damage=damage,
        )

    def _why_not(self) -> str:
        if self.truncated:
            return f"no success within {self.horizon} steps"
        return "ended without success" if self.terminated else "not finished"
