"""The whole job in one command, small: few demonstrations, a short comparison; then again."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboscale import Rank, rank
from roboscale.cli.app import app
from roboscale.dataset import Dataset
from roboscale.jobs.demo_probe import Probe, measure_probe

SMALL = ["--tasks", "push-v3,reach-v3", "--demonstrations", "2", "--grown", "4", "--steps", "30", "--workers", "0"]


def test_a_dry_run_says_what_would_be_done_and_what_is_missing(tmp_path: Path, monkeypatch):
    words = ["demo", "--out", str(tmp_path / "demo"), *SMALL, "--dry-run"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0 and "record 4 demonstrations with two cameras, and multiply them to 8" in said.output
    assert "push-v3, reach-v3" in said.output and not (tmp_path / "demo").exists()
    twice = CliRunner().invoke(app, [*words[:3], "--tasks", "push-v3,push-v3", "--dry-run"])
    assert "record 10 demonstrations with two cameras" in twice.output
    (tmp_path / "file").touch()
    in_the_way = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file"), "--dry-run"])
    assert in_the_way.exit_code == 1 and "expected a folder, or nothing, found a file" in in_the_way.output
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "av") else real(name))
    for asked in (words, words[:-1]):
        lacking = CliRunner().invoke(app, asked)
        assert lacking.exit_code == 1 and "pip install 'roboscale[train,data]'" in lacking.output
    assert not (tmp_path / "demo").exists(), "nothing was begun"


KNOWN = Probe(episode_s=1.0, step_s=0.1, trial_s=2.0, cores=2)


def short_episodes(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The expert needs fewer; policies of 30 training steps fail and take them all."""
    monkeypatch.setattr("roboscale.worlds.simulated.metaworld.HORIZON", steps)


def test_what_a_stage_takes_is_measured_in_small(monkeypatch):
    short_episodes(monkeypatch, 60)
    measured = measure_probe("reach-v3", "state")
    assert min(measured.episode_s, measured.step_s, measured.trial_s) >= 0 and measured.step_s > 0


def test_state_round_speaks_of_recipes_and_counts_training_runs(tmp_path: Path, monkeypatch):
    short_episodes(monkeypatch, 150)
    monkeypatch.setattr("roboscale.jobs.demo_probe.measure_probe", lambda task, inputs: KNOWN)
    monkeypatch.setattr("roboscale.jobs.demo.IMAGINED", "reach-v3")
    for name, less in (("EPISODES", 12), ("TRIALS", 2), ("HORIZON", 100), ("STEPS", 60), ("MEMBERS", 1)):
        monkeypatch.setattr(f"roboscale.jobs.demo_imagine.{name}", less)
    monkeypatch.setattr("roboscale.jobs.world_train._JUDGE_STEPS", 60)
    out = tmp_path / "demo"
    words = ["demo", "--out", str(out), *SMALL, "--inputs", "state", "--runs", "3", "--trials", "2", "--json"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout)
    assert result["checkpoints"] is None
    assert "claims are about recipes, and count training runs: A 3, B 3" in result["recipes"]["sentence"]
    assert [len(rates) for rates in result["recipes"]["runs"].values()] == [3, 3]

    recorded, grown = Dataset(out / "state" / "recorded"), Dataset(out / "state" / "grown")
    assert (len(recorded.episodes), len(grown.episodes)) == (4, 8)
    assert not recorded.spec.images
    parents = {e.id for e in recorded.episodes}
    assert all(set(e.provenance.parents) <= parents and e.provenance.parents for e in grown.episodes)
    assert all(e.outcome.status == "success" for e in grown.episodes)

    rows = list(csv.DictReader((out / "state" / "outcomes.csv").open()))
    assert len(rows) == 2 * 3 * 2 * 2 and {(r["policy"], r["run"]) for r in rows} == {
        (p, r) for p in "AB" for r in "123"
    }
    overall = rank(Rank(sources=(str(out / "state" / "outcomes.csv"),))).standing.overall
    assert overall is not None and overall.verdict.pairs[0].verdict.sentence in result["recipes"]["sentence"]

    page = (out / "state" / "recipes.html").read_text()
    assert "A: 2 recorded demonstrations per task" in page and "those of the claims count training runs" in page
    assert result["described"][1] == "B is 4 episodes per task, generated from those 2"

    imagined = result["imagined"]
    assert imagined["task"] == "reach-v3" and set(imagined["imagined"]) == set(imagined["simulated"]) == {"A", "B"}
    assert imagined["imagined"]["A"]["n"] and imagined["simulated"]["B"]["n"] == 2
    assert any(line.startswith("1 judge:") for line in imagined["gates"]), "every gate is shown"
    assert imagined["card"][0].startswith(("2 policies are too few for any claim", "The data cannot say: one world"))

    again = CliRunner().invoke(app, words)
    assert json.loads(again.stdout)["recipes"]["sentence"] == result["recipes"]["sentence"]
    assert len(Dataset(out / "state" / "grown").episodes) == 8


def test_picture_round_speaks_of_two_checkpoints(tmp_path: Path, monkeypatch):
    """Every stage, as small as it says something."""
    short_episodes(monkeypatch, 150)
    for name, less in (("WORSE", "camera:2"), ("WORSE_CASES", 1), ("FILMED", 1)):
        monkeypatch.setattr(f"roboscale.jobs.demo.{name}", less)
    monkeypatch.setattr("roboscale.jobs.demo_probe.measure_probe", lambda task, inputs: KNOWN)
    few = ["--tasks", "reach-v3", "--demonstrations", "2", "--grown", "3", "--steps", "10", "--workers", "0"]
    words = ["demo", "--out", str(tmp_path), *few, "--inputs", "images", "--budget", "2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "these two checkpoints; one training run each" in done.output
    assert "power " in done.output and "processor s on" in done.output
    page = (tmp_path / "report.html").read_text()
    assert "data:video/mp4" in page and "roboscale demo --out" in page.replace("<span>", "").replace("</span>", "")
    assert page.count("these two checkpoints; one training run each") >= 1
    assert "In worse worlds" in page and "camera:2" in page and "What worse worlds look like" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page.split("<body")[0]


def test_what_a_stage_will_take_follows_from_what_was_measured():
    probe = KNOWN
    assert probe.collecting(300) == "about 3 minutes (312 processor s on 2 idle cores)"
    assert probe.training(1, 100) == "about 16 s (16 processor s on 1 idle core)"
    assert probe.trying(10) == "about 12 s (24 processor s on 2 idle cores)"


def test_picture_round_has_the_power_that_it_prints():
    from roboscale.jobs.demo import PLANTED, RunDemo
    from roboscale.stats.walk import expected_pairs

    assert expected_pairs(*PLANTED, RunDemo().budget).second >= 0.8
