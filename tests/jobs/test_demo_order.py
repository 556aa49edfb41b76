"""Where the demo ends, a campaign goes on: the next order from its table of outcomes."""

from __future__ import annotations

import csv
from pathlib import Path

from roboscale.jobs.demo_order import next_order_lines


def table(path: Path, rates: dict[str, dict[str, float]]) -> Path:
    """Three training runs of each recipe, ten trials a task."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["policy", "run", "task", "case", "success"])
        for task, by in rates.items():
            for recipe, rate in by.items():
                for run in range(3):
                    rows.writerows([recipe, run, task, k, int(k < round(10 * rate))] for k in range(10))
    return path


def test_it_names_the_task_that_needs_data_and_what_it_would_cost(tmp_path: Path):
    rates = {"push-v3": {"A": 0.9, "B": 1.0}, "bin-picking-v3": {"A": 0.5, "B": 0.6}}
    (line,) = next_order_lines(table(tmp_path / "outcomes.csv", rates), 10, 100, 3, 10, 7)
    assert "for bin-picking-v3" in line and "for push-v3" not in line
    assert "a person's episode 60 s" in line and "are expected until the target is reached" in line
