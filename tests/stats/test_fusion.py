"""Fusion of real and cheap trials: against the published package, coverage and savings simulated, and the edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.stats.fusion import MIN_PAIRS, case_ceiling, fuse, ppi_estimate
from roboscale.stats.fusion_betting import betting_interval
from roboscale.stats.policy_prior import policy_prior, prior_worth

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@dataclass
class Study:
    real: np.ndarray
    cheap: np.ndarray
    mean: float


def simulate(rng, runs: int, n: int, extra: int, mean: float, rho: float, binary: bool):
    """As benchmarks/stats_fusion.py: real outcomes (runs, n), cheap scores (runs, n + extra) of correlation rho."""
    if binary:
        cheap = rng.random((runs, n + extra)) < mean
        shift = rho * mean * (1 - mean)
        chance = np.where(cheap[:, :n], mean + shift / mean, mean - shift / (1 - mean))
        return Study((rng.random((runs, n)) < chance).astype(float), cheap.astype(float), mean)
    shape = (0.6 * mean, 0.6 * (1 - mean))
    chance = rng.beta(*shape, (runs, n + extra))
    knows = rng.random((runs, n + extra)) < rho * np.sqrt(1.6)
    real = rng.random((runs, n)) < chance[:, :n]
    return Study(real.astype(float), np.where(knows, chance, rng.beta(*shape, (runs, n + extra))), mean)


def operate(made: Study, level: float, mode: str):
    """Coverage, share of trials saved and extra width (fused against real only) over all runs."""
    n, rows = made.real.shape[1], []
    for y, f in zip(made.real, made.cheap, strict=True):
        found = fuse(y, f[:n], f[n:], level, mode)
        ours, alone = found.estimate, found.real_only
        rows.append((ours.low <= made.mean <= ours.high, ours.high - ours.low, alone.high - alone.low))
    covered, width, alone_width = np.mean(np.array(rows, float), axis=0)
    return covered, 1 - (width / alone_width) ** 2, width / alone_width - 1


def study(n: int = 60, extra: int = 700, rho: float = 0.72, mean: float = 0.6, seed: int = 0):
    found = simulate(np.random.default_rng(seed), 1, n, extra, mean, rho, True)
    return found.real[0], found.cheap[0, :n], found.cheap[0, n:]


def test_agrees_with_the_published_package():
    """ppi-python 0.2.3, power-tuned: same value, and the same interval up to its degrees of freedom."""
    package = pytest.importorskip("ppi_py")
    y, f, e = study()
    value, error, weight = ppi_estimate(y, f, e)
    theirs = package.ppi_mean_pointestimate(y, f, e)
    assert value == pytest.approx(float(theirs[0]), abs=2e-3)
    low, high = package.ppi_mean_ci(y, f, e, alpha=0.05, lam=weight)
    assert value == pytest.approx(float(low[0] + high[0]) / 2, abs=1e-9)
    assert 2 * 1.959964 * error == pytest.approx(float(high[0] - low[0]), rel=1e-6)


def test_matches_the_formula_by_hand():
    y, f, e = np.array([1, 1, 0, 0.0]), np.array([1, 1, 0, 1.0]), np.array([1, 0, 0, 0, 1, 0, 1, 0.0])
    value, _, weight = ppi_estimate(y, f, e)
    cov, var = 0.5 - 0.5 * 0.75, np.var([1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0])
    assert weight == pytest.approx(cov / (var * 1.5))
    assert value == pytest.approx(0.5 - weight * (0.75 - 0.375))


@pytest.mark.parametrize(("rho", "at_least"), [(0.6, 0.25), (0.72, 0.40)])
def test_saves_real_trials(rho: float, at_least: float):
    """The issue's figures, n = 60 and N = 700: a quarter of the real trials at .6, two fifths at .72."""
    saved, covered = [], []
    for binary in (True, False):
        hit, gain, _ = operate(simulate(np.random.default_rng(1), 600, 60, 700, 0.7, rho, binary), 0.95, "auto")
        saved.append(gain)
        covered.append(hit)
    assert min(saved) >= at_least
    assert max(saved) < rho**2
    assert min(covered) > 0.93  # .95 less two Monte-Carlo standard errors


def test_thirty_pairs_cover_where_the_published_interval_does_not():
    made = simulate(np.random.default_rng(2), 1500, 30, 700, 0.9, 0.72, True)
    covered, _, _ = operate(made, 0.95, "ppi++")
    hits = 0
    for y, f in zip(made.real, made.cheap, strict=True):
        value, error, _ = ppi_estimate(y, f[:30], f[30:])
        hits += abs(value - 0.9) <= 1.959964 * error
    assert hits / 1500 < 0.9
    assert covered > 0.94


@pytest.mark.parametrize(("n", "mean"), [(10, 0.5), (40, 0.8)])
def test_betting_covers_and_costs_little_when_useless(n: int, mean: float):
    """At rho = 0: at least nominal coverage, and at most a tenth wider than betting on the real trials alone."""
    covered, _, wider = operate(simulate(np.random.default_rng(3), 300, n, 300, mean, 0.0, True), 0.9, "betting")
    assert covered > 0.9 - 0.035
    assert wider < 0.10


def test_betting_gains_from_a_good_cheap_world():
    useless, good = (
        operate(simulate(np.random.default_rng(4), 60, 100, 1000, 0.5, rho, True), 0.9, "betting")[1]
        for rho in (0.0, 0.85)
    )
    assert good > 0.35 > useless


@settings(max_examples=40, deadline=None)
@given(outcomes, st.floats(0, 1))
def test_betting_stays_in_the_unit_interval_whatever_comes(rows: list[tuple[bool, bool]], fraction: float):
    y, f = np.array(rows, float).T
    extra = np.full(3 * len(rows), fraction)
    value, low, high, weight = betting_interval(y, f, extra, 0.95)
    assert 0 <= low <= value <= high <= 1 and -1 <= weight <= 1


def test_switches_mode_below_thirty_pairs_and_says_so():
    y, f, e = study(29)
    few, enough = fuse(y, f, e), fuse(*study(MIN_PAIRS))
    assert (few.mode, enough.mode) == ("betting", "ppi++")
    assert "Fewer than 30" in few.sentence and "Fewer" not in enough.sentence


def test_known_mean_is_a_control_variate():
    y, f, _ = study()
    found = fuse(y, f, cheap_mean=0.6)
    assert found.mode == "control variate" and found.cheap is None
    assert found.estimate.value == pytest.approx(y.mean() - found.weight * (f.mean() - 0.6))
    assert found.saved > 0.3 and found.ceiling == pytest.approx(found.correlation**2)


def test_bias_of_the_cheap_world_cancels():
    y, f, e = study()
    fair, flattering = fuse(y, f, e), fuse(y, 0.3 + 0.5 * f, 0.3 + 0.5 * e)
    assert flattering.estimate.value == pytest.approx(fair.estimate.value)
    assert flattering.estimate.low == pytest.approx(fair.estimate.low)
    opposite = fuse(y, 1 - f, 1 - e)
    assert opposite.estimate.value == pytest.approx(fair.estimate.value) and opposite.weight < 0


@settings(max_examples=40, deadline=None)
@given(outcomes.filter(lambda rows: len(rows) >= 3), st.randoms(use_true_random=False))
def test_order_and_void_trials_change_nothing_but_their_count(rows: list[tuple[bool, bool]], random):
    extra = [i % 3 == 0 for i in range(40)]
    ours = fuse([y for y, _ in rows], [f for _, f in rows], extra, mode="ppi++")
    mixed = [*rows, (None, True), (True, None)]
    random.shuffle(mixed)
    theirs = fuse([y for y, _ in mixed], [f for _, f in mixed], extra[::-1], mode="ppi++")
    assert theirs.estimate.void == 2 and theirs.estimate.n == ours.estimate.n
    for side in ("estimate", "real_only"):
        a, b = getattr(ours, side), getattr(theirs, side)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))
    assert 0 <= ours.estimate.low <= ours.estimate.value <= ours.estimate.high <= 1


def test_degenerate_inputs_get_a_statement():
    nothing = fuse([None, None], [True, False], [True])
    assert (nothing.estimate.value, nothing.estimate.low, nothing.estimate.void) == (None, None, 2)
    alone = fuse([True] * 20 + [False] * 20, [True] * 40)
    assert "nothing to save with" in alone.sentence
    assert (alone.estimate.low, alone.estimate.high) == pytest.approx(
        (alone.real_only.low, alone.real_only.high), abs=0.02
    )
    ties = fuse([True] * 40, [True] * 40, [True, False] * 50)
    assert ties.estimate.value == 1 and ties.weight == 0
    assert ties.correlation is None and ties.ceiling is None and "unknown" in ties.sentence
    assert ties.estimate.low < 0.95 and ties.estimate.high == 1
    one = fuse([True], [True], [True, False])
    assert one.estimate.low < 0.1 and one.estimate.high == 1


def test_progress_scores_are_narrower_than_successes():
    rng = np.random.default_rng(5)
    progress = np.clip(rng.normal(0.6, 0.1, 60), 0, 1)
    cheap, extra = np.clip(progress + rng.normal(0, 0.1, 60), 0, 1), np.clip(rng.normal(0.6, 0.14, 500), 0, 1)
    found = fuse(progress, cheap, extra)
    assert found.estimate.high - found.estimate.low < 0.1
    assert found.estimate.low < 0.6 < found.estimate.high


def test_ceiling_of_any_world_is_the_repeatability_of_a_case():
    """Uniform case probabilities: rho^2 = 1 / 3, so no simulator can save more than a third."""
    rng = np.random.default_rng(6)
    cases = [rng.random(6) < p for p in rng.random(800)]
    found = case_ceiling(cases)
    assert found.value == pytest.approx(1 / 3, abs=0.04) and found.low < 1 / 3 < found.high
    assert case_ceiling([[True, True], [False, False]]).value == 1
    assert case_ceiling([[True], [False]]).value is None and case_ceiling([[True] * 3, [True] * 3]).value is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: fuse([True], []),
        lambda: fuse([2.0], [0.5]),
        lambda: fuse([True], [0.5], [0.5], cheap_mean=0.5),
        lambda: fuse([True], [float("nan")]),
        lambda: fuse([True], [3.0], [1.0], mode="betting"),
        lambda: fuse([True], [0.5], mode="guess"),
        lambda: fuse([True], [0.5], mode="control variate"),
        lambda: fuse([True], [0.5], level=1.0),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_worth_of_a_policy_prior():
    assert prior_worth(0.2, 0.9) == pytest.approx(32.894737)
    assert prior_worth(0.2, 1.0) is None


def test_policy_prior_borrows_when_the_ranking_is_good():
    truth = np.linspace(0.1, 0.9, 9)
    rng = np.random.default_rng(7)
    real = {f"p{i}": (int(rng.binomial(15, p)), 15) for i, p in enumerate(truth)}
    good = policy_prior(real, {f"p{i}": 0.1 + 0.7 * p for i, p in enumerate(truth)})
    useless = policy_prior(real, {f"p{i}": float(x) for i, x in enumerate(rng.permutation(truth))})

    def width(found):
        return np.mean([e.high - e.low for e in found.estimates.values()])

    assert width(good) < 0.85 * width(useless)
    assert good.slope.low > 0.5 > useless.slope.low and good.worth > 2 * useless.worth
    error = np.mean([(e.value - p) ** 2 for e, p in zip(good.estimates.values(), truth, strict=True)])
    alone = np.mean([(e.value - p) ** 2 for e, p in zip(good.real_only.values(), truth, strict=True)])
    assert error < alone
    untried = policy_prior({**real, "new": (0, 0)}, {**{f"p{i}": p for i, p in enumerate(truth)}, "new": 0.5})
    assert untried.estimates["new"].low < 0.5 < untried.estimates["new"].high


def test_policy_prior_declines_with_few_policies_or_equal_scores():
    few = policy_prior({"a": (1, 2), "b": (3, 4)}, {"a": 0.1, "b": 0.2})
    assert few.estimates == few.real_only and few.worth is None and few.slope.low is None
    assert "2 policies" in few.sentence
    same = policy_prior({f"p{i}": (i, 9) for i in range(6)}, {f"p{i}": 0.5 for i in range(6)})
    assert same.estimates == same.real_only and "same cheap score" in same.sentence


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(6)))
def test_policy_prior_does_not_depend_on_order(order: list[int]):
    real, cheap = {f"p{i}": (2 * i, 12) for i in range(6)}, {f"p{i}": i**2 / 40 for i in range(6)}
    ours = policy_prior(real, cheap)
    theirs = policy_prior({f"p{i}": real[f"p{i}"] for i in order}, {f"p{i}": cheap[f"p{i}"] for i in order})
    assert ours.estimates == theirs.estimates
