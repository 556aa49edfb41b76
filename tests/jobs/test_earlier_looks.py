"""A budget that is changed after looking: the second test is no first one."""

from __future__ import annotations

from pathlib import Path

import pytest

import roboscale as rs
from roboscale.stats.walk import Boundary, boundary

POINT = {"world": "point.toml", "workers": 0, "horizon": 20}


def compared(budget: int, **more):
    return rs.compare("policies.py:good", "policies.py:still", budget=budget, store="x", **{**POINT, **more})


def test_a_raised_budget_says_so_beside_the_claim(place: Path):
    first = compared(4)
    assert not first.judged.looks and not [note for note in first.notes if "tested before" in note]
    second = compared(12)
    assert "with a budget of 4 at alpha 0.05: the tests together err at most 0.1" in second.sentence
    assert [note for note in second.judged.notes if "tested before" in note]
    page = Path("x/report.html")
    rs.write_report(rs.WriteReport(store="x", videos=0))
    assert "the tests together err at most 0.1" in page.read_text()
    assert "tested before" in Path("x/verdict.json").read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [({"budget": 12}, ""), ({"budget": 12, "alpha": 0.01}, "err at most 0.06"), ({"budget": 12, "again": True}, "")],
)
def test_the_same_question_and_another_round_are_no_second_look(place: Path, more: dict, says: str):
    compared(12)
    sentence = compared(**more).sentence
    assert says in sentence and ("tested before" in sentence) is bool(says)


def decides(limits: list[Boundary]) -> float:
    """P(any of the tests, one after the other on one walk, claims something | no difference): all paths."""
    alive = {0: 1.0}  # wins of the first -> probability of being there undecided
    claimed = 0.0
    for tosses in range(1, limits[-1].max_discordant + 1):
        moved: dict[int, float] = {}
        for wins, chance in alive.items():
            for more in (0, 1):
                moved[wins + more] = moved.get(wins + more, 0.0) + chance / 2
        alive = {}
        for wins, chance in moved.items():
            lead = max(wins, tosses - wins)
            asked = next(limit for limit in limits if tosses <= limit.max_discordant)
            if lead >= asked.threshold(tosses, tosses == asked.max_discordant):
                claimed += chance
            else:
                alive[wins] = chance
    return claimed


def test_the_bound_that_is_printed_holds_and_is_not_empty():
    """8 pairs and, undecided, 40: more than alpha, less than the sum."""
    alone = decides([boundary(40)])
    both = decides([boundary(8), boundary(40)])
    assert alone <= 0.05 < both <= 0.10
