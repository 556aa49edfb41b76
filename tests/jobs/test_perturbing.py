"""`eval --perturb`: rates stay those of the unperturbed arm, and each cell is compared with it on the same cases."""

import html
import json
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import NOMINAL, Case, RoboscaleError
from roboscale.jobs.perturbing import robustness_of
from roboscale.worlds.perturbed import PerturbedWorld
from tests.toy_world import ToyWorld

POINT = {"world": "point.toml", "workers": 0}


def steady(observation):
    return 3 * (observation["observation.environment_state"] - observation["observation.state"])


def test_the_rate_is_the_unperturbed_one_and_every_cell_has_the_same_cases(place: Path):
    plain = rs.evaluate(steady, trials=6, out="plain", **POINT)
    done = rs.evaluate(steady, trials=6, out="run", perturb="observation_delay:3,lost_frames:1", **POINT)
    assert (done.success.n, done.value) == (6, plain.value)
    cells = robustness_of(done.judged)["steady"]
    assert [cell.variation for cell in cells.cells] == ["observation_delay:3", "lost_frames:1"]
    assert all(cell.difference.n == 6 for cell in cells.cells)
    tried = {(c.case.variation, c.case.seed) for c in done.judged.used}
    seeds = {c.case.seed for c in plain.judged.used}
    assert tried == {(v, s) for v in (NOMINAL, "observation_delay:3", "lost_frames:1") for s in seeds}
    kept = json.loads(Path("run/robustness.json").read_text())
    assert kept["steady"]["cells"][0]["variation"] == "observation_delay:3"
    assert len(json.loads(Path("run/eval_info.json").read_text())["per_task"][0]["metrics"]["successes"]) == 6
    assert any("3 arms, 18 trials" in note for note in done.notes)


def test_an_arm_that_went_like_the_unperturbed_one_is_no_repeated_case(place: Path):
    done = rs.evaluate(lambda o: [0.0, 0.0], trials=3, out="run", perturb="observation_delay:1", **POINT)
    assert not any("exactly alike" in note for note in done.notes)


def test_what_all_leaves_out_is_said(place: Path):
    done = rs.evaluate(steady, trials=1, out="run", perturb="all", **POINT)
    said = " ".join(done.notes)
    assert "leaves action_delay out" in said and "leaves compression out: it shows no pictures" in said


def test_it_resumes_reports_and_ranks(place: Path, roboscale, here):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--trials", "3", "--store", "x")
    asked = (*words, "--perturb", "observation_delay", "--json")
    first = json.loads(roboscale(*asked, "--workers", "2").stdout)
    again = json.loads(roboscale(*asked, "--workers", "0").stdout)
    assert first["perturbed"] == again["perturbed"] and any("found 12 of 12" in note for note in again["notes"])
    here("report", "x", "--videos", "0")
    page = html.unescape((place / "x" / "report.html").read_text())
    assert "In worse worlds" in page and "observation_delay:3" in page
    ranked = here("rank", "x")
    assert "left out: 9 trials in worse worlds (--perturb)" in ranked.stderr
    assert "observation_delay" in roboscale(*words, "--perturb", "observation_delay").stdout


def test_the_arms_of_a_world_of_ones_own_are_replayed_into_a_dataset(tmp_path: Path):
    done = rs.evaluate(
        lambda o: [0.1],
        world=ToyWorld(),
        task="near",
        trials=2,
        workers=0,
        perturb="action_delay:2",
        record=tmp_path / "set",
        store=str(tmp_path / "run"),
    )
    assert done.success.n == 2
    steps = {(c.case.variation, c.trial.steps) for c in done.judged.used if c.trial is not None}
    nominal = {steps for variation, steps in steps if variation == NOMINAL}
    late = {steps for variation, steps in steps if variation != NOMINAL}
    assert {n + 2 for n in nominal} == late


def test_cases_that_are_varied_already_are_refused(place: Path):
    with pytest.raises(RoboscaleError, match="varied already"):
        from roboscale.jobs.perturbing import perturbed_cases

        perturbed_cases([Case("near", 1, "light:2")], "all", ToyWorld(), print)


def test_a_typing_mistake_stops_before_the_first_trial(place: Path):
    with pytest.raises(RoboscaleError, match="axis to perturb 'lihgt'"):
        rs.evaluate(steady, trials=2, out="x", perturb="lihgt", **POINT)
    assert not Path("x").exists()


def test_a_perturbed_world_that_is_opened_again_is_not_perturbed_twice():
    """As when the world broke and another is made of the same object."""
    world = PerturbedWorld(ToyWorld())
    done = rs.evaluate(lambda o: [0.1], world=world, task="near", trials=1, workers=0, perturb="lost_frames:1")
    assert done.judged.run.world.digest == world.info.identity.digest
