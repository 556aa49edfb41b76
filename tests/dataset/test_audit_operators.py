"""What an audit says of each person who drove."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import DatasetWriter
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


def test_each_operator_is_summed_up_and_nobody_is_named_where_nobody_is(driven: Path):
    report = audit_folder(driven)
    ada, grace = report.facts["operators"]["ada"], report.facts["operators"]["grace"]
    assert list(report.facts["operators"]) == ["ada", "grace"]
    assert (ada["episodes"], ada["succeeded"], ada["judged"]) == (3, 3, 3)
    assert (grace["succeeded"], grace["late, share of steps"]) == (1, 0.1) and ada["seconds, median"] == 3.0
    assert ada["still, median"] == 0 and grace["still, median"] == pytest.approx(0.5, abs=0.03)
    assert ada["unsteady, median"] < 0.01 and grace["unsteady, median"] > 1
    first, second = report.operators
    assert first == "ada: 3 episodes, 3 of 3 succeeded, 3.0 s each, late 0 %, still 0 %, unsteadiness 0.00"
    assert second.startswith("grace: 3 episodes, 1 of 3 succeeded, 3.0 s each, late 10 %, still 5")
