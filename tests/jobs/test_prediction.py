"""A prediction is written once, before the answer is known, and never afterwards."""

import json
from pathlib import Path

import pytest

from roboscale.core import RoboscaleError
from roboscale.jobs.events import ignore
from roboscale.jobs.plan_measuring import Measuring, _lesson, _predict
from roboscale.results import Trained

POINTS = [Trained("t", "expert", size, won, 10) for size, won in ((1.0, 1), (2.0, 3), (4.0, 6))]


def asked(out: Path) -> Measuring:
    return Measuring(
        world="metaworld", tasks=("t",), sources=("expert",), sizes=(1, 2, 4, 8), trials=10, steps=1, out=out
    )


def test_the_first_prediction_stays(tmp_path: Path):
    _predict(asked(tmp_path), POINTS, ignore)
    first = (tmp_path / "prediction.json").read_bytes()
    assert json.loads(first)["predictions"][0]["predicted"]["value"] > 0.5
    said = []
    _predict(asked(tmp_path), [*POINTS, Trained("t", "expert", 8.0, 0, 10)], said.append)
    assert (tmp_path / "prediction.json").read_bytes() == first and "kept" in said[0].text


def test_whoever_knows_the_answer_predicts_nothing(tmp_path: Path):
    _lesson(asked(tmp_path), "expert", 8).out.mkdir(parents=True)
    with pytest.raises(RoboscaleError, match="would know the answer"):
        _predict(asked(tmp_path), POINTS, ignore)
    assert not (tmp_path / "prediction.json").exists()
