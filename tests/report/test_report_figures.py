"""Figures: valid SVG, deterministic bytes, outside text kept as text."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from roboscale.core import Estimate, Identity, PairedOutcome, Verdict
from roboscale.report import figures
from roboscale.report.canvas import PALETTE, UNVERIFIED, shorten
from roboscale.report.figures import Figure
from roboscale.report.model import PolicyResult, ReportData, TaskResult, TrainingCurve, VoidTrial
from roboscale.report.tables import evidence_table, rates_table
from roboscale.stats import EProcessPaired, clopper_pearson

HOSTILE = '<script>alert(1)</script> "&$x^2$ --> ]]>'


def texts(figure: Figure) -> list[str]:
    """Every text of the SVG; fails when it is not well-formed."""
    root = ElementTree.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def all_figures(data: ReportData, width: int) -> list[Figure]:
    assert isinstance(data.verdict, Verdict)
    names = (data.policies[0].name, data.policies[1].name)
    return [
        figures.rates_by_task(data.policies, "success", width),
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
        "from roboscale.report.figures import rates_by_task\n"
        "from roboscale.report.model import PolicyResult\n"
        "import sys\n"
        "rate = Estimate(value=.5, low=.2, high=.8, level=.95, n=9, method='m')\n"
        "sys.stdout.write(rates_by_task([PolicyResult(name='a', success=rate)]).svg)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    here = figures.rates_by_task(
        [PolicyResult(name="a", success=Estimate(value=0.5, low=0.2, high=0.8, level=0.95, n=9, method="m"))]
    )
    assert other.stdout == here.svg


def test_every_figure_returns_the_table_it_was_drawn_from(full_report: ReportData):
    success, evidence, loss = all_figures(full_report, 640)
    assert isinstance(full_report.verdict, Verdict)
    assert success.table == rates_table(full_report.policies)
    assert evidence.table == evidence_table(full_report.verdict.evidence)
    assert len(evidence.table.rows) == full_report.verdict.n
    assert loss.table.columns == ("policy", "step", "loss", "validation loss")
    assert all(figure.summary.endswith(".") for figure in (success, evidence, loss))


def test_text_from_outside_stays_text():
    policy = PolicyResult(
        name=HOSTILE, success=clopper_pearson(1, 2), tasks=(TaskResult(HOSTILE, clopper_pearson(1, 2)),)
    )
    figure = figures.rates_by_task([policy], width=1040)
    assert "<script" not in figure.svg
    assert HOSTILE in texts(figure)
    assert any(word.startswith(HOSTILE[:20]) for word in texts(figures.rates_by_task([policy], width=342)))


def test_rates_without_data_or_interval_are_said_and_not_drawn_as_zero():
    empty = Estimate(value=None, low=None, high=None, level=0.95, n=0, method="none", void=3)
    bare = Estimate(value=0.5, low=None, high=None, level=0.95, n=2, method="none")
    first = PolicyResult(name="first", success=empty, tasks=(TaskResult("t", bare), TaskResult("u", bare)))
    second = PolicyResult(name="second", success=bare, tasks=(TaskResult("t", bare),))
    written = texts(figures.rates_by_task([first, second]))
    assert written.count("no data") == 1 and written.count("not tried") == 1
    assert written.count("50\u202f%") == 4


@pytest.mark.parametrize("width", [342, 1040])
def test_every_rate_with_void_trials_has_what_they_could_hide_beside_it(width: int):
    one, other = clopper_pearson(6, 8, void=2), clopper_pearson(0, 0, void=3)
    policy = PolicyResult(name="a", success=one, tasks=(TaskResult("t", one), TaskResult("u", other)))
    written = " ".join(texts(figures.rates_by_task([policy], width=width)))
    assert written.count("2 void: 60–80\u202f%") == 2 and "3 void: 0–100\u202f%" in written


@pytest.mark.parametrize("width", [342, 1040])
def test_numbers_of_an_unverified_policy_are_marked_and_its_name_never_loses_the_mark(width: int):
    stranger = Identity("n" * 200, "0" * 32, ("nobody knows",))
    policy = PolicyResult(name="n" * 200, success=clopper_pearson(1, 2), identity=stranger)
    figure = figures.rates_by_task([policy], width=width)
    assert any(word.endswith(UNVERIFIED) for word in texts(figure)) and "?" in texts(figure)
    assert figure.table.rows[0][-1] == "unverified: nobody knows"
    known = dataclasses.replace(policy, identity=dataclasses.replace(stranger, unverified=()))
    assert "?" not in texts(figures.rates_by_task([known], width=width))
    assert shorten(f"{'n' * 50}{UNVERIFIED}", 20) == f"{'n' * 7}…{UNVERIFIED}"


def test_mean_progress_is_drawn_and_named():
    success, progress = clopper_pearson(0, 4), Estimate(value=0.6, low=0.4, high=0.8, level=0.95, n=4, method="m")
    policy = PolicyResult(
        name="a", success=success, progress=progress, tasks=(TaskResult("t", success, "", progress),)
    )
    figure = figures.rates_by_task([policy], "progress")
    assert texts(figure).count("60\u202f%") == 2 and "mean progress with its interval" in texts(figure)
    assert [row[2] for row in figure.table.rows] == [0.6, 0.6]


def outcome(rows: list[dict[str, float]], decision: str) -> Verdict:
    return Verdict(
        decision=decision,  # type: ignore[arg-type]
        sentence="s",
        alpha=0.05,
        n=len(rows),
        discordant=0,
        p_value=None,
        method="m",
        evidence=tuple(rows),
    )


def test_the_stop_is_marked_where_the_boundary_was_reached(full_report: ReportData):
    verdict = full_report.verdict
    assert isinstance(verdict, Verdict) and verdict.decision == "second is better"
    written = texts(figures.running_evidence(verdict, ("A", "B"), full_report.voids))
    assert f"decided, stopped after {verdict.n}" in written and "B is better" in written
    assert "a case that stayed void, not counted" in written


def test_a_decision_before_the_last_pair_is_marked_apart_from_the_end():
    walk = [(1, 1), (2, 2), (3, 3), (4, 2)]
    rows = [{"n": n, "wins_first": 0, "wins_second": w, "upper": 3, "lower": -3} for n, w in walk]
    assert "decided after 3" in texts(figures.running_evidence(outcome(rows, "second is better"), ("A", "B")))


@pytest.mark.parametrize("rows", [[], [{"n": 1.0}], [{"wins_first": 1.0, "wins_second": 0.0}], [{"log_e_value": 1.0}]])
def test_evidence_with_missing_columns_still_draws(rows: list[dict[str, float]]):
    void = VoidTrial(policy="A", case="c", reason="r", after_pair=0)
    figure = figures.running_evidence(outcome(rows, "undecided"), ("A", "B"), [void], 342)
    written = texts(figure)
    assert ("not decided after 1" in written) == bool(rows)
    assert not any("is better" in word for word in written)


def test_a_boundary_out_of_reach_is_not_drawn():
    row = {"n": 1, "discordant": 1, "wins_first": 0, "wins_second": 1, "upper": 3, "lower": -3}
    assert "B is better" not in texts(figures.running_evidence(outcome([row], "undecided"), ("A", "B")))


def test_the_evidence_of_the_other_stop_rule_draws_too():
    rule = EProcessPaired(names=("A", "B"))
    for _ in range(12):
        rule.update(PairedOutcome("t", False, True))
    assert any("decided" in word for word in texts(figures.running_evidence(rule.verdict(), ("A", "B"))))


def test_losses_with_one_point_or_not_finite_draw():
    curves = [
        TrainingCurve(policy="a", steps=(0,), loss=(1.0,)),
        TrainingCurve(policy="b", steps=(0, 1), loss=(float("nan"), 0.001)),
    ]
    assert {"a", "b"} <= set(texts(figures.loss_curves(curves, ["b", "a"])))


def test_a_policy_keeps_its_colour_when_it_is_drawn_alone(full_report: ReportData):
    names = [policy.name for policy in full_report.policies]
    alone = figures.loss_curves(full_report.training[1:], names).svg
    assert PALETTE[1] in alone and PALETTE[0] not in alone


def test_fifty_tasks_get_a_taller_figure_with_a_scale_at_both_ends(full_report: ReportData):
    tasks = tuple(TaskResult(f"task-{i}", clopper_pearson(i % 5, 5)) for i in range(50))
    policy = dataclasses.replace(full_report.policies[0], tasks=tasks)
    written = texts(figures.rates_by_task([policy]))
    assert written.count("25 %") == 2 and {f"task-{i}" for i in range(50)} <= set(written)
