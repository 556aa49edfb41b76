"""Figures: valid SVG, deterministic bytes, outside text kept as text."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from roboscale.core.estimate import Estimate, PairedOutcome, Verdict
from roboscale.report import figures
from roboscale.report.canvas import PALETTE
from roboscale.report.figures import Figure
from roboscale.report.model import PolicyResult, ReportData, TaskResult, TrainingCurve, VoidTrial
from roboscale.report.tables import evidence_table, success_table
from roboscale.stats import EProcessPaired, clopper_pearson

HOSTILE = '<script>alert(1)</script> "&$x^2$ --> ]]>'


def words(figure: Figure) -> list[str]:
    """Every text of the SVG; fails when it is not well-formed."""
    root = ElementTree.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def all_figures(data: ReportData, width: int) -> list[Figure]:
    assert data.verdict
    names = (data.policies[0].name, data.policies[1].name)
    return [
        figures.success_by_task(data.policies, width),
        figures.running_evidence(data.verdict, names, data.voids, width),
        figures.loss_curves(data.training, names, width),
    ]


@pytest.mark.parametrize("width", [342, 1040])
def test_same_data_same_bytes_and_no_trace_of_time_or_machine(full_report: ReportData, width: int):
    before = dict(mpl.rcParams)
    first, second = all_figures(full_report, width), all_figures(full_report, width)
    assert [figure.svg for figure in first] == [figure.svg for figure in second]
    assert dict(mpl.rcParams) == before
    for figure in first:
        assert "<metadata" not in figure.svg and f'viewBox="0 0 {width} ' in figure.svg
        assert "inf" not in figure.svg.replace("information", "") and "nan" not in figure.svg


def test_another_process_draws_the_same_bytes(full_report: ReportData):
    code = (
        "from roboscale.core.estimate import Estimate\n"
        "from roboscale.report.figures import success_by_task\n"
        "from roboscale.report.model import PolicyResult\n"
        "import sys\n"
        "sys.stdout.write(success_by_task([PolicyResult('a', Estimate(.5, .2, .8, .95, 9, 'm'))]).svg)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    here = figures.success_by_task([PolicyResult("a", Estimate(0.5, 0.2, 0.8, 0.95, 9, "m"))])
    assert other.stdout == here.svg


def test_every_figure_returns_the_table_it_was_drawn_from(full_report: ReportData):
    success, evidence, loss = all_figures(full_report, 640)
    assert full_report.verdict
    assert success.table == success_table(full_report.policies)
    assert evidence.table == evidence_table(full_report.verdict.evidence)
    assert len(evidence.table.rows) == full_report.verdict.n
    assert loss.table.columns == ("policy", "step", "loss", "validation loss")
    assert all(figure.summary.endswith(".") for figure in (success, evidence, loss))


def test_text_from_outside_stays_text():
    policy = PolicyResult(HOSTILE, clopper_pearson(1, 2), tasks=(TaskResult(HOSTILE, clopper_pearson(1, 2)),))
    figure = figures.success_by_task([policy], 1040)
    assert "<script" not in figure.svg
    assert HOSTILE in words(figure)
    assert any(word.startswith(HOSTILE[:20]) for word in words(figures.success_by_task([policy], 342)))


def test_rates_without_data_or_interval_are_said_and_not_drawn_as_zero():
    empty = Estimate(None, None, None, 0.95, 0, "none", 3)
    bare = Estimate(0.5, None, None, 0.95, 2, "none")
    first = PolicyResult("first", empty, tasks=(TaskResult("t", bare), TaskResult("u", bare)))
    second = PolicyResult("second", bare, tasks=(TaskResult("t", bare),))
    found = words(figures.success_by_task([first, second]))
    assert found.count("no data") == 1 and found.count("not tried") == 1
    assert found.count("50\u202f%") == 4


def outcome(rows: list[dict[str, float]], decision: str) -> Verdict:
    return Verdict(decision, "s", 0.05, len(rows), 0, None, "m", evidence=tuple(rows))  # type: ignore[arg-type]


def test_the_stop_is_marked_where_the_boundary_was_reached(full_report: ReportData):
    verdict = full_report.verdict
    assert verdict and verdict.decision == "second is better"
    found = words(figures.running_evidence(verdict, ("A", "B"), full_report.voids))
    assert f"decided, stopped after {verdict.n}" in found and "B is better" in found
    assert "a case that stayed void, not counted" in found


def test_a_decision_before_the_last_pair_is_marked_apart_from_the_end():
    walk = [(1, 1), (2, 2), (3, 3), (4, 2)]
    rows = [{"n": n, "wins_first": 0, "wins_second": w, "upper": 3, "lower": -3} for n, w in walk]
    assert "decided after 3" in words(figures.running_evidence(outcome(rows, "second is better"), ("A", "B")))


@pytest.mark.parametrize("rows", [[], [{"n": 1.0}], [{"wins_first": 1.0, "wins_second": 0.0}], [{"log_e_value": 1.0}]])
def test_evidence_with_missing_columns_still_draws(rows: list[dict[str, float]]):
    figure = figures.running_evidence(outcome(rows, "undecided"), ("A", "B"), [VoidTrial("A", "c", "r", 1, 0)], 342)
    found = words(figure)
    assert ("not decided after 1" in found) == bool(rows)
    assert not any("is better" in word for word in found)


def test_a_boundary_out_of_reach_is_not_drawn():
    row = {"n": 1, "discordant": 1, "wins_first": 0, "wins_second": 1, "upper": 3, "lower": -3}
    assert "B is better" not in words(figures.running_evidence(outcome([row], "undecided"), ("A", "B")))


def test_the_evidence_of_the_other_stop_rule_draws_too():
    rule = EProcessPaired(names=("A", "B"))
    for _ in range(12):
        rule.update(PairedOutcome("t", False, True))
    assert any("decided" in word for word in words(figures.running_evidence(rule.verdict(), ("A", "B"))))


def test_losses_with_one_point_or_not_finite_draw():
    curves = [TrainingCurve("a", (0,), (1.0,)), TrainingCurve("b", (0, 1), (float("nan"), 0.001))]
    assert {"a", "b"} <= set(words(figures.loss_curves(curves, ["b", "a"])))


def test_a_policy_keeps_its_colour_when_it_is_drawn_alone(full_report: ReportData):
    names = [policy.name for policy in full_report.policies]
    alone = figures.loss_curves(full_report.training[1:], names).svg
    assert PALETTE[1] in alone and PALETTE[0] not in alone


def test_fifty_tasks_get_a_taller_figure_with_a_scale_at_both_ends(full_report: ReportData):
    tasks = tuple(TaskResult(f"task-{i}", clopper_pearson(i % 5, 5)) for i in range(50))
    policy = dataclasses.replace(full_report.policies[0], tasks=tasks)
    found = words(figures.success_by_task([policy]))
    assert found.count("25 %") == 2 and {f"task-{i}" for i in range(50)} <= set(found)
