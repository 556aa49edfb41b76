"""Curves that check themselves: falling, flat, ill-fitting and unforeseen points are told from good ones."""

import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_checks import check_curve, rates_between_runs, replicated_misfit
from roboscale.stats.scaling_forms import Point


def checked(*points: tuple[float, float, int]):
    return check_curve(fit_curve([Point(*point) for point in points]))


@pytest.mark.parametrize(
    "points, verdict",
    [
        (((30, 51, 96), (106, 20, 96), (517, 2, 96)), "falls"),
        (((10, 8, 40), (20, 14, 40), (40, 22, 40)), "fits"),
        (((10, 20, 40), (20, 21, 40), (40, 20, 40)), "flat"),
        (((10, 38, 40), (20, 39, 40), (40, 39, 40)), "flat"),
        (((10, 30, 40), (20, 8, 40), (40, 32, 40), (80, 34, 40)), "misfit"),
        (((10, 4, 40), (20, 10, 40), (40, 18, 40), (80, 12, 40)), "missed"),
        (((10, 4, 40),), "unknown"),
    ],
)
def test_verdicts(points, verdict: str):
    assert checked(*points).verdict == verdict


def test_only_good_curves_advise_and_only_bad_ones_forbid():
    assert checked((10, 8, 40), (20, 14, 40), (40, 22, 40)).advises
    falls = checked((30, 51, 96), (106, 20, 96), (517, 2, 96))
    assert falls.forbids and not falls.advises and falls.falls < 0.001
    assert falls.amount == 517 and falls.inside is False


@pytest.mark.parametrize("sd", [0.02, 0.05])
def test_equal_rates_are_rarely_said_to_fall_and_rises_rarely_doubted(sd: float):
    rng = np.random.default_rng(0)

    def verdict(rate) -> str:
        trained = (float(np.clip(rng.normal(rate(n), sd), 0, 1)) for n in (10, 20, 40, 80))
        return checked(
            *((n, int(rng.binomial(50, p)), 50) for n, p in zip((10, 20, 40, 80), trained, strict=True))
        ).verdict

    flat = [verdict(lambda n: 0.5) for _ in range(60)]
    rising = [verdict(lambda n: 1 - 0.9 * (n / 10) ** -0.4) for _ in range(60)]
    assert sum(v in ("falls", "misfit") for v in flat) <= 4 and sum(v == "flat" for v in flat) >= 35
    assert sum(v in ("fits", "missed") for v in rising) >= 56


def test_the_checks_repeat():
    points = ((10, 8, 40), (20, 14, 40), (40, 22, 40))
    assert checked(*points) == checked(*points[::-1])


def test_deviation_between_runs_takes_the_noise_of_trials_out():
    rng = np.random.default_rng(0)
    runs = [Point(10, int(rng.binomial(400, rng.normal(0.5, 0.1))), 400) for _ in range(60)]
    sd, count = rates_between_runs(runs)
    assert sd == pytest.approx(0.1, abs=0.02) and count == 60
    same = [Point(10, int(rng.binomial(400, 0.5)), 400) for _ in range(60)]
    assert rates_between_runs(same)[0] < 0.02
    assert rates_between_runs([Point(10, 4, 10), Point(20, 4, 10)]) is None


def test_misfit_of_any_model():
    near = np.full((200, 3), 0.5)
    assert replicated_misfit([(50, 100), (48, 100), (55, 100)], near) > 0.2
    assert replicated_misfit([(99, 100), (1, 100), (99, 100)], near) < 0.001


def test_published_curves_are_hardly_ever_doubted():
    """120 curves of 100, 200 and 1,000 demonstrations, 150 rollouts each (Wang et al., CoRL 2024)."""
    folder = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    path = folder / "tables" / "equidiff_success_vs_demos.csv"
    if not path.exists():
        pytest.skip(f"no table at {path}; set ROBOSCALE_TEST_DATA")
    curves: dict[tuple[str, ...], list[Point]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            point = Point(float(row["n_demos"]), round(1.5 * float(row["success_pct"])), 150)
            curves.setdefault((row["task"], row["method"], row["control"]), []).append(point)
    verdicts = Counter(check_curve(fit_curve(points)).verdict for points in curves.values())
    assert verdicts == {"fits": 112, "flat": 6, "missed": 2}
