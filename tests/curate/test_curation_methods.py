"""What methods can tell, and what they must not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import RoboscaleError, UnknownName
from roboscale.curate.choose import CURATION_METHODS, choose, method_named
from roboscale.curate.consequence import ConsequenceMethod
from roboscale.curate.controls import OutcomeLabels
from roboscale.curate.information import InformationMethod, information_per_row
from roboscale.curate.method import episode_views
from roboscale.curate.progress import ProgressMethod
from roboscale.curate.rest import moving_frames
from roboscale.dataset import Dataset
from tests.curate.planted import Demonstration, dawdling, noisy, reach, write


def scores(root: Path, method, seed: int = 0) -> list[float]:
    """In the dataset's order."""
    dataset = Dataset(root)
    moving = moving_frames(dataset)[0] if method.name == "rest" else None
    order, views = episode_views(dataset, outcomes=method.outcomes, seed=seed, moving=moving)
    said = dict(zip(order, method.score(views, seed), strict=True))
    return [said[position].score for position in range(len(order))]


def mixture(bad, count: int = 16) -> list[Demonstration]:
    """Every second demonstration is made bad."""
    rng = np.random.default_rng(5)
    good = [reach(rng) for _ in range(count)]
    return [bad(rng, one) if k % 2 else one for k, one in enumerate(good)]


def test_noise_in_actions_carries_no_information(tmp_path: Path):
    root = write(tmp_path / "set", mixture(noisy))
    given = scores(root, InformationMethod())
    assert min(given[0::2]) > max(given[1::2])
    kept = choose(Dataset(root), InformationMethod(), frames=0.5, asked="half").of(Dataset(root))
    assert [excerpt.index for excerpt in kept] == list(range(0, 16, 2))


def test_information_of_what_is_independent_is_nothing():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(1500, 2)), rng.normal(size=(1500, 2))
    assert abs(information_per_row(x, y, 6).mean()) < 0.05
    turned = x @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert information_per_row(x, turned, 6).mean() > 3


@pytest.mark.parametrize("correlation", [0.3, 0.6, 0.9])
def test_information_of_normal_numbers_is_the_known_one(correlation: float):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3000, 1))
    y = correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=(3000, 1))
    assert information_per_row(x, y, 5).mean() == pytest.approx(-np.log(1 - correlation**2) / 2, abs=0.06)


def test_a_detour_is_cut_and_what_leads_to_the_goal_stays(tmp_path: Path):
    root = write(tmp_path / "set", mixture(lambda rng, one: dawdling(one), 12))
    given = scores(root, ProgressMethod())
    assert min(given[0::2]) > max(given[1::2])
    selection = choose(Dataset(root), ProgressMethod(), frames=1.0, asked="all")
    cut = [e for e in selection.of(Dataset(root)) if e.index % 2]
    lost = 1 - sum(e.last - e.first + 1 for e in cut) / (6 * 120)
    assert 0.5 < lost < 0.8, "of 120 frames 60 lead back to the start, and undo the 20 before"


def test_of_two_that_are_the_same_one_is_kept(tmp_path: Path):
    rng = np.random.default_rng(3)
    good = [reach(rng) for _ in range(5)]
    root = write(tmp_path / "set", [*good, good[1], good[3]])
    selection = choose(Dataset(root), ProgressMethod(), frames=1.0, asked="all")
    ids = [e.id for e in Dataset(root).episodes]
    assert len(selection.dropped) == 2
    for row in selection.dropped:
        assert "in another episode" in row.reason and ids.index(row.episode) in (1, 3, 5, 6)


TURNED = np.array([-1.0, 1.0], np.float32)


@pytest.mark.parametrize("share", [2, 3], ids=["half", "a third"])
def test_a_command_that_does_not_happen_is_told_by_its_consequence(tmp_path: Path, share: int):
    """Half of them turned round tell nothing of which half is right: commands are written so that +x moves to +x."""
    rng = np.random.default_rng(6)
    listed = []
    for k in range(12):
        one = reach(rng)
        listed.append(one if k % share else replace(one, actions=one.actions * TURNED))
    given = scores(write(tmp_path / "set", listed), ConsequenceMethod())
    assert min(s for k, s in enumerate(given) if k % share) > 0.5
    assert max(s for k, s in enumerate(given) if not k % share) < 0.2


def test_where_most_commands_run_against_the_state_that_is_how_the_robot_is_wired(tmp_path: Path):
    rng = np.random.default_rng(6)
    listed = [replace(one, actions=one.actions * TURNED) for one in (reach(rng) for _ in range(12))]
    listed[4] = replace(listed[4], actions=listed[4].actions * TURNED)
    given = scores(write(tmp_path / "set", listed), ConsequenceMethod())
    assert given[4] < 0.2 and min(given[:4] + given[5:]) > 0.5


def test_a_place_that_is_commanded_is_reached(tmp_path: Path):
    """The next state as the action; of every second episode it comes late, as where a stream was shifted."""
    rng = np.random.default_rng(6)
    listed = []
    for k in range(12):
        one = reach(rng)
        wander = np.cumsum(rng.normal(0, 0.05, (len(one.states), 2)), axis=0).astype(np.float32)
        states = np.concatenate([wander, one.states[:, 2:]], axis=1)
        later = (
            np.minimum(np.arange(len(states)) + 1, len(states) - 1)
            if k % 2
            else np.maximum(np.arange(len(states)) - 8, 0)
        )
        listed.append(replace(one, states=states, actions=wander[later]))
    given = scores(write(tmp_path / "set", listed), ConsequenceMethod())
    assert min(given[1::2]) > max(given[0::2]) + 0.5


def test_a_switch_is_told_by_where_it_leads(tmp_path: Path):
    """A gripper: 1 closes, and what is observed is its opening."""
    rng = np.random.default_rng(6)
    listed = []
    for k in range(12):
        one = reach(rng)
        closed = np.arange(len(one.states)) >= rng.integers(15, 25)
        said = closed if k % 3 else np.zeros_like(closed)
        listed.append(
            replace(
                one,
                states=np.concatenate([one.states[:, :3], 1 - closed[:, None]], axis=1).astype(np.float32),
                actions=np.stack([one.actions[:, 0], said], axis=1).astype(np.float32),
            )
        )
    given = scores(write(tmp_path / "set", listed), ConsequenceMethod())
    assert min(s for k, s in enumerate(given) if k % 3) > max(s for k, s in enumerate(given) if not k % 3) + 0.3


@pytest.mark.parametrize("method", CURATION_METHODS, ids=lambda method: method.name)
def test_nobody_reads_names_order_or_provenance(tmp_path: Path, method):
    """The bad ones are named, stand first, and say where they come from: a method that looked there would change."""
    rng = np.random.default_rng(7)
    good = [replace(reach(rng, frames=30 + k), success=k > 2) for k in range(6)]
    leaking = [replace(one, source="bad") if k % 2 else one for k, one in enumerate(good)]
    plain = scores(write(tmp_path / "plain", good), method)
    assert scores(write(tmp_path / "named", leaking), method) == plain
    if method.name != "random":
        turned = scores(write(tmp_path / "turned", good[::-1]), method)
        assert turned[::-1] == pytest.approx(plain, abs=0.15)


def test_outcomes_are_shown_to_those_alone_who_say_that_they_read_them(tmp_path: Path):
    rng = np.random.default_rng(8)
    root = write(tmp_path / "set", [replace(reach(rng), success=k % 2 == 0) for k in range(4)])
    for method in CURATION_METHODS:
        seen = {view.succeeded for view in episode_views(Dataset(root), outcomes=method.outcomes, seed=0)[1]}
        assert seen == ({True, False} if method.outcomes else {None})
    kept = choose(Dataset(root), OutcomeLabels(), frames=0.5, asked="half").of(Dataset(root))
    assert [excerpt.index for excerpt in kept] == [0, 2]


def test_methods_that_cannot_say_anything_say_so(tmp_path: Path):
    rng = np.random.default_rng(9)
    root = write(tmp_path / "one", [reach(rng, frames=6)])
    with pytest.raises(RoboscaleError, match="no episode says how it ended"):
        choose(Dataset(root), OutcomeLabels(), frames=0.5, asked="half")
    with pytest.raises(RoboscaleError, match="one episode"):
        choose(Dataset(root), ProgressMethod(), frames=0.5, asked="half")
    with pytest.raises(RoboscaleError, match="6 frames, too few"):
        choose(Dataset(root), InformationMethod(), frames=0.5, asked="half")
    with pytest.raises(RoboscaleError, match="found 1 episodes; what answers a command is read off 3"):
        choose(Dataset(root), ConsequenceMethod(), frames=0.5, asked="half")
    deaf = [replace(one, actions=rng.normal(size=one.actions.shape).astype(np.float32)) for one in mixture(noisy, 4)]
    with pytest.raises(RoboscaleError, match="no number that is observed goes together with any command"):
        choose(Dataset(write(tmp_path / "deaf", deaf)), ConsequenceMethod(), frames=0.5, asked="half")
    with pytest.raises(UnknownName, match="information"):
        method_named("informations")
    with pytest.raises(RoboscaleError, match="found 1.5"):
        choose(Dataset(root), method_named("random"), frames=1.5, asked="")


def test_each_instruction_keeps_its_share(tmp_path: Path):
    rng = np.random.default_rng(10)
    far = [reach(rng, instruction="far") for _ in range(4)]
    near = [noisy(rng, reach(rng, instruction="near")) for _ in range(8)]
    root = write(tmp_path / "set", [*near, *far])
    kept = choose(Dataset(root), InformationMethod(), frames=0.5, asked="half").of(Dataset(root))
    assert sorted(excerpt.index >= 8 for excerpt in kept) == [False] * 4 + [True] * 2
