"""What the server behind the page answers, and whom it refuses."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from roboscale.core import BadData, InfrastructureError, SpecMismatch
from roboscale.curate.log import LOG, CurationLog
from roboscale.dataset import Dataset
from roboscale.web.show import make_app, serve
from roboscale.web.show.framing import unpack_parts
from roboscale.web.show.library import Library
from roboscale.web.show.pictures import PictureBlocks
from roboscale.web.show.server import listen

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
TOKEN = "a-token-of-24-characters"


@pytest.fixture(scope="module")
def client(serving: Any, recorded: Path) -> Iterator[httpx.Client]:
    """Of a dataset that nobody labels."""
    with serving(recorded) as client:
        yield client


def label(client: httpx.Client, episode: Any, action: Any, value: Any = "", **headers: str) -> httpx.Response:
    content = json.dumps({"episode": episode, "action": action, "value": value})
    sent = {"content-type": "application/json", "x-roboscale-session": "secret", **headers}
    return client.post("/api/label", content=content, headers=sent)


def indices(client: httpx.Client, **query: Any) -> list[int]:
    return [row["index"] for row in client.get("/api/episodes", params=query).json()["rows"]]


def test_the_dataset_is_described(client: httpx.Client, facts: dict[str, Any]):
    said = client.get("/api/dataset").json()
    assert (said["robot"], said["fps"], said["episodes"]) == ("square", 20, 5)
    assert said["frames"] == sum(facts["lengths"]) and said["licences"] == ["CC-BY-4.0"]
    assert [(c["name"], c["height"], c["width"]) for c in said["cameras"]] == [(FRONT, 96, 128), (WRIST, 96, 96)]
    assert said["counts"] == {"unlabelled": 5, "success": 2, "failure": 1, "not judged": 2}


def test_an_episode_says_where_it_comes_from(client: httpx.Client):
    said = client.get("/api/episode/1").json()
    assert said["provenance"]["licence"] == "CC-BY-4.0" and said["provenance"]["operator"] == "ada"
    assert said["outcome"]["reason"] == "the block fell off the table"
    assert said["row"]["task"] == "Öffne die <b>Schublade</b> & schließe sie"
    assert (said["frames"], said["seconds"]) == (40, 2.0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"query": "BLOCK push"}, [0, 3]),
        ({"query": "öffne"}, [1, 4]),
        ({"query": "<b>"}, [1, 4]),
        ({"query": "block drawer"}, []),
        ({"outcome": "success"}, [0, 3]),
        ({"outcome": "none"}, [2, 4]),
        ({"outcome": "failure", "query": "cup"}, []),
        ({"label": "none"}, [0, 1, 2, 3, 4]),
        ({"label": "keep"}, []),
        ({"offset": 3}, [3, 4]),
        ({"offset": 1, "limit": 2}, [1, 2]),
        ({"offset": 99}, []),
        ({"order": "best"}, [0, 1, 2, 3, 4]),
        ({"order": "best", "offset": 3}, [3, 4]),
    ],
)
def test_episodes_are_found(client: httpx.Client, query: dict[str, Any], found: list[int]):
    assert indices(client, **query) == found


def test_episodes_are_sorted_by_score_length_or_findings(
    serving: Any, recorded: Path, facts: dict[str, Any], tmp_path: Path
):
    """Scores of a selection as findings: 2 is best, 0 worst, 3 and 4 have none; 1 has an error beside."""
    said = [{"check": "selection by x", "severity": "info", "text": f"{i}", "episodes": [i]} for i in range(3)]
    for finding, score in zip(said, (0.1, 0.5, 0.9), strict=True):
        finding["evidence"] = {"selection score": score}
    said.append({"check": "clock", "severity": "error", "text": "stands still", "episodes": [1]})
    (tmp_path / "audit.json").write_text(json.dumps({"findings": said}))
    with serving(recorded, audit=tmp_path / "audit.json") as client:
        assert client.get("/api/dataset").json()["scored"]
        assert indices(client, order="best") == [2, 1, 0, 3, 4] and indices(client, order="worst") == [0, 1, 2, 3, 4]
        by_length = sorted(range(5), key=lambda i: facts["lengths"][i])
        assert indices(client, order="shortest") == by_length
        assert indices(client, order="findings")[0] == 1 and indices(client, order="findings", query="block") == [0, 3]
        near = client.get("/api/episode/0", params={"order": "best"}).json()["near"]
        assert near == {"previous": 1, "next": 3, "listed": True, "position": 2, "total": 5}
        near = client.get("/api/episode/2", params={"order": "best", "query": "block"}).json()["near"]
        assert near == {"previous": None, "next": 0, "listed": False, "position": 0, "total": 2}
        assert client.get("/api/episodes", params={"order": "beauty"}).status_code == 400
        assert client.get("/api/episodes", params={"order": "best"}).json()["rows"][0]["score"] == 0.9


def test_neighbours_are_those_of_the_list(client: httpx.Client):
    near = client.get("/api/episode/2", params={"query": "block"}).json()["near"]
    assert near == {"previous": 0, "next": 3, "listed": False, "position": 1, "total": 2}
    near = client.get("/api/episode/4").json()["near"]
    assert near == {"previous": 3, "next": None, "listed": True, "position": 4, "total": 5}


def test_curves_are_the_numbers_of_the_dataset(client: httpx.Client, recorded: Path):
    dataset = Dataset(recorded)
    for index in range(5):
        head, body = unpack_parts(client.get(f"/api/episode/{index}/curves").content)
        info = dataset.episodes[index]
        rows = slice(info.from_index, info.from_index + info.length)
        assert (head["frames"], head["step"]) == (info.length, 1)
        at = 0
        for group in head["groups"]:
            values = dataset.arrays(group["name"])[rows].reshape(info.length, -1)
            size = 8 * values.size
            sent = np.frombuffer(body[at : at + size], "<f8").reshape(-1, info.length).T
            assert np.array_equal(sent, values.astype(np.float64)) and not group["error"]
            assert len(group["names"]) == group["size"] == values.shape[1]
            at += size
        assert at == len(body)
    groups = {group["name"]: group for group in head["groups"]}
    assert groups["action"]["names"] == ["dx", "dy", "dz", "gripper"]
    assert groups["action"]["mode"] == "relative to previous action" and groups["observation.state"]["unit"] == "m"
    assert groups["observation.tactile"]["names"][:6] == ["[0, 0]", "[0, 1]", "[0, 2]", "[0, 3]", "[0, 4]", "[1, 0]"]


def test_long_episodes_are_thinned_and_say_so(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.web.show.library._VALUES", 500)
    head, body = unpack_parts(Library(recorded).curves(0))
    sizes = sum(len(group["names"]) for group in head["groups"])
    assert head["step"] == 3 and len(body) == 8 * sizes * 17 and head["frames"] == 50


def test_wide_fields_are_cut_and_say_so(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.web.show.library._ELEMENTS", 3)
    head, body = unpack_parts(Library(recorded).curves(0))
    assert [(len(g["names"]), g["size"]) for g in head["groups"]] == [(3, 4), (3, 4), (3, 20), (1, 1)]
    assert len(body) == 8 * 10 * 50


def pictures(message: bytes) -> tuple[dict[str, Any], list[np.ndarray | None]]:
    head, body = unpack_parts(message)
    found: list[np.ndarray | None] = []
    for length in head["lengths"]:
        part, body = body[:length], body[length:]
        found.append(np.asarray(Image.open(io.BytesIO(part))) if length else None)
    assert not body
    return head, found


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_blocks_hold_every_frame_in_its_place(client: httpx.Client, recorded: Path, camera: str):
    dataset = Dataset(recorded)
    for index in (0, 2):
        truth = dataset.decode(index, camera).astype(int)
        seen: list[np.ndarray] = []
        for block in range(-(-len(truth) // 16)):
            head, found = pictures(client.get(f"/api/episode/{index}/camera/{camera}/block/{block}").content)
            assert head["first"] == 16 * block and head["error"] == ""
            seen += [picture for picture in found if picture is not None]
        assert len(seen) == len(truth)
        for t, picture in enumerate(seen):
            nearest = np.abs(truth - picture.astype(int)).mean((1, 2, 3)).argmin()
            assert nearest == t
            assert np.abs(truth[t] - picture).mean() < 4


def test_a_single_picture_is_the_one_of_its_block_and_can_be_small(client: httpx.Client):
    address = f"/api/episode/3/camera/{FRONT}"
    _, found = pictures(client.get(f"{address}/block/2").content)
    single = client.get(f"{address}/37.jpg")
    assert single.headers["content-type"] == "image/jpeg"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(single.content))), found[5])
    assert Image.open(io.BytesIO(client.get(f"{address}/37.jpg?width=160").content)).size == (128, 96)
    assert client.get(f"{address}/37.jpg?width=161").status_code == 400


def test_shrinking_keeps_the_shape(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    blocks = PictureBlocks(Library(recorded).catalog)
    assert Image.open(io.BytesIO(blocks.picture(0, FRONT, 0, 64))).size == (64, 48)
    with pytest.raises(BadData, match="frame"):
        blocks.picture(0, FRONT, 50)


def test_finished_blocks_are_kept_within_bounds(recorded: Path):
    catalog = Library(recorded).catalog
    size = len(PictureBlocks(catalog).block(0, FRONT, 0))
    blocks = PictureBlocks(catalog, cache_bytes=int(2.5 * size))
    for index in range(5):
        blocks.block(index, FRONT, 0)
        assert 0 < blocks.cached_bytes <= 2.5 * size


def test_many_readers_at_once_get_the_right_pictures(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.web.show.pictures._OPEN_VIDEOS", 1)
    catalog = Library(recorded).catalog
    alone = {(i, c): PictureBlocks(catalog).block(i, c, 1) for i in range(5) for c in (FRONT, WRIST)}
    shared, wrong = PictureBlocks(catalog, cache_bytes=1), []

    def read(i: int, c: str) -> None:
        wrong.extend((i, c) for _ in range(3) if shared.block(i, c, 1) != alone[i, c])

    threads = [threading.Thread(target=read, args=key) for key in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: bytes(len(data))], ids=["empty", "zeros"])
def test_a_broken_video_says_so_and_the_others_go_on(serving: Any, root: Path, spoil: Callable[[bytes], bytes]):
    video = next((root / "videos" / WRIST).rglob("*.mp4"))
    video.write_bytes(spoil(video.read_bytes()))
    with serving(root) as client:
        head, found = pictures(client.get(f"/api/episode/0/camera/{WRIST}/block/0").content)
        assert str(video) in head["error"] and all(picture is None for picture in found) and len(found) == 16
        assert client.get(f"/api/episode/0/camera/{WRIST}/3.jpg").status_code == 422
        head, found = pictures(client.get(f"/api/episode/0/camera/{FRONT}/block/0").content)
        assert head["error"] == "" and all(picture is not None for picture in found)


def test_of_a_video_that_is_cut_off_the_rest_is_played(recorded: Path, root: Path):
    video = next((root / "videos" / WRIST).rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    whole, cut = PictureBlocks(Library(recorded).catalog), PictureBlocks(Library(root).catalog)
    assert cut.block(0, WRIST, 0) == whole.block(0, WRIST, 0)
    head, found = pictures(cut.block(4, WRIST, 0))
    assert str(video) in head["error"] and all(picture is None for picture in found)
    assert cut.cached_bytes == len(cut.block(0, WRIST, 0))  # a failure is tried again


def test_a_broken_table_says_so_in_the_place_of_its_curves(serving: Any, root: Path):
    table = next((root / "data").rglob("*.parquet"))
    data = bytearray(table.read_bytes())
    data[4:-1000] = bytes(len(data) - 1004)
    table.write_bytes(data)
    with serving(root) as client:
        head, body = unpack_parts(client.get("/api/episode/0/curves").content)
        assert all(str(table) in group["error"] and not group["names"] for group in head["groups"]) and not body
        assert client.get("/api/episode/0").status_code == 200


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_labels_are_appended_and_nothing_else_changes(serving: Any, root: Path):
    before = contents(root)
    with serving(root) as client:
        assert label(client, 0, "drop").json()["row"]["decision"] == "drop"
        assert label(client, 0, "keep").json()["row"]["decision"] == "keep"
        assert label(client, 1, "success").json()["row"]["outcome"] == "success"
        answer = label(client, 2, "task", "Lift the mug").json()
        assert answer["row"]["task"] == "Lift the mug" and answer["row"]["recorded_task"] == "pick up the cup"
        assert answer["counts"] == {"keep": 1, "unlabelled": 4, "success": 3, "not judged": 2}
        assert indices(client, label="keep") == [0]
        assert indices(client, label="judged") == [1] == indices(client, outcome="success", query="öffne")
        assert indices(client, outcome="failure") == []
        assert indices(client, label="edited") == [2] == indices(client, query="mug") == indices(client, query="cup")
        assert label(client, 0, "undo").json()["row"]["decision"] == "drop"
        assert label(client, 0, "undo").json()["row"]["decision"] == ""
        refused = label(client, 0, "undo")
        assert refused.status_code == 422 and "nothing to undo" in refused.json()["error"]
    after = contents(root)
    lines = (root / "meta/roboscale/curation.jsonl").read_text().splitlines()
    assert len(lines) == 6 and all(json.loads(line)["author"] == "ada" for line in lines)
    assert set(after) - set(before) == {"meta/roboscale/curation.jsonl"}
    assert {name: after[name] for name in before} == before
    with serving(root) as client:
        assert client.get("/api/episode/2").json()["row"]["task"] == "Lift the mug"


NONSENSE = [
    (9, "keep", "", 404),
    (-1, "keep", "", 404),
    (True, "keep", "", 400),
    ("0", "keep", "", 400),
    (0, 1, "", 400),
    (0, "shred", "", 422),
    (0, "keep", "x", 422),
    (0, "task", "", 422),
    (0, "task", "a\x00b", 422),
    (0, "task", "\ud800", 422),
    (0, "task", 1, 400),
]


def test_a_full_disk_is_said_and_nothing_is_half_written(serving: Any, root: Path, monkeypatch: pytest.MonkeyPatch):
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with serving(root) as client:
        assert label(client, 0, "keep").status_code == 200
        monkeypatch.setattr(os, "fsync", full)
        refused = label(client, 0, "drop")
        assert refused.status_code == 500 and "No space left" in refused.json()["error"]
        assert client.get("/api/episode/0").json()["row"]["decision"] == "keep"


def test_labels_that_make_no_sense_are_refused(serving: Any, root: Path):
    with serving(root) as client:
        for episode, action, value, status in NONSENSE:
            assert label(client, episode, action, value).status_code == status, (episode, action, value)
        sent = {"content-type": "application/json", "x-roboscale-session": "secret"}
        for content in ("", "[1", "[1]", "3", "null", "{}", '{"episode": 0}', b"\xff"):
            assert client.post("/api/label", content=content, headers=sent).status_code == 400, content
    assert not (root / "meta/roboscale/curation.jsonl").exists()


ELSEWHERE = [
    ({"x-roboscale-session": ""}, 403),
    ({"x-roboscale-session": "secret2"}, 403),
    ({"content-type": "text/plain"}, 415),
    ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://127.0.0.1:1"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"host": "evil.example"}, 421),
]


def test_a_label_from_elsewhere_is_refused(serving: Any, root: Path):
    with serving(root) as client:
        for headers, status in ELSEWHERE:
            assert label(client, 0, "drop", **headers).status_code == status, headers
        own = f"http://127.0.0.1:{client.base_url.port}"
        assert label(client, 0, "keep", origin=own, **{"sec-fetch-site": "same-origin"}).status_code == 200
    assert len((root / "meta/roboscale/curation.jsonl").read_text().splitlines()) == 1


def test_other_methods_and_great_bodies_are_refused(client: httpx.Client):
    assert [client.request(method, "/api/label").status_code for method in ("PUT", "DELETE", "PATCH", "OPTIONS")] == [
        405
    ] * 4
    assert label(client, 0, "task", "x" * 20_000).status_code == 413
    sent = {"content-type": "application/json", "x-roboscale-session": "secret"}
    assert client.post("/api/label", content=iter([b"{}"]), headers=sent).status_code == 413


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", "[::1"])
def test_a_stranger_s_host_name_is_refused(client: httpx.Client, host: str):
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]", "[::1]:8080", "192.168.3.4:1"])
def test_addresses_and_localhost_are_known(client: httpx.Client, host: str):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/style.css", "/api/dataset", "/api/episodes", "/nothing", "/icon.svg"]
)
def test_every_answer_has_the_security_headers(client: httpx.Client, path: str):
    for host in ("localhost", "evil.example"):
        headers = client.get(path, headers={"host": host}).headers
        assert "default-src 'self'; img-src 'self' blob:;" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/",
        "/page.html",
        "/api.py",
        "/..%2fapi.py",
        "/../api.py",
        "/static/app.js",
        "/meta/info.json",
        "/api",
        "/api/",
        "/api/episode/5",
        "/api/episode/-1",
        "/api/episode/%D9%A3",
        "/api/episode/" + "9" * 5000,
        "/api/episode/0/camera/..%2f..%2fmeta/block/0",
        "/api/episode/0/camera/action/block/0",
        "/api/episodes?limit=x",
        f"/api/episode/0/camera/{FRONT}/block/4",
        f"/api/episode/0/camera/{FRONT}/50.jpg",
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, path: str):
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"]


def test_filters_that_do_not_exist_are_refused(client: httpx.Client):
    assert client.get("/api/episodes", params={"outcome": "great"}).status_code == 400
    assert client.get("/api/episode/0", params={"label": "great"}).status_code == 400


def test_the_token_is_wanted_everywhere(serving: Any, recorded: Path):
    paths = ["/", "/app.js", "/style.css", "/api/dataset", f"/api/episode/0/camera/{FRONT}/0.jpg"]
    with serving(recorded, token=TOKEN) as client:
        for path in paths:
            assert client.get(path).status_code == 403
            assert client.get(f"/{TOKEN[:-1]}x{path}").status_code == 403
            assert client.get(f"/{TOKEN}x{path}").status_code == 403
            assert client.get(f"/{TOKEN}{path}").status_code == 200
        assert client.get(f"/{TOKEN}").headers["location"] == f"/{TOKEN}/"
        assert label(client, 0, "drop").status_code == 403


def log_of(root: Path) -> CurationLog:
    return CurationLog(root / LOG)


def address(root: Path, **options: Any) -> str:
    """What `serve` says where it can be reached."""
    with serve(root, log_of(root), **options) as page:
        return page.url


def test_only_this_machine_needs_no_token(recorded: Path):
    assert httpx.URL(address(recorded)).path == "/" and httpx.URL(address(recorded)).host == "127.0.0.1"
    made = [httpx.URL(address(recorded, host="0.0.0.0")).path for _ in range(2)]
    assert made[0] != made[1] and all(len(path) > 30 and path.endswith("/") for path in made)
    assert httpx.URL(address(recorded, token=TOKEN)).path == f"/{TOKEN}/"


@pytest.mark.parametrize("token", ["", "short", "with/slash-and-enough-characters", "spaces are no good in here"])
def test_a_poor_token_is_refused(recorded: Path, token: str):
    with pytest.raises(SpecMismatch, match="token"):
        serve(recorded, log_of(recorded), token=token)


def test_a_page_answers_until_it_is_closed(recorded: Path):
    page = serve(recorded, log_of(recorded))
    assert httpx.get(page.url).status_code == 200
    page.close()
    page.wait()  # returns at once
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.url)


def test_a_port_that_is_taken_is_a_clear_error(recorded: Path):
    with listen("127.0.0.1", 0) as taken, pytest.raises(InfrastructureError, match="cannot listen on 127"):
        serve(recorded, log_of(recorded), port=taken.getsockname()[1])


def test_findings_reach_their_episodes(serving: Any, root: Path, audit: Path):
    with serving(root, audit=audit) as client:
        said = client.get("/api/dataset").json()
        assert said["audited"] and [f["check"] for f in said["findings"]] == ["missing-licence"]
        first = client.get("/api/episode/0").json()["findings"]
        assert [f["check"] for f in first] == ["spike", "idle-lead"]  # the gravest first
        assert first[0]["spans"] == [{"first": 30, "last": 32}]
        assert client.get("/api/episode/1").json()["findings"][0]["spans"] == [{"first": 5, "last": 5}]
        assert client.get("/api/episode/2").json()["findings"] == []
        assert indices(client, label="flagged") == [0, 1]


GOOD = {
    "check": "spike",
    "severity": "error",
    "text": "t",
    "episodes": [0],
    "spans": [{"episode": 0, "first": 0, "last": 1}],
}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"findings": 3}', '{"findings": [3]}', '{"findings": [{}]}']
    + [
        json.dumps({"findings": [{**GOOD, **change}]})
        for change in (
            {"severity": "awful"},
            {"severity": ["error"]},
            {"text": 3},
            {"episodes": [5]},
            {"episodes": [-1]},
            {"episodes": ["0"]},
            {"episodes": 3},
            {"spans": [{"episode": 0, "first": 3, "last": 1}]},
            {"spans": [{"episode": 0, "first": "0", "last": 1}]},
            {"spans": [{"episode": 9, "first": 0, "last": 1}]},
            {"spans": [{"nothing": 9}]},
            {"more": 1},
        )
    ],
)
def test_a_broken_audit_is_named(recorded: Path, tmp_path: Path, content: str):
    file = tmp_path / "audit.json"
    file.write_text(content)
    with pytest.raises(BadData, match=r"audit\.json"):
        make_app(recorded, log_of(recorded), audit=file)


def test_a_dataset_that_is_none_is_a_clear_error(tmp_path: Path):
    with pytest.raises(BadData, match=r"info\.json"):
        serve(tmp_path, log_of(tmp_path))


def test_a_dataset_of_somebody_else_is_played(serving: Any, root: Path):
    shutil.rmtree(root / "meta/roboscale")
    with serving(root) as client:
        said = client.get("/api/episode/1").json()
        assert said["row"]["task"].startswith("Öffne") and said["outcome"] is None
        head, _ = unpack_parts(client.get("/api/episode/1/curves").content)
        assert head["groups"][0]["unit"] == "unknown"
        assert label(client, 1, "drop").status_code == 200
    assert len(Dataset(root).episodes) == 5  # the log does not disturb its readers


def test_what_json_cannot_say_is_said_in_words(serving: Any, root: Path):
    sidecar = next((root / "meta/roboscale/episodes").rglob("*.jsonl"))
    lines = sidecar.read_text("utf-8").splitlines()
    record = json.loads(lines[0])
    record["provenance"]["details"] = {"noise": float("nan"), "list": [float("inf")], "half": "\ud83d"}
    sidecar.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n", "utf-8")
    with serving(root) as client:
        details = client.get("/api/episode/0").json()["provenance"]["details"]
    assert details["noise"] == "nan" and details["list"] == ["inf"] and "half" in details


def test_episodes_that_are_saved_but_not_sealed_are_played(serving: Any, tmp_path: Path, facts: dict[str, Any]):
    from roboscale.core import Provenance
    from roboscale.dataset import DatasetWriter

    writer = DatasetWriter(tmp_path / "live", facts["spec"])
    take = writer.begin("push the block", Provenance("test"))
    for t in range(20):
        take.add(facts["frame"](facts["spec"], 0, t))
    take.save()
    with serving(tmp_path / "live") as client:
        assert client.get("/api/episode/0").json()["pending"]
        head, body = unpack_parts(client.get("/api/episode/0/curves").content)
        assert head["frames"] == 20 and len(body) == 8 * 20 * (4 + 4 + 20 + 1)
        head, found = pictures(client.get(f"/api/episode/0/camera/{WRIST}/block/1").content)
        assert head["error"] == "" and len(found) == 4
    writer.finalize()


def test_ten_thousand_episodes_open_and_answer_quickly(serving: Any, many: Path):
    begin = time.process_time()
    app = make_app(many, log_of(many))
    assert time.process_time() - begin < 5
    assert app is not None
    with serving(many) as client:
        answer = client.get("/api/episodes", params={"offset": 9990, "query": "NUMBER part"}).json()
        assert answer == {**answer, "total": 10_000} and len(answer["rows"]) == 10
        assert indices(client, offset=9990) == list(range(9990, 10_000))
        assert len(indices(client, limit=10_000)) == 200
        _, body = unpack_parts(client.get("/api/episode/9999/curves").content)
        values = np.frombuffer(body, "<f8").reshape(-1, 5)
        assert values[0].tolist() == [49995.0, 49996.0, 49997.0, 49998.0, 49999.0]
        assert client.get("/api/episode/9999").json()["id"] == f"{9999:032x}"


def test_answers_of_several_packets_do_not_wait_for_their_acknowledgement():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
