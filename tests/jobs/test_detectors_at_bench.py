"""Detectors of a study: they propose, the scorer decides, the report says how well they agree."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import roboscale as rs
from roboscale.core import BadData
from roboscale.jobs import proposing
from roboscale.jobs.judged import choose_run, judged_run
from roboscale.referees import Proposal
from roboscale.trials.log import open_log
from roboscale.trials.study import Study, StudyDetector
from tests.jobs.operator_at_bench import begin, finish
from tests.jobs.seeing_server import SeeingServer
from tests.jobs.test_bench import POLICIES, STUDY
from tests.worlds.bench_arm import declare, sent

DETECTORS = """
[[detectors]]
name = "far right"
kind = "state"
element = "x"
above = 0.05

[[detectors]]
name = "measured"
kind = "measure"
element = "x"
above = 0.05
shown = false

[[detectors]]
name = "eyes"
kind = "pictures"
after = 4

[[detectors]]
name = "model"
kind = "model"
url = "{url}"
model = "sees"
question = "Is the arm on the right?"
"""
MEASURES = """
from roboscale.core import Measure
Arm.measured = (Measure(name="x", unit="m"),)
Arm.measure = lambda self: {"x": float(self.at[0])}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    declare(tmp_path)
    driver = tmp_path / "driver.py"
    driver.write_text(driver.read_text() + MEASURES)
    (tmp_path / "arms.py").write_text(POLICIES)
    return tmp_path


def test_detectors_propose_and_the_scorer_decides(bench: Path):
    with SeeingServer(lambda body: '{"success": true, "reason": "it looks so"}') as server:
        text = STUDY.format(cases=4, second="right") + DETECTORS.format(url=server.url)
        (bench / "study.toml").write_text(text)
        rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
        process, operator = begin(bench, "study.toml")
        proposals, said = {}, {}
        for number in range(1, 9):
            operator.until("set up")
            operator.click("ready")
            operator.until("score")
            state = operator.until_true(lambda state: len(state["proposals"]) == 3)
            proposals[number] = {one["name"]: one["says"] for one in state["proposals"]}
            right = sent(bench)[-1][1] > 0.05
            said[number] = right if number != 5 else not right  # the scorer errs once, and the scorer decides
            operator.score(said[number], stage=1)
        finish(process)
        asked = json.dumps(server.asked)
    assert "Is the arm on the right?" in asked and "data:image/png;base64," in asked
    assert all(set(one) == {"far right", "eyes", "model"} for one in proposals.values()), "one is not shown"
    assert all(one["far right"] == ("success" if (n == 5) ^ said[n] else "failure") for n, one in proposals.items())
    assert {one["model"] for one in proposals.values()} == {"success"}
    assert proposals[1]["eyes"] == "cannot say"
    rs.unblind_study(rs.UnblindStudy(study=bench / "study.toml"))
    with open_log(str(bench / "study.trials"), read_only=True) as log:
        judged = judged_run(log, choose_run(log))
    order = sorted(judged.counted, key=lambda c: c.trial.started_ns)
    assert [bool(c.outcome.success) for c in order] == list(said.values()), "a detector never overrules"
    assert all(sum(j.state == "proposed" for j in c.judgements) == 4 for c in order)
    assert all(c.trial.measures["x"] is not None for c in order)
    done = rs.write_report(rs.WriteReport(store=str(bench / "study.trials")))
    page = (bench / "study.trials" / "report.html").read_text()
    assert done is not None and "Detectors beside whoever decided" in page and "7 of 8" in page
    assert "detector far right: state x above 0.05 at the end, shown to the scorer" in page
    assert "detector measured: measure x above 0.05 at the end, not shown to the scorer" in page


def test_a_detector_that_breaks_proposes_nothing_and_keeps_nobody(bench: Path):
    text = STUDY.format(cases=1, second="right") + DETECTORS.format(url="http://127.0.0.1:9/v1")
    (bench / "study.toml").write_text(text.replace('element = "x"', 'element = "nothing"'))
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    process, operator = begin(bench, "study.toml")
    for _ in range(2):
        operator.until("set up")
        operator.click("ready")
        operator.until("score")
        state = operator.until_true(lambda state: len(state["proposals"]) == 3)
        reasons = {one["name"]: one["reason"] for one in state["proposals"]}
        assert "element of observation.state 'nothing'" in reasons["far right"]
        assert "127.0.0.1:9" in reasons["model"] and {one["says"] for one in state["proposals"]} == {"cannot say"}
        operator.score(True, stage=1)
    finish(process)


def test_a_detector_that_hangs_does_not_keep_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch):
    said, goes_on = [], threading.Event()

    class Hanging:
        name = "model"

        def propose(self, seen: object) -> Proposal:
            goes_on.wait(30)
            return Proposal(True, "late")

    def judge(judgement) -> None:
        said.append((judgement.trial, judgement.success, judgement.reason))
        goes_on.set()

    monkeypatch.setattr(proposing, "make_detector", lambda declared: Hanging())
    monkeypatch.setattr(proposing, "_ANSWER_S", 0.05)
    declared = StudyDetector(name="model", kind="model", url="http://127.0.0.1:9/v1", model="m")
    asked = proposing.Proposing((declared,), SimpleNamespace(judge=judge), ("x",), None)
    for name in ("first", "second"):
        asked.propose(SimpleNamespace(id=name))
    asked.close()
    assert said == [("second", None, "the run ended before it was asked"), ("first", True, "late")]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('kind = "measure"\nelement = "x"', "detectors[0].below: expected one of below and above, found neither"),
        ('kind = "state"\nbelow = 0.1', "detectors[0].element: expected the name of a state, found none"),
        ('kind = "model"\nurl = "ftp://x"\nmodel = "m"', "detectors[0].url: expected http://HOST:PORT/v1"),
        ('kind = "oracle"', "detectors[0].kind"),
    ],
)
def test_what_a_detector_lacks_is_one_clear_line(tmp_path: Path, keys: str, said: str):
    file = tmp_path / "study.toml"
    file.write_text(STUDY.format(cases=2, second="right") + f'[[detectors]]\nname = "d"\n{keys}\n')
    with pytest.raises(BadData) as error:
        Study.load(file)
    assert said in str(error.value)
