"""The referee of worlds that measure success: a rule on that measure, watched while the trial runs.

The world says whether its success condition holds after a step; when that makes the *episode* a success is the rule's
to say. The same series gives the same judgement while the trial runs and years later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    InfrastructureError,
    Judgement,
    Referee,
    RoboscaleError,
    SuccessRule,
    Trial,
    UnknownName,
    Watch,
    WorldInfo,
)
from roboscale.referees.person import Person

__all__ = ["Settled", "SuccessReferee", "referee_for", "referee_named"]


class SuccessReferee:
    """Judges by the measure `success` under a rule.

    Args:
        rule: when success counts.
    """

    def __init__(self, rule: SuccessRule) -> None:
        self.rule = rule

    @property
    def name(self) -> str:
        """E.g. `success (hold 5)`."""
        return f"success ({self.rule})"

    def watch(self) -> Watch:
        """Counts consecutive steps of success."""
        return _Streak(self.rule)

    def judge(self, trial: Trial) -> Judgement:
        """From the series of successes; a mistake of the policy is a failure, a void trial nobody can judge."""
        measured = trial.series.get("success")
        if measured is None and trial.end not in ("policy error", "void"):
            # A trial read without its series, or of a world that kept none: 0 would be a claim about the policy.
            reason = "nothing kept what the world measured as success, step by step"
            return Judgement(
                trial=trial.id, referee=self.name, time_ns=time.time_ns(), state="cannot say", reason=reason
            )
        success = measured is not None and self.rule.succeeded(_last_streak(measured))
        decided = success and trial.end not in ("policy error", "void")
        return Judgement(
            trial=trial.id,
            referee=self.name,
            time_ns=time.time_ns(),
            state="cannot say" if trial.void else "decided",
            success=None if trial.void else decided,
            progress=None if trial.void else _progress(trial, decided),
            reason="" if decided else _why_not(trial),
        )


class _Streak:
    """How many of the last steps succeeded in a row."""

    def __init__(self, rule: SuccessRule) -> None:
        self._rule, self._streak = rule, 0

    def update(self, measures: Mapping[str, float | None]) -> bool:
        success = measures.get("success")
        if success is None:
            raise InfrastructureError("the world did not measure success after a step; a rule needs it")
        if not isinstance(success, bool | int | float | np.bool_ | np.number) or success not in (0, 1):
            shown = f"{success!r} ({type(success).__name__})"
            raise RoboscaleError(f"the world's measure success: expected true, false, 0 or 1, found {shown}")
        self._streak = self._streak + 1 if success else 0
        return self._rule.finishes(self._streak)

    def satisfied(self) -> bool:
        return self._rule.succeeded(self._streak)


def _last_streak(success: NDArray[np.float32]) -> int:
    """Number of consecutive successes at the end of a series (T,)."""
    failures = np.flatnonzero(~(success > 0))
    return len(success) if not len(failures) else len(success) - 1 - int(failures[-1])


def _progress(trial: Trial, success: bool) -> float | None:
    """The best progress of the episode, 0..1; 1 at success, `None` where the world does not measure it."""
    if success:
        return 1.0
    values = trial.series.get("progress", np.zeros(0, np.float32))
    measured = values[np.isfinite(values)]
    return float(np.clip(measured.max(), 0, 1)) if len(measured) else None


def _why_not(trial: Trial) -> str:
    """Why a trial is no success, in words."""
    if trial.reason:
        return trial.reason
    if trial.end == "truncated":
        return f"no success within {trial.steps} steps"
    return "ended without success"


class Settled:
    """What was judged already: watches like another referee, and says again what somebody said.

    Args:
        inner: watches.
        judgement: what counts of the trial.
    """

    def __init__(self, inner: Referee, judgement: Judgement) -> None:
        self._inner, self._judgement = inner, judgement

    @property
    def name(self) -> str:
        """That of the referee who watches."""
        return self._inner.name

    def watch(self) -> Watch | None:
        """As the inner one does."""
        return self._inner.watch()

    def judge(self, trial: Trial) -> Judgement:
        """What was said before."""
        return replace(self._judgement, trial=trial.id)


def referee_named(name: str) -> Referee:
    """The referee that a rollout's settings name. UnknownName for one that is no part of this version."""
    if name == Person.name:
        return Person()
    kind, _, count = name.removeprefix("success (").removesuffix(")").partition(" ")
    if kind in ("first", "end", "hold"):
        rule = SuccessRule(cast(Literal["first", "end", "hold"], kind), int(count) if count.isdecimal() else 1)
        if SuccessReferee(rule).name == name:
            return SuccessReferee(rule)
    raise UnknownName("referee", name, ["success (first)", "success (end)", "success (hold K)", Person.name])


def referee_for(info: WorldInfo, rule: SuccessRule | None = None) -> Referee:
    """The rule where the world measures success, else a person."""
    if any(m.name == "success" for m in info.measures):
        return SuccessReferee(rule or info.rule)
    return Person()
