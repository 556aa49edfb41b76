"""Evidence over strata: published values, the public packages, coverage, and no mix that makes a claim."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from roboscale.stats.strata import (
    StratifiedScores,
    _conditional,
    _given_total,
    cmh_test,
    interaction_test,
    mean_difference,
    paired_interaction_test,
    stratified_difference,
    stratified_permutation_test,
)

counts = st.integers(1, 4).flatmap(
    lambda s: st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=s, max_size=s).flatmap(
        lambda tried: st.tuples(
            st.just(tried), st.tuples(*(st.tuples(st.integers(0, a), st.integers(0, b)) for a, b in tried))
        )
    )
)


def enumerated(won, tried) -> float:
    """Twice the smaller tail of the sum, by going through all tables."""
    chances = {0: 1.0}
    for (k0, k1), (n0, n1) in zip(np.transpose(won), np.transpose(tried), strict=True):
        total = k0 + k1
        one = {x: comb(n1, x) * comb(n0, total - x) for x in range(max(0, total - n0), min(n1, total) + 1)}
        size = sum(one.values())
        sums: dict[int, float] = {}
        for before, p in chances.items():
            for x, ways in one.items():
                sums[before + x] = sums.get(before + x, 0) + p * ways / size
        chances = sums
    seen = int(np.sum(won[1]))
    tails = sum(p for x, p in chances.items() if x <= seen), sum(p for x, p in chances.items() if x >= seen)
    return min(1.0, 2 * min(tails))


@settings(max_examples=60, deadline=None)
@given(counts)
def test_the_exact_test_is_what_enumeration_gives(drawn):
    tried, won = (np.transpose(side) for side in drawn)
    assert cmh_test(won, tried)[0] == pytest.approx(enumerated(won, tried), abs=1e-9)


def test_one_stratum_is_fisher_s_test_with_twice_the_tail():
    less, greater = (
        scipy_stats.fisher_exact([[12, 8], [17, 3]], alternative=side).pvalue for side in ("less", "greater")
    )
    assert cmh_test([[12], [17]], [[20], [20]])[0] == pytest.approx(min(1, 2 * min(less, greater)))


def test_the_normal_one_is_the_textbook_s():
    """Mantel and Haenszel's continuity-corrected chi-square, by hand for two strata of two million trials."""
    won, tried = np.array([[500_000, 400_000], [501_000, 401_000]]), np.full((2, 2), 10**6)
    p, name = cmh_test(won, tried)
    total = won.sum(0).astype(float)
    expected, variance = total / 2, total * (2e6 - total) / (4 * (2e6 - 1))
    z = (abs(won[1].sum() - expected.sum()) - 0.5) / np.sqrt(variance.sum())
    assert p == pytest.approx(2 * scipy_stats.norm.sf(z)) and "normal approximation" in name


def test_beyond_two_thousand_a_side_mid_p_is_named():
    assert "exact" in cmh_test([[900], [950]], [[2000], [2000]])[1]
    p, name = cmh_test([[900], [950]], [[2001], [2001]])
    assert "mid-p" in name and p < cmh_test([[900], [950]], [[2000], [2000]])[0] + 0.02


@settings(max_examples=40, deadline=None)
@given(counts, st.integers(1, 6), st.integers(0, 6))
def test_a_task_that_both_share_equally_never_turns_a_claim_round(drawn, n: int, k: int):
    tried, won = (np.transpose(side) for side in drawn)
    same = np.full((2, 1), min(k, n))
    more, more_tried = np.hstack([won, same]), np.hstack([tried, np.full((2, 1), n)])
    before, after = stratified_difference(won, tried), stratified_difference(more, more_tried)
    assert np.sign(before.value) == np.sign(after.value) or abs(after.value) < 1e-12
    assert cmh_test(more, more_tried)[0] >= cmh_test(won, tried)[0] - 1e-9 or before.value == 0


@settings(max_examples=40, deadline=None)
@given(counts, st.randoms())
def test_order_and_names_change_nothing(drawn, random):
    tried, won = (np.transpose(side) for side in drawn)
    order = list(range(won.shape[1]))
    random.shuffle(order)
    assert cmh_test(won[:, order], tried[:, order])[0] == pytest.approx(cmh_test(won, tried)[0])
    turned = stratified_difference(won[::-1], tried[::-1])
    straight = stratified_difference(won, tried)
    assert turned.value == pytest.approx(-straight.value) and turned.low == pytest.approx(-straight.high)


def test_unequal_mixes_make_no_false_claims():
    """Easy at .9, hard at .2, two equal policies, one of which was mostly tried on the easy one."""
    rng = np.random.default_rng(3)
    tried = np.array([[50, 10], [10, 50]])
    rates = np.array([0.9, 0.2])
    false = np.mean([cmh_test(rng.binomial(tried, rates), tried)[0] <= 0.05 for _ in range(2000)])
    pooled = [
        scipy_stats.fisher_exact([[a, 60 - a], [b, 60 - b]]).pvalue <= 0.05
        for a, b in (rng.binomial(tried, rates).sum(axis=1) for _ in range(200))
    ]
    assert false <= 0.05 and np.mean(pooled) > 0.9


def test_intervals_cover():
    rng = np.random.default_rng(4)
    tried = np.array([[30, 12, 20], [25, 20, 10]])
    rates = np.array([[0.1, 0.5, 0.9], [0.3, 0.7, 0.99]])
    weights = tried[0] * tried[1] / tried.sum(0)
    truth = float((rates[1] - rates[0]) @ weights / weights.sum())
    made = (stratified_difference(rng.binomial(tried, rates), tried) for _ in range(1500))
    held = [e.low <= truth <= e.high for e in made]
    assert 0.945 <= np.mean(held) <= 0.995


def test_an_interval_of_nothing_but_failures_is_not_a_point():
    e = stratified_difference([[0, 0], [0, 0]], [[10, 10], [10, 10]])
    assert e.value == 0 and e.low < -0.1 and e.high > 0.1


def test_no_common_task_says_nothing():
    assert cmh_test([[5, 0], [0, 9]], [[10, 0], [0, 10]]) == (1.0, "no stratum in common")
    assert stratified_difference([[5, 0], [0, 9]], [[10, 0], [0, 10]]).value is None
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        cmh_test([[5], [11]], [[10], [10]])


def test_opposite_signs_are_an_interaction_and_equal_odds_are_none():
    p, name = interaction_test([[86, 56], [57, 90]], [[200, 200], [200, 200]])
    assert p < 0.001 and "Zelen" in name
    assert interaction_test([[20, 100], [40, 150]], [[200, 200], [200, 200]])[0] > 0.2
    assert interaction_test([[3], [5]], [[10], [10]])[0] == 1.0


def test_the_drawn_interaction_is_zelen_s():
    """Against the whole enumeration for two small tables."""
    won, tried = np.array([[1, 6], [5, 3]]), np.array([[8, 8], [7, 9]])
    chances = {}
    total = won.sum(0)
    for x in range(min(7, total[0]) + 1):
        y = int(won[1].sum()) - x
        if 0 <= y <= min(9, total[1]) and total[0] - x <= 8 and 0 <= total[1] - y <= 8:
            chances[x] = comb(7, x) * comb(8, total[0] - x) * comb(9, y) * comb(8, total[1] - y)
    exact = sum(c for c in chances.values() if c <= chances[5] * (1 + 1e-9)) / sum(chances.values())
    assert interaction_test(won, tried)[0] == pytest.approx(exact, abs=0.015)


LARGE = [
    ([[600, 700, 20], [650, 800, 33]], [[1000, 1200, 80], [1000, 1200, 80]]),
    ([[600, 700, 20], [650, 900, 30]], [[1000, 1200, 80], [1000, 1300, 90]]),
    ([[1500, 40], [1400, 60]], [[3000, 100], [2500, 100]]),
]


@pytest.mark.parametrize("won, tried", LARGE)
def test_large_interactions_are_tarone_s(won, tried):
    """Against statsmodels, and near the exact test that the limit takes the place of."""
    tables_of = pytest.importorskip("statsmodels.stats.contingency_tables")
    k, n = np.array(won), np.array(tried)
    p, name = interaction_test(k, n)
    tables = np.array([k[0], n[0] - k[0], k[1], n[1] - k[1]]).reshape(2, 2, -1)
    assert "Tarone" in name
    assert p == pytest.approx(tables_of.StratifiedTable(tables.astype(float)).test_equal_odds(adjust=True).pvalue)
    masses, lows = _conditional(k, n)[::-1]
    assert p == pytest.approx(_given_total(masses, k[1] - np.array(lows), 0), abs=0.03)


def test_large_interactions_of_pairs_are_pearson_s():
    lost, gained = [900, 300, 40], [850, 350, 60]
    p, name = paired_interaction_test(lost, gained)
    assert "Pearson" in name
    assert p == pytest.approx(scipy_stats.chi2_contingency([lost, gained], correction=False).pvalue)


def test_a_chi_square_is_not_believed_where_it_expects_few():
    assert "drawn" in paired_interaction_test([2000, 1], [2000, 3])[1]
    assert "drawn" in interaction_test([[2000, 1], [2100, 3]], [[4000, 5], [4000, 5]])[1]


def test_millions_of_nothing_but_successes_have_no_interaction():
    n = np.full((2, 2), 10**6)
    assert interaction_test(n, n)[0] == 1.0
    assert interaction_test([[10**6, 500_000], [10**6, 500_100]], n)[0] > 0.05


def test_interaction_holds_its_error():
    rng = np.random.default_rng(5)
    tried = np.array([[20, 20, 10], [20, 10, 20]])
    rates = np.array([0.2, 0.5, 0.7])
    assert np.mean([interaction_test(rng.binomial(tried, rates), tried)[0] <= 0.05 for _ in range(400)]) <= 0.06


def test_pairs_have_an_interaction_of_their_own():
    assert paired_interaction_test([12, 1], [1, 12])[0] < 0.001
    assert paired_interaction_test([5, 6], [6, 5])[0] > 0.5
    assert paired_interaction_test([5, 0], [6, 0])[0] == 1.0


def scores(*groups) -> StratifiedScores:
    rows = [(v, side, s) for s, sides in enumerate(groups) for side, values in enumerate(sides) for v in values]
    value, side, stratum = zip(*rows, strict=True)
    return StratifiedScores(np.array(value, float), np.array(side, np.int8), np.array(stratum, np.int32))


def test_progress_is_compared_within_strata():
    rng = np.random.default_rng(6)
    easy, hard = rng.uniform(0.6, 1, 60), rng.uniform(0, 0.4, 60)
    mixed = scores((easy[:50], easy[50:]), (hard[:10], hard[10:]))
    assert stratified_permutation_test(mixed)[0] > 0.05, "the second was tried on the hard one: no evidence"
    better = scores((easy[:30] - 0.3, easy[30:]), (hard[:30], hard[30:] + 0.3))
    p, name = stratified_permutation_test(better)
    gap = mean_difference(better)
    assert p == 1 / 10_000 and "permutation" in name and 0.2 < gap.low < 0.3 < gap.high
    assert stratified_permutation_test(better, seed=1)[0] == pytest.approx(p, abs=0.001)


def test_progress_with_one_score_a_side_has_no_interval():
    e = mean_difference(scores(([0.2], [0.9])))
    assert e.value == pytest.approx(0.7) and e.low is None and e.n == 1


def test_welch_is_scipy_s_in_one_stratum():
    one, two = [0.1, 0.4, 0.35, 0.8], [0.5, 0.55, 0.9, 0.7, 0.75]
    e = mean_difference(scores((one, two)))
    whole = scipy_stats.ttest_ind(two, one, equal_var=False).confidence_interval(0.95)
    assert (e.low, e.high) == pytest.approx((whole.low, whole.high))
