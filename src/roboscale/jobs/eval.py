"""Measures how well a policy does on held-out cases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import Estimate, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, ignore, say_reason
from roboscale.jobs.request import Option
from roboscale.jobs.running import run_trials
from roboscale.jobs.solvability import excluded_cells
from roboscale.jobs.trying import AnyPolicy, AnyWorld, Trying, kept_or_not

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.jobs.learned_calibration import Calibration

__all__ = ["Evaluate", "Evaluated", "evaluate", "evaluated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate(Trying):
    """Asks for the success rate of a policy."""

    words: ClassVar[tuple[str, ...]] = ("eval",)

    policy: Annotated[
        str, Option("expert, noisy:expert:0.1, a checkpoint, openpi://host:port, file.py:name, module:name.")
    ]
    trials: Annotated[int, Option("Trials per task.", min=1)] = 10
    perturb: Annotated[
        str, Option("The same cases once more in each cell: all, or axes such as light:2,lost_frames.")
    ] = ""
    solvable: Annotated[bool, Option("With --perturb: leave out cells that the world's expert cannot solve.")] = True
    paraphrases: Annotated[Path | None, Option("With --perturb: TOML file of other wordings of the sentences.")] = None
    sweep: Annotated[
        Literal["", "sobol"], Option("With --perturb: sobol draws all its axes at once, and says which decide.")
    ] = ""
    calibrate: Annotated[
        str, Option("With a learned world: store of real trials of the same policy on some of the cases.")
    ] = ""
    points: Annotated[int, Option("Rows of --sweep, each of as many trials as axes and three.", min=2)] = 32

    def check(self) -> None:
        """RoboscaleError also for a sweep over nothing."""
        Trying.check(self)
        if self.sweep and not self.perturb:
            raise RoboscaleError("--sweep draws axes of --perturb: say which, or --perturb all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The rate of one policy, and all that must be said beside it.

    Args:
        judged: the trials that count.
        success: the rate with its interval.
        notes: what was reused, assumed or left out.
        doubts: why a learned world abstains: then `success` has no value.
        calibrated: with `calibrate`, the real rate from both worlds' trials.
    """

    judged: Judged
    success: Estimate
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    calibrated: tuple[Calibration, ...] = ()

    @property
    def value(self) -> float | None:
        """The rate."""
        return self.success.value

    def __str__(self) -> str:
        waiting = f", {len(self.judged.pending)} to be judged" if self.judged.pending else ""
        return f"{self.success}{waiting}{''.join(f'; {doubt}' for doubt in self.judged.doubts)}"

    @property
    def lines(self) -> list[str]:
        """For a terminal: rates by task and over all, with bounds where trials are void, what must be said, and where
        the time went."""
        from roboscale.jobs.judged import rate_lines, time_lines
        from roboscale.jobs.perturbing import robustness_lines
        from roboscale.jobs.sweeping import sensitivity_lines

        if self.success.value is None and self.doubts:
            return [*self.doubts, *(c.line for c in self.calibrated), *time_lines(self.judged)]
        worse = (*robustness_lines(self.judged), *sensitivity_lines(self.judged))
        worse = (*worse, *(c.line for c in self.calibrated))
        return [*rate_lines(self.judged), *worse, *time_lines(self.judged)]

    def to_json(self) -> dict[str, Any]:
        """The summary that every run has, and the answer."""
        from roboscale.jobs.judged import run_summary
        from roboscale.jobs.perturbing import robustness_of
        from roboscale.jobs.sweeping import sensitivity_of

        perturbed = {label: cells.to_json() for label, cells in robustness_of(self.judged).items()}
        swept = {label: found.to_json() for label, found in sensitivity_of(self.judged).items()}
        said: dict[str, Any] = {"success": self.success.to_json(), "perturbed": perturbed, "swept": swept}
        if self.doubts:
            said["abstains"] = list(self.doubts)
        if self.calibrated:
            said["calibrated"] = [one.to_json() for one in self.calibrated]
        return {**run_summary(self.judged), **said}


def evaluate(
    policy: Evaluate | AnyPolicy,
    on_event: OnEvent = ignore,
    *,
    world: AnyWorld | None = None,
    observes: Collection[str] | None = None,
    **asked: Any,
) -> Evaluated:
    """Success rate of a policy on held-out cases, with its interval.

    >>> from roboscale import Evaluate, evaluate
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=3, store="trials"))
    >>> print(done.success.n)
    3

    Args:
        policy: a request, or the policy itself: a function of (observation, instruction) or of the observation alone,
            a class of which one is made for each episode, an object with `reset()`, a model with `predict`, a text.
        on_event: called with progress and notes; without it, void trials and mistakes of the policy are warnings.
        world: a `World`, a `Robot` or a class that makes one, instead of a text.
        observes: fields that a function is shown; by default those that its code names, or else all.
        asked: fields of `Evaluate`, e.g. `tasks`, `trials`, `seed`, `store`; `task` and `out` are understood, too.
            Without a store nothing is kept.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
        RoboscaleError: no trial could be counted; says why.
    """
    notes: list[str] = []

    def listen(event: Any) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        on_event(event)

    request = policy if isinstance(policy, Evaluate) else _request(policy, world, asked)
    thing = request.policy if isinstance(policy, (Evaluate, str)) else policy
    given = None if world is None or isinstance(world, str) else world
    if request.calibrate and given is None:
        from roboscale.jobs.learned_calibration import require_calibration

        require_calibration(request.world, request.calibrate)
    with kept_or_not(request, asked=isinstance(policy, Evaluate)) as request:
        excluded = excluded_cells(request, [thing], request.trials, listen, given)
        judged = run_trials(
            request,
            [thing],
            count=request.trials,
            on_event=listen,
            world=given,
            observes=observes,
            excluded=excluded,
        )
    return evaluated(judged, request, notes, on_event)


def evaluated(judged: Judged, request: Evaluate, notes: list[str], on_event: OnEvent) -> Evaluated:
    """The rate of a run that `request` asked for, or why there is none; and all that must be said beside it.

    Args:
        notes: what was said so far; gets what is said here.
    """
    from roboscale.jobs.judged import reasons
    from roboscale.jobs.learned import asked_anyway, coverage_doubts, withheld
    from roboscale.jobs.learned_calibration import calibration_of

    doubts = coverage_doubts(judged)
    for reason in (*reasons(judged.used, judged.labels), *doubts):
        notes.append(reason)
        say_reason(on_event, reason)
    success = judged.rate(judged.plain)
    if doubts and not asked_anyway(judged):
        success = withheld(success)
    calibrated = calibration_of(judged, request.calibrate) if request.calibrate else ()
    return Evaluated(judged=judged, success=success, notes=tuple(notes), doubts=tuple(doubts), calibrated=calibrated)


def _request(policy: AnyPolicy, world: AnyWorld | None, asked: dict[str, Any]) -> Evaluate:
    """The request that a call with objects stands for."""
    from roboscale.jobs.trying import from_keywords

    return from_keywords(Evaluate, {"policy": policy if isinstance(policy, str) else "(object)"}, world, asked)
