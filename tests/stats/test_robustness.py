"""Losses in worse worlds: on the same cases, with intervals that hold together."""

import numpy as np
import pytest

from roboscale.core import PairedOutcome
from roboscale.stats.differences import paired_difference
from roboscale.stats.robustness import compare_robustness, robustness


def outcomes(successes: int, n: int) -> dict[str, bool | None]:
    return {str(k): k < successes for k in range(n)}


def test_differences_are_paired_and_hold_together():
    nominal, cell = outcomes(18, 20), outcomes(7, 20)
    made = robustness(nominal, {"a:1": cell, "b:1": nominal}, alpha=0.1)
    expected = paired_difference([PairedOutcome("", nominal[k], cell[k]) for k in nominal], 0.95)
    assert made.cells[0].difference == expected
    assert made.cells[0].lower and not made.cells[1].lower
    assert made.worst is made.cells[0]
    assert "a:1" in made.sentence and "2 cells of 20 pairs" in made.sentence and "at 90 %" in made.sentence


def test_void_and_missing_cases_are_no_pairs():
    nominal = {"0": True, "1": None, "2": True}
    made = robustness(nominal, {"a:1": {"0": False, "1": True, "2": None, "3": True}})
    assert (made.cells[0].difference.n, made.cells[0].difference.void) == (1, 2)
    assert (made.cells[0].success.n, made.cells[0].success.void) == (3, 1)
    assert (made.nominal.n, made.nominal.void) == (2, 1)


def test_where_nothing_is_shown_the_sentence_says_what_is_still_possible():
    same = outcomes(10, 10)
    made = robustness(same, {"a:1": same})
    low = made.cells[0].difference.low
    assert made.worst is None and low is not None
    assert f"losses of up to {-low:.2f} are not excluded" in made.sentence
    assert "no data" in str(robustness({}, {"a:1": {}}).cells[0].difference)


def test_a_gain_is_no_loss():
    made = robustness(outcomes(2, 30), {"a:1": outcomes(28, 30)})
    assert made.cells[0].higher and not made.cells[0].lower and made.worst is None


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_no_loss_is_claimed_of_harmless_perturbations_more_often_than_alpha(p: float):
    """Nine cells whose cases succeed as often as the unperturbed ones: a claim of any loss is false."""
    draw, false = np.random.default_rng(7), 0
    for _ in range(400):
        arms = draw.random((10, 25)) < p
        cells = {f"a:{k}": dict(enumerate(map(bool, arm))) for k, arm in enumerate(arms[1:])}
        made = robustness(dict(enumerate(map(bool, arms[0]))), cells)  # type: ignore[arg-type]
        false += any(cell.lower or cell.higher for cell in made.cells)
    assert false / 400 < 0.08  # .05, and three standard deviations


def test_who_loses_less_is_said_only_where_it_is_shown():
    same, half = outcomes(30, 30), outcomes(12, 30)
    duel = compare_robustness(("a", "b"), (same, same), ({"x:1": half, "y:1": same}, {"x:1": same, "y:1": same}))
    assert [gap.decision for gap in duel.gaps] == ["second", "cannot say"]
    assert duel.gaps[0].difference.value == pytest.approx(0.6)
    assert duel.sentence == "b loses less on x:1; it cannot be said on y"
    turned = compare_robustness(("a", "b"), (same, same), ({"x:1": same}, {"x:1": half}))
    assert turned.gaps[0].decision == "first" and "a loses less on x:1" in turned.sentence


def test_a_policy_that_was_worse_before_is_not_less_robust():
    """The second succeeds less, with and without the perturbation: what it loses is the same."""
    duel = compare_robustness(
        ("a", "b"), (outcomes(30, 30), outcomes(15, 30)), ({"x:1": outcomes(30, 30)}, {"x:1": outcomes(15, 30)})
    )
    assert duel.gaps[0].decision == "cannot say" and duel.gaps[0].difference.value == 0
    assert "neither a nor b" in duel.sentence


def test_only_cases_that_all_four_arms_have_are_compared():
    nominal: dict[str, bool | None] = {"0": True, "1": None, "2": True, "3": True}
    duel = compare_robustness(("a", "b"), (nominal, nominal), ({"x:1": nominal}, {"x:1": {"0": True, "2": None}}))
    assert duel.gaps[0].difference.n == 1


def test_no_policy_is_called_more_robust_by_chance_more_often_than_alpha():
    draw, false = np.random.default_rng(5), 0
    for _ in range(200):
        arms = draw.random((2, 7, 24)) < 0.7
        made = [[dict(enumerate(map(bool, arm))) for arm in policy] for policy in arms]
        nominal = (made[0][0], made[1][0])
        cells = tuple({f"x:{k}": arm for k, arm in enumerate(policy[1:])} for policy in made)
        duel = compare_robustness(("a", "b"), nominal, cells)  # type: ignore[arg-type]
        false += any(gap.decision != "cannot say" for gap in duel.gaps)
    assert false / 200 < 0.1  # .05, and three standard deviations
