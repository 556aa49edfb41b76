"""Several sources of data: known curves are recovered, weak data give wide answers, and the edges get a statement."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import UnknownName
from roboscale.stats.decide import SURE, _expected_best, decide_source
from roboscale.stats.mixing_law import fit_mixing_law
from roboscale.stats.mixture import MixPoint, fit_mixture

HOURS = [
    {"robot": 5},
    {"robot": 10},
    {"robot": 20},
    {"robot": 40},
    {"robot": 10, "sim": 50},
    {"robot": 10, "sim": 200},
    {"robot": 20, "sim": 100},
    {"robot": 40, "sim": 400},
]


def truth(hours):
    """An hour of robot is worth 20 of simulation at first; simulation has strongly diminishing returns."""
    amount = hours.get("robot", 0) ** 0.9 / 12 + hours.get("sim", 0) ** 0.6 / 30
    return 0.95 * amount / (1 + amount)


def measured(trials: int, hours=HOURS):
    return [MixPoint(h, round(trials * truth(h)), trials) for h in hours]


@pytest.fixture(scope="module")
def well_measured():
    return fit_mixture(measured(400))


def test_recovers_a_known_curve(well_measured):
    for hours in ({"robot": 30}, {"robot": 20, "sim": 300}, {"robot": 80, "sim": 400}):
        found = well_measured.predict(hours)
        assert found.value == pytest.approx(truth(hours), abs=0.04)
        assert found.low < truth(hours) < found.high


def test_says_what_an_hour_is_worth(well_measured):
    hours = {"robot": 20, "sim": 100}
    step = 1e-3
    slope = [truth({**hours, s: hours[s] + step}) - truth(hours) for s in ("robot", "sim")]
    found = well_measured.exchange(hours, of="sim", per="robot")
    assert found.low < slope[0] / slope[1] < found.high
    assert found.low > 1


def test_few_trials_give_wider_answers(well_measured):
    few = fit_mixture(measured(20))
    hours = {"robot": 40, "sim": 300}
    wide, narrow = few.predict(hours), well_measured.predict(hours)
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)


def test_ranks_sources_by_what_the_budget_buys(well_measured):
    hours = {"robot": 20, "sim": 100}
    cheap_sim = decide_source(well_measured, hours, {"robot": 100.0, "sim": 0.2}, 500)
    assert cheap_sim.best == "sim" and cheap_sim.probability > SURE
    assert cheap_sim.options[0].gain.value > cheap_sim.options[1].gain.value > 0
    dear_sim = decide_source(well_measured, hours, {"robot": 100.0, "sim": 100.0}, 1000)
    assert dear_sim.best == "robot"
    assert dear_sim.options[0].gain.value == pytest.approx(truth({"robot": 30, "sim": 100}) - truth(hours), abs=0.03)
    assert sum(option.probability_best for option in dear_sim.options) == pytest.approx(1)
    json.dumps(dear_sim.to_json(), allow_nan=False)


def test_would_change_names_the_price_at_which_they_swap(well_measured):
    hours, budget = {"robot": 20, "sim": 100}, 1000
    found = decide_source(well_measured, hours, {"robot": 100.0, "sim": 100.0}, budget)
    assert found.best == "robot" and "sim would overtake robot below a cost of" in found.would_change[0]
    price = float(found.would_change[0].split("cost of ")[1].split(" ")[0])
    for cost, first in ((0.9 * price, "sim"), (1.1 * price, "robot")):
        assert decide_source(well_measured, hours, {"robot": 100.0, "sim": cost}, budget).options[0].source == first


def test_close_calls_are_called_so(well_measured):
    hours, budget = {"robot": 20, "sim": 100}, 1000
    found = decide_source(well_measured, hours, {"robot": 100.0, "sim": 100.0}, budget)
    price = float(found.would_change[0].split("cost of ")[1].split(" ")[0])
    close = decide_source(well_measured, hours, {"robot": 100.0, "sim": price}, budget)
    assert close.best is None and close.probability < SURE
    assert close.sentence.startswith("The data cannot say which source is best")
    assert close.certainty_worth > found.certainty_worth
    assert all(experiment.worth <= close.certainty_worth + 1e-9 for experiment in close.experiments)


def test_what_an_experiment_is_worth_by_hand():
    """Two equally likely curves; the trial tells them apart with certainty, or not at all."""
    outcomes = np.array([[0.8, 0.2], [0.4, 0.4]])
    assert _expected_best(np.array([0.0, 1.0]), outcomes, 10) == pytest.approx(0.6, abs=1e-4)
    assert _expected_best(np.array([0.5, 0.5]), outcomes, 10) == pytest.approx(0.5, abs=1e-9)


def test_a_source_that_never_varied_cannot_be_judged():
    points = [MixPoint({"robot": h, "web": 7}, k, 50) for h, k in ((5, 12), (10, 20), (20, 27))]
    fit = fit_mixture(points)
    assert set(fit.unknown) == {"web"} and fit.exponents["web"].low is None
    assert fit.predict({"robot": 30, "web": 7}).low is not None
    assert fit.predict({"robot": 30, "web": 9}).value is None
    assert fit.exchange({"robot": 5, "web": 7}, "web", "robot").value is None
    found = decide_source(fit, {"robot": 20, "web": 7}, {"robot": 1.0, "web": 1.0}, 4)
    assert found.best is None and found.options[-1].source == "web" and found.options[-1].gain.low is None
    assert "web" in found.experiments[0].sentence and "all else equal" in found.experiments[0].sentence


@pytest.mark.parametrize("points", [[], [MixPoint({"a": 1}, 0, 0)], [MixPoint({"a": 1}, 3, 5)]])
def test_too_little_data_says_so(points):
    fit = fit_mixture(points)
    assert fit.predict({}).value is None and "cannot say" in fit.predict({}).method
    if fit.sources:
        found = decide_source(fit, {"a": 1}, {"a": 1.0}, 1)
        assert found.best is None and found.options[0].gain.value is None and found.experiments


def test_declines_far_extrapolation(well_measured):
    assert well_measured.predict({"robot": 399, "sim": 1}).method.startswith("the data cannot say: every") is False
    assert well_measured.predict({"robot": 401}).value is None
    assert decide_source(well_measured, {"robot": 40}, {"robot": 1.0}, 1000).best is None


@pytest.mark.parametrize("k", [0, 40])
def test_all_failures_and_all_successes_stay_finite(k):
    fit = fit_mixture([MixPoint({"a": a, "b": b}, k, 40) for a, b in ((1, 0), (2, 0), (2, 3), (4, 5))])
    found = fit.predict({"a": 8, "b": 5})
    assert 0 <= found.low <= found.value <= found.high <= 1
    sentence = decide_source(fit, {"a": 4, "b": 5}, {"a": 1.0, "b": 1.0}, 3).sentence
    assert "nan" not in sentence and "inf" not in sentence


@settings(max_examples=3, deadline=None)
@given(st.permutations(range(5)))
def test_order_and_void_points_change_nothing(order):
    points = measured(30)[:5]
    ours = fit_mixture(points)
    theirs = fit_mixture([*(points[i] for i in order), MixPoint({"robot": 3}, 0, 0)])
    assert ours == theirs
    assert ours.predict({"robot": 15, "sim": 60}) == theirs.predict({"robot": 15, "sim": 60})


def test_names_of_sources_change_nothing_but_monte_carlo():
    renamed = {"robot": "z", "sim": "a"}
    points = measured(60)
    other = [MixPoint({renamed[s]: h for s, h in p.hours.items()}, p.k, p.trials) for p in points]
    ours, theirs = (
        fit_mixture(points).predict({"robot": 40, "sim": 300}),
        fit_mixture(other).predict({"z": 40, "a": 300}),
    )
    assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=0.02)


def test_nonsense_is_refused(well_measured):
    for bad in (lambda: MixPoint({"a": -1}, 1, 2), lambda: MixPoint({"a": 0}, 1, 2), lambda: MixPoint({"a": 1}, 3, 2)):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(UnknownName):
        well_measured.predict({"humans": 3})
    for costs, budget in (({}, 1), ({"robot": 0.0}, 1), ({"robot": 1.0}, 0)):
        with pytest.raises(ValueError):
            decide_source(well_measured, {"robot": 1}, costs, budget)


FLOORS, RATES = np.array([0.5, 0.3]), np.array([[-1.5, 0.2, 0.1], [0.3, -1.2, -0.2]])


def mixing_runs(count: int = 12, noise: float = 0.003):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        r = rng.dirichlet([1, 1, 1])
        losses = FLOORS + np.exp(RATES @ r) + noise * rng.normal(size=2)
        found.append((dict(zip("abc", map(float, r), strict=True)), dict(zip("xy", map(float, losses), strict=True))))
    return found


def test_mixing_law_recovers_losses_and_the_best_shares():
    """The minimum by a direct search over the simplex."""
    law = fit_mixing_law(mixing_runs())
    found = law.predict({"a": 1, "b": 1, "c": 1})
    expected = FLOORS + np.exp(RATES.mean(axis=1))
    for name, loss in zip("xy", expected, strict=True):
        assert found[name].value == pytest.approx(loss, abs=0.01) and found[name].low < found[name].high
    shares = np.linspace(0, 1, 201)
    grid = np.array([(a, b, 1 - a - b) for a in shares for b in shares if a + b <= 1 + 1e-12])
    best = grid[np.argmin(np.exp(grid @ RATES.T).sum(axis=1))]
    for j, name in enumerate("abc"):
        assert law.best_shares()[name].value == pytest.approx(best[j], abs=0.03)
    assert law.best_shares({"x": 1.0})["a"].value == pytest.approx(1, abs=1e-3)


def test_mixing_law_does_not_depend_on_order_and_declines_without_data():
    runs = mixing_runs()
    ours, theirs = fit_mixing_law(runs), fit_mixing_law(runs[::-1])
    assert np.array_equal(ours.rates, theirs.rates)
    assert ours.predict({"a": 1}) == theirs.predict({"a": 1})
    few = fit_mixing_law(runs[:4])
    assert "5 with different shares would" in few.why_not
    assert few.best_shares()["a"].low is None and few.predict({"a": 1})["x"].value is None
    tied = [({"a": r, "b": 2 * r, "c": 1 - 3 * r}, {"x": 1.0 + r}) for r in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)]
    assert "same ratio" in fit_mixing_law(tied).why_not
    assert "no runs" in fit_mixing_law([]).why_not
    for bad in ([({"a": -1.0, "b": 2.0}, {"x": 1.0})], [({"a": 1.0}, {"x": float("nan")})]):
        with pytest.raises(ValueError):
            fit_mixing_law(bad)
