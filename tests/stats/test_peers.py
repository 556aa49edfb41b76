"""Counts and sample sizes agree with statsmodels and with the public package fieldtrial.

Both live in `.venv-peers`, which `make peers` makes; without it these tests are skipped and say so.
"""

import json
import subprocess
from pathlib import Path

import pytest

from roboscale.stats.counts import mid_p_test
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.rate_difference import rate_difference
from roboscale.stats.sample_size import (
    approximate_power,
    approximate_trials,
    discordance,
    independent_power,
    independent_trials,
    paired_power,
    run_power,
)

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no .venv-peers with statsmodels and fieldtrial: make peers"
)

COUNTS = [(12, 20, 17, 20), (0, 10, 3, 10), (46, 50, 28, 50), (5, 5, 5, 5), (7, 15, 30, 41), (0, 8, 0, 9)]
RATES = [(0.5, 0.7), (0.7, 0.9), (0.05, 0.2), (0.6, 0.65), (0.9, 0.99)]

ASK = """
import json, sys
import numpy as np
from fieldtrial import stats as f
from fieldtrial.stats.compare import newcombe_interval
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import (
    confint_proportions_2indep, power_proportions_2indep, proportion_confint)
counts, rates = json.load(sys.stdin)
told = {"rows": [], "rates": []}
for a, m, b, n in counts:
    told["rows"].append({
        "cp": [float(x) for x in proportion_confint(a, m, method="beta")],
        "cp_peer": [f.proportion_ci(a, m, method="clopper-pearson").interval.low,
                    f.proportion_ci(a, m, method="clopper-pearson").interval.high],
        "gap": [float(x) for x in confint_proportions_2indep(b, n, a, m, method="newcomb", compare="diff")],
        "gap_peer": list(newcombe_interval(b, n, a, m)),
        "boschloo": f.compare_independent(a, m, b, n).primary.pvalue,
    })
for p, q in rates:
    told["rates"].append({
        "pooled": f.sample_size(p, q).n1,
        "mcnemar": [f.mcnemar_power((1 - a - (q - p)) / 2, (1 - a + (q - p)) / 2, 60).power
                    for a in (0.5 * (abs(p + q - 1) + 1 - (q - p)),)],
        "power": float(power_proportions_2indep(q - p, p, 80, return_results=False)),
        "boschloo": f.boschloo_power(p, q, 40).power,
    })
told["t"] = float(TTestIndPower().power(2.0, 5, 0.05))
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def peers() -> dict:
    done = subprocess.run(
        [PYTHON, "-c", ASK], input=json.dumps([COUNTS, RATES]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_intervals_of_rates_and_differences_are_theirs(peers: dict):
    for (a, m, b, n), row in zip(COUNTS, peers["rows"], strict=True):
        own = clopper_pearson(a, m)
        assert [own.low, own.high] == pytest.approx(row["cp"], abs=1e-9)
        assert [own.low, own.high] == pytest.approx(row["cp_peer"], abs=1e-9)
        gap = rate_difference((a, m), (b, n))
        assert [gap.low, gap.high] == pytest.approx(row["gap"], abs=1e-9)
        assert [gap.low, gap.high] == pytest.approx(row["gap_peer"], abs=1e-9)


def test_numbers_of_trials_are_theirs(peers: dict):
    for (p, q), row in zip(RATES, peers["rates"], strict=True):
        assert approximate_trials(p, q) == row["pooled"]
        assert approximate_power(p, q, 80) == pytest.approx(row["power"], abs=0.02)
        exact = independent_trials(p, q)
        assert exact.trials == pytest.approx(row["pooled"], rel=0.15, abs=4)


def test_the_exact_power_is_near_that_of_their_exact_test(peers: dict):
    # Boschloo orders the same outcomes otherwise; near 0 and 1 it calls 0 of 40 against 4 of 40 .08, and Barnard .04
    for (p, q), row in list(zip(RATES, peers["rates"], strict=True))[:2]:
        assert independent_power(p, q, 40) == pytest.approx(row["boschloo"], abs=0.02)


def test_power_on_the_same_cases_is_theirs(peers: dict):
    for (p, q), row in zip(RATES, peers["rates"], strict=True):
        agreement = 0.5 * (abs(p + q - 1) + 1 - (q - p))
        assert sum(discordance(p, q, agreement)) == pytest.approx(1 - agreement)
        assert paired_power(p, q, agreement, 60) == pytest.approx(row["mcnemar"][0], abs=1e-6)


def test_power_with_training_runs_is_just_below_that_of_a_pooled_t_test(peers: dict):
    # an effect of two standard deviations with five runs a side; Welch's test pays a little for equal variances
    own = run_power(0.3, 0.5, 5, float("inf"), 0.1)
    assert peers["t"] - 0.04 < own < peers["t"]


def test_other_exact_tests_say_about_the_same(peers: dict):
    for (a, m, b, n), row in zip(COUNTS, peers["rows"], strict=True):
        assert mid_p_test((a, m), (b, n)) == pytest.approx(row["boschloo"], abs=0.1)
