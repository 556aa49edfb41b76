"""Recipes: what is claimed counts training runs, and the benchmark's table has its signs the right way round."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.recipes import agreement, bar, direction, rows_of, table
from roboscale import Compare, Rank, rank
from roboscale.core import RoboscaleError
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes
from roboscale.jobs.training import Training

TASKS = ("push", "lift")


def tried(folder: Path, rates: dict[str, dict[str, list[float]]], trials: int = 20) -> TriedRecipes:
    """Of `rates[recipe][task]`, the success of each training run."""
    path = folder / "outcomes.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["policy", "run", "task", "success"])
        for recipe, tasks in rates.items():
            for task, each in tasks.items():
                for run, rate in enumerate(each, 1):
                    rows.writerows([recipe, run, task, int(k < round(rate * trials))] for k in range(trials))
    runs = {r: tuple(sum(x) / len(tasks) for x in zip(*tasks.values(), strict=True)) for r, tasks in rates.items()}
    return TriedRecipes(rank(Rank(sources=(str(path),))), runs)


def test_the_recipes_take_turns_and_fewer_runs_are_the_first_of_more():
    def asked(runs: int) -> RecipeRound:
        sets = {"A": Path("ten"), "B": Path("many")}
        return RecipeRound(datasets=sets, tasks=TASKS, runs=runs, trials=5, steps=10, out=Path("out"))

    three = list(asked(3).policies.items())
    assert [key for key, _ in three] == [("A", 1), ("B", 1), ("A", 2), ("B", 2), ("A", 3), ("B", 3)]
    assert three[:4] == list(asked(2).policies.items()) and len({path for _, path in three}) == 6


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_all_recipes_train_and_act_on_the_device_that_was_asked_for(
    device: Literal["cpu", "cuda"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What computed elsewhere rounds otherwise: training here and acting there would compare two things at once."""
    told: list[str] = []

    def remember(trainings: list[Training], progress: object, at_once: int | None = None) -> None:
        told.extend(training.device for training in trainings)

    def refuse(request: Compare, on_event: object) -> None:
        told.append(request.device)
        raise RoboscaleError("nothing is tried here")

    monkeypatch.setattr("roboscale.jobs.training.train_all", remember)
    monkeypatch.setattr("roboscale.jobs.compare.compare", refuse)
    sets = {"A": Path("ten"), "B": Path("many")}
    asked = RecipeRound(datasets=sets, tasks=TASKS, runs=1, trials=5, steps=10, out=tmp_path, device=device)
    train_recipes(asked)
    with pytest.raises(RoboscaleError, match="nothing is tried"):
        try_recipes(asked)
    assert told == [device] * 3


def test_three_runs_a_side_speak_of_recipes_and_one_of_checkpoints(tmp_path: Path):
    three = tried(tmp_path, {"A": {"push": [0.5, 0.5, 0.6]}, "B": {"push": [0.9, 0.8, 0.9]}})
    assert "claims are about recipes, and count training runs: A 3, B 3" in three.sentence.replace(
        "B 3, A 3", "A 3, B 3"
    )
    assert "B is better than A" in three.sentence
    assert any("A, success of each training run: 0.50, 0.50, 0.60" in line for line in three.lines)
    one = tried(tmp_path, {"A": {"push": [0.5]}, "B": {"push": [0.9]}})
    assert "these two checkpoints; one training run each" in one.sentence and json.loads(json.dumps(one.to_json()))


def test_one_lucky_run_of_three_claims_nothing(tmp_path: Path):
    lucky = tried(tmp_path, {"A": {"push": [0.5, 0.5, 0.5]}, "B": {"push": [1.0, 0.5, 0.45]}})
    assert "No difference shown" in lucky.sentence


@pytest.mark.parametrize("better", ["A", "B"])
def test_the_table_is_generated_minus_sources_whoever_is_ahead(tmp_path: Path, better: str):
    good, bad = [0.9, 0.85, 0.95], [0.5, 0.55, 0.6]
    sides = {"A": good if better == "A" else bad, "B": good if better == "B" else bad}
    done = tried(tmp_path, {name: dict.fromkeys(TASKS, each) for name, each in sides.items()})
    for row in rows_of(done):
        assert row.difference.value == pytest.approx(row.generated - row.sources)
        assert row.difference.low is not None and row.difference.high is not None
        assert row.difference.low < row.difference.value < row.difference.high
        assert row.runs == 3 and (row.generated > row.sources) == (better == "B")
    assert direction(done.to_json()["verdict"]) == better
    assert table(rows_of(done)).count("\n") == 3
    assert ("nowhere" in bar(rows_of(done))[0]) == (better == "B")


def test_below_three_runs_a_side_the_table_has_no_interval(tmp_path: Path):
    done = tried(tmp_path, {"A": {"push": [0.5, 0.6]}, "B": {"push": [0.9, 0.8]}})
    (row,) = rows_of(done)
    assert row.difference.low is None and "+0.30 [no interval]" in table([row])


def test_where_the_sources_leave_no_room_no_gain_is_asked(tmp_path: Path):
    done = tried(tmp_path, {"A": {"push": [0.95, 1.0, 1.0]}, "B": {"push": [1.0, 1.0, 0.95]}})
    assert bar(rows_of(done))[1].startswith("no task leaves room")


def test_two_sentences_contradict_where_each_names_another_winner(tmp_path: Path):
    done = tried(tmp_path, {"A": {"push": [0.5, 0.5, 0.6]}, "B": {"push": [0.9, 0.8, 0.9]}})
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "verdict.json").write_text(json.dumps({"verdict": {"decision": "first is better"}}))
    assert agreement(done, tmp_path)[-1] == "they contradict each other"
    (tmp_path / "state" / "verdict.json").write_text(json.dumps({"verdict": {"decision": "no difference shown"}}))
    lines = agreement(done, tmp_path)
    assert lines[-1] == "no two of them contradict each other" and "better, by pictures: unknown" in lines
