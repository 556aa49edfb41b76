"""Tries policies on the same held-out cases, in turn, until the evidence decides or the budget ends."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import Design, RoboscaleError, UsageError
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, ignore, say_reason
from roboscale.jobs.request import Argument, Option
from roboscale.jobs.running import run_trials
from roboscale.jobs.solvability import excluded_cells
from roboscale.jobs.trying import AnyPolicy, AnyWorld, Trying, kept_or_not

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.stats.deciding import AnyVerdict
    from roboscale.stats.overall import Overall

__all__ = ["Compare", "ComparedPolicies", "compare", "recipe_sentence", "to_be_said"]

_TABLES = (".csv", ".tsv", ".xlsx", ".ods", ".parquet", ".json", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(Trying):
    """Asks which of several policies are better."""

    words: ClassVar[tuple[str, ...]] = ("compare",)

    policies: Annotated[tuple[str, ...], Argument("Two or more; see `roboscale eval --help` for the forms.")]
    budget: Annotated[int, Option("Most cases, over all tasks.", min=1)] = 100
    sequential: Annotated[bool, Option("Stop as soon as the evidence decides.")] = True
    alpha: Annotated[float, Option("Probability of even one false claim.", min=1e-6, max=0.5)] = 0.05
    min_pairs: Annotated[int, Option("Do not stop before so many cases.", min=1)] = 1
    outcome: Annotated[Literal["success", "progress"], Option("What is compared: success or progress.")] = "success"
    replicates: Annotated[
        int, Option("Policies are training runs of recipes: so many of the first recipe, then of the next.", min=1)
    ] = 1
    perturb: Annotated[
        str, Option("The same cases once more in each cell, as for eval; --budget then counts cases of each arm.")
    ] = ""
    solvable: Annotated[bool, Option("With --perturb: leave out cells that the world's expert cannot solve.")] = True
    paraphrases: Annotated[Path | None, Option("With --perturb: TOML file of other wordings of the sentences.")] = None
    page: Annotated[bool, Option("At a guarded robot: serve the operator's page; else trials wait.")] = True
    host: Annotated[str, Option("Address of the operator's page; all but this machine's need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("Port of the operator's page; 0 takes a free one.", min=0, max=65535)] = 0
    token: Annotated[str | None, Option("Secret in the page's address; made up where one is needed.")] = None

    def check(self) -> None:
        """RoboscaleError for fewer than two policies, or a study beside others."""
        Trying.check(self)
        studies = [one for one in self.policies if one.endswith(".toml")]
        if studies and not self.is_study:
            raise UsageError(f"a study is compared alone, its arms are in its file: roboscale compare {studies[0]}")
        tables = [one for one in self.policies if one.endswith(_TABLES)]
        if len(self.policies) > 1 and len(tables) == len(self.policies):
            shown = shlex.join(tables)
            raise RoboscaleError(f"compare tries policies; tables of results are compared by: roboscale rank {shown}")
        if len(self.policies) < 2 and not self.is_study:
            (one,) = self.policies or ("none",)
            table = f"; a table of results is compared by: roboscale rank {one}" if one.endswith(_TABLES) else ""
            raise RoboscaleError(f"compare takes two policies or more, found {one}{table}")
        if self.perturb and self.replicates > 1:
            raise RoboscaleError("--perturb speaks of checkpoints, and --replicates of recipes: give one of them")
        odd = len(self.policies) % self.replicates or len(self.policies) == self.replicates
        if self.replicates > 1 and odd and not self.is_study:
            raise RoboscaleError(
                f"--replicates {self.replicates}: expected {self.replicates} policies of each of two recipes or more, "
                f"found {len(self.policies)} policies"
            )

    @property
    def is_study(self) -> bool:
        """Whether a locked study is asked for instead of policies."""
        return len(self.policies) == 1 and self.policies[0].endswith(".toml")

    @property
    def at_bench(self) -> bool:
        """Whether somebody sits at the robot, with the operator's page."""
        return self.page and self.world.startswith("robot:")

    @property
    def design(self) -> Design:
        """How the comparison is decided."""
        return Design(
            budget=self.budget,
            alpha=self.alpha,
            min_cases=self.min_pairs,
            sequential=self.sequential and self.replicates == 1 and not self.perturb,  # else all cases are needed
            outcome=self.outcome,
        )


@dataclass(frozen=True, slots=True)
class ComparedPolicies:
    """A verdict, and all that must be said beside it.

    Args:
        judged: the trials that count.
        notes: what was reused, assumed or left out.
        blind: of a study that nobody has unblinded: what may be said instead of the verdict; empty otherwise.
    """

    judged: Judged
    notes: tuple[str, ...] = ()
    blind: str = ""

    @property
    def verdict(self) -> AnyVerdict:
        """What may be claimed."""
        assert self.judged.decided is not None, "a comparison has a verdict"
        return self.judged.decided.verdict

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with whoever in it is not known by content, or depends on its batch."""
        recipes = self.judged.of_recipes
        said = self.verdict.sentence if recipes is None else recipe_sentence(recipes)
        return said + "".join(f"; {doubt}" for doubt in self.judged.doubts)

    @property
    def unit(self) -> str:
        """What the verdict is about: these checkpoints, or recipes with their training runs."""
        return self.judged.unit

    def __str__(self) -> str:
        return f"{self.sentence}; {self.unit}"

    @property
    def lines(self) -> list[str]:
        """For a terminal: the verdict, every policy's rate with bounds where trials are void, what is undecided."""
        from roboscale.jobs.judged import rate_lines
        from roboscale.jobs.perturbing import robustness_lines
        from roboscale.stats.many import ManyVerdict

        if self.blind:
            return [self.blind]
        verdict, worse = self.verdict, robustness_lines(self.judged)
        lines = [self.sentence, self.unit]
        if self.judged.replicates > 1:
            return [*lines, *self.judged.recipe_lines, *rate_lines(self.judged)]
        if isinstance(verdict, ManyVerdict):
            for pair in verdict.undecided:
                more = "unknown" if pair.verdict.needed is None else f"about {pair.verdict.needed}"
                lines.append(f"  undecided: {pair.first} and {pair.second}; further cases that would decide: {more}")
            letters = {name: f"{verdict.letters[name]:4}" for name in verdict.names}
            return lines + rate_lines(self.judged, letters) + worse
        return lines + rate_lines(self.judged) + worse

    def to_json(self) -> dict[str, Any]:
        """The summary that every run has, and the answer."""
        from roboscale.jobs.judged import run_summary
        from roboscale.jobs.perturbing import duels_of, robustness_of

        if self.blind:
            return {"blind": self.blind}
        assert self.judged.decided is not None, "a comparison has a verdict"
        decided = self.judged.decided
        return {
            **run_summary(self.judged),
            "verdict": decided.verdict.to_json(),
            "recipes": to_plain(self.judged.of_recipes),
            "recipe_runs": self.judged.recipe_lines,
            "cases_used": decided.used,
            "stopped": decided.stopped,
            "withdrawn": list(decided.withdrawn),
            "perturbed": {label: cells.to_json() for label, cells in robustness_of(self.judged).items()},
            "duels": [duel.to_json() for duel in duels_of(self.judged)],
        }


def recipe_sentence(recipes: Overall) -> str:
    """What may be claimed of recipes, by their training runs."""
    pairs = [pair.verdict.sentence for pair in recipes.verdict.pairs]
    return "; ".join([*pairs, *recipes.withdrawn, recipes.verdict.method])


def compare(
    first: Compare | AnyPolicy,
    *others: AnyPolicy,
    on_event: OnEvent = ignore,
    world: AnyWorld | None = None,
    observes: Collection[str] | None = None,
    **asked: Any,
) -> ComparedPolicies:
    """Which of several policies are better, on the same cases.

    >>> from roboscale import Compare, compare
    >>> done = compare(Compare(policies=("constant", "constant:0,0,1,0"), tasks="reach-v3", budget=4, store="trials"))
    >>> done.verdict.decision
    'no difference shown'

    Args:
        first, others: a request, or two or more policies; see `evaluate`.
        on_event, world, observes: as for `evaluate`.
        asked: fields of `Compare`, e.g. `tasks`, `budget`, `seed`, `store`.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
        RoboscaleError: no trial could be counted, or a policy never acted; says why.
    """
    from roboscale.jobs.studies import bench_plan, open_study

    notes: list[str] = []

    def listen(event: Any) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        on_event(event)

    request, things = _request_of(first, others, world, asked)
    given = None if world is None or isinstance(world, str) else world
    opened = open_study(request) if request.is_study else None
    if opened is not None:
        for line in opened.unlocked:
            listen(Note(line))
        request, things = opened.request, [*opened.policies]
    bench = opened.plan if opened is not None else bench_plan(request) if request.at_bench else None
    with kept_or_not(request, asked=isinstance(first, Compare)) as request:
        judged = run_trials(
            request,
            things,
            count=request.budget,
            excluded=excluded_cells(request, things, request.budget, listen, given),
            design=request.design if bench is None or bench.design is None else bench.design,
            on_event=listen,
            world=given,
            observes=observes,
            bench=bench,
        )
    if opened is not None:
        return ComparedPolicies(judged, blind=opened.blind_line(judged))
    assert judged.decided is not None, "a comparison has a verdict"
    for sentence in to_be_said(judged):
        notes.append(sentence)
        say_reason(on_event, sentence)
    return ComparedPolicies(judged, tuple(notes))


def _request_of(
    first: Compare | AnyPolicy, others: Sequence[AnyPolicy], world: AnyWorld | None, asked: dict[str, Any]
) -> tuple[Compare, list[AnyPolicy]]:
    """The request, and the policies that its texts stand for."""
    from roboscale.jobs.trying import from_keywords

    if isinstance(first, Compare):
        return first, [*first.policies]
    things = [first, *others]
    texts = tuple(thing if isinstance(thing, str) else "(object)" for thing in things)
    return from_keywords(Compare, {"policies": texts}, world, asked), things


def to_be_said(judged: Judged) -> tuple[str, ...]:
    """A sentence for everything that the verdict hides; RoboscaleError where a learned world abstains."""
    from roboscale.jobs.judged import reasons
    from roboscale.jobs.learned import doubts_or_abstain

    withdrawn = () if judged.decided is None else judged.decided.withdrawn
    doubts = doubts_or_abstain(judged)
    return (*reasons(judged.used, judged.labels), *_voids_on_hard_cases(judged), *withdrawn, *doubts)


def _voids_on_hard_cases(judged: Judged) -> list[str]:
    """A sentence for each policy whose void trials fall on cases that another one failed."""
    if not judged.void:
        return []
    from roboscale.report.doubts import overlap_sentence
    from roboscale.report.summaries import void_overlaps

    overlaps = void_overlaps({label: judged.of(policy) for policy, label in judged.labels.items()})
    return [overlap_sentence(overlap) for overlap in overlaps if overlap.on_hard_cases]
