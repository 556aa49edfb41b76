"""Comparisons as a bench makes them: what is right and what is wrong, and that they go on where they were."""

from pathlib import Path

import pytest

from benchmarks.bench_comparisons import EQUAL, RATES, compare_once, measure, outcome
from roboscale.core import Verdict
from roboscale.trials.log import open_log


def verdict(decision) -> Verdict:
    return Verdict(decision=decision, sentence="", alpha=0.05, n=1, discordant=1, p_value=None, method="")


@pytest.mark.parametrize(
    ("rates", "decision", "known"),
    [
        ((0.3, 0.7), "second is better", "right"),
        ((0.3, 0.7), "first is better", "wrong"),
        ((0.7, 0.3), "first is better", "right"),
        ((0.7, 0.3), "no difference shown", "undecided"),
        ((0.5, 0.5), "first is better", "wrong"),
        ((0.5, 0.5), "no difference shown", "right"),
    ],
)
def test_what_a_claim_is_worth_when_the_truth_is_known(rates, decision, known: str):
    assert outcome(rates, verdict(decision)) == known


def test_there_are_twenty_and_none_of_them_is_wrong(tmp_path: Path):
    assert len(RATES) == 20 and all(a != b for a, b in RATES) and all(a == b for a, b in EQUAL)
    rows = measure(tmp_path, seed=0, budget=40, error=0.05, pairs=RATES[:4])
    assert {row[3] for row in rows} <= {"right", "undecided"}


def test_a_comparison_that_was_interrupted_goes_on_with_what_is_there(tmp_path: Path):
    whole = compare_once(tmp_path / "a", (0.1, 0.9), 3, 30, 0.05)
    with open_log(str(tmp_path / "a"), read_only=True) as log:
        before = log.count()
    assert compare_once(tmp_path / "a", (0.1, 0.9), 3, 30, 0.05) == whole
    with open_log(str(tmp_path / "a"), read_only=True) as log:
        assert log.count() == before >= 2 * whole.used
