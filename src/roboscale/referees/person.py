"""A person as referee: every trial waits for somebody to say how it went.

The log keeps what was said (`roboscale trials judge`); this referee only knows that it is still to be said.
"""

from __future__ import annotations

import time

from roboscale.core import Judgement, Trial
from roboscale.core.referee import JudgementState

__all__ = ["Person"]


class Person:
    """Judges afterwards, from what was seen."""

    name = "person"

    def watch(self) -> None:
        """Nobody ends an episode while it runs: what watches is a rule."""

    def judge(self, trial: Trial) -> Judgement:
        """`pending`; a void trial needs nobody, and a mistake of the policy is a failure without being looked at."""
        if trial.end == "policy error":
            return Judgement(
                trial=trial.id,
                referee="policy error",
                time_ns=time.time_ns(),
                state="decided",
                success=False,
                reason=trial.reason,
            )
        state: JudgementState = "cannot say" if trial.void else "pending"
        return Judgement(trial=trial.id, referee=self.name, time_ns=time.time_ns(), state=state, reason=trial.reason)
