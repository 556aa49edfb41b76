"""Counting pairs and the exact paired test."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from roboscale.core import PairedOutcome
from roboscale.stats import count_pairs, exact_paired_test, fixed_sample_power

side = st.sampled_from([True, False, None])
pair = st.builds(PairedOutcome, st.sampled_from(["reach", "push"]), side, side)
pairs_lists = st.lists(pair, max_size=40)


def swapped(pairs: Sequence[PairedOutcome]):
    return [PairedOutcome(p.stratum, p.second, p.first) for p in pairs]


def valid(pairs: Sequence[PairedOutcome]):
    return [p for p in pairs if p.first is not None and p.second is not None]


@given(pairs_lists)
def test_counts_partition_the_pairs(pairs: Sequence[PairedOutcome]):
    counts = count_pairs(pairs)
    assert counts.n + counts.void == len(pairs)
    assert counts.n == len(valid(pairs))
    assert sum(counts.side("first")) == sum(counts.side("second")) == len(pairs)
    assert counts.side("first") == tuple(sum(p.first is v for p in pairs) for v in (True, False, None))
    assert counts.side("second") == tuple(sum(p.second is v for p in pairs) for v in (True, False, None))


@given(pairs_lists, st.randoms())
def test_order_relabelling_and_void_change_nothing(pairs: Sequence[PairedOutcome], random: Random):
    p = exact_paired_test(pairs)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert exact_paired_test(shuffled) == exact_paired_test(swapped(pairs)) == exact_paired_test(valid(pairs)) == p
    assert exact_paired_test(pairs, "first is better") == exact_paired_test(swapped(pairs), "second is better")


@given(st.integers(0, 40), st.integers(0, 40))
def test_equals_scipys_binomial_test(first: int, second: int):
    pairs = [PairedOutcome("t", True, False)] * first + [PairedOutcome("t", False, True)] * second
    if first + second == 0:
        assert exact_paired_test(pairs) == 1.0
        return
    for ours, theirs in (("two-sided", "two-sided"), ("second is better", "greater"), ("first is better", "less")):
        expected = binomtest(second, first + second, alternative=theirs).pvalue
        assert exact_paired_test(pairs, ours) == pytest.approx(expected, rel=1e-9)


def test_known_table():
    """McNemar's exact p for 2 against 22 discordant pairs: 2 (1 + 24 + 276) / 2^24."""
    pairs = [PairedOutcome("t", True, False)] * 2 + [PairedOutcome("t", False, True)] * 22
    assert exact_paired_test(pairs) == pytest.approx(2 * 301 / 2**24, rel=1e-12)


def test_unknown_alternative_lists_the_valid_ones():
    with pytest.raises(ValueError, match="two-sided, first is better, second is better"):
        exact_paired_test([], "greater")


def test_pooled_strata_stay_exact():
    """All outcomes of six pairs in two strata of different difficulty, no difference in either: P(p <= a) <= a."""

    def chance(p: PairedOutcome) -> float:
        rate = 0.9 if p.stratum == "easy" else 0.3
        return (rate if p.first else 1 - rate) * (rate if p.second else 1 - rate)

    kinds = [PairedOutcome("easy", a, b) for a, b in product((True, False), repeat=2)]
    hard = [PairedOutcome("hard", p.first, p.second) for p in kinds]
    levels = np.array([0.05, 0.1, 0.25, 0.5, 1.0])
    reached = np.zeros(len(levels))
    for picks in product(kinds, kinds, kinds, hard, hard, hard):
        weight = np.prod([chance(p) for p in picks])
        reached += weight * (exact_paired_test(picks) <= levels)
    assert np.all(reached <= levels + 1e-12)
    assert reached[-1] == pytest.approx(1.0)


def test_fixed_sample_power_by_enumeration():
    def reject(first: int, second: int) -> bool:
        return first + second > 0 and binomtest(second, first + second).pvalue <= 0.05

    n, p1, p2 = 12, 0.1, 0.5
    total = 0.0
    for kinds in product(range(n + 1), repeat=2):
        first, second = kinds
        if first + second > n or not reject(first, second):
            continue
        ways = comb(n, first) * comb(n - first, second)
        total += ways * p1**first * p2**second * (1 - p1 - p2) ** (n - first - second)
    assert fixed_sample_power(p1, p2, n) == pytest.approx(total, rel=1e-9)
    assert fixed_sample_power(0.0, 0.0, n) == 0.0
