"""Scaling curves: back-tested on published ones with the tested task left out, recovered where known, and edges."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.stats.scaling import MAX_EXTRAPOLATION, fit_curve
from roboscale.stats.scaling_forms import (
    DEMONSTRATIONS_PRIOR,
    DIVERSITY_PRIOR,
    FLOORS,
    FORMS,
    RATES,
    Point,
    curve_rates,
    form_joint,
    levels_for,
    posterior,
)
from roboscale.stats.scaling_prior import estimate_prior, prior_evidence

TABLES = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data")) / "tables"

point = st.builds(
    lambda n, k, more: Point(n, k, k + more),
    st.sampled_from([10, 20, 40, 80, 160]),
    st.integers(0, 30),
    st.integers(1, 30),
)


def read(name: str):
    path = TABLES / name
    if not path.exists():
        pytest.skip(f"no table at {path}; set ROBOSCALE_TEST_DATA")
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demonstration_curves():
    found: dict[tuple[str, ...], list[Point]] = {}
    for row in read("equidiff_success_vs_demos.csv"):
        key = (row["task"], row["method"], row["control"])
        found.setdefault(key, []).append(Point(float(row["n_demos"]), round(1.5 * float(row["success_pct"])), 150))
    assert len(found) == 120
    return found


@pytest.fixture(scope="module")
def diversity_curves():
    found: dict[tuple[str, ...], list[Point]] = {}
    for row in read("lin2024_scaling_points.csv"):
        score = 40 * (1 - float(row["optimality_gap_digitised"]))
        found.setdefault((row["task"], row["axis"]), []).append(Point(float(row["n"]), score, 40))
    assert len(found) == 6
    return found


def test_predicts_1000_demonstrations_from_100_and_200(demonstration_curves):
    """All 120 published curves; the prior of each task is estimated without any curve of that task."""
    keys, curves = list(demonstration_curves), list(demonstration_curves.values())
    evidence = prior_evidence(curves)
    assert np.allclose(evidence.best().weights(), DEMONSTRATIONS_PRIOR.weights())
    errors, covered, widths = [], [], []
    for task in sorted({key[0] for key in keys}):
        mine = [i for i, key in enumerate(keys) if key[0] == task]
        prior = evidence.best(left_out=mine)
        for i in mine:
            *start, end = sorted(curves[i])
            found = fit_curve(start, prior).predict(1000, 0.9, trials=150)
            errors.append(abs(found.value - end.k / 150))
            covered.append(found.low <= end.k / 150 <= found.high)
            widths.append(found.high - found.low)
    assert np.mean(errors) <= 0.085
    assert 0.85 <= np.mean(covered) < 1
    assert np.mean(widths) <= 0.43


@pytest.mark.parametrize("prior", [DEMONSTRATIONS_PRIOR, None])
def test_predicts_16_and_32_from_8(diversity_curves, prior):
    """Lin et al.: with the prior of the other study, or (None) estimated without the tested task."""
    keys, curves = list(diversity_curves), list(diversity_curves.values())
    evidence = prior_evidence(curves, fitted=4)
    errors, covered, widths = [], 0, []
    for i, key in enumerate(keys):
        used = prior or evidence.best([j for j, other in enumerate(keys) if other[0] == key[0]])
        fit = fit_curve([p for p in curves[i] if p.n <= 8], used, unit=key[1])
        for end in (p for p in curves[i] if p.n > 8):
            found = fit.predict(end.n, 0.9, trials=40)
            errors.append(abs(found.value - end.k / 40))
            covered += found.low - 0.005 <= end.k / 40 <= found.high + 0.005
            widths.append(found.high - found.low)
    assert covered >= 10
    assert np.mean(widths) <= 0.40
    assert np.mean(errors) <= (0.095 if prior else 0.06)


def test_shipped_diversity_prior_is_what_the_curves_give(diversity_curves):
    found = estimate_prior(list(diversity_curves.values()), fitted=4)
    assert np.allclose(found.weights(), DIVERSITY_PRIOR.weights())


@pytest.mark.parametrize(("form", "exponent", "floor"), [("power", 0.6, 0.0), ("logistic", 1.2, 0.15)])
def test_recovers_a_known_curve(form, exponent, floor):
    amounts = np.array([10, 20, 40, 80, 160, 320])

    def rate(n):
        ratio = (n / 25.0) ** -exponent
        reducible = min(1.0, 0.8 * ratio) if form == "power" else ratio / (1 + ratio)
        return (1 - floor) * (1 - reducible)

    fit = fit_curve([Point(n, 2000 * rate(n), 2000) for n in amounts] * 2)
    # steps of the grid are .075 in exponent and floor; the spread for retraining has sd .03 at the least
    assert fit.predict(320).value == pytest.approx(rate(320), abs=0.02)
    assert fit.predict(1280).value == pytest.approx(rate(1280), abs=0.04)
    assert fit.exponent.value == pytest.approx(exponent, abs=0.15)
    assert fit.floor.value == pytest.approx(floor, abs=0.06)
    assert fit.forms[form] > 0.5
    assert fit.needed(rate(100)).value == pytest.approx(100, rel=0.1)


def test_posterior_is_a_sum_over_the_grid():
    """Against a direct beta-binomial sum at single cells."""
    from scipy.stats import betabinom

    points = [Point(10, 3, 10), Point(40, 7, 10)]
    joint = form_joint("logistic", points, 20.0)
    one, two = (curve_rates("logistic", round(np.log(n / 20), 9))[30, 11, 2] for n in (10, 40))
    other = (
        curve_rates("logistic", round(np.log(10 / 20), 9))[25, 3, 0],
        curve_rates("logistic", round(np.log(2), 9))[25, 3, 0],
    )

    def chance(indices):
        return np.prod(
            [betabinom.pmf(p.k, 10, 80 * RATES[i], 80 * (1 - RATES[i])) for p, i in zip(points, indices, strict=True)]
        )

    levels = joint.shape[1]
    weight = form_joint("logistic", [], 20.0)[1, :, 0, 0]
    assert levels == 61 and weight.sum() == pytest.approx(1 / 3)
    assert joint[1, 30, 11, 2] == pytest.approx(weight[30] * chance((one, two)), rel=1e-9)
    assert joint[1, 25, 3, 0] == pytest.approx(weight[25] * chance(other), rel=1e-9)
    assert sum(w.sum() for w in posterior(points, DEMONSTRATIONS_PRIOR).weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("form", FORMS)
def test_level_inverts_the_form(form):
    wanted = np.array([0.1, 0.5, 0.9])
    level = levels_for(form, wanted)
    back = np.minimum(1, np.exp(level)) if form == "power" else 1 / (1 + np.exp(-level))
    assert back == pytest.approx(wanted)


def test_no_points_and_one_amount_say_so_and_what_would_tell():
    nothing = fit_curve([Point(10, 0, 0)])
    assert nothing.predict(10).value is None and nothing.predict(10).low is None
    assert nothing.needed(0.5).value is None and nothing.exponent.low is None
    assert "no trials" in nothing.predict(10).method and "three amounts" in nothing.what_would_tell()[0].sentence
    one = fit_curve([Point(10, 5, 20)])
    assert one.predict(10).low < 0.25 < one.predict(10).high
    assert one.predict(20).value is None and "one amount" in one.predict(20).method
    assert one.what_would_tell()[0].n == 20


def test_declines_far_extrapolation_and_unreachable_targets():
    fit = fit_curve([Point(50, 20, 50), Point(100, 24, 50), Point(200, 26, 50)])
    assert fit.predict(200 * MAX_EXTRAPOLATION).low is not None
    assert fit.predict(200 * MAX_EXTRAPOLATION + 1).value is None
    never = fit.needed(0.99)
    assert (never.value, never.high) == (None, None)
    half = fit.needed(0.5)
    assert half.low < half.value
    assert half.high is None or half.high > half.value


@pytest.mark.parametrize("k", [0, 50])
def test_all_failures_and_all_successes_stay_finite(k):
    fit = fit_curve([Point(n, k, 50) for n in (10, 20, 40)])
    found = fit.predict(80)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.01
    needed = fit.needed(0.5)
    assert all(bound is None or np.isfinite(bound) for bound in (needed.value, needed.low, needed.high))


@settings(max_examples=15, deadline=None)
@given(st.lists(point, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_order_and_void_points_change_nothing(points, random):
    shuffled = [*points, Point(33, 0, 0)]
    random.shuffle(shuffled)
    ours, theirs = fit_curve(points), fit_curve(shuffled)
    assert ours == theirs
    assert ours.predict(100) == theirs.predict(100)
    assert ours.needed(0.6) == theirs.needed(0.6)


@settings(max_examples=10, deadline=None)
@given(st.lists(point, min_size=2, max_size=5), st.sampled_from([20, 100, 400]))
def test_intervals_nest_and_shown_rates_spread_more(points, n):
    fit = fit_curve(points)
    if fit.why_not(n):
        assert fit.predict(n).value is None
        return
    narrow, wide = fit.predict(n, 0.5), fit.predict(n, 0.95)
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high
    shown = fit.predict(n, 0.9, trials=20)
    trained = fit.predict(n, 0.9)
    assert shown.high - shown.low >= trained.high - trained.low - 0.051


def test_unit_of_the_amount_does_not_matter():
    minutes = fit_curve([Point(60 * n, k, 40) for n, k in ((1, 9), (2, 14), (4, 22))])
    hours = fit_curve([Point(n, k, 40) for n, k in ((1, 9), (2, 14), (4, 22))])
    assert minutes.predict(480).value == pytest.approx(hours.predict(8).value, abs=1e-9)
    assert minutes.needed(0.6).value == pytest.approx(60 * hours.needed(0.6).value)


def test_more_trials_at_the_end_tell_more_than_at_the_start():
    fit = fit_curve([Point(50, 10, 50), Point(100, 20, 50), Point(200, 28, 50)])
    by_amount = {e.n: e for e in fit.what_would_tell(trials=100)}
    assert by_amount[200].width_after < by_amount[50].width_after <= by_amount[50].width_now + 0.01
    assert fit.what_would_tell(trials=200)[0].width_after < fit.what_would_tell(trials=20)[0].width_after


@pytest.mark.parametrize(
    "call",
    [
        lambda: Point(0, 1, 2),
        lambda: Point(1, 3, 2),
        lambda: Point(float("nan"), 1, 2),
        lambda: fit_curve([]).predict(-1),
        lambda: fit_curve([]).needed(1.0),
        lambda: fit_curve([], level=1.0),
        lambda: estimate_prior([]),
        lambda: prior_evidence([[Point(1, 1, 2), Point(2, 1, 2)]]).best(left_out=[0]),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_floor_grid_starts_at_none():
    assert FLOORS[0] == 0 and np.all(np.diff(FLOORS) > 0) and FLOORS[-1] < 1
