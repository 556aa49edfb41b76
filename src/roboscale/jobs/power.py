"""How many trials, and how many training runs, a comparison takes before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import UsageError
from roboscale.jobs.events import OnEvent, Wrote, ignore
from roboscale.jobs.options import Html
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.stats.sample_size import SizedDesign

__all__ = ["SizeComparison", "SizedComparison", "SizedRuns", "size_comparison"]

_RUNS = (3, 5, 10)
_EXAMPLE_SD = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeComparison(Request):
    """Asks how many trials tell two policies apart.

    Args:
        first, second: success rates as one guesses them; for progress, give a table to `rank` instead.
        power: probability of showing the difference, where there is one.
        agreement: share of cases on which both do the same; a band where it is not known.
        run_sd: standard deviation of the success rate from one training run to the next, in 0..1.
        runs: training runs of each recipe; by default 3, 5 and 10 are shown.
        trials: say what so many trials of each policy would show, too.
    """

    words: ClassVar[tuple[str, ...]] = ("power",)

    first: Annotated[float, Option("Success rate of one policy, in 0..1.", flag="--from", min=0, max=1)]
    second: Annotated[float, Option("Success rate of the other one.", flag="--to", min=0, max=1)]
    alpha: Annotated[float, Option("Two-sided error of the test.", min=1e-6, max=0.5)] = 0.05
    power: Annotated[float, Option("Probability of showing the difference.", min=0.1, max=0.999)] = 0.8
    agreement: Annotated[float | None, Option("Share of cases on which both do the same.", min=0, max=1)] = None
    run_sd: Annotated[float | None, Option("Deviation from training run to training run.", min=0, max=0.5)] = None
    runs: Annotated[int | None, Option("Training runs of each recipe.", min=2, max=1000)] = None
    trials: Annotated[int | None, Option("Also say what so many trials show.", min=1, max=100_000_000)] = None
    html: Html = None

    def check(self) -> None:
        """UsageError for rates that do not differ, or that cannot agree so often."""
        if self.first == self.second:
            raise UsageError(f"--from and --to are both {self.first:g}: no number of trials shows a difference of 0")
        low, high = abs(self.first + self.second - 1), 1 - abs(self.second - self.first)
        if self.agreement is not None and not low - 1e-9 <= self.agreement <= high + 1e-9:
            raise UsageError(
                f"--agreement: policies of {self.first:g} and {self.second:g} agree on {low:.2g} to {high:.2g} of the "
                f"cases, found {self.agreement:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedRuns:
    """A claim about recipes: `runs` trained of each, `trials` of each run; `None` where no number would do."""

    runs: int
    trials: int | None
    best_power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedComparison:
    """What each design takes; prints as text.

    Args:
        designs: (design, agreement or `None`) -> what it takes. Designs are `independent`, `independent, sequential`,
            `paired` and `paired, sequential`; paired ones at one agreement, or at both ends of the band.
        runs: for claims about recipes, at `run_sd`.
        fewest_runs: of each recipe, with as many trials as one likes; `None` beyond 100.
        shown: design -> power that `request.trials` trials have.
    """

    request: SizeComparison
    designs: Mapping[tuple[str, float | None], SizedDesign]
    run_sd: float
    runs: tuple[SizedRuns, ...]
    fewest_runs: int | None
    shown: Mapping[tuple[str, float | None], float]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def ends(self) -> tuple[str, str]:
        """Both rates, with as many digits as it takes to tell them apart."""
        first, second = self.request.first, self.request.second
        digits = next((d for d in range(4, 17) if f"{first:.{d}g}" != f"{second:.{d}g}"), 17)
        return f"{first:.{digits}g}", f"{second:.{digits}g}"

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Design, trials of each policy, at most and on average where one looks after every trial."""
        from roboscale.stats.sample_size import EXACT_TRIALS, largest_budget

        rows = []
        for name, agreement in (key for key in self.designs if "sequential" not in key[0]):
            fixed, looked = self.designs[name, agreement], self.designs[f"{name}, sequential", agreement]
            label = "independent trials" if agreement is None else f"same cases, {100 * agreement:.0f} % alike"
            most = f"over {largest_budget(self.request.alpha)}"
            ends = (_number(looked.trials, most), _number(looked.expected, most))
            rows.append((label, _number(fixed.trials, f"over {EXACT_TRIALS}"), *ends))
        return rows

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        from roboscale.report.terminal import text_table, wrapped

        asked = self.request
        head = f"From {self.ends[0]} to {self.ends[1]}, power {asked.power:g}, two-sided alpha {asked.alpha:g}"
        columns = ("trials of each policy", "fixed", "looking: at most", "on average")
        lines = [f"{head}:", "", *text_table(columns, self.rows, right=(1, 2, 3)), ""]
        for said in self.sentences:
            lines += wrapped(said)
        return lines

    @property
    def sentences(self) -> list[str]:
        """What must be said beside the numbers."""
        asked = self.request
        said = []
        if asked.agreement is None:
            said.append(
                "The band on the same cases runs from policies that have nothing in common to ones as alike as "
                "their rates allow; --agreement narrows it."
            )
        for (_, agreement), power in self.shown.items():
            where = "independent" if agreement is None else f"paired, {100 * agreement:.0f} % alike"
            said.append(f"{asked.trials} trials of each policy, {where}: power {power:.2f}.")
        said.append(self._runs_sentence())
        said.append("For mean progress the numbers are upper bounds: scores in 0..1 spread no more than successes do.")
        if any(not design.exact for design in self.designs.values()):
            said.append("Numbers above 300 are normal approximations.")
        return said

    def _runs_sentence(self) -> str:
        each = ", ".join(
            f"{r.runs} runs x {r.trials:,} trials" if r.trials else f"{r.runs} runs: at most power {r.best_power:.2f}"
            for r in self.runs
        )
        least = "over 100" if self.fewest_runs is None else str(self.fewest_runs)
        about = f"With a deviation of {100 * self.run_sd:g} points from run to run it takes, a recipe: {each}"
        guess = "" if self.request.run_sd is not None else " (5 points is an example; give --run-sd)"
        return (
            f"These numbers are about two checkpoints. A claim about recipes needs several training runs of each. "
            f"{about}; at least {least} runs{guess}."
        )

    def to_json(self) -> dict[str, Any]:
        """What was asked beside what it takes; the pairs that key the designs become columns."""
        from roboscale.stats.recipes import RECIPE_TEST

        asked = self.request
        return {
            "from": asked.first,
            "to": asked.second,
            "alpha": asked.alpha,
            "power": asked.power,
            "designs": [
                {
                    "design": name,
                    "agreement": agreement,
                    "trials": design.trials,
                    "expected": design.expected,
                    "power": design.power,
                    "exact": design.exact,
                }
                for (name, agreement), design in self.designs.items()
            ],
            "run_sd": self.run_sd,
            "run_sd_is_an_example": asked.run_sd is None,
            "runs": [{"runs": r.runs, "trials": r.trials, "best_power": r.best_power} for r in self.runs],
            "fewest_runs": self.fewest_runs,
            "shown": [
                {"design": name, "agreement": agreement, "trials": asked.trials, "power": power}
                for (name, agreement), power in self.shown.items()
            ],
            "methods_used": [
                "exact unconditional test, pooled z (Barnard 1947; Suissa, Shuster 1985)",
                "sequential exact unconditional test (Barnard 1947, Lan-DeMets 1983 spending)",
                "exact paired test (McNemar 1947)",
                "sequential exact paired test (McNemar walk, Lan-DeMets 1983 spending)",
                RECIPE_TEST,
                *(["normal approximation"] if any(not d.exact for d in self.designs.values()) else []),
            ],
        }


def size_comparison(
    request: SizeComparison | float, second: float | None = None, *, on_event: OnEvent = ignore, **asked: Any
) -> SizedComparison:
    """How many trials of each policy, and training runs of each recipe, show a difference of this size.

    >>> done = size_comparison(0.5, 0.7)
    >>> done.designs["independent", None].trials, done.designs["paired", 0.8].trials
    (95, 39)

    Args:
        request, second: a request, or the two success rates.
        asked: further fields of `SizeComparison`, e.g. `agreement`.

    Raises:
        UsageError: the rates do not differ, or cannot agree so often.
    """
    from roboscale.stats import sample_size

    if not isinstance(request, SizeComparison):
        if second is None:
            raise UsageError("two success rates are needed, found one")
        request = SizeComparison(first=request, second=second, **asked)
    p, q, alpha, power = request.first, request.second, request.alpha, request.power
    designs: dict[tuple[str, float | None], SizedDesign] = {
        ("independent", None): sample_size.independent_trials(p, q, alpha, power),
        ("independent, sequential", None): sample_size.sequential_independent(p, q, alpha, power),
    }
    shown: dict[tuple[str, float | None], float] = {}
    if request.trials is not None:
        shown["independent", None] = sample_size.independent_power(p, q, request.trials, alpha)
    for agreement in _agreements(request):
        designs["paired", agreement] = sample_size.paired_trials(p, q, agreement, alpha, power)
        designs["paired, sequential", agreement] = sample_size.sequential_paired(p, q, agreement, alpha, power)
        if request.trials is not None:
            shown["paired", agreement] = sample_size.paired_power(p, q, agreement, request.trials, alpha)
    run_sd = _EXAMPLE_SD if request.run_sd is None else request.run_sd
    runs = tuple(
        SizedRuns(
            runs=count,
            trials=sample_size.trials_per_run(p, q, count, run_sd, alpha, power),
            best_power=sample_size.run_power(p, q, count, float("inf"), run_sd, alpha),
        )
        for count in (_RUNS if request.runs is None else (request.runs,))
    )
    sized = SizedComparison(
        request=request,
        designs=designs,
        run_sd=run_sd,
        runs=runs,
        fewest_runs=sample_size.runs_needed(p, q, run_sd, alpha, power),
        shown=shown,
    )
    if request.html is not None:
        from roboscale.jobs.power_page import write_power_page

        write_power_page(sized, request.html)
        on_event(Wrote("page", request.html))
    return sized


def _agreements(request: SizeComparison) -> tuple[float, ...]:
    """The one that was given, or the band: unrelated policies, and ones as alike as they can be."""
    p, q = request.first, request.second
    if request.agreement is not None:
        return (request.agreement,)
    return tuple(dict.fromkeys(round(a, 12) for a in (p * q + (1 - p) * (1 - q), 1 - abs(q - p))))


def _number(value: float | None, otherwise: str) -> str:
    from roboscale.report import text

    return otherwise if value is None else text.count(round(value))
