"""`policy check` finds what was planted between a server and a real simulator, by the dataset; fitting pairs pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.server import ServerConnection, serve

from roboscale import CheckPolicyInWorld, check_policy_in_world, evaluate
from roboscale.core import SpecMismatch, UnknownName, UsageError
from roboscale.wire import pack

pytest.importorskip("metaworld")

TASKS = ("reach-v3", "pick-place-v3", "window-open-v3")

PROFILE = """
name = "stand-in"

[[observation]]
key = "observation/image"
field = "observation.images.front"

[[observation]]
key = "observation.state"
field = "observation.state"

[action]
dimension = 4
mode = "relative to previous action"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    for task in TASKS:
        store = str(folder / f"trials-{task}")
        evaluate("expert", tasks=task, trials=3, seed=7, record=folder / task, workers=0, store=store)
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An openpi server that says nothing of itself and keeps still."""

    def handler(websocket: ServerConnection) -> None:
        websocket.send(pack({}))
        for _ in websocket:
            websocket.send(pack({"actions": np.zeros((4, 4), np.float32)}))

    with serve(handler, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"openpi://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def checked(address: str, folder: Path, task: str, profile: Path, **options: object):
    return check_policy_in_world(
        CheckPolicyInWorld(
            policy=address,
            task=task,
            policy_profile=(str(profile),),
            dataset=folder / task,
            feature=("observation/image=observation.images.front",),
            **options,
        )
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_fitting_pair_passes(recorded: Path, address: str, tmp_path: Path, task: str):
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    done = checked(address, recorded, task, profile)
    assert done.fitting is not None and not done.pitfalls, done.pitfalls
    assert "  no pitfall found" in done.lines
    assert done.verdicts == ("deterministic",)


def test_what_was_planted_is_found_and_the_written_profile_mends_it(recorded: Path, address: str, tmp_path: Path):
    profile, written = tmp_path / "profile.toml", tmp_path / "mended.toml"
    text = PROFILE.replace('field = "observation.images.front"', 'field = "observation.images.front"\nrotate = 180')
    text = text.replace("dimension = 4", "dimension = 4\nscale = [1.0, 1.0, 1.0, -1.0]")
    profile.write_text(text.replace('name = "stand-in"', 'name = "stand-in"\nrate_hz = 12.5'))
    with pytest.raises(SpecMismatch, match=r"rate_hz: profile 12\.5, world"):  # said before anything is looked for
        checked(address, recorded, TASKS[1], profile)
    profile.write_text(text)
    done = checked(address, recorded, TASKS[1], profile, write=written)
    assert {(p.check, p.where) for p in done.pitfalls} == {("turned", "observation/image"), ("gripper-sign", "action")}
    assert any("profile.toml, observation[0]: rotate = 0" in line for line in done.lines)
    assert done.to_json()["fitting"]["pitfalls"][0]["lines"][0]["key"] == "rotate"
    assert not checked(address, recorded, TASKS[1], written).pitfalls


def test_without_a_dataset_it_lists_what_it_could_not_look_for(address: str, tmp_path: Path):
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    request = CheckPolicyInWorld(policy=address, task=TASKS[0], policy_profile=(str(profile),))
    done = check_policy_in_world(request)
    assert not done.pitfalls
    assert sum("not looked for" in line for line in done.lines) >= 4


def test_who_says_nothing_is_told_so(address: str, recorded: Path, tmp_path: Path):
    done = check_policy_in_world(CheckPolicyInWorld(policy="constant", task=TASKS[0]), policy=lambda o: [0.0] * 4)
    assert any("nobody says what it takes" in line for line in done.lines)
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"name": "x", "observation": [{"key": "observation.state", "field": "observation.state"}], '
        '"action": {"dimension": 4, "mode": "relative to previous action"}}'
    )
    with pytest.raises(UsageError, match="TOML"):
        checked(address, recorded, TASKS[0], profile)
    toml = tmp_path / "profile.toml"
    toml.write_text(PROFILE)
    with pytest.raises(UnknownName, match="observation.images.fornt"):
        request = CheckPolicyInWorld(
            policy=address,
            task=TASKS[0],
            policy_profile=(str(toml),),
            dataset=recorded / TASKS[0],
            feature=("observation/image=observation.images.fornt",),
        )
        check_policy_in_world(request)
