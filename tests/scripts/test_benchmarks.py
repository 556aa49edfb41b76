"""Every benchmark can at least be imported, and the figure of latency shows what its text says."""

import importlib
from pathlib import Path

import pytest

from benchmarks.latency import MODES, success

MODULES = sorted(p.stem for p in (Path(__file__).parents[2] / "benchmarks").glob("*.py") if p.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_a_benchmark_finds_what_it_takes_from_us(module: str):
    try:
        importlib.import_module(f"benchmarks.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("roboscale", "benchmarks", "tests"):
            raise
        pytest.skip(f"needs {error.name}, which the peers' environments have")


def test_success_falls_with_latency_and_less_where_the_arm_goes_on():
    waits, _, goes_on = MODES
    at = {(mode, ms): success(mode, ms, 40).value for mode in (waits, goes_on) for ms in (0, 400)}
    assert at[goes_on, 0] > at[goes_on, 400] + 0.3
    assert at[goes_on, 0] > at[waits, 0] and at[goes_on, 400] >= at[waits, 400]
