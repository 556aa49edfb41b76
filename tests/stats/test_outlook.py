"""Forecasts of further pairs, against a tree of all futures and against the power they promise."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest

from roboscale.stats import PairCounts, boundary, fixed_sample_power
from roboscale.stats.outlook import pairs_for_new_comparison, pairs_until_decision


def table(first_only: int, second_only: int, concordant: int) -> PairCounts:
    return PairCounts((concordant, second_only, 0, first_only, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("ends", [True, False])
def test_forecast_equals_the_tree_of_all_futures(ends: bool):
    limit, start, horizon = boundary(20), (1, 6, 3), 10
    half = Fraction(1, 2)

    @cache
    def decides(first: int, second: int, ties: int, left: int, last: bool) -> Fraction:
        """P(a decision within `left` further pairs)."""
        if left == 0:
            return Fraction(0)
        total = first + second + ties + 3 * half
        found = Fraction(0)
        for kind, seen in enumerate((first, second, ties)):
            after = [first, second, ties]
            after[kind] += 1
            tosses = after[0] + after[1]
            fewest = (limit.final if last and left == 1 else limit.running)[tosses]
            over = max(after[0], after[1]) >= fewest
            found += (seen + half) / total * (1 if over else decides(*after, left - 1, last))
        return found

    final = limit.final if ends else None
    for within in range(1, horizon + 1):
        chance = float(decides(*start, within, ends and within == horizon))
        if chance == 0 or (ends and within == horizon and chance == float(decides(*start, within, False))):
            continue
        just_below = pairs_until_decision(table(*start), limit.running, final, horizon, chance * (1 - 1e-9))
        just_above = pairs_until_decision(table(*start), limit.running, final, horizon, chance * (1 + 1e-9))
        assert just_below is not None and just_below <= within
        assert just_above is None or just_above > within
    assert float(decides(*start, horizon, ends)) > 0.3


def test_nothing_is_forecast_before_the_first_discordant_pair():
    limit = boundary(50)
    assert pairs_until_decision(table(0, 0, 20), limit.running, limit.final, 30) is None
    assert pairs_until_decision(table(0, 5, 20), limit.running, limit.final, 0) is None


@pytest.mark.parametrize("kinds", [(5, 15, 30), (2, 12, 10), (40, 70, 90), (30, 10, 10)])
def test_a_new_comparison_has_about_the_power_it_promises(kinds: tuple[int, int, int]):
    pairs = pairs_for_new_comparison(table(*kinds), 0.05)
    assert pairs is not None
    rates = [(k + 0.5) / (sum(kinds) + 1.5) for k in kinds[:2]]
    assert 0.7 < fixed_sample_power(*rates, pairs) < 0.88


@pytest.mark.parametrize("kinds", [(0, 0, 10), (5, 5, 0), (6, 9, 40)])
def test_no_forecast_within_one_standard_error_of_zero(kinds: tuple[int, int, int]):
    assert pairs_for_new_comparison(table(*kinds), 0.05) is None
