"""From counted trials to what a report shows: sums, medians, reasons, corrections, and what void trials fall on."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from report.samples import GONE, MEASURES, NOON, SECOND, TASKS, cases, counted, identity, study
from roboscale.core import Case, Counted, Estimate, Measure
from roboscale.report.model import ReasonCount
from roboscale.report.summaries import (
    corrected_judgements,
    mean_progress,
    measure_summaries,
    policy_result,
    reason_counts,
    reuse_note,
    step_summaries,
    success_rate,
    void_overlaps,
    void_trials,
    worst_case,
)
from roboscale.stats import beta_confidence_sequence, clopper_pearson, worst_case_bounds

A, B = identity("a"), identity("b")
CASES = cases(12)


def share(events: int, trials: int) -> Estimate:
    return clopper_pearson(events, trials)


def outcomes(text: str, who: object = A) -> list[Counted]:
    """`+` won, `-` lost, `0` void, `?` pending."""
    won = {"+": True, "-": False, "0": None, "?": None}
    return [counted(who, case, won[c], pending=c == "?") for c, case in zip(text, CASES, strict=False)]  # type: ignore[arg-type]


def test_a_rate_counts_neither_void_nor_pending_trials():
    rate = success_rate(outcomes("+-+00?"))
    assert rate == clopper_pearson(2, 3, void=2)
    assert worst_case(outcomes("+-+00?")) == worst_case_bounds(2, 1, 2) and worst_case(outcomes("+-+?")) is None
    assert success_rate(outcomes("+-+"), beta_confidence_sequence) == beta_confidence_sequence(2, 3)


def test_mean_progress_is_over_those_that_were_judged():
    own = [counted(A, case, False, progress=value) for case, value in zip(CASES, (0.25, 0.75, None), strict=False)]
    own.append(counted(A, CASES[4], None, reason=GONE))
    mean = mean_progress(own)
    assert mean is not None and (mean.value, mean.n, mean.void) == (0.5, 2, 1)
    assert 0 <= mean.low < 0.5 < mean.high <= 1
    assert mean_progress(outcomes("+-")) is None


def test_tasks_stand_in_the_order_of_their_first_case_with_what_was_asked():
    result = policy_result("a", outcomes("+-0+-0"), instructions=TASKS)
    assert [task.task for task in result.tasks] == [*TASKS] and result.tasks[1].instruction == TASKS["push-v3"]
    assert [(t.success.value, t.success.void) for t in result.tasks] == [(1.0, 0), (0.0, 0), (None, 2)]
    assert result.identity == A and result.voids[0].count == 2 and result.unverified == ()


def test_an_unmeasured_value_is_missing_and_never_zero():
    values = ({"peak_force": 3.0, "dropped": 1.0}, {"peak_force": 5.0, "dropped": None}, {})
    own = [counted(A, case, True, measures=m) for case, m in zip(CASES, values, strict=False)]
    own.append(counted(A, CASES[5], None, measures={"peak_force": 99.0}, reason=GONE))
    force, dropped, table, limit = measure_summaries(own, MEASURES, share)
    assert (force.unit, force.kind, force.measured, force.missing) == ("N", "number", 2, 1)
    assert force.median is not None and (force.median.value, force.median.n, force.largest) == (4.0, 2, 5.0)
    assert force.share is None and force.median.low is None, "two values say nothing of the spread"
    assert dropped.share == clopper_pearson(1, 1) and dropped.median is None and dropped.kind == "bool"
    assert (table.measured, table.share) == (0, None) and (limit.kind, limit.median) == ("count", None)


def test_what_is_no_number_was_not_measured():
    values = (math.nan, 2.0, math.inf, 0.0)
    listed = [counted(A, CASES[i], True, measures={"force": v, "dropped": v}) for i, v in enumerate(values)]
    asked = Measure(name="force", unit="N"), Measure(name="dropped", unit="bool")
    force, dropped = measure_summaries(listed, asked, share)
    assert (force.measured, force.missing, force.largest, force.median.value) == (2, 2, 2.0, 1.0)
    assert (dropped.measured, dropped.share.value) == (2, 0.5)


def test_a_trial_that_awaits_its_judgement_was_measured_all_the_same():
    own = [counted(A, CASES[0], None, pending=True, measures={"x": 2.0})]
    (summary,) = measure_summaries(own, [Measure(name="x")], share)
    assert summary.median is not None and summary.median.value == 2.0


def test_steps_that_were_clipped_are_counted_and_their_trials_too():
    own = [counted(A, case, True, clipped=n) for case, n in zip(CASES, (0, 9, 4, 0, 0, 1), strict=False)]
    clipped, held, late = step_summaries(own, share)
    assert (clipped.name, held.name, late.name) == ("clipped", "held", "late")
    assert clipped.share == clopper_pearson(3, 6)
    assert clipped.median is not None and (clipped.median.value, clipped.largest) == (0.5, 9.0)
    bare = [dataclasses.replace(c, trial=None) for c in own]
    assert step_summaries(bare, share) == (), "a table of somebody else says nothing of steps"


@pytest.mark.parametrize("n", [6, 7, 15, 40])
def test_the_interval_of_a_median_is_the_widest_cut_that_order_statistics_allow(n: int):
    own = [counted(A, Case("t", i), True, measures={"x": float(i)}) for i in range(n)]
    (summary,) = measure_summaries(own, [Measure(name="x")], share)
    median = summary.median
    assert median is not None and median.low is not None and median.high is not None
    cut = int(median.low)
    assert median.high == n - 1 - cut
    assert 2 * sum(math.comb(n, i) for i in range(cut + 1)) / 2**n <= 0.05
    assert 2 * sum(math.comb(n, i) for i in range(cut + 2)) / 2**n > 0.05


def test_the_interval_of_a_median_covers_it():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(300):
        own = [counted(A, Case("t", i), True, measures={"x": float(rng.exponential())}) for i in range(12)]
        (summary,) = measure_summaries(own, [Measure(name="x")], share)
        assert summary.median is not None
        inside += summary.median.low <= math.log(2) <= summary.median.high
    assert inside >= 0.93 * 300


def test_reasons_are_grouped_the_most_frequent_first():
    own = [counted(A, case, False, end="policy error", reason=why) for case, why in zip(CASES, "xyxx", strict=False)]
    own.append(counted(A, CASES[6], False, end="policy error"))
    assert reason_counts(own) == (
        ReasonCount("x", 3, CASES[0].id),
        ReasonCount("y", 1, CASES[1].id),
        ReasonCount("no reason given", 1, CASES[6].id),
    )
    result = policy_result("a", own)
    assert result.mistakes == reason_counts(own) and result.only_mistakes
    assert not policy_result("a", [*own, *outcomes("+")]).only_mistakes


def test_void_trials_know_their_place_in_the_walk():
    results = {"a": outcomes("++0++0"), "b": outcomes("+0+++?", B)}
    trials = void_trials(results)
    assert [(v.policy, v.case, v.after_pair, v.attempts) for v in trials] == [
        ("a", CASES[2].id, 1, 3),
        ("a", CASES[5].id, 3, 3),
        ("b", CASES[1].id, 1, 3),
    ]


def test_void_trials_that_fall_on_hard_cases_are_found():
    hard = void_overlaps({"a": outcomes("0000++++++++"), "b": outcomes("----++++++++", B)})
    (overlap,) = hard
    assert (overlap.policy, overlap.other, overlap.on_failed, overlap.voids) == ("a", "b", 4, 4)
    assert (overlap.rest, overlap.rest_failed) == (8, 0) and overlap.on_hard_cases
    (even,) = void_overlaps({"a": outcomes("00++++++++++"), "b": outcomes("+-+-+-+-+-+-", B)})
    assert even.p_value is not None and not even.on_hard_cases
    assert void_overlaps({"a": outcomes("0+"), "b": outcomes("0+", B)}) == (), "both void: nothing is known"
    assert void_overlaps({"a": outcomes("+-"), "b": outcomes("-+", B)}) == ()


def test_a_correction_is_what_changed_and_not_every_judgement():
    results = study(count=8, corrected=2)
    corrections = corrected_judgements(results)
    first = results["ten demonstrations"]
    assert [c.case for c in corrections] == [c.case.id for c in first[:2]]
    for correction, one in zip(corrections, first, strict=False):
        assert correction.after == one.outcome.status != correction.before
        assert (correction.by, correction.time_ns) == ("Ada", NOON + 3600 * SECOND)


def test_repeated_judgements_that_agree_are_no_correction():
    one = outcomes("+")[0]
    again = dataclasses.replace(one.judgements[0], time_ns=one.judgements[0].time_ns + 1)
    pending = dataclasses.replace(again, state="pending", success=None)
    own = [dataclasses.replace(one, judgements=(one.judgements[0], pending, again))]
    assert corrected_judgements({"a": own}) == ()


def test_reuse_says_how_many_and_when():
    trials = [c.trial for c in itertools.islice(study(count=8)["ten demonstrations"], 5)]
    note = reuse_note([t for t in trials if t is not None], 10)
    assert note == "5 of 10 trials were found and not tried again: tried 2025-11-25 12:00 to 12:04 UTC"
    assert reuse_note([], 10) == ""
