"""From counted trials to the plain data of a report: rates, measures, reasons, corrections. Pure functions.

What counts and what was claimed was decided before; this only adds up, for one policy at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from math import comb, isfinite
from statistics import median

from roboscale.core import Case, Counted, Estimate, Judgement, Measure, Trial
from roboscale.report import text
from roboscale.report.model import (
    Behaviour,
    CorrectedJudgement,
    DetectorAgreement,
    MeasureSummary,
    PolicyResult,
    ReasonCount,
    ScorerAgreement,
    ShareEstimator,
    TaskResult,
    VoidOverlap,
    VoidTrial,
)
from roboscale.stats.barnard import barnard
from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.proportions import WorstCase, clopper_pearson, worst_case_bounds
from roboscale.stats.scorers import cohen_kappa

__all__ = [
    "RateInterval",
    "corrected_judgements",
    "detector_agreements",
    "mean_progress",
    "measure_summaries",
    "policy_result",
    "reason_counts",
    "reuse_note",
    "scorer_agreements",
    "step_summaries",
    "success_rate",
    "void_overlaps",
    "void_trials",
    "worst_case",
]

RateInterval = Callable[[int, int, float, int], Estimate]
"""(successes, trials, level, void) -> the rate: `clopper_pearson`, or `beta_confidence_sequence` where the number of
trials depended on their results."""

_STEPS = ("clipped", "held", "late")


def policy_result(
    name: str,
    counted: Sequence[Counted],
    *,
    measures: Sequence[Measure] = (),
    instructions: Mapping[str, str] | None = None,
    interval: RateInterval = clopper_pearson,
    level: float = 0.95,
    description: str = "",
    behaviour: tuple[Behaviour, ...] = (),
) -> PolicyResult:
    """All that the report shows of one policy.

    Args:
        name: its label, see `core.identity_labels`.
        counted: its cases, each once; the tasks stand in the order of their first case.
        measures: what to summarise of each trial, e.g. the world's measures about damage.
        instructions: task -> what was asked, a sentence.
        interval, level: of the rates and shares.
    """

    def share(events: int, trials: int) -> Estimate:
        return interval(events, trials, level, 0)

    asked = instructions or {}
    tasks = {task: [c for c in counted if c.case.task == task] for task in dict.fromkeys(c.case.task for c in counted)}
    return PolicyResult(
        name=name,
        success=success_rate(counted, interval, level),
        progress=mean_progress(counted, level),
        worst=worst_case(counted, interval, level),
        identity=counted[0].policy if counted else None,
        world=counted[0].world if counted else None,
        description=description,
        tasks=tuple(
            TaskResult(task, success_rate(own, interval, level), asked.get(task, ""), mean_progress(own, level))
            for task, own in tasks.items()
        ),
        measures=measure_summaries(counted, measures, share),
        steps=step_summaries(counted, share),
        mistakes=reason_counts(c for c in counted if c.trial is not None and c.trial.end == "policy error"),
        voids=reason_counts(c for c in counted if _void(c)),
        pending=sum(c.pending for c in counted),
        behaviour=behaviour,
    )


def success_rate(
    counted: Sequence[Counted], interval: RateInterval = clopper_pearson, level: float = 0.95
) -> Estimate:
    """Share of decided cases that succeeded; void ones are carried along, pending ones are neither."""
    decided = [c.outcome.success for c in counted if not c.pending and c.outcome.success is not None]
    return interval(sum(decided), len(decided), level, sum(_void(c) for c in counted))


def worst_case(
    counted: Sequence[Counted], interval: RateInterval = clopper_pearson, level: float = 0.95
) -> WorstCase | None:
    """Success if every void trial had failed, and if every one had succeeded; `None` where nothing was void."""
    rate = success_rate(counted, interval, level)
    if not rate.void:
        return None
    won = sum(bool(c.outcome.success) for c in counted if not c.pending)
    return worst_case_bounds(won, rate.n - won, rate.void, level, lambda k, n, at: interval(k, n, at, 0))


def mean_progress(counted: Sequence[Counted], level: float = 0.95) -> Estimate | None:
    """Mean progress in 0..1 with a confidence sequence; `None` where nobody judged any.

    Source: Waudby-Smith and Ramdas, JRSS-B 86 (2024).
    """
    values = [c.outcome.progress for c in counted if not c.pending and not _void(c)]
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = bounded_mean_sequence(known, [1] * len(known), level)
    method = "confidence sequence of mean progress by betting (Waudby-Smith, Ramdas 2024)"
    return Estimate(
        value=sum(known) / len(known),
        low=low,
        high=high,
        level=level,
        n=len(known),
        method=method,
        void=sum(_void(c) for c in counted),
    )


def measure_summaries(
    counted: Sequence[Counted], measures: Sequence[Measure], share: ShareEstimator
) -> tuple[MeasureSummary, ...]:
    """What was measured at the end of the trials, measure by measure; void trials are not looked at.

    A trial whose outcome lacks a measure, or has `None` or NaN for it, is one in which it could not be measured.
    """
    looked_at = [c.outcome.measures for c in counted if not _void(c)]
    return tuple(_summary(m.name, m.unit, [measured.get(m.name) for measured in looked_at], share) for m in measures)


def step_summaries(counted: Sequence[Counted], share: ShareEstimator) -> tuple[MeasureSummary, ...]:
    """Control steps whose action was clipped, that were held while the policy thought, and that came late."""
    trials = [c.trial for c in counted if c.trial is not None and not c.trial.void]
    return tuple(_summary(name, "step", [getattr(t, name) for t in trials], share) for name in _STEPS if trials)


def _summary(name: str, unit: str, values: Sequence[float | None], share: ShareEstimator) -> MeasureSummary:
    known = [float(value) for value in values if value is not None and isfinite(value)]
    kind = {"bool": "bool", "step": "count"}.get(unit, "number")
    spread = kind != "bool" and bool(known)
    events = kind != "number" and bool(known)
    return MeasureSummary(
        name=name,
        unit=unit,
        kind=kind,  # type: ignore[arg-type]
        measured=len(known),
        missing=len(values) - len(known),
        share=share(sum(value != 0 for value in known), len(known)) if events else None,
        median=_median(known) if spread else None,
        largest=max(known) if spread else None,
    )


def _median(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The median, with the exact interval between two order statistics; without one for fewer than six values.

    Source: Thompson, Ann. Math. Stat. 7 (1936).
    """
    ordered, n = sorted(values), len(values)
    outside, tail = 0, 0.0  # values left out at either end, and the probability of the median lying beyond them
    while outside < n / 2 and tail + comb(n, outside) / 2**n <= (1 - level) / 2:
        tail += comb(n, outside) / 2**n
        outside += 1
    low, high = (ordered[outside - 1], ordered[n - outside]) if outside else (None, None)
    return Estimate(
        value=float(median(ordered)), low=low, high=high, level=level, n=n, method="order statistics (Thompson 1936)"
    )


def _void(counted: Counted) -> bool:
    """Whether it broke; a trial that awaits its judgement did not."""
    return counted.outcome.status == "void" and not counted.pending


def _reason(counted: Counted) -> str:
    own = counted.trial.reason if counted.trial else ""
    return own or counted.outcome.reason or "no reason given"


def reason_counts(counted: Iterable[Counted]) -> tuple[ReasonCount, ...]:
    """Their reasons, the most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for one in counted:
        by_reason.setdefault(_reason(one), []).append(one.case.id)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return tuple(ReasonCount(reason, len(cases), cases[0]) for reason, cases in ordered)


def void_trials(results: Mapping[str, Sequence[Counted]]) -> tuple[VoidTrial, ...]:
    """Every void trial; `after_pair` counts the cases before it, in the order of the first policy, that nobody voided.

    Args:
        results: name -> its cases, in schedule order.
    """
    order = list(dict.fromkeys(c.case for counted in results.values() for c in counted))
    broken = {c.case for counted in results.values() for c in counted if c.outcome.success is None}
    before: dict[Case, int] = {}
    for case in order:
        before[case] = sum(other not in broken for other in before)
    return tuple(
        VoidTrial(policy=name, case=c.case.id, reason=_reason(c), attempts=c.attempt + 1, after_pair=before[c.case])
        for name, counted in results.items()
        for c in counted
        if _void(c)
    )


def void_overlaps(results: Mapping[str, Sequence[Counted]]) -> tuple[VoidOverlap, ...]:
    """For every policy with void trials, and every other one: do they fall on cases that the other one failed?"""
    outcomes = {name: {c.case: c.outcome.success for c in counted} for name, counted in results.items()}
    void = {name: {c.case for c in counted if _void(c)} for name, counted in results.items()}
    pairs = [(a, b) for a in results for b in results if a != b and void[a]]
    overlaps = [_overlap(a, b, void[a], outcomes) for a, b in pairs]
    return tuple(overlap for overlap in overlaps if overlap.voids)


def _overlap(
    policy: str, other: str, void: set[Case], outcomes: Mapping[str, Mapping[Case, bool | None]]
) -> VoidOverlap:
    known = {case: won for case, won in outcomes[other].items() if won is not None and case in outcomes[policy]}
    on_void = [not won for case, won in known.items() if case in void]
    rest = [not won for case, won in known.items() if case not in void]
    p_value = None
    if on_void and rest:
        p_value = barnard((sum(on_void), len(on_void)), (sum(rest), len(rest)), "first is better")
    return VoidOverlap(
        policy=policy,
        other=other,
        voids=len(on_void),
        on_failed=sum(on_void),
        rest=len(rest),
        rest_failed=sum(rest),
        p_value=p_value,
    )


def corrected_judgements(results: Mapping[str, Sequence[Counted]]) -> tuple[CorrectedJudgement, ...]:
    """Every decision on a trial that a later one changed, oldest first."""
    corrections = []
    for name, counted in results.items():
        for one in counted:
            decided = [j for j in sorted(one.judgements, key=lambda j: j.time_ns) if j.state == "decided"]
            changed = [(a, b) for a, b in pairwise(decided) if _said(a) != _said(b)]
            corrections += [_correction(name, one, a, b) for a, b in changed]
    return tuple(sorted(corrections, key=lambda c: c.time_ns))


def scorer_agreements(counted: Iterable[Counted]) -> tuple[ScorerAgreement, ...]:
    """Of every two who decided on the same trials how well they agree; of each the last word counts.

    A scorer is a person by name, or a referee. What a policy's own mistake decided, nobody scored.
    """
    said: dict[str, dict[str, bool]] = {}
    for one in counted:
        for judgement in sorted(one.judgements, key=lambda j: j.time_ns):
            beside = judgement.state == "proposed" and judgement.referee == "second scorer" and bool(judgement.by)
            if beside or (judgement.state == "decided" and judgement.referee != "policy error"):
                scorer = judgement.by or judgement.referee
                said.setdefault(scorer, {})[judgement.trial] = bool(judgement.success)
    agreements = []
    for (first, mine), (second, others) in combinations(said.items(), 2):
        both = [trial for trial in mine if trial in others]
        if both:
            a, b = [mine[trial] for trial in both], [others[trial] for trial in both]
            same = sum(x == y for x, y in zip(a, b, strict=True))
            kappa = cohen_kappa(a, b)
            agreements.append(ScorerAgreement(first=first, second=second, same=same, trials=len(both), kappa=kappa))
    return tuple(agreements)


def detector_agreements(counted: Iterable[Counted]) -> tuple[DetectorAgreement, ...]:
    """Of every detector how often what it proposed is what was decided; its last word on a trial counts."""
    said: dict[str, list[tuple[bool | None, bool]]] = {}
    for one in counted:
        decided = [j for j in one.judgements if j.state == "decided" and j.referee != "policy error"]
        if not decided:
            continue
        truth = bool(max(decided, key=lambda j: j.time_ns).success)
        detected = [j for j in one.judgements if j.state == "proposed" and j.referee.startswith("detector ")]
        proposed = sorted(detected, key=lambda j: j.time_ns)
        for name, success in {j.referee.removeprefix("detector "): j.success for j in proposed}.items():
            said.setdefault(name, []).append((success, truth))
    agreements = []
    for name, pairs in said.items():
        spoke = [(success, truth) for success, truth in pairs if success is not None]
        same = sum(success == truth for success, truth in spoke)
        agreements.append(
            DetectorAgreement(
                name=name,
                proposed=len(spoke),
                same=same,
                silent=len(pairs) - len(spoke),
                share=clopper_pearson(same, len(spoke)),
                kappa=cohen_kappa([s for s, _ in spoke], [t for _, t in spoke]),
            )
        )
    return tuple(agreements)


def _correction(name: str, counted: Counted, before: Judgement, after: Judgement) -> CorrectedJudgement:
    return CorrectedJudgement(
        policy=name,
        case=counted.case.id,
        before=_said(before),
        after=_said(after),
        by=after.by or after.referee,
        time_ns=after.time_ns,
        reason=after.reason,
    )


def _said(judgement: Judgement) -> str:
    status = {True: "success", False: "failure", None: "no success given"}[judgement.success]
    return status if judgement.progress is None else f"{status}, progress {text.number(judgement.progress, 2)}"


def reuse_note(reused: Sequence[Trial], of: int) -> str:
    """`5 of 10 trials were found and not tried again: tried 2026-11-25 22:51 to 22:53 UTC`; empty for none."""
    if not reused:
        return ""
    times = [trial.started_ns for trial in reused if trial.started_ns]
    first, last = (text.moment(pick(times)) if times else "" for pick in (min, max))
    day, _, _ = first.partition(" ")
    span = first if last == first else f"{first.removesuffix(' UTC')} to {last.removeprefix(f'{day} ')}"
    when = f": tried {span}" if times else ""
    return f"{text.count(len(reused))} of {text.plural(of, 'trial')} were found and not tried again{when}"
