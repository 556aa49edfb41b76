"""From evidence to a verdict: one way for 2..N policies, for success and progress, with void trials in the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import Case, Design, Evidence, EvidenceRow, PairedOutcome, Verdict
from roboscale.stats import SequentialPaired, clopper_pearson, paired_verdict
from roboscale.stats.deciding import Decider, decide, rate_of
from roboscale.stats.many import ManyVerdict, compare_many_paired
from roboscale.stats.sequential_many import SequentialMany

NAMES = ("A", "B", "C")


def rows_of(*columns: list[float | None], names=NAMES) -> tuple[EvidenceRow, ...]:
    return tuple(
        EvidenceRow(Case("t", i), dict(zip(names, values, strict=False)))
        for i, values in enumerate(zip(*columns, strict=True))
    )


def evidence(rows, policies=2, **design) -> Evidence:
    return Evidence(policies=NAMES[:policies], rows=tuple(rows), design=Design(**{"budget": len(rows), **design}))


outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(pairs=outcomes, budget=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_two_policies_get_the_sequential_paired_tests_own_verdict(pairs, budget: int):
    rule = SequentialPaired(budget=budget, names=("A", "B"))
    used = next((n for n, (a, b) in enumerate(pairs, 1) if rule.update(PairedOutcome("t", a, b))), len(pairs))
    rule.finish()
    decided = decide(evidence(rows_of([float(a) for a, _ in pairs], [float(b) for _, b in pairs]), budget=budget))
    assert decided.verdict == rule.verdict() and decided.used == min(used, budget)


@given(triples=st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_many_policies_get_the_sequential_many_tests_own_verdict(triples):
    rule = SequentialMany(NAMES, budget=len(triples))
    used = 0
    for triple in triples:
        active = rule.active
        if not active:
            break
        rule.update({name: value for name, value in zip(NAMES, triple, strict=True) if name in active})
        used += 1
    rule.finish()
    columns = [[float(t[k]) for t in triples] for k in range(3)]
    decided = decide(evidence(rows_of(*columns), policies=3))
    assert decided.verdict == rule.verdict() and decided.used == used


@given(pairs=outcomes)
@settings(max_examples=40, deadline=None)
def test_a_fixed_design_tests_once(pairs):
    rows = rows_of([float(a) for a, _ in pairs], [float(b) for _, b in pairs])
    decided = decide(evidence(rows, sequential=False))
    assert decided.verdict == paired_verdict([PairedOutcome("", a, b) for a, b in pairs], 0.05, ("A", "B"))
    assert decided.used == len(pairs), "all of the budget is counted"


def test_a_fixed_budget_counts_that_many_cases_and_no_more():
    rows = rows_of([1.0] * 9, [0.0] * 9)
    assert decide(evidence(rows, budget=7, sequential=False)).verdict.n == 7


def test_three_policies_in_a_fixed_design():
    columns = [[1.0] * 12, [0.0] * 12, [0.0, 1.0] * 6]
    verdict = decide(evidence(rows_of(*columns), policies=3, sequential=False)).verdict
    assert verdict == compare_many_paired({n: [bool(v) for v in c] for n, c in zip(NAMES, columns, strict=True)}, 0.05)


def test_what_a_run_consumes_one_by_one_is_what_a_report_decides():
    rng = np.random.default_rng(0)
    rows = rows_of((rng.random(80) < 0.3).astype(float).tolist(), (rng.random(80) < 0.8).astype(float).tolist())
    live = Decider(("A", "B"), Design(budget=80))
    consumed = 0
    for row in rows:
        consumed += 1
        if not live.update(row.case, row.outcomes):
            break
    live.finish()
    report = decide(evidence(rows))
    assert report.stopped and (report.verdict, report.used) == (live.verdict(), consumed)


def test_nothing_behind_the_first_incomplete_case_counts():
    rows = list(rows_of([1.0] * 20, [0.0] * 20))
    rows[4] = EvidenceRow(rows[4].case, {"A": 1.0})
    decided = decide(evidence(rows), final=False)
    assert decided.used == 4 and not decided.stopped and decided.verdict.decision == "undecided"


def test_more_cases_never_change_a_verdict_after_the_stop():
    columns = [1.0] * 30, [0.0] * 30
    stopped = decide(evidence(rows_of(*columns), budget=100))
    wrong = [*columns[0][: stopped.used], *[0.0] * 70], [*columns[1][: stopped.used], *[1.0] * 70]
    assert decide(evidence(rows_of(*wrong), budget=100)).verdict == stopped.verdict


@pytest.mark.parametrize("sequential", [True, False])
def test_a_claim_that_void_trials_could_overturn_is_withdrawn(sequential: bool):
    won, lost = [1.0] * 12, [0.0] * 12
    clean = decide(evidence(rows_of(won, lost), sequential=sequential, budget=40, min_cases=12))
    assert clean.verdict.decision == "first is better" and not clean.withdrawn
    honest = decide(evidence(rows_of([*won, None], [*lost, 0.0]), sequential=sequential, budget=40, min_cases=13))
    assert honest.verdict.decision == "first is better", "one void trial cannot overturn twelve"
    crashing = decide(
        evidence(rows_of([None] * 14 + won, [1.0] * 14 + lost), sequential=sequential, budget=40, min_cases=26)
    )
    assert crashing.verdict.decision == "undecided"
    assert len(crashing.withdrawn) == 1 and "14 void trials of A" in crashing.verdict.sentence


def test_void_trials_of_a_third_policy_do_not_withdraw_the_claim_of_two_others():
    won, lost = [1.0] * 30, [0.0] * 30
    rows = rows_of(won, lost, [None] * 30)
    verdict = decide(evidence(rows, policies=3, sequential=False)).verdict
    assert isinstance(verdict, ManyVerdict)
    decided = {(p.first, p.second): p.verdict.decision for p in verdict.pairs}
    assert decided["A", "B"] == "first is better"


def test_the_withdrawn_pair_of_many_is_in_no_sentence_as_a_claim():
    rows = rows_of([1.0] * 12 + [None] * 14, [0.0] * 12 + [1.0] * 14, [0.0] * 26)
    decided = decide(evidence(rows, policies=3, sequential=False))
    assert isinstance(decided.verdict, ManyVerdict) and decided.withdrawn
    pairs = {frozenset((p.first, p.second)): p for p in decided.verdict.pairs}
    assert not pairs[frozenset("AB")].decided
    assert set(decided.verdict.letters["A"]) & set(decided.verdict.letters["B"])


def test_progress_decides_where_nobody_succeeds():
    rng = np.random.default_rng(1)
    far = rng.uniform(0.0, 0.3, 80).tolist()
    near = rng.uniform(0.5, 0.9, 80).tolist()
    verdict = decide(evidence(rows_of(far, near), outcome="progress")).verdict
    assert isinstance(verdict, Verdict) and verdict.decision == "second is better" and "progress" in verdict.sentence
    many = decide(evidence(rows_of(far, near, near), policies=3, outcome="progress")).verdict
    assert isinstance(many, ManyVerdict)
    claims = {frozenset((p.first, p.second)): p.decided for p in many.pairs}
    assert claims == {frozenset("AB"): True, frozenset("AC"): True, frozenset("BC"): False}


def test_a_decided_progress_comparison_needs_no_further_trials():
    decider = Decider(("A", "B"), Design(budget=200, outcome="progress"))
    asked = 0
    while decider.in_play:
        decider.update(Case("t", asked), {"A": 0.1, "B": 0.9})
        asked += 1
    assert asked < 30 and decider.verdict().decision == "second is better"


def test_rates_and_their_intervals():
    assert rate_of([1.0, 0.0, 1.0, None]) == clopper_pearson(2, 3, void=1)
    progress = rate_of([0.25, 0.75, None], kind="progress")
    assert (progress.value, progress.n, progress.void) == (0.5, 2, 1) and progress.low < 0.5 < progress.high
    assert rate_of([], kind="progress").value is None and rate_of([None]).value is None


def test_evidence_without_a_design_compares_nothing():
    with pytest.raises(ValueError, match="design"):
        decide(Evidence(policies=("A",), rows=()))
