"""Planning as a job: the experiment is predicted, measured and resumed."""

from dataclasses import replace
from pathlib import Path

import pytest

from roboscale.core import RoboscaleError, UnknownName
from roboscale.jobs.events import Progress, Stage
from roboscale.jobs.plan import PlanCollection, experiment_of, plan_collection
from roboscale.jobs.plan_measuring import measure


def test_the_experiment_is_measured_predicted_before_and_resumed(tmp_path: Path):
    pytest.importorskip("torch", reason="training is an extra: pip install 'roboscale[train]'")
    asked = PlanCollection(
        measure=True,
        world="metaworld",
        tasks="reach-v3",
        kinds="expert",
        sizes="1,2,3",
        trials=2,
        steps=20,
        out=tmp_path / "m",
        workers=0,
    )
    told: list = []
    first = measure(experiment_of(asked), told.append)
    assert [event.number for event in told if isinstance(event, Stage)] == [1, 2, 3]
    assert [event for event in told if isinstance(event, Progress)][-1].done == 6
    assert [(p.source, p.amount, p.trials) for p in first] == [("expert", 1, 2), ("expert", 2, 2), ("expert", 3, 2)]
    before = (tmp_path / "m" / "prediction.json").stat().st_mtime_ns
    assert measure(experiment_of(asked)) == first
    assert (tmp_path / "m" / "points.csv").read_text().count("\n") == 4
    assert (tmp_path / "m" / "prediction.json").stat().st_mtime_ns >= before
    planned = plan_collection(PlanCollection(sources=(tmp_path / "m",)))
    assert [check.amount for check in planned.checks] == [3]
    with pytest.raises(RoboscaleError, match="another experiment"):
        plan_collection(replace(asked, sizes="1,2,4"))
    for sizes in ("1,2", "3,2,1", "0,1,2", "1,2,x"):
        with pytest.raises(RoboscaleError, match="--sizes"):
            experiment_of(replace(asked, sizes=sizes))
    with pytest.raises(UnknownName, match="unknown source"):
        experiment_of(replace(asked, kinds="exprt"))
