"""Cohen's kappa: a published table, what few trials cannot say, and an interval that holds what it should."""

import numpy as np
import pytest

from roboscale.stats.scorers import cohen_kappa


def table(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    return (
        [True] * (both + first) + [False] * (second + neither),
        [True] * both + [False] * first + [True] * second + [False] * neither,
    )


def test_kappa_is_what_the_books_have():
    assert cohen_kappa(*table(20, 5, 10, 15)).value == pytest.approx(0.4)
    assert cohen_kappa(*table(45, 15, 25, 15)).value == pytest.approx(0.1304, abs=1e-4)
    assert cohen_kappa(*table(0, 10, 10, 0)).value == pytest.approx(-1.0)


def test_an_interval_has_a_width_where_the_scorers_never_differed():
    few, many = cohen_kappa(*table(3, 0, 0, 3)), cohen_kappa(*table(60, 0, 0, 60))
    assert few.value == many.value == 1.0
    assert few.low is not None and many.low is not None and few.low < 0.6 < 0.9 < many.low


def test_who_said_the_same_of_every_trial_and_nothing_else_has_no_kappa():
    alike = cohen_kappa(*table(9, 0, 0, 0))
    assert alike.value is None and alike.n == 9 and alike.low is not None
    assert cohen_kappa([], []).low is None
    with pytest.raises(ValueError, match="3 and 2"):
        cohen_kappa([True] * 3, [True] * 2)


@pytest.mark.parametrize("error", [0.05, 0.2])
def test_the_interval_holds_the_kappa_of_two_scorers_who_err(error: float):
    rng = np.random.default_rng(3)
    same = (1 - error) ** 2 + error**2  # with rates of one half, kappa is 2 P(same) - 1
    held = 0
    for _ in range(200):
        truth = rng.random(40) < 0.5
        a, b = (truth ^ (rng.random(40) < error) for _ in range(2))
        said = cohen_kappa(a.tolist(), b.tolist())
        held += said.low <= 2 * same - 1 <= said.high
    assert held >= 180, "95 % of 200, less three standard errors"
