"""What an audit says of each person who drove."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import Attempt, AttemptLog, DatasetWriter
from roboscale.dataset.audit import audit_folder

JOINTS = ("shoulder", "elbow")
SPEC = Spec(
    (
        Field("observation.state", (2,), "float32", unit="rad", layout=JOINTS),
        Field("action", (2,), "float32", unit="rad", layout=JOINTS),
    ),
    20,
)


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ada: straight ways, all succeed. Grace: trembles, stands half of the time, one of three succeeds."""
    root, draw = tmp_path_factory.mktemp("driven") / "set", np.random.default_rng(0)
    with DatasetWriter(root, SPEC) as writer:
        for k in range(6):
            ada = k % 2 == 0
            ways = np.linspace(0, 1, 60)[:, None] * np.array([1.0, 0.5]) + 0.01 * k
            if not ada:
                ways = np.cumsum(draw.normal(0, 0.02, (60, 2)), axis=0)
                ways[30:] = ways[29]
            take = writer.begin("move the arm to the mark", Provenance("teleop", operator="ada" if ada else "grace"))
            for row in ways.astype(np.float32):
                take.add({"observation.state": row, "action": row})
            good = ada or k == 1
            take.save(Outcome("success" if good else "failure", measures={"late": 0.0 if ada else 6.0}))
        take = writer.begin("move the arm to the mark", Provenance("recorded"))
        take.add({"observation.state": np.zeros(2, np.float32), "action": np.zeros(2, np.float32)})
        take.save()
    return root


def test_attempts_and_practice_are_summed_up_beside_the_others(driven: Path):
    log, said = AttemptLog(driven), {"task": "reach", "seconds": 3.0}
    for number, result in enumerate(("success", "failure", "discarded", "success", "taken back")):
        log.add(Attempt(operator="ada", kind="recorded", result=result, episode=str(number), **said))
    log.add(Attempt(operator="joan", kind="practice", result="success", score=64, **said))
    report = audit_folder(driven)
    ada, joan = report.facts["operators"]["ada"], report.facts["operators"]["joan"]
    assert (ada["attempts"], ada["kept, share of attempts"]) == (4, 0.5), "what was taken back was not kept"
    assert joan == {"episodes": 0, "succeeded": 0, "judged": 0, "practice": 1, "practice, best": 64}
    assert report.operators[0].startswith(
        "ada: 3 episodes, 3 of 3 succeeded, 50 % of 4 attempts kept, 3.0 s each (1 of"
    )
    assert report.operators[2] == "joan: 0 episodes, 0 of 0 succeeded, practice 1 times, best 64 of 100"
    log.path.write_text("nonsense\n")
    assert "line 1: expected an attempt" in audit_folder(driven).facts["not looked at"]["attempts of operators"]
    log.path.unlink()


def test_each_operator_is_summed_up_and_nobody_is_named_where_nobody_is(driven: Path):
    report = audit_folder(driven)
    ada, grace = report.facts["operators"]["ada"], report.facts["operators"]["grace"]
    assert list(report.facts["operators"]) == ["ada", "grace"]
    assert (ada["episodes"], ada["succeeded"], ada["judged"]) == (3, 3, 3)
    assert (grace["succeeded"], grace["late, share of steps"]) == (1, 0.1) and ada["seconds, median"] == 3.0
    assert ada["still, median"] == 0 and grace["still, median"] == pytest.approx(0.5, abs=0.03)
    assert ada["unsteady, median"] < 0.01 and grace["unsteady, median"] > 1
    first, second = report.operators
    assert ada["length, of the others'"] == 1.0 and ada["unsteadiness, of the others'"] < 0.01
    assert (ada["pauses, median"], grace["pauses, median"]) == (0, 0), "to stand at the end is no pause"
    assert first == (
        "ada: 3 episodes, 3 of 3 succeeded, 3.0 s each (1 of the others'), late 0 %, still 0 %, 0 pauses each, "
        "unsteadiness 0.00 (0 of the others')"
    )
    assert second.startswith("grace: 3 episodes, 1 of 3 succeeded, 3.0 s each (1 of the others'), late 10 %, still 5")
