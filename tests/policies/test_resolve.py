"""Every form of `--policy` gives its policy; anything else lists the forms."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Field,
    InfrastructureError,
    Provenance,
    Spec,
    SpecMismatch,
    UnknownName,
    require_match,
)
from roboscale.dataset import DatasetWriter
from roboscale.policies.resolve import FORMS, resolve_policy

Servers = Callable[..., Any]
ACTION = Spec((Field("action", (4,), "float32"),), 80.0)
SEEN = Spec((Field("observation.state", (3,), "float32"),), 80.0)


class Expert:
    name, observation_spec, action_spec = "expert", None, ACTION

    def start(self, instruction: str, seed: int):
        return None


class ExpertWorld(SimpleNamespace):
    def expert(self):
        return Expert()


WORLD = ExpertWorld(name="test world", observation_spec=SEEN, action_spec=ACTION)
PLAIN = SimpleNamespace(name="plain world", observation_spec=SEEN, action_spec=ACTION)


@pytest.mark.parametrize(
    "text", ["expert", "noisy:expert:0.1", "noisy:noisy:expert:0.1:0.2", "constant", "constant:0,0,1,-1"]
)
def test_the_name_of_a_policy_is_what_was_typed(text: str):
    assert resolve_policy(text, world=WORLD).name == text


@pytest.mark.parametrize(
    ("world", "says"), [(PLAIN, "world plain world brings none"), (None, "no world to bring one")]
)
def test_an_expert_comes_from_a_world(world: Any, says: str):
    with pytest.raises(UnknownName, match=says):
        resolve_policy("noisy:expert:0.1", world=world)


@pytest.mark.parametrize(
    "text", ["", "expertt", "noisy", "noisy:", "noisy:expert:", "noisy:expert:much", "constant:a,b", "no/such/dir"]
)
def test_anything_else_lists_the_forms(text: str):
    with pytest.raises(UnknownName) as caught:
        resolve_policy(text, world=WORLD)
    assert all(form in str(caught.value) for form in FORMS)


def test_constants_are_compared_with_the_world():
    with pytest.raises(SpecMismatch, match="2 values"):
        resolve_policy("constant:0,1", world=WORLD)
    with pytest.raises(SpecMismatch, match="needs a world"):
        resolve_policy("constant", world=None)


def test_the_seed_reaches_the_noise():
    def noise(seed: int) -> NDArray[Any]:
        policy = resolve_policy("noisy:constant:1", world=WORLD, seed=seed)
        return policy.start("push", 0)({}).actions

    assert np.array_equal(noise(1), noise(1))
    assert not np.array_equal(noise(1), noise(2))


def test_replay_reads_a_dataset(tmp_path: Path):
    actions = np.arange(12, dtype=np.float32).reshape(3, 4)
    with DatasetWriter(tmp_path / "data", Spec((*SEEN.fields, *ACTION.fields), 80.0)) as writer:
        take = writer.begin("push the puck to the goal", Provenance("simulation.record"))
        for action in actions:
            take.add({"observation.state": np.zeros(3, np.float32), "action": action})
        take.save()
    policy = resolve_policy(f"replay:{tmp_path / 'data'}", world=WORLD)
    require_match(policy.action_spec, ACTION, "replay", "world")
    session = policy.start("push the puck to the goal", 0)
    assert session({}).rows.tolist() == actions.tolist()
    assert session({}).rows.tolist() == actions[-1:].tolist()


def test_replay_of_no_dataset(tmp_path: Path):
    with pytest.raises(BadData):
        resolve_policy(f"replay:{tmp_path}", world=WORLD)


def test_callables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def act(observation):\n    return [0, 0, 0, 0]\n")
    for text in ("mine:act", "mine.py:act", f"{tmp_path}/mine.py:act"):
        assert resolve_policy(text, world=WORLD).name == text


def test_a_folder_that_is_no_checkpoint(tmp_path: Path):
    with pytest.raises(BadData, match=r"policy\.json"):
        resolve_policy(str(tmp_path), world=WORLD)


def test_servers(shared_server: Servers):
    walk = shared_server("policy", "walk")
    policy = resolve_policy(f"noisy:{walk.url()}:0.1", world=None)
    assert policy.name == f"noisy:{walk.url()}:0.1"
    assert policy.observation_spec.names == ("observation.state",)
    with pytest.raises(SpecMismatch, match=r"policy walk at .* does not fit the world's observation"):
        resolve_policy(walk.url(), world=WORLD)


def test_a_profile_is_checked_before_the_first_trial(shared_server: Servers, tmp_path: Path):
    path = tmp_path / "p.toml"
    path.write_text(
        'name = "p"\n[[observation]]\nkey = "s"\nfield = "observation.state"\n'
        '[action]\ndimension = 2\nmode = "absolute"\n'
    )
    with pytest.raises(SpecMismatch, match=r"p\.toml.*\n.*gives 2 values, the world takes \(4,\)"):
        resolve_policy(shared_server("hostile").url("/good"), world=WORLD, profile=path)


def test_a_server_that_is_not_there(unused_port: int):
    with pytest.raises(InfrastructureError, match="connection refused"):
        resolve_policy(f"openpi://127.0.0.1:{unused_port}", world=WORLD)


def test_what_a_form_needs_is_imported_when_it_is_used():
    code = (
        "import sys; import roboscale.policies.resolve; "
        "print([m for m in ('websockets', 'torch', 'pyarrow', 'av', 'PIL', 'msgpack') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
