"""The study's own arithmetic: its curves, what hindsight may know, and how predictions are counted."""

import math

from benchmarks.campaign import (
    NEEDS,
    TASKS,
    WORLDS,
    cost_of,
    declaration,
    full_judging,
    hindsight,
    parsed,
    predictions,
    success,
)


def test_curves_rise_and_stay_below_the_ceilings_of_their_sources():
    for world in WORLDS:
        for task in TASKS:
            for name, (ceiling, _, _) in world.sources.items():
                rates = [success(world, task, {name: amount}) for amount in (5, 20, 80, 320, 5000)]
                assert rates == sorted(rates) and rates[-1] <= ceiling
    plateau = WORLDS[1]
    assert success(plateau, TASKS[0], {"generated": 5000}) <= 0.7
    assert success(plateau, TASKS[0], {"generated": 300, "person": 60}) > 0.9


def test_hindsight_pays_for_one_judging_at_least_and_for_what_generating_needs():
    world = WORLDS[0]
    campaign = parsed(declaration(world, 0))
    best, amounts = hindsight(campaign, world, draws=40)
    episodes = sum(map(cost_of, amounts.values()))
    assert best >= full_judging(campaign) + episodes
    assert all(one["person"] >= NEEDS for one in amounts.values() if one["generated"])
    assert all(success(world, task, one) >= 0.88 for task, one in amounts.items()) and math.isfinite(best)


def test_predictions_are_counted_with_an_interval():
    rows = [{"campaigns": [{"scored": [[0.2, 0.6, 0.5, 1], [0.4, 0.8, 0.9, 2], [0.4, 0.8, 0.8, 3]]}]}]
    said = predictions(rows)
    assert "all: 2 of 3 held" in said and "after the first round: 1 of 2 held" in said and "mean width 0.40" in said
