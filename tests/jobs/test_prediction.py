"""A prediction is written once, before the answer is known, and never afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from roboscale.core import RoboscaleError
from roboscale.jobs.events import ignore
from roboscale.jobs.plan_measuring import Measuring, _lesson, _predict
from roboscale.results import Trained
from roboscale.stats.scaling import Point, fit_curve

POINTS = [
    Trained(task="t", source="expert", amount=size, successes=won, trials=10)
    for size, won in ((1.0, 1), (2.0, 3), (4.0, 6))
]


def asked(out: Path) -> Measuring:
    return Measuring(
        world="metaworld", tasks=("t",), sources=("expert",), sizes=(1, 2, 4, 8), trials=10, steps=1, out=out
    )


def test_the_first_prediction_stays(tmp_path: Path):
    _predict(asked(tmp_path), POINTS, ignore)
    first = (tmp_path / "prediction.json").read_bytes()
    assert json.loads(first)["predictions"][0]["predicted"]["value"] > 0.5
    said = []
    _predict(
        asked(tmp_path), [*POINTS, Trained(task="t", source="expert", amount=8.0, successes=0, trials=10)], said.append
    )
    assert (tmp_path / "prediction.json").read_bytes() == first and "kept" in said[0].text


def test_every_task_and_source_is_predicted_from_its_own_points(tmp_path: Path):
    two = replace(asked(tmp_path), tasks=("t", "u"), sources=("expert", "noisy"))
    rates = {
        ("t", "expert"): (1, 3, 6),
        ("t", "noisy"): (0, 0, 1),
        ("u", "expert"): (9, 9, 10),
        ("u", "noisy"): (2, 2, 2),
    }
    points = [
        Trained(task=task, source=source, amount=size, successes=won, trials=10)
        for (task, source), row in rates.items()
        for size, won in zip((1.0, 2.0, 4.0), row, strict=True)
    ]
    _predict(two, points, ignore)
    said = json.loads((tmp_path / "prediction.json").read_bytes())
    assert said["from"] == [1, 2, 4]
    for one in said["predictions"]:
        mine = [p for p in points if (p.task, p.source) == (one["task"], one["source"])]
        curve = fit_curve([Point(p.amount, p.successes, p.trials) for p in mine])
        assert one["amount"] == 8 and one["predicted"] == curve.predict(8, trials=10).to_json()
    assert [(one["task"], one["source"]) for one in said["predictions"]] == list(rates)


def test_whoever_knows_the_answer_predicts_nothing(tmp_path: Path):
    _lesson(asked(tmp_path), "expert", 8).out.mkdir(parents=True)
    with pytest.raises(RoboscaleError, match="would know the answer"):
        _predict(asked(tmp_path), POINTS, ignore)
    assert not (tmp_path / "prediction.json").exists()
