"""The rates in a terminal: bounds beside void trials, marks, and why trials failed or broke."""

from __future__ import annotations

from report.samples import SECRETIVE, results_of, study
from roboscale.report.model import PolicyResult, ReasonCount, ReportData, TaskResult
from roboscale.report.rates import rates_text
from roboscale.stats import clopper_pearson


def test_every_rate_has_its_bounds_its_void_trials_and_what_they_could_hide():
    policy = PolicyResult(
        name="a",
        success=clopper_pearson(9, 10, void=9),
        tasks=(TaskResult("t", clopper_pearson(9, 9)), TaskResult("u", clopper_pearson(0, 1, void=9))),
    )
    lines = [" ".join(line.split()) for line in rates_text([policy]).replace("\u202f", " ").splitlines()]
    assert lines[0] == "policy task success interval n void if failed if succeeded"
    assert lines[1] == "a all tasks 90 % 55–99.7 % 10 9 47 % 95 %"
    assert lines[2] == "a t 100 % 66–100 % 9 0" and lines[3] == "a u 0 % 0–98 % 1 9 0 % 90 %"


def test_a_clean_table_has_no_empty_columns():
    text = rates_text([PolicyResult(name="a", success=clopper_pearson(1, 2))])
    assert text.splitlines()[0].split() == ["policy", "task", "success", "interval", "n", "void"]
    assert len(text.splitlines()) == 2


def test_unverified_policies_and_reasons_are_said(doubtful_report: ReportData):
    text = rates_text(doubtful_report.policies)
    own = [line for line in text.splitlines() if line.startswith("served elsewhere  ")]
    assert len(own) == 4 and all(line.endswith(f"unverified: {SECRETIVE}") for line in own)
    joined = " ".join(text.split())
    assert "ours: 3 of 35 failed by its own mistake: an action chunk has shape (H, D)" in joined
    assert "served elsewhere: 7 void: MemoryError: in a long episode." in joined
    assert "ours: 5 trials await a judgement, not counted." in joined


def test_progress_and_what_was_never_tried():
    policies = results_of(study(count=12, progress=True))
    text = rates_text(policies, "progress")
    assert "progress" in text.splitlines()[0] and "success" not in text.splitlines()[0].replace("succeeded", "")
    bare = PolicyResult(name="b", success=clopper_pearson(0, 0, void=2), voids=(ReasonCount("\x1b[31mgone", 2),))
    shown = rates_text([bare])
    assert shown.splitlines()[1].replace("\u202f", " ").split()[3:] == ["no", "data", "0", "2", "0", "%", "100", "%"]
    assert "b: 2 void: ?[31mgone." in shown
