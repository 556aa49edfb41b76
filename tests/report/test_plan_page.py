"""The page of a plan: numbers as given, the data's silence shown as silence, predictions beside what was measured."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roboscale.core import Estimate
from roboscale.report.plan import PlanAnswer, PlanData, answer_more, plan_page, plan_text
from roboscale.report.plan_figures import (
    BackTest,
    Curve,
    back_test_figure,
    curve_figure,
    measured_rate,
    predicted_band,
)
from roboscale.stats import wilson
from roboscale.stats.decide import SourceDecision, decide_source
from roboscale.stats.mixture import MixPoint, fit_mixture
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_forms import Point

Read = Callable[[str], Any]
EVIL = "<script>alert(1)</script>\"'&</style>\x1b[31m"
TASKS = ("pick-place", "drawer-open")
SIZES = (5, 20, 80)
FAILURE = {"expert": (3.0, 0.8), "generated": (2.2, 0.55), "noisy": (2.5, 0.35)}
"""Failure of a policy trained on n demonstrations is a n^-b, at most 1."""


def make_curve(task: str, source: str, seed: int) -> Curve:
    rng = np.random.default_rng(seed)
    a, b = FAILURE[source]
    points = [Point(n, int(rng.binomial(50, 1 - min(1.0, a * n**-b))), 50) for n in SIZES]
    largest = 320
    before = fit_curve(points)
    k = int(rng.binomial(50, 1 - min(1.0, a * largest**-b)))
    test = BackTest(largest, before.predict(largest, trials=50), wilson(k, 50, 0.9))
    return Curve(task, source, fit_curve([*points, Point(largest, k, 50)]), test)


def make_decision() -> SourceDecision:
    rng = np.random.default_rng(5)
    points = []
    for robot, hand in ((2, 0), (8, 0), (16, 0), (2, 4), (2, 16), (8, 16), (16, 32)):
        rate = 1 / (1 + (0.25 * robot**0.8 + 0.12 * hand**0.7) ** -1)
        points.append(MixPoint({"robot": robot, "handheld": hand, "simulated": 10}, int(rng.binomial(80, rate)), 80))
    now = {"robot": 16, "handheld": 32, "simulated": 10}
    return decide_source(fit_mixture(points), now, {"robot": 60.0, "handheld": 25.0, "simulated": 2.0}, 600)


def make_plan() -> PlanData:
    curves = tuple(
        make_curve(task, source, 7 * i + j) for i, task in enumerate(TASKS) for j, source in enumerate(FAILURE)
    )
    curves += (Curve(TASKS[1], "human video", fit_curve([Point(50, 9, 40)])),)
    decision = make_decision()
    answers = tuple(answer_more(curve, 120) for curve in curves if curve.source in ("generated", "human video"))
    return PlanData(
        answers=(PlanAnswer(f"{decision.sentence}.", known=decision.best is not None), *answers),
        curves=curves,
        decisions={"all tasks": decision},
        costs={"robot": 60.0, "handheld": 25.0, "simulated": 2.0},
        currency="euro",
        method=("Trained from state inputs, 2 000 steps; success first reached within 500 steps.",),
        sources=("points.csv",),
        command="roboscale plan points.csv --html plan.html",
        versions={"roboscale": "0.4.0"},
    )


@pytest.fixture(scope="module")
def plan() -> PlanData:
    return make_plan()


@pytest.fixture(scope="module")
def page(plan: PlanData) -> str:
    return plan_page(plan)


def test_the_numbers_on_the_page_are_those_given(plan: PlanData, page: str, page_data: Read, words: Read):
    data, said = page_data(page), words(page)
    assert data["decisions"]["all tasks"] == json.loads(json.dumps(plan.decisions["all tasks"].to_json()))
    for curve, found in zip(plan.curves, data["curves"], strict=True):
        assert [(p["amount"], p["successes"], p["trials"]) for p in found["points"]] == [
            (p.n, p.k, p.trials) for p in curve.fit.points
        ]
    assert all(answer.sentence in said and answer.experiment in said for answer in plan.answers)
    for option in plan.decisions["all tasks"].options:
        cost = plan.costs[option.source]
        assert f"{option.source} {cost:g} {option.hours:g}" in said
        if option.gain.value is not None:
            assert f"{100 * option.gain.value / option.hours:+.2f}".replace("-", "−") in said
    assert all(sentence in said for sentence in plan.decisions["all tasks"].would_change)


def test_an_answer_quotes_the_fit():
    curve = make_curve("push", "generated", 3)
    now, then = curve.fit.predict(320), curve.fit.predict(440)
    assert answer_more(curve, 120).sentence == (
        f"Collect 120 more demonstrations of push by generated: expected success {now.value:.2f} to {then.value:.2f} "
        f"[{then.low:.2f}, {then.high:.2f}] at 90 %."
    )


@pytest.mark.parametrize("points", [[], [Point(50, 9, 40)]])
def test_where_the_data_cannot_say_the_answer_is_an_experiment(points: list[Point]):
    answer = answer_more(Curve("push", "video", fit_curve(points)), 120)
    assert not answer.known and "the data cannot say" in answer.sentence and "try each policy" in answer.experiment
    page = plan_page(PlanData(answers=(answer,), curves=(Curve("push", "video", fit_curve(points)),)))
    assert ">the data cannot say<" in page and "What would tell: " in page


def test_the_curve_figure_returns_points_and_band(plan: PlanData):
    curves = [curve for curve in plan.curves if curve.task == TASKS[1]]
    bands = {curve.source: predicted_band(curve.fit) for curve in curves}
    figure = curve_figure(curves, bands, [*FAILURE, "human video"])
    measured = [row for row in figure.table.rows if row[1] == "measured"]
    assert [(row[0], row[2], row[3], row[7]) for row in measured] == [
        (c.source, p.n, p.k / p.trials, p.trials) for c in curves for p in c.fit.points
    ]
    predicted = [row for row in figure.table.rows if row[1] == "predicted"]
    assert {row[0] for row in predicted} == set(FAILURE), "one amount shows no trend"
    assert "human video: no trend can be told" in figure.svg
    assert max(row[2] for row in predicted) == pytest.approx(3 * 320)


def test_the_back_test_shows_what_was_predicted_and_what_came(plan: PlanData, page: str, words: Read):
    tests = [curve.back_test for curve in plan.curves if curve.back_test]
    table = back_test_figure(plan.curves).table
    assert [row[5:7] for row in table.rows] == [(t.predicted.low, t.predicted.high) for t in tests]
    assert [row[11] for row in table.rows] == [t.measured.value for t in tests]
    held = sum(t.predicted.low <= t.measured.value <= t.predicted.high for t in tests)
    assert f"{held} of 6 predicted intervals held what was then measured" in words(page)


def test_a_prediction_that_failed_is_counted_as_failed(words: Read):
    wrong = BackTest(320, Estimate(value=0.9, low=0.85, high=0.95, level=0.9, n=50, method="m"), wilson(10, 50, 0.9))
    none = BackTest(
        320,
        Estimate(value=None, low=None, high=None, level=0.9, n=50, method="the data cannot say"),
        wilson(10, 50, 0.9),
    )
    fit = fit_curve([Point(5, 3, 50), Point(20, 9, 50)])
    curves = (Curve("t", "a", fit, wrong), Curve("t", "b", fit, none))
    assert wrong.held is False and none.held is None
    said = words(plan_page(PlanData(answers=(), curves=curves)))
    assert "0 of 1 predicted intervals held" in said
    assert "1 more could not be predicted" in said and "off by 70 points" in said
    assert "could not be predicted" in back_test_figure(curves).svg


def test_progress_scores_have_no_binomial_interval():
    assert measured_rate(Point(10, 6.5, 10), 0.9).low is None
    assert measured_rate(Point(10, 6, 10), 0.9) == wilson(6, 10, 0.9)


def test_a_plan_without_anything_says_so(words: Read):
    said = words(plan_page(PlanData(answers=())))
    assert "The data cannot say" in said and not re.search(r"\b(None|nan|inf)\b", said)
    assert "The data cannot say" in plan_text(PlanData(answers=()))


def test_the_text_has_answers_and_aligned_columns(plan: PlanData):
    lines = plan_text(plan).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("source "))
    rows = lines[head + 1 : head + 4]
    assert [row.split()[0] for row in rows] == [option.source for option in plan.decisions["all tasks"].options]
    assert "\x1b" not in plan_text(dataclasses.replace(plan, title=EVIL, answers=(PlanAnswer(EVIL, EVIL),)))


def test_nothing_from_the_data_becomes_markup(plan: PlanData, page_data: Read):
    curve = dataclasses.replace(plan.curves[0], task=EVIL, source=EVIL)
    evil = PlanData(
        answers=(PlanAnswer(EVIL, EVIL), PlanAnswer(EVIL, EVIL)),
        curves=(dataclasses.replace(curve, fit=dataclasses.replace(curve.fit, unit=EVIL)),),
        decisions={EVIL: dataclasses.replace(plan.decisions["all tasks"], sentence=EVIL, would_change=(EVIL,))},
        costs={EVIL: 1.0},
        unit=EVIL,
        currency=EVIL,
        notes=(EVIL,),
        created=EVIL,
        method=(EVIL,),
        sources=(EVIL,),
        command=EVIL,
        versions={EVIL: EVIL},
        title=EVIL,
    )
    page = plan_page(evil)
    assert "<script>alert" not in page and page.count("<script") == 2 and page.count("</style>") == 1
    assert page_data(page)["title"] == EVIL


def test_the_same_plan_gives_the_same_bytes(page: str):
    small = [PlanData(answers=(), curves=(make_curve("push", "noisy", 3),)) for _ in range(2)]
    assert plan_page(small[0]) == plan_page(small[1])
    assert not re.search(r"\b(src|href)=\"(?!#|data:)", page)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)
