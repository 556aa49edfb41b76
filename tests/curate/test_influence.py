"""Influence on success: demonstrations that a policy does better without are told by its own rollouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale import CurateDataset, curate_dataset
from roboscale.cli.app import parse
from roboscale.core import Provenance, RoboscaleError, Spec, SpecMismatch
from roboscale.curate.influence import InfluenceMethod, Rollout
from roboscale.curate.method import EpisodeView
from roboscale.dataset import Dataset, DatasetWriter
from tests.curate.planted import STATE, Demonstration, reach, write

torch = pytest.importorskip("torch", reason="the built-in policy is an extra: pip install 'roboscale[train]'")


def astray(one: Demonstration) -> Demonstration:
    """The same states, and motions to the other side of the goal line."""
    return replace(one, actions=one.actions * np.array([1, 0], np.float32) + np.array([0, 0.05], np.float32))


def rolled_out(policy: object, rng: np.random.Generator) -> Demonstration:
    """What the policy does from a new start, and whether it comes within .1 of the goal."""
    at, goal = rng.normal((-0.8, 0.0), 0.1), rng.normal((0.8, 0.0), 0.1)
    session, states, actions, left = policy.start("go to the goal", 0), [], [], []
    for _ in range(60):
        state = np.array([*at, *goal], np.float32)
        if not left:
            chunk = session({STATE: state})
            left = list(chunk.actions[: chunk.execute])
        states.append(state)
        actions.append(left.pop(0))
        at = at + actions[-1]
    near = min(np.linalg.norm(np.array(states)[:, :2] - np.array(states)[:, 2:], axis=1))
    return Demonstration(np.array(states), np.array(actions, np.float32), success=bool(near < 0.1))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations, every second astray; the policy that learned them; and its rollouts."""
    from roboscale.policies.builtin import TrainConfig
    from roboscale.policies.builtin.checkpoint import load_policy
    from roboscale.policies.builtin.train import train

    folder, rng = tmp_path_factory.mktemp("influence"), np.random.default_rng(11)
    demonstrations = [reach(rng) for _ in range(16)]
    write(folder / "data", [astray(one) if k % 2 else one for k, one in enumerate(demonstrations)])
    config = TrainConfig(inputs="state", head="flow", steps=300, width=64, chunk=4, execute=4)
    train(folder / "data", folder / "policy", config)
    train(folder / "data", folder / "regression", replace(config, head="regression", steps=5))
    policy = load_policy(folder / "policy")
    write(folder / "rollouts", [rolled_out(policy, rng) for _ in range(40)])
    return folder


def test_what_leads_astray_is_left_out(tried: Path):
    outcomes = [e.outcome.success for e in Dataset(tried / "rollouts").episodes]
    assert 3 <= sum(outcomes) <= 37, "a policy that always does the same teaches nothing here"
    asked = CurateDataset(
        dataset=tried / "data",
        out=tried / "best.json",
        method="influence",
        keep=0.5,
        learner=tried / "policy",
        rollouts=tried / "rollouts",
    )
    assert parse(asked.to_args()) == asked and "--policy" in asked.to_args()
    selection = curate_dataset(asked).selection
    numbers = {e.id: e.index for e in Dataset(tried / "data").episodes}
    good = sum(numbers[row.episode] % 2 == 0 for row in selection.kept)
    assert good >= 7, f"{good} of {len(selection.kept)} that are kept were never spoilt"
    assert selection.notes[1:] == (f"40 of 40 rollouts of {tried / 'rollouts'} do not say which policy made them",)
    assert curate_dataset(asked).selection == selection


def test_another_dataset_and_other_policies_are_said_by_content(tried: Path, tmp_path: Path):
    """Names are of no use: the folder may be called as it was."""
    shown = Dataset(tried / "rollouts")
    spec = Spec(tuple(f for f in shown.spec if f.name.startswith(("action", "observation."))), shown.fps)
    other = Provenance("eval", details={"policy": {"name": "policy", "digest": "0" * 32}})
    with DatasetWriter(tmp_path / "rollouts", spec) as writer:
        for e in shown.episodes[:12]:
            take = writer.begin(e.instruction, other)
            for row in range(e.from_index, e.from_index + e.length):
                take.add({name: shown.arrays(name)[row] for name in spec.names})
            take.save(e.outcome)
    notes = curate_dataset(
        CurateDataset(
            dataset=tmp_path / "rollouts",
            out=tmp_path / "best.json",
            method="influence",
            keep=0.5,
            learner=tried / "policy",
            rollouts=tmp_path / "rollouts",
        )
    ).selection.notes
    assert "did not learn from exactly" in notes[1] and "12 of 12" in notes[2] and "other policies" in notes[2]


def test_it_needs_a_policy_and_rollouts_that_differ(tried: Path):
    with pytest.raises(RoboscaleError, match="needs --policy and --rollouts"):
        CurateDataset(dataset=tried / "data", out=Path("x"), method="influence", keep=0.5)
    with pytest.raises(RoboscaleError, match="no other method takes them"):
        CurateDataset(dataset=tried / "data", out=Path("x"), method="length", keep=0.5, learner=tried / "policy")
    asked = {"method": "influence", "keep": 0.5, "learner": tried / "regression", "rollouts": tried / "rollouts"}
    with pytest.raises(RoboscaleError, match="by regression"):
        curate_dataset(CurateDataset(dataset=tried / "data", out=tried / "x.json", **asked))
    one = Rollout(np.ones((2, 3), np.float32), True)
    with pytest.raises(RoboscaleError, match="4, of which 4 succeeded"):
        InfluenceMethod(object(), [one] * 4)


def test_the_score_is_the_change_of_success():
    """Two directions; success lies along the first, and so does the first demonstration."""
    along, across = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    method = InfluenceMethod(object(), [Rollout(along, True), Rollout(across, False)] * 2)
    views = [
        EpisodeView(states=np.zeros((1, 1)), actions=np.zeros((1, 1)), instruction="x", rate_hz=1, gradients=g)
        for g in (along, across, -along)
    ]
    scores = [one.score for one in method.score(views, 0)]
    assert scores[0] > 0 > scores[1] and scores[2] == pytest.approx(-scores[0])


def test_gradients_are_those_of_the_loss(tried: Path):
    """The sketch of a gradient is the sketch of what autograd gives for the same frame by itself."""
    from roboscale.policies.builtin import gradients
    from roboscale.policies.builtin.checkpoint import load_policy
    from roboscale.policies.builtin.sentences import embed_sentence

    policy = load_policy(tried / "regression")
    columns = {name: Dataset(tried / "data").arrays(name)[:4] for name in (STATE, "action")}
    found = policy.gradients(columns, "go to the goal", size=10**6, seed=3)
    assert found.shape == (4, 10**6)
    net, trained = policy.trained.net, policy.trained
    net.zero_grad()
    state = torch.from_numpy(trained.state.forward(columns[STATE][:1]))
    wanted = torch.from_numpy(trained.action.forward(columns["action"]))
    sentence = torch.from_numpy(embed_sentence("go to the goal"))
    loss = (net.head.sample(net.features([], state, sentence[None]), torch.zeros(1, 4, 2))[0] - wanted).abs().mean()
    loss.backward()
    squared = sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None)
    assert float((found[0] ** 2).sum()) == pytest.approx(squared, rel=0.1)  # few parameters share a bin
    with pytest.raises(SpecMismatch, match="action missing"):
        gradients.projected_gradients(trained, {STATE: columns[STATE]}, "x", size=8, seed=0)
