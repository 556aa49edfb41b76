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
    ActionChunk,
    BadData,
    Field,
    Identity,
    InfrastructureError,
    Provenance,
    Spec,
    SpecMismatch,
    UnknownName,
    require_match,
)
from roboscale.dataset import DatasetWriter
from roboscale.policies.remote import Timeouts, read_profiles
from roboscale.policies.resolve import POLICY_FORMS, resolve_policy

Servers = Callable[..., Any]
ACTION = Spec((Field("action", (4,), "float32"),), 80.0)
SEEN = Spec((Field("observation.state", (3,), "float32"),), 80.0)


class Expert:
    name, observation_spec, action_spec, history = "expert", None, ACTION, 1
    identity = Identity("expert", "e" * 32)

    def start(self, instruction: str, seed: int):
        return lambda observation: ActionChunk(np.zeros((3, 4), np.float32))


class ExpertWorld(SimpleNamespace):
    def expert(self):
        return Expert()


def info(name: str):
    return SimpleNamespace(name=name, observation_spec=SEEN, action_spec=ACTION)


WORLD = ExpertWorld(info=info("test world"))
PLAIN = SimpleNamespace(info=info("plain world"))


@pytest.mark.parametrize(
    "text", ["expert", "noisy:expert:0.1", "noisy:noisy:expert:0.1:0.2", "constant", "constant:0,0,1,-1"]
)
def test_the_name_of_a_policy_is_what_was_typed(text: str):
    policy = resolve_policy(text, world=WORLD)
    assert policy.name == policy.identity.name == text
    assert policy.history == 1


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
    assert all(form in str(caught.value) for form in POLICY_FORMS)


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
    assert policy.name == f"replay:{tmp_path / 'data'}" and policy.identity.verified


def test_a_dataset_that_changed_is_another_policy(tmp_path: Path):
    def record(value: float):
        with DatasetWriter(tmp_path / "data", Spec((*SEEN.fields, *ACTION.fields), 80.0)) as writer:
            take = writer.begin("push the puck to the goal", Provenance("simulation.record"))
            take.add({"observation.state": np.zeros(3, np.float32), "action": np.full(4, value, np.float32)})
            take.save()

    def identity(**options: Any):
        return resolve_policy(f"replay:{tmp_path / 'data'}", world=WORLD, **options).identity

    record(0.5)
    before = identity()
    assert before == identity() != identity(seed=1)
    record(0.25)
    assert identity() != before


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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("localhost:8000", "openpi://localhost:8000"),
        ("127.0.0.1:8000", "openpi://127.0.0.1:8000"),
        ("[::1]:8000", "openpi://[::1]:8000"),
        ("robot-2.local:9/p", "openpi://robot-2.local:9/p"),
        ("http://localhost:8000/", "openpi://localhost:8000"),
        ("https://lab.example", "wss://lab.example"),
        ("tcp://lab:5555", "openpi://lab:5555"),
        ("noisy:localhost:8000:0.1", "openpi://localhost:8000"),
        ("ws:localhost:8000", "openpi://localhost:8000"),
        ("openpi:/localhost:8000", "openpi://localhost:8000"),
    ],
)
def test_an_address_without_the_protocol_is_told_which_one(text: str, meant: str):
    with pytest.raises(UnknownName, match="unknown policy") as caught:
        resolve_policy(text, world=WORLD)
    assert f"did you mean {meant}?" in str(caught.value)


def write(folder: Path, files: dict[str, str]):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


LEROBOT = {"config.json": '{"type": "act", "input_features": {}}', "model.safetensors": ""}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (LEROBOT, r"found a LeRobot checkpoint \(act\): serve it, or write a class with reset\(\)"),
        ({f"pretrained_model/{k}": v for k, v in LEROBOT.items()}, r"checkpoint \(act\) in pretrained_model: serve"),
        (
            {f"checkpoints/last/pretrained_model/{k}": v for k, v in LEROBOT.items()},
            "in checkpoints/last/pretrained_model",
        ),
        (
            {"config.json": '{"model_type": "llama"}', "a.safetensors": ""},
            "found weights of another library: serve it",
        ),
        ({"config.json": "{", "a.safetensors": ""}, "found weights of another library"),
        ({"meta/info.json": "{}"}, "found a dataset, which replay:.* plays"),
        ({"training.safetensors": ""}, "half trained"),
        ({"notes.txt": ""}, r"policy\.json: expected a policy of `roboscale policy train`, found no such file"),
    ],
    ids=lambda v: ", ".join(v) if isinstance(v, dict) else "",
)
def test_a_folder_that_is_something_else_is_told_what_it_is(tmp_path: Path, files: dict[str, str], says: str):
    with pytest.raises(BadData, match=says) as caught:
        resolve_policy(str(write(tmp_path, files)), world=WORLD)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_without_a_name_is_told_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(write(tmp_path, {"mine.py": "def act(o): ...\nclass Mine: ...\n", "m.zip": "", "no.py": "def"}))
    with pytest.raises(UnknownName, match=r"did you mean.*mine\.py:act"):
        resolve_policy("mine.py", world=WORLD)
    with pytest.raises(BadData, match="expected file.py:callable or the folder of a policy, found a file"):
        resolve_policy("m.zip", world=WORLD)
    with pytest.raises(BadData, match="a Python file"):
        resolve_policy("no.py", world=WORLD)


@pytest.mark.parametrize(
    "text",
    ["lerobot/act_aloha", "lerobot/act@main", "hf://lerobot/act", "https://huggingface.co/a/b", "policies/missing"],
)
def test_a_repository_or_a_folder_that_is_not_there(text: str):
    with pytest.raises(UnknownName, match="no such folder; from the Hugging Face Hub nothing is downloaded: serve it"):
        resolve_policy(text, world=WORLD)


def test_fewer_rows_are_executed_where_that_is_asked_for():
    whole, some = (resolve_policy("expert", world=WORLD, execute=n) for n in (None, 2))
    assert [len(p.start("push", 0)({}).rows) for p in (whole, some)] == [3, 2]
    assert whole.identity != some.identity


def test_an_expert_of_somebody_s_own_world_is_completed():
    class Half:
        name = "half"

        def start(self, instruction: str, seed: int):
            return lambda observation: [0.0] * 4

    class World(SimpleNamespace):
        def expert(self):
            return Half()

    policy = resolve_policy("expert", world=World(info=info("mine")))
    assert policy.history == 1 and policy.start("push", 0)({}).rows.shape == (1, 4)


def test_timeouts_reach_the_server(hostile_server: Any, tmp_path: Path):
    path = tmp_path / "p.toml"
    path.write_text(PROFILE.replace("dimension = 2", "dimension = 4"))
    policy = resolve_policy(
        hostile_server.url("/hangs"), world=WORLD, profile=path, timeouts=Timeouts(reply_s=0.2, warmup_s=0.3)
    )
    with pytest.raises(InfrastructureError, match=r"no answer within 0\.3 s"):
        policy.start("push", 0)({"observation.state": np.zeros(3, np.float32)})


def test_every_server_has_its_profile(hostile_server: Any, tmp_path: Path):
    path = tmp_path / "p.toml"
    path.write_text(PROFILE.replace("dimension = 2", "dimension = 4"))
    url, other = hostile_server.url("/good"), hostile_server.url("/list")
    profiles = read_profiles([f"{url}={path}"], [url, other])
    assert resolve_policy(url, world=WORLD, profile=profiles).name == f"p@{url}"
    with pytest.raises(SpecMismatch, match="declare it with a policy profile"):
        resolve_policy(other, world=WORLD, profile=profiles)


PROFILE = """name = "p"
[[observation]]
key = "s"
field = "observation.state"
[action]
dimension = 2
mode = "absolute"
"""


def test_servers(shared_server: Servers):
    walk = shared_server("policy", "walk")
    policy = resolve_policy(f"noisy:{walk.url()}:0.1", world=None)
    assert policy.name == f"noisy:{walk.url()}:0.1"
    assert policy.observation_spec.names == ("observation.state",)
    with pytest.raises(SpecMismatch, match=r"policy walk at .* does not fit the world's observation"):
        resolve_policy(walk.url(), world=WORLD)


def test_a_profile_is_checked_before_the_first_trial(shared_server: Servers, tmp_path: Path):
    path = tmp_path / "p.toml"
    path.write_text(PROFILE)
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
