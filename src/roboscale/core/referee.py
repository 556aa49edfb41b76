"""Who says how a trial went: a rule on what the world measured, a person, a classifier, a vision-language model.

Judgements are append-only. A correction is a further judgement; the one that counts is the newest that decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from roboscale.core.errors import UnknownName
from roboscale.core.plain import Plain

if TYPE_CHECKING:
    from roboscale.core.trial import Trial

__all__ = ["Judgement", "JudgementState", "Referee", "SuccessRule", "Watch"]

JudgementState = Literal["decided", "pending", "cannot say", "proposed"]
"""The last is a detector's or a second scorer's: it decides nothing, and counts nowhere but in how well they agree."""


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """When success counts: the `first` time it holds, at the `end`, or held for `hold` consecutive steps.

    Under `first` and `hold` the episode ends as soon as the rule is met.
    """

    kind: Literal["first", "end", "hold"] = "first"
    hold: int = 1

    @classmethod
    def parse(cls, text: str) -> SuccessRule:
        """Inverse of `str`: `first`, `end` or `hold K`. UnknownName otherwise."""
        kind, _, count = text.strip().partition(" ")
        if kind in ("first", "end") and not count:
            return cls(cast(Literal["first", "end"], kind))
        if kind == "hold" and count.strip().isdigit() and int(count) >= 1:
            return cls("hold", int(count))
        raise UnknownName("success rule", text, ["first", "end", "hold K"])

    @property
    def needs(self) -> int:
        """Consecutive steps of success that make an episode a success."""
        return self.hold if self.kind == "hold" else 1

    def finishes(self, streak: int) -> bool:
        """Whether the episode ends now, when success has held for the last `streak` steps."""
        return self.kind != "end" and streak >= self.needs

    def succeeded(self, streak: int) -> bool:
        """Whether an episode that stops now is a success."""
        return streak >= self.needs

    def __str__(self) -> str:
        return f"hold {self.hold}" if self.kind == "hold" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement(Plain):
    """What one referee said of one trial, at one time. Never changed, never deleted.

    Args:
        trial: id of the trial.
        referee: who, by kind and settings, e.g. `success (first)` or `person`.
        time_ns: when, nanoseconds since 1970.
        state: `decided`; `pending` while somebody is still to say; `cannot say` when the evidence does not show it;
            `proposed` by a detector or a second scorer.
        success: the decision, or what is proposed; `None` otherwise.
        progress: 0..1 where the referee can say.
        reason: why, in words.
        by: the person, or empty.
    """

    trial: str
    referee: str
    time_ns: int
    state: JudgementState
    success: bool | None = None
    progress: float | None = None
    reason: str = ""
    by: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Judgement:
        return cls(**data)


class Watch(Protocol):
    """A referee looking at one episode as it runs."""

    def update(self, measures: Mapping[str, float | None]) -> bool:
        """What was measured after the next step; True when the episode may end here.

        Raises:
            InfrastructureError: a measure that it needs is not there, or is not what was declared.
        """

    def satisfied(self) -> bool:
        """Whether the episode would be a success if it ended now."""


class Referee(Protocol):
    """Judges trials. Rules also watch while a trial runs; who needs eyes or a pause judges afterwards."""

    @property
    def name(self) -> str:
        """Kind and settings; part of the rollout's identity when it may end an episode."""

    def watch(self) -> Watch | None:
        """For a new episode; `None` for who only judges afterwards."""

    def judge(self, trial: Trial) -> Judgement:
        """Says how a finished trial went, from its facts alone; `pending` when somebody else has to."""
