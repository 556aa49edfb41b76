"""What a log says of one question, case by case, and the rule that says when to stop asking.

Evidence is consumed in schedule order, never in order of completion: successes end sooner, and whoever counts them
first is biased. The same evidence gives the same verdict while trials run, in a report and after shards were merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from roboscale.core.case import Case
from roboscale.core.plain import Plain

__all__ = ["Design", "DesignKind", "Evidence", "EvidenceRow", "OutcomeKind", "StopRule"]

OutcomeKind = Literal["success", "progress"]
"""What is compared: successes (0 or 1), or progress in 0..1."""

DesignKind = Literal["paired blocks", "one arm", "best arm", "crossover", "ladder"]
"""What is asked of the arms: all pairs on the same cases; one arm against a threshold; the best, or one that is nearly
so; two arms whose trials change the scene for each other; checkpoints, each against the one before it."""

_LATER: Mapping[str, Any] = {"kind": "paired blocks", "threshold": None, "margin": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design(Plain):
    """How a comparison is decided, fixed before the first trial.

    Args:
        budget: most cases.
        alpha: probability of even one false claim.
        min_cases: do not stop before so many.
        sequential: stop as soon as the evidence decides; otherwise all cases are tried and tested once.
        outcome: what is compared.
        kind: what is asked of the arms.
        threshold: share of cases that one arm is compared with.
        margin: by how much an arm that is named the best may be worse than it.
    """

    budget: int
    alpha: float = 0.05
    min_cases: int = 1
    sequential: bool = True
    outcome: OutcomeKind = "success"
    kind: DesignKind = "paired blocks"
    threshold: float | None = None
    margin: float | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON types; without what paired blocks do not have, so that a question keeps the digest that it had."""
        data = Plain.to_json(self)
        return {key: value for key, value in data.items() if key not in _LATER or value != _LATER[key]}


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One case of the schedule.

    Args:
        case: what was asked; its task is the stratum.
        outcomes: policy -> success as 0 or 1, or progress; `None` where the trial is void or nobody has decided. A
            policy that was not tried because it was already decided is absent.
        first: the policy that was tried first; empty where nobody knows.
    """

    case: Case
    outcomes: Mapping[str, float | None]
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that counts for one question, in schedule order.

    Args:
        policies: labels, in the order of the question.
        rows: the cases that are complete, up to the first that is not.
        design: how it is decided; `None` where nothing is compared.
        waiting: cases of the schedule behind the rows, whose trials are open or unjudged.
    """

    policies: tuple[str, ...]
    rows: tuple[EvidenceRow, ...]
    design: Design | None = None
    waiting: int = 0


class StopRule(Protocol):
    """Tells the schedule which policies still need trials. Fed in schedule order."""

    def update(self, case: Case, outcomes: Mapping[str, float | None]) -> tuple[str, ...]:
        """Consumes the next case; the policies still in play, empty when no further trial can be needed."""
