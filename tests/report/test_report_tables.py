"""Tables and numbers as text."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core.episode import Damage
from roboscale.core.errors import SpecMismatch
from roboscale.report import text
from roboscale.report.model import DamageSummary, PolicyResult, ReportData, Spread
from roboscale.report.tables import (
    Table,
    damage_table,
    dataset_table,
    evidence_table,
    settings_table,
    success_table,
    training_table,
)
from roboscale.stats import clopper_pearson

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


def test_success_table_holds_raw_rates_of_every_policy_and_task(full_report: ReportData):
    table = success_table(full_report.policies)
    assert len(table.rows) == 2 + 2 * 3
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert (first["task"], first["success"], first["n"]) == ("all tasks", 17 / 36, 36)
    assert first["low"] == full_report.policies[0].success.low


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


def test_damage_that_was_not_measured_is_none_and_never_zero():
    summary = DamageSummary.of([Damage(peak_force_n=3.0, dropped=True), Damage(peak_force_n=5.0)], clopper_pearson)
    assert summary.peak_force_n == Spread(median=4.0, max=5.0, n=2)
    assert summary.dropped is not None and (summary.dropped.value, summary.dropped.n) == (1.0, 1)
    assert summary.off_table is None and summary.joint_limit_steps is None and summary.clipped is None
    rows = damage_table([PolicyResult("a", clopper_pearson(1, 2), damage=summary)]).rows
    unmeasured = next(row for row in rows if row[1] == "joint at its limit")
    assert unmeasured[3:] == (None,) * 6


def test_steps_at_a_limit_become_the_share_of_trials_that_had_any():
    summary = DamageSummary.of([Damage(clipped_steps=0), Damage(clipped_steps=9)], clopper_pearson)
    assert summary.clipped is not None and summary.clipped.value == 0.5
    assert summary.clipped_steps == Spread(4.5, 9.0, 2)


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


def test_the_report_is_json_but_for_its_media(full_report: ReportData):
    plain = json.loads(json.dumps(full_report.to_json()))
    assert plain["policies"][0]["success"]["n"] == 36
    media = plain["videos"][0]["clips"][0]["mp4"]
    assert media["bytes"] == len(full_report.videos[0].clips[0].mp4) and len(media["sha256"]) == 64
