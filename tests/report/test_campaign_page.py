"""A campaign's page and a work order: what was foretold beside what was measured, and everything escaped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from roboscale.core import Estimate
from roboscale.report.campaign import CampaignData, OrderLine, RoundData, WorkOrderData, campaign_page, order_page


def rate(value: float, n: int = 15) -> Estimate:
    return Estimate(
        value=value, low=max(0.0, value - 0.1), high=min(1.0, value + 0.1), level=0.9, n=n, method="made up"
    )


ONE = RoundData(
    number=1,
    orders=(
        OrderLine(task="push <b>", source="person", episodes=5, came=5, scenes="far from the 5 episodes there are"),
        OrderLine(task="push <b>", source="generated", episodes=220, came=None),
    ),
    foretold={"push <b>": rate(0.6)},
    measured={"push <b>": rate(0.7)},
    hours=0.4,
    options={"push <b>": [("generated", "5 by person and 220 by generated", 0.2, 1.4, 0.3, 0.8)]},
    said=("push: 0.70, as foretold [0.50, 0.70]",),
)
DATA = CampaignData(
    title="Two tasks & more",
    state="running",
    good=False,
    sentence="not over: collecting comes next",
    target="0.9 on push",
    tasks=("push <b>",),
    rounds=(ONE,),
    goal=0.9,
    budget_hours=6.0,
    costs={"person": (0.1, 0.0, 0.0, 0.0), "judging": (0.3, 0.0, 1.5, 0.0)},
    held=1,
    scored=1,
    width=0.2,
    waiting=("5 episodes of push by person",),
    command="roboscale campaign two.toml",
)
ORDER = WorkOrderData(
    title="Work order 1.1: person",
    what="Record 5 successful episodes of push",
    instruction="push the <puck> to the goal",
    place="two/data/01-00+person+push",
    episodes=5,
    came=2,
    how=("roboscale collect record two --episodes 5",),
    scenes_why="near scenes that failed",
    scenes=("push/nominal/17",),
    failures=(("no success within 500 steps", 7),),
    after="Run the campaign again.",
    minutes=5.0,
)


def test_the_page_says_what_was_foretold_and_what_it_cost(words, page_data):
    page = campaign_page(DATA)
    said = words(page)
    for part in (
        "not over: collecting comes next",
        "1 of 1 predicted 90 % intervals held",
        "0.40 of 6 h spent",
        "5 episodes of push by person",
        "5 by person and 220 by generated",
        "far from the 5 episodes there are",
        "Why not the alternatives",
    ):
        assert part in said, part
    assert "<b>" not in page.replace("\\u003cb\\u003e", "") and page_data(page)["rounds"][0]["hours"] == 0.4
    assert campaign_page(DATA) == page, "the same data give the same bytes"


def test_a_rehearsal_says_that_it_is_made_up(words):
    assert "nothing was collected" not in words(campaign_page(DATA))
    assert "nothing was collected" in words(campaign_page(replace(DATA, made_up="made up: nothing was collected")))


def test_a_campaign_that_has_not_begun_has_a_page(words):
    said = words(campaign_page(replace(DATA, rounds=(), costs={}, held=0, scored=0, width=None, waiting=())))
    assert "no prediction was measured yet" in said


def test_a_work_order_says_what_where_how_and_which_scenes(words):
    page = order_page(ORDER)
    said = words(page)
    for part in (
        "2 are there",
        "two/data/01-00+person+push",
        "near scenes that failed",
        "push/nominal/17",
        "7",
        "no success",
    ):
        assert part in said, part
    assert "<puck>" not in page
    assert "Any scene will do" in words(order_page(replace(ORDER, scenes=(), scenes_why="", failures=())))


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", [campaign_page(DATA), order_page(ORDER)], ids=["campaign", "order"])
def test_pages_fit_a_phone_and_a_desktop(page: str, check_in_browser: Callable[..., None], width: int):
    check_in_browser(page, width, "light")
