"""Evaluators who vote oddly are flagged, honest ones hardly ever; the benchmark has the rates."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.arena_play import MANNERS, played_arena
from roboscale.arena.flags import flag_evaluators


@pytest.mark.parametrize("manner", [m for m in MANNERS if m != "honest"])
def test_an_odd_evaluator_is_flagged_and_the_others_are_not(manner: str):
    # votes for the best policy cannot be told from honest ones (docs/arena.md), and the seed draws it: the second best
    favourite = 3 if manner == "for an owner" else None
    arena, odd = played_arena(seed=5, matches=200, manner=manner, favourite=favourite)
    found = flag_evaluators(arena.state)
    assert {flag.account for flag in found} == {odd}
    assert {"random": "at random", "always A": "always one side", "for an owner": "for an owner"}[manner] in {
        flag.what for flag in found
    }


def test_honest_evaluators_are_left_alone():
    arena, _ = played_arena(seed=6, matches=200, manner="honest")
    assert flag_evaluators(arena.state) == []
    votes = np.array(list(arena.state.votes_of.values()))
    assert votes.sum() == 200
