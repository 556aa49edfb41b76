"""Worse worlds from the command: who is more robust, what an expert cannot solve, which axes decide, how it looks."""

import html
import json
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import NOMINAL, ActionChunk, RoboscaleError
from roboscale.jobs.perturbing import duels_of, robustness_of
from roboscale.jobs.sweeping import failures_in, sensitivity_of
from roboscale.stats.sensitivity import FailureCluster
from tests.toy_world import ToyWorld

POINT = {"world": "point.toml", "workers": 0}


def quick(observation):
    return 3 * (observation["observation.environment_state"] - observation["observation.state"])


class Easily:
    """Gives up for good when it sees the same twice: a lost frame is the end."""

    def __init__(self):
        self.last, self.lost = None, False

    def __call__(self, observation):
        now = observation["observation.state"].tolist()
        self.lost = self.lost or now == self.last
        self.last = now
        return [0.0, 0.0] if self.lost else quick(observation)


def test_compare_says_who_loses_less_and_where_it_cannot_be_said(place: Path):
    done = rs.compare(Easily, quick, budget=24, out="run", perturb="lost_frames:3,sensor_noise:1", **POINT)
    (duel,) = duels_of(done.judged)
    assert duel.names == ("Easily", "quick")
    by_cell = {gap.variation: gap for gap in duel.gaps}
    assert by_cell["lost_frames:3"].decision == "second" and by_cell["lost_frames:3"].difference.n == 24
    assert by_cell["sensor_noise:1"].decision == "cannot say"
    said = "\n".join(done.lines)
    assert "quick loses less on lost_frames:3" in said and "it cannot be said on sensor_noise" in said
    assert done.judged.decided is not None and done.judged.decided.used == 24, "the verdict is of the unperturbed arm"
    kept = done.to_json()
    assert kept["duels"][0]["gaps"][0]["variation"] == "lost_frames:3"
    assert set(robustness_of(done.judged)) == {"Easily", "quick"}
    with pytest.raises(RoboscaleError, match="--replicates"):
        rs.Compare(policies=("a", "b", "c", "d"), replicates=2, perturb="all")


class Clumsy(ToyWorld):
    """A toy whose expert cannot act late: it waits for what it saw to change before it moves again."""

    def expert(self):
        inner = super().expert()

        class Late:
            name, history, identity = "expert", 1, inner.identity
            observation_spec, action_spec = inner.observation_spec, inner.action_spec

            def start(self, instruction, seed):
                session, last = inner.start(instruction, seed), []

                def act(observation):
                    state = observation["observation.state"].tolist()
                    if last and last[-1] == state:
                        return ActionChunk(session(observation).actions * 0 + 0.1)
                    last.append(state)
                    return session(observation)

                return act

        return Late()


def test_cells_that_the_expert_cannot_solve_are_left_out_and_named(place: Path):
    world = Clumsy()
    done = rs.evaluate(
        lambda o: [0.1],
        world=world,
        task="near",
        trials=10,
        workers=0,
        perturb="lost_frames:3,compression:1",
        store="run",
    )
    cells = [cell.variation for cell in next(iter(robustness_of(done.judged).values())).cells]
    said = " ".join(done.notes)
    if "lost_frames:3" not in cells:
        assert "left out: lost_frames:3 in near: the world's expert solves" in said
    assert "does not notice it: compression" in said
    kept = rs.evaluate(
        lambda o: [0.1], world=world, task="near", trials=4, workers=0, perturb="lost_frames:3", solvable=False
    )
    assert [c.variation for c in next(iter(robustness_of(kept.judged).values())).cells] == ["lost_frames:3"]


def test_what_cannot_be_checked_is_said(place: Path):
    done = rs.evaluate(quick, trials=2, out="run", perturb="lost_frames:1", **POINT)
    assert any("has no expert" in note for note in done.notes)


def test_all_axes_drawn_at_once_say_which_decide(place: Path):
    done = rs.evaluate(
        quick, trials=32, out="run", perturb="observation_delay,lost_frames", sweep="sobol", points=16, **POINT
    )
    (found,) = sensitivity_of(done.judged).values()
    assert (found.rows, found.asked) == (16, 16)
    assert {one.axis for one in found.indices} == {"observation_delay", "lost_frames", "case"}
    assert done.success.n == 32, "the rate is that of the unperturbed cases"
    swept = [c for c in done.judged.used if c.case.variation != NOMINAL]
    assert len(swept) == 16 * 5
    (policy,) = done.judged.labels
    corner = FailureCluster(where={"lost_frames": 1.5}, failures=found.success, lift=found.success)
    there = failures_in(done.judged, policy, corner)
    asked = [dict(part.split(":") for part in c.case.variation.split(",")) for c in swept if not c.outcome.success]
    assert len(there) == sum(float(one.get("lost_frames", 0)) >= 1.5 for one in asked)
    assert json.loads(Path("run/sensitivity.json").read_text())["quick"]["rows"] == 16
    assert any("16 rows of 5 trials" in note for note in done.notes)
    with pytest.raises(RoboscaleError, match="2, 4, 8, 16"):
        rs.evaluate(
            quick, trials=2, out="x", perturb="observation_delay,lost_frames", sweep="sobol", points=9, **POINT
        )
    with pytest.raises(RoboscaleError, match="several axes"):
        rs.evaluate(quick, trials=2, out="x", perturb="lost_frames", sweep="sobol", points=8, **POINT)
    with pytest.raises(RoboscaleError, match="say which"):
        rs.Evaluate(policy="expert", sweep="sobol")


def test_the_page_shows_worse_worlds(place: Path, roboscale, here):
    words = ("eval", "--policy", "expert", "--tasks", "push-v3", "--trials", "2", "--store", "x", "--workers", "0")
    roboscale(*words, "--perturb", "light:3,camera:3,friction:2,paraphrase:1")
    here("report", "x", "--videos", "1")
    page = html.unescape(Path("x/report.html").read_text())
    assert "What worse worlds look like" in page
    for axis in ("light", "camera"):
        assert f"{axis}: unperturbed, then level 1, 2 and 3" in page
    assert "friction: unperturbed" not in page, "a still picture does not show it"


def test_a_trial_in_a_worse_world_is_filmed_and_recorded_as_it_was(place: Path, roboscale):
    """A replay of a perturbed case opens the same worse world; else it would end otherwise, and be refused."""
    words = ("eval", "--policy", "expert", "--tasks", "push-v3", "--trials", "1", "--store", "x", "--workers", "0")
    roboscale(*words, "--perturb", "friction:3,texture:2", "--record", "set")
    from roboscale.dataset import Dataset

    told = {info.provenance.details["case"].split("/")[1] for info in Dataset(place / "set").episodes}
    assert told == {NOMINAL, "friction:3", "texture:2"}
