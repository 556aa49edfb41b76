"""A claim names its unit: checkpoints where each was trained once, recipes where training runs are known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from roboscale import compare, methods_of
from roboscale.core import Outcomes, RoboscaleError
from roboscale.jobs.compare import Compare
from roboscale.jobs.count import weigh_counts
from roboscale.jobs.rank import Rank, rank
from roboscale.jobs.report import WriteReport, write_report
from roboscale.jobs.validity import CheckValidity, check_validity
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.recipes import recipe_rate, unit_of_runs
from tests.toy_world import ToyWorld

ONCE = "these two checkpoints; one training run each"
STEPS = {
    f"{recipe}-{run}": sign * (0.1 - 0.01 * run)
    for recipe, sign in (("good", 1.0), ("bad", -1.0))
    for run in (1, 2, 3)
}


def policy(step: float):
    def act(observation: object, instruction: str) -> list[float]:
        return [step]

    return act


def shown(page: Path) -> str:
    """What a page shows, without its data and its scripts."""
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", page.read_text(), flags=re.DOTALL)


def test_a_comparison_says_its_unit_once(tmp_path: Path):
    done = compare(policy(0.1), policy(-0.1), world=ToyWorld(), budget=8, store=tmp_path, workers=0)
    assert "\n".join(done.lines).count(ONCE) == str(done).count(ONCE) == 1 and ONCE in done.to_json()["unit"]
    write_report(WriteReport(store=str(tmp_path), videos=0))
    assert shown(tmp_path / "report.html").count(ONCE) == 1


def test_replicates_make_recipes_of_policies(tmp_path: Path):
    things = [policy(step) for step in STEPS.values()]
    done = compare(*things, world=ToyWorld(), budget=6, replicates=3, sequential=True, store=tmp_path, workers=0)
    said = done.to_json()["unit"]
    assert "claims are about recipes, and count training runs: recipe 1 3, recipe 2 3" in said, said
    assert ONCE not in "\n".join(done.lines) and "Welch's t test on training runs" in done.sentence
    assert done.judged.run.design is not None and not done.judged.run.design.sequential
    assert methods_of(done).paragraph
    assert any(line.startswith("recipe 2: ") for line in done.lines) and len(done.to_json()["recipe_runs"]) == 2
    write_report(WriteReport(store=str(tmp_path), videos=0))
    assert shown(tmp_path / "report.html").count("claims are about recipes") == 1
    assert "recipe 1: " in shown(tmp_path / "report.html")


def test_replicates_have_to_come_out_even():
    with pytest.raises(RoboscaleError, match="expected 3 policies of each of two recipes or more, found 4"):
        Compare(policies=("a", "b", "c", "d"), replicates=3).check()


def table(path: Path, runs: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    bases = {"A": 0.6, "B": 0.5, "C": 0.3}
    rates = {(p, r): base + 0.1 * rng.standard_normal() for p, base in bases.items() for r in range(runs)}
    rows = [f"{p},{r},t,{100 + i},{int(rng.random() < q)}" for (p, r), q in rates.items() for i in range(60)]
    path.write_text("\n".join(["policy,training_run,task,seed,success", *rows, ""]))
    return path


def test_boards_and_cards_say_it(tmp_path: Path):
    once, again = table(tmp_path / "one.csv", 1), table(tmp_path / "five.csv", 5)
    board = rank(Rank(sources=(str(once),), html=tmp_path / "b.html"))
    three = "these 3 checkpoints; one training run each"
    assert board.text.replace("\n", " ").count(three) == 1 and three in board.to_json()["unit"]
    assert shown(tmp_path / "b.html").count(three) == 1
    card = check_validity(
        CheckValidity(real=str(once), cheap=str(table(tmp_path / "sim.csv", 1, 1)), html=tmp_path / "v.html")
    )
    assert " ".join(card.lines).count(three) == 1 and three in card.to_json()["unit"]
    assert shown(tmp_path / "v.html").count(three) == 1
    runs = check_validity(CheckValidity(real=str(again), cheap=str(once)))
    assert "claims are about recipes, and count training runs: A 5, B 5, C 5" in runs.unit
    assert str(weigh_counts("12/20", "17/20")).replace("\n", " ").count(ONCE) == 1


def test_a_board_of_training_runs_clusters_its_rates_and_fits_no_strengths(tmp_path: Path):
    done = rank(Rank(sources=(str(table(tmp_path / "five.csv", 5)),)))
    rate = done.standing.rates["A"]
    assert rate.method == "mean of 5 training runs, Student (1908)" and rate.n == 300
    plain = clopper_pearson(round((rate.value or 0) * 300), 300)
    assert (rate.high or 0) - (rate.low or 0) > 1.2 * ((plain.high or 0) - (plain.low or 0))
    assert done.standing.per_task["A", "t"].method == rate.method
    assert "no Bradley-Terry strengths" in done.text and not done.standing.ranking.scored
    assert "training runs" in methods_of(done).paragraph and json.dumps(done.to_json())
    with pytest.raises(RoboscaleError, match="leave --sets out"):
        rank(Rank(sources=(str(tmp_path / "five.csv"),), sets="bootstrap"))


@pytest.mark.parametrize("deviation", [0.05, 0.11])
def test_intervals_of_recipes_cover(deviation: float):
    rng, hits, rounds, each = np.random.default_rng(7), 0, 400, 50
    for _ in range(rounds):
        rates = np.clip(0.6 + deviation * rng.standard_normal(5), 0, 1)
        value = (rng.random((5, each)) < rates[:, None]).astype(float).reshape(-1)
        run = np.repeat(np.arange(5, dtype=np.int32), each)
        none = np.zeros(len(value), np.int32)
        one = Outcomes.of_counts({"A": (1, 2)})
        made = Outcomes(
            kind="success",
            paired=False,
            policies=("A",),
            strata=one.strata,
            runs=tuple("abcde"),
            policy=none,
            stratum=none,
            run=run,
            case=np.arange(len(value)),
            value=value,
            weight=np.ones(len(value), np.int64),
        )
        rate = recipe_rate(made, "A", [0])
        assert rate is not None
        hits += (rate.low or 0.0) <= 0.6 <= (rate.high or 0.0)
    assert hits / rounds >= 0.93  # 400 rounds: a true .95 lies above .93 with probability .97


def test_a_board_says_opposite_signs_once_and_shows_no_empty_columns(tmp_path: Path):
    path = tmp_path / "s14.csv"
    path.write_text("task,policy,k,n\ncarrot,A,86,200\ncarrot,B,57,200\nspoon,A,56,200\nspoon,B,90,200\n")
    text = rank(Rank(sources=(str(path),))).text
    assert text.count("no overall statement") == 1 and "compared" not in text and "no score" not in text


def test_a_board_of_progress_and_one_of_preferences_name_what_they_show(tmp_path: Path):
    far, liked = tmp_path / "far.csv", tmp_path / "liked.csv"
    far.write_text(
        "policy,progress\n" + "".join(f"{p},{m + d / 10}\n" for p, m in (("A", 0.2), ("B", 0.6)) for d in range(4))
    )
    text = rank(Rank(sources=(str(far),), html=tmp_path / "far.html")).text
    assert "ranks  policy  progress" in text and "mean progress" in shown(tmp_path / "far.html")
    assert "success rate" not in shown(tmp_path / "far.html")
    liked.write_text("model_a,model_b,winner\n" + "A,B,A\n" * 10)
    assert ONCE in " ".join(rank(Rank(sources=(str(liked),))).text.split())


def test_what_claims_are_about():
    assert unit_of_runs({"A": 1}).startswith("claims are about this checkpoint; one training run")
    assert "that takes 3 training runs of each, and B has 2" in unit_of_runs({"A": 3, "B": 2})
