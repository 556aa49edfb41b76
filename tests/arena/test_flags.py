"""Evaluators who vote oddly are flagged, honest ones hardly ever; the benchmark has the rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.arena_play import MANNERS, played_arena
from roboscale.arena.flags import flag_evaluators


@pytest.mark.parametrize("manner", [m for m in MANNERS if m != "honest"])
def test_an_odd_evaluator_is_flagged_and_the_others_are_not(manner: str):
    favourite = 3 if manner == "for an owner" else None
    arena, odd = played_arena(seed=5, matches=200, manner=manner, favourite=favourite)
    found = flag_evaluators(arena.state)
    assert {flag.account for flag in found} == {odd}
    assert {"random": "at random", "always A": "always one side", "for an owner": "for an owner"}[manner] in {
        flag.what for flag in found
    }


def test_who_favours_the_best_is_found_by_its_own_scores_alone():
    """Its votes are those of honest people, nearly; of twenty seeds this is one of the four that tell."""
    arena, odd = played_arena(seed=49, matches=200, manner="for an owner", favourite=4)
    (flag,) = flag_evaluators(arena.state)
    assert (flag.account, flag.what, flag.about) == (odd, "against its scores", "team 4") and flag.value < 0.002
    for match in arena.state.matches.values():
        if match.evaluator == odd and match.preference != "tie":  # scores made up as well
            for letter, score in match.scores.items():
                progress = 90.0 if letter == match.preference else 10.0
                match.scores[letter] = replace(score, progress=progress)
    assert flag_evaluators(arena.state) == []


def test_honest_evaluators_are_left_alone():
    arena, _ = played_arena(seed=6, matches=200, manner="honest")
    assert flag_evaluators(arena.state) == []
    votes = np.array(list(arena.state.votes_of.values()))
    assert votes.sum() == 200
