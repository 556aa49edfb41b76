"""The page that steers an imagined scene: both scenes begin and move alike, and strangers are refused."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.jobs.learned import learned_parts
from roboscale.jobs.playing import SteeredScenes
from roboscale.jobs.world_play import PlayWorld, play_world
from roboscale.web.play import make_play_app
from tests.pusher_world import PusherWorld

SESSION = "session-of-a-test"
HEADERS = {"x-roboscale-session": SESSION}


@pytest.fixture
def scenes(learned_pusher: Path) -> Iterator[SteeredScenes]:
    made = SteeredScenes(learned_parts(learned_pusher / "twin")[0], PusherWorld(), "push", "all gates hold")
    yield made
    made.close()


@pytest.fixture
def client(scenes: SteeredScenes) -> TestClient:
    return TestClient(make_play_app(scenes, session=SESSION), base_url="http://localhost")


def picture(said: dict[str, Any], name: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(said["pictures"][name]))))


def test_both_scenes_begin_alike_and_move_under_the_same_actions(client: TestClient):
    first = client.get("/api/state").json()
    assert [(p["name"], p["held"]) for p in first["points"]] == [("hand", False), ("disc", False), ("goal", True)]
    assert first["axes"] == ["hand.dx", "hand.dy"] and first["step"] == 0
    assert first["divergence"] == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(picture(first, "imagined"), picture(first, "true"))
    for _ in range(5):
        said = client.post("/api/step", json={"motion": [1, 0]}, headers=HEADERS).json()
    assert said["step"] == 5 and 0 <= said["divergence"] < 0.5 and 0 <= said["success"] <= 1
    assert (picture(said, "imagined") != picture(first, "imagined")).any()
    again = client.post("/api/begin", json={}, headers=HEADERS).json()
    assert again["step"] == 0 and (picture(again, "imagined") != picture(first, "imagined")).any()


@pytest.mark.parametrize("body", [{}, {"motion": [2, 0]}, {"motion": ["a", 0]}, {"motion": None}])
def test_what_is_no_motion_is_refused(client: TestClient, body: dict[str, Any]):
    answer = client.post("/api/step", json=body, headers=HEADERS)
    assert answer.status_code == 400 and "error" in answer.json()


def test_another_number_of_axes_and_strangers_are_refused(client: TestClient):
    assert client.post("/api/step", json={"motion": [0]}, headers=HEADERS).status_code == 422
    assert client.post("/api/step", json={"motion": [0, 0]}).status_code == 403
    assert client.get("/../secrets").status_code == 404
    assert client.get("/").text.startswith("<!doctype html>")


def test_a_step_is_quick_enough_for_ten_a_second(scenes: SteeredScenes):
    scenes.step([0.5, 0.5])
    begun = time.process_time()
    for _ in range(5):
        scenes.step([0.5, -0.5])
        scenes.pictures()
    assert (time.process_time() - begun) / 5 < 0.1


def test_what_cannot_be_played_is_one_error(learned_pusher: Path, tmp_path: Path):
    with pytest.raises(UnknownName, match="learned world"):
        play_world(PlayWorld(world=str(tmp_path)))
    with pytest.raises(UnknownName, match="task"):
        play_world(PlayWorld(world=str(learned_pusher / "twin"), task="pull"))
    world = learned_parts(learned_pusher / "twin")[0]
    with pytest.raises((BadData, RoboscaleError)):
        SteeredScenes(world, None, "pull", "")


def test_it_is_served(learned_pusher: Path):
    with play_world(PlayWorld(world=str(learned_pusher / "twin"))) as page:
        assert page.url.startswith("http://127.0.0.1:")
        assert "hold" in page.scenes.state()["doubt"]
