"""Sources that cover parts of the scenes: the posterior finds ceilings, and orders follow what is worth their cost."""

import numpy as np
import pytest

from roboscale.core import UnknownName
from roboscale.stats.covering import BELIEFS, CoverPoint, fit_cover, shown_interval
from roboscale.stats.ensemble import ensemble_draws
from roboscale.stats.next_order import SourceOffer, needed_for, weigh_orders
from roboscale.stats.recipes import recipe_bounds

SOURCES = {"person": BELIEFS["demonstrated"], "generated": BELIEFS["made"]}
PERSON = SourceOffer(source="person", cost=60.0, most=1000)
GENERATED = SourceOffer(source="generated", cost=2.0, most=10_000, made_from="person", needs=5)


def drawn(truth, amounts, n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [CoverPoint(one, int(rng.binomial(n, truth(one))), n) for one in amounts]


def plateau(amounts):
    made, shown = amounts.get("generated", 0), amounts.get("person", 0)
    return 1 - (1 - 0.7 * made / (made + 5)) * (1 - shown / (shown + 8))


def test_the_sampler_finds_a_normal_whose_answer_is_known():
    rng = np.random.default_rng(1)
    start = rng.normal(size=(48, 2))
    draws = ensemble_draws(
        lambda x: -0.5 * (((x - [3.0, -1.0]) / [1.0, 0.1]) ** 2).sum(axis=1), start, rng, steps=900, burn=300, thin=6
    )
    assert np.allclose(draws.mean(axis=0), [3, -1], atol=[0.15, 0.02])
    assert np.allclose(draws.std(axis=0), [1, 0.1], rtol=0.15)


def test_a_plateau_is_found_and_people_are_seen_to_go_on():
    made = [{"generated": amount} for amount in (20.0, 80.0, 80.0, 150.0, 300.0, 300.0, 300.0)]
    fit = fit_cover(drawn(plateau, [*made, {"person": 40.0}]), SOURCES)
    low, high = np.quantile(fit.ceilings()["generated"], (0.05, 0.95))
    assert low < 0.7 < high < 0.9
    assert fit.estimate({"generated": 300.0, "person": 60.0}).value > 0.85
    assert fit.success([{"person": 20.0}, {"person": 80.0}]).mean(axis=1)[1] > 0.7


def test_without_points_it_is_the_prior_and_equal_seeds_give_equal_bytes():
    first, second = fit_cover([], SOURCES), fit_cover([], SOURCES)
    rates = first.success([{"person": 10.0}])
    assert rates.tobytes() == second.success([{"person": 10.0}]).tobytes()
    low, high = np.quantile(rates, (0.05, 0.95))
    assert high - low > 0.5, "nothing is known yet"
    with pytest.raises(UnknownName, match="source"):
        fit_cover([CoverPoint({"dreamt": 3.0}, 1, 2)], SOURCES)


def test_intervals_of_what_will_be_shown_hold_as_often_as_they_say():
    rng, held = np.random.default_rng(5), 0
    for number in range(200):
        rates = rng.beta(8, 3, 400)
        told = shown_interval(rates, 5, 3, 0.9, number)
        middle = rng.choice(rates)
        each = rng.beta(middle * 80, (1 - middle) * 80, 5)
        held += told.low <= rng.binomial(3, each).mean() / 3 <= told.high
    assert 0.85 <= held / 200 <= 0.99


def weighed(fit, have, **more):
    limits = {"aim": 0.93, "goal": 0.9, "judgement": 450.0, "budget": 40_000.0, "shown": 15, **more}
    return weigh_orders(fit, have, [PERSON, GENERATED], **limits)


def test_what_is_made_from_episodes_orders_these_too():
    assert needed_for(GENERATED, 30, {}) == {"person": 5, "generated": 30}
    assert needed_for(GENERATED, 30, {"person": 3.0}) == {"person": 2, "generated": 30}
    assert needed_for(GENERATED, 30, {"person": 9.0}) == {"generated": 30}


def test_the_cheap_source_is_tried_first_and_left_where_it_plateaus():
    first = weighed(fit_cover([], SOURCES), {}).best
    assert first is not None and first.source == "generated" and first.amounts["person"] == 5
    amounts = [
        {"person": 5.0, "generated": 80.0},
        {"person": 5.0, "generated": 300.0},
        {"person": 5.0, "generated": 480.0},
    ]
    low = {"person": 5.0, "generated": 480.0}
    fit = fit_cover(drawn(lambda one: 0.7 * (1 - 3 / (3 + one["generated"])), amounts), SOURCES)
    then = weighed(fit, low)
    assert then.best is not None and then.best.source == "person"
    assert then.best.cost >= 450 or then.best.reached >= 0.5, "most would be spent on looking"


def test_what_no_source_reaches_is_not_reachable():
    amounts = [{"person": n, "generated": 10 * n} for n in (10.0, 40.0, 160.0)]
    fit = fit_cover(drawn(lambda one: 0.5, amounts, 100), SOURCES)
    assert weighed(fit, amounts[-1]).ever < 0.05
    assert not weighed(fit, amounts[-1], budget=400.0).options


def test_bounds_of_a_recipe_are_the_wider_of_runs_and_trials():
    alike = recipe_bounds([(3, 3), (3, 3), (3, 3)])
    assert alike.low is not None and alike.low < 0.72, "three runs that are alike do not make nine trials many"
    apart = recipe_bounds([(1000, 1000), (500, 1000), (1000, 1000)])
    assert apart.low is not None and apart.low < 0.2, "a thousand trials do not make three runs many"
    assert recipe_bounds([(5, 5)]).low is None and recipe_bounds([]).value is None
