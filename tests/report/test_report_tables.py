"""Tables and numbers as text."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import SpecMismatch
from roboscale.report import text
from roboscale.report.model import MeasureSummary, PolicyResult, ReportData
from roboscale.report.tables import (
    Table,
    dataset_table,
    evidence_table,
    measure_table,
    rates_table,
    settings_table,
    training_table,
)
from roboscale.stats import clopper_pearson, worst_case_bounds

CELLS = st.none() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_json_and_csv_keep_every_cell(rows: list[tuple[object, object]]):
    table = Table(("a", "b"), tuple(rows))  # type: ignore[arg-type]
    assert [(row["a"], row["b"]) for row in json.loads(table.to_json())] == rows
    parsed = list(csv.reader(io.StringIO(table.to_csv(), newline="")))
    expected = [["" if cell is None else str(cell) for cell in row] for row in rows]
    assert parsed == [["a", "b"], *expected]


def test_markdown_is_one_line_a_row_whatever_the_cells_hold():
    table = Table(("name", "rate"), (("a|b\nc", 0.73333), ("d", None)))
    assert table.to_markdown() == "| name | rate |\n| --- | ---: |\n| a\\|b c | 0.733 |\n| d | – |\n"


def test_a_ragged_table_is_refused():
    with pytest.raises(SpecMismatch, match="row 1 has 1 cells for 2 columns"):
        Table(("a", "b"), ((1, 2), (1,)))


def test_the_table_of_rates_holds_raw_rates_of_every_policy_and_task(full_report: ReportData):
    table = rates_table(full_report.policies)
    assert len(table.rows) == 2 + 2 * 3
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows[:2])
    policies = full_report.policies
    assert (first["task"], first["value"], first["n"]) == ("all tasks", policies[0].success.value, 16)
    assert first["low"] == policies[0].success.low
    assert second["void"] == 1 and second["void failed"] == policies[1].worst.as_failures.value
    assert second["void succeeded"] == policies[1].worst.as_successes.value


def test_evidence_table_tolerates_missing_and_unknown_columns():
    table = evidence_table([{"n": 1, "surprise": 3.0}, {"n": 2, "upper": 4.0}])
    assert table.columns == ("n", "upper", "surprise")
    assert table.rows == ((1, None, 3.0), (2, 4.0, None))
    assert evidence_table(()).rows == ()


def test_other_tables(full_report: ReportData):
    assert {row[0] for row in dataset_table(full_report.datasets).rows} == {"demonstrations", "grown"}
    losses = training_table(full_report.training)
    assert len(losses.rows) == sum(len(curve.steps) for curve in full_report.training)
    settings = settings_table({"a": {"x": 1}, "b": {"y": 2}})
    assert settings.rows == (("x", 1, None), ("y", None, 2))


def test_a_measure_that_was_not_measured_has_no_number():
    one = MeasureSummary(name="joint_limit", unit="step", kind="count", measured=0, missing=2)
    rows = measure_table([PolicyResult(name="a", success=clopper_pearson(1, 2), measures=(one,))]).rows
    assert rows == (("a", "joint_limit", "step", 0, 2, *(None,) * 8),)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "100"), (0.9967, "99.7"), (0.0004, "<0.1"), (0.99996, ">99.9"), (0.735, "74"), (0.004, "0.4")],
)
def test_a_rate_is_never_rounded_to_certainty(value: float, shown: str):
    assert text.share_of(value) == shown


@given(st.floats(0, 1))
def test_only_certain_rates_read_as_certain(value: float):
    assert (text.share_of(value) in ("0", "100")) == (value in (0.0, 1.0))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (3.0, "3"), (0.73333, "0.733"), (-0.0097, "−0.0097"), (12345.6, "12\u202f300"), (math.inf, "inf")],
)
def test_numbers(value: float | None, shown: str):
    assert text.number(value) == shown


def test_durations_choose_a_unit():
    assert [text.duration(hours) for hours in (100.4, 1.5, 0.036, 0.001)] == [
        ("100", "hours"),
        ("1.5", "hours"),
        ("2.2", "minutes"),
        ("3.6", "seconds"),
    ]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9))
def test_void_trials_hide_what_manski_says(won: int, lost: int, void: int):
    low, high = text.void_range(clopper_pearson(won, won + lost, void=void))
    worst = worst_case_bounds(won, lost, void)
    assert low == pytest.approx(worst.as_failures.value) and high == pytest.approx(worst.as_successes.value)
    assert text.void_range(clopper_pearson(won, won + lost)) is None


def test_a_moment_is_a_date_and_a_time_with_its_zone():
    assert text.moment(1_764_111_060_000_000_000) == "2025-11-25 22:51 UTC" and text.moment(0) == "–"


def test_the_report_is_json_but_for_its_media(full_report: ReportData):
    plain = json.loads(json.dumps(full_report.to_json()))
    assert plain["policies"][0]["success"]["n"] == 16
    media = plain["films"][0]["films"][0]["mp4"]
    assert media["bytes"] == len(full_report.films[0].films[0].mp4) and len(media["sha256"]) == 64
