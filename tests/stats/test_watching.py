"""Claims about checkpoints hold over all that ever appear, and what was said is never taken back."""

import numpy as np
import pytest

from roboscale.stats.watching import curve_of, error_share


def outcomes(successes: int, n: int = 40) -> dict[str, bool | None]:
    return {str(k): k < successes for k in range(n)}


def test_the_shares_of_an_endless_series_sum_to_alpha():
    assert sum(error_share(k, 0.05) for k in range(1, 200_000)) == pytest.approx(0.05, abs=1e-6)


def test_what_was_said_of_a_checkpoint_does_not_change_when_others_come():
    three = {"1": outcomes(5), "2": outcomes(30), "3": outcomes(12)}
    before, after = curve_of({k: three[k] for k in ("1", "2")}), curve_of(three)
    assert after.points[:2] == before.points
    assert after.points[1].better_than == ("1",) and after.points[2].worse_than == ("2",)
    assert after.best is after.points[1] and "shown to be better than 1, 3" in after.sentence


def test_void_trials_never_help_the_winner():
    winner: dict[str, bool | None] = {**outcomes(40), **{str(k): None for k in range(30)}}
    curve = curve_of({"1": outcomes(25), "2": winner})
    assert curve.points[1].success.void == 30 and curve.points[1].better_than == ()


def test_intervals_grow_with_the_place_in_the_series():
    many = curve_of({str(k): outcomes(20) for k in range(8)})
    widths = [(p.success.high or 0) - (p.success.low or 0) for p in many.points]
    assert widths == sorted(widths) and widths[0] < widths[-1]


def test_equal_checkpoints_are_told_apart_at_most_as_often_as_alpha():
    draw, false = np.random.default_rng(3), 0
    for _ in range(300):
        rows = draw.random((10, 30)) < 0.6
        curve = curve_of({str(k): dict(enumerate(map(bool, row))) for k, row in enumerate(rows)})  # type: ignore[arg-type]
        false += any(p.better_than or p.worse_than for p in curve.points)
    assert false / 300 <= 0.08
