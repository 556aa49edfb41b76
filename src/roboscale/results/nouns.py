"""What results hold: trials, comparisons, and how policies did that were trained on so much data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roboscale.core import Case, Counted, Identity, Outcome, combine

__all__ = ["Comparison", "Results", "Trained", "told"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Somebody saw two policies on the same scene and said which was better."""

    first: str
    second: str
    outcome: Literal["first", "second", "tie", "void"]
    place: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What a file holds.

    Args:
        trials: one for each row, or for each counted rollout.
        comparisons: one for each row of a table of pairs.
        paired: whether the same case under two policies can be recognised.
        adaptive: whether results decided which trials came next, or when to stop.
    """

    source: str
    trials: tuple[Counted, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    paired: bool = True
    adaptive: bool = False

    def merged(self, other: Results) -> Results:
        """Both, as one."""
        return Results(
            f"{self.source}, {other.source}",
            (*self.trials, *other.trials),
            (*self.comparisons, *other.comparisons),
            self.paired and other.paired,
            self.adaptive or other.adaptive,
        )


def told(policy: str, world: str, case: Case, outcome: Outcome) -> Counted:
    """A trial that somebody's file tells of; who took part is known by name only."""
    named = [
        Identity(name, combine(kind, name).digest, ("known by its name in a file only",))
        for kind, name in (("policy of a file", policy), ("world of a file", world))
    ]
    return Counted(policy=named[0], world=named[1], case=case, outcome=outcome)


@dataclass(frozen=True, slots=True)
class Trained:
    """How a policy did that was trained on some amount of data of one source, or of a mixture of several.

    Args:
        source: its name; of a mixture the names with ` + ` between them.
        amount: in `unit`, e.g. demonstrations; of a mixture the sum.
        successes, trials: counted trials of that policy; a sum of progress where successes were not noted.
        policy: whose recipe it is, where the table tells recipes apart.
        run: which training of it; empty where nobody said.
        mixture: amount of each source; empty for a single one.
    """

    task: str
    source: str
    amount: float
    successes: float
    trials: int
    unit: str = "demonstrations"
    policy: str = ""
    run: str = ""
    mixture: tuple[tuple[str, float], ...] = ()

    @property
    def amounts(self) -> dict[str, float]:
        """Amount by source."""
        return dict(self.mixture) or {self.source: self.amount}
