"""A dataset is given to others only after every gate, and arrives whole: on the Hub, in s3, in a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roboscale import ContributeDataset, PoolDatasets, contribute_dataset, pool_datasets
from roboscale.cli.app import app
from roboscale.core import BadData, Field, InfrastructureError, Provenance, RoboscaleError, Spec, UsageError
from roboscale.curate.log import LOG
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.privacy import Box, faces_in, mosaic, screens_in
from tests.sources.places import S3, SHA, Hub, place

FACE = np.asarray(Image.open(Path(__file__).parents[1] / "samples/face.jpg").convert("RGB"))
"""Eileen Collins, photographed by NASA (public domain), cut out of the picture that scikit-image ships."""
CONSENT = "One operator, who agreed."


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes without a camera, and a label of a person who must not be given away."""
    root = tmp_path_factory.mktemp("plain") / "cups"
    _write(root, camera=False, count=2)
    (root / LOG).parent.mkdir(parents=True, exist_ok=True)
    (root / LOG).write_text('{"author": "ada"}\n')
    return root


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody looks into the camera of the second of two episodes."""
    return _write(tmp_path_factory.mktemp("seen") / "seen", camera=True, count=2)


def _write(root: Path, *, camera: bool, count: int, seed: int = 0) -> Path:
    name = "observation.images.laptop"
    fields = [Field("observation.state", (2,), "float32", unit="rad"), Field("action", (2,), "float32", unit="rad")]
    fields += [Field(name, (160, 160, 3), "uint8")] if camera else []
    rng = np.random.default_rng(seed)
    with DatasetWriter(root, Spec(tuple(fields), 10.0), robot_type="arm") as writer:
        for number in range(count):
            take = writer.begin("pik up the red cup", Provenance("test", operator="ada", licence="MIT"))
            for frame, row in enumerate(np.cumsum(rng.normal(0, 0.1, (6, 2)), axis=0).astype(np.float32)):
                values = {"observation.state": row, "action": row + np.float32(0.01 * frame)}
                if camera:
                    picture = np.add.outer(np.arange(160), np.arange(160) + 9 * frame)[..., None].repeat(3, 2)
                    picture = (picture // 4 + 40).astype(np.uint8)
                    if number:
                        picture[20:140, 20:140] = FACE
                    values[name] = picture
                take.add(values)
            take.save()
    return root


def asked(dataset: Path, to: object, **more: object) -> ContributeDataset:
    return ContributeDataset(dataset=dataset, to=str(to), consent=CONSENT, workers=0, **more)


def state(done: object) -> dict[str, str]:
    return {gate.name: gate.state for gate in done.gates}


def test_nothing_leaves_unless_it_is_asked_for(plain: Path, tmp_path: Path):
    done = contribute_dataset(asked(plain, tmp_path / "given"))
    assert not done.blocked and done.sent == "" and not (tmp_path / "given").exists()
    assert state(done)["names"] == "advises" and state(done)["duplicates"] == "not looked"
    (names,) = [gate for gate in done.gates if gate.name == "names"]
    assert "pick up the red cup" in names.lines[0]
    assert LOG.as_posix() in done.stay and "meta/info.json" in done.files


def test_licence_and_consent_have_to_be_said(plain: Path, tmp_path: Path):
    silent = contribute_dataset(ContributeDataset(dataset=plain, to=str(tmp_path / "x"), workers=0))
    assert silent.blocked and state(silent)["consent"] == "blocks"
    other = contribute_dataset(asked(plain, tmp_path / "x", licence="CC-BY-4.0"))
    assert state(other)["licence"] == "blocks" and "the dataset says MIT" in other.gates[1].text
    with pytest.raises(RoboscaleError, match="nothing was sent: licence block"):
        contribute_dataset(asked(plain, tmp_path / "x", licence="CC-BY-4.0", upload=True))
    with pytest.raises(UsageError, match="--accept"):
        asked(plain, tmp_path / "x", accept=("consent=later",))


def test_a_folder_gets_every_byte_and_a_card(plain: Path, tmp_path: Path):
    done = contribute_dataset(asked(plain, tmp_path / "given", upload=True))
    given = tmp_path / "given"
    assert done.sent == str(given) and not (given / LOG).exists()
    assert Dataset(given).episodes == Dataset(plain).episodes
    said = json.loads((given / "meta/roboscale/contribution.json").read_text())
    for name, digest in said["files"].items():
        assert hashlib.sha256((given / name).read_bytes()).hexdigest() == digest
    card = (given / "README.md").read_text()
    assert (
        "license: mit" in card and CONSENT in card and "Nobody looked for" in card and "| action | [2] | rad" in card
    )
    (given / "other.txt").write_text("somebody's")
    with pytest.raises(BadData, match=r"other\.txt"):
        contribute_dataset(asked(plain, given, upload=True))


def test_somebody_in_the_pictures_blocks_and_can_be_hidden(seen: Path, tmp_path: Path):
    done = contribute_dataset(asked(seen, tmp_path / "x", html=tmp_path / "page.html"))
    assert done.blocked and state(done)["faces"] == "blocks" and "1 episodes" in done.gates[3].text
    assert "data:image/png" in (tmp_path / "page.html").read_text()
    copied = tmp_path / "copied"
    shutil.copytree(seen, copied)
    hidden = contribute_dataset(asked(copied, tmp_path / "given", people="blur", upload=True))
    assert state(hidden)["faces"] == "passes"
    pictures = Dataset(tmp_path / "given").decode(1, "observation.images.laptop")
    assert all(not faces_in(picture) for picture in pictures)
    there = Dataset(seen)
    assert np.array_equal(Dataset(tmp_path / "given").arrays("action"), there.arrays("action"))
    shown = contribute_dataset(asked(seen, tmp_path / "x", accept=("faces=a poster on the wall",)))
    assert not shown.blocked and "a poster on the wall" in shown.card


def test_faces_small_and_turned_round_and_what_hides_them():
    for side in (120, 60):
        picture = np.full((160, 160, 3), 90, np.uint8)
        picture[20 : 20 + side, 20 : 20 + side] = np.asarray(Image.fromarray(FACE).resize((side, side)))
        for turned in (picture, np.ascontiguousarray(picture[:, ::-1])):
            boxes = faces_in(turned)
            assert boxes and not faces_in(mosaic(turned, boxes)), side
    assert faces_in(np.full((160, 160, 3), 90, np.uint8)) == []


def test_a_screen_is_bright_and_not_flat():
    rng = np.random.default_rng(0)
    room = np.full((240, 320, 3), 60, np.uint8)
    paper, screen = room.copy(), room.copy()
    paper[60:160, 80:220] = 220
    screen[60:160, 80:220] = rng.choice([170, 250], (100, 140, 1), p=[0.2, 0.8]).astype(np.uint8)
    assert screens_in(room) == [] and screens_in(paper) == []
    (box,) = screens_in(screen)
    assert abs(box.left - 80) < 8 and abs(box.width - 140) < 16
    assert mosaic(screen, [Box(80, 60, 140, 100)])[100:120, 100:120].std() < 30


def test_an_episode_that_the_pool_has_is_not_given_again(plain: Path, tmp_path: Path):
    pool = tmp_path / "pool"
    copy = tmp_path / "elsewhere"
    shutil.copytree(plain, copy)
    pool_datasets(PoolDatasets(pool=pool, members=(copy,), workers=0))
    done = contribute_dataset(asked(plain, tmp_path / "x", pool=pool))
    assert state(done)["duplicates"] == "blocks" and "2 of 2 episodes" in done.gates[5].text
    new = _write(tmp_path / "new", camera=False, count=1, seed=5)
    assert state(contribute_dataset(asked(new, tmp_path / "x", pool=pool)))["duplicates"] == "passes"


def test_the_hub_gets_one_commit_and_no_file_twice(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a stand-in speaks the older protocol
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    with place(Hub) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        server.fails_after = 1
        with pytest.raises(InfrastructureError):
            contribute_dataset(asked(plain, "hf://datasets/me/cups", upload=True))
        assert not server.files and server.private
        server.fails_after = None
        done = contribute_dataset(asked(plain, "hf://datasets/me/cups", upload=True))
        assert done.sent == f"hf://datasets/me/cups@{SHA}" and len(set(server.put)) == len(server.put)
        for name, data in server.files.items():
            if name not in ("README.md", "meta/roboscale/contribution.json"):
                assert data == (plain / name).read_bytes()
        assert "meta/info.json" in server.files and LOG.as_posix() not in server.files


def test_s3_goes_on_where_it_was_stopped(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    with place(S3) as server:
        for name, value in {"ENDPOINT_URL": server.url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server.fails_after = 3
        with pytest.raises(InfrastructureError, match="goes on"):
            contribute_dataset(asked(plain, "s3://bucket/cups", upload=True))
        assert "bucket/cups/meta/info.json" not in server.files, "the files that make it readable come last"
        before, server.fails_after = list(server.put), None
        contribute_dataset(asked(plain, "s3://bucket/cups", upload=True))
        assert not set(before) & set(server.put[len(before) :]), "what arrived was sent again"
        assert server.files["bucket/cups/meta/info.json"] == (plain / "meta/info.json").read_bytes()


def test_only_a_dataset_of_v3_is_given(tmp_path: Path):
    from typer.testing import CliRunner

    from tests.samples.lerobot import write_v21

    old = write_v21(tmp_path / "old", episodes=1)
    result = CliRunner().invoke(app, ["data", "contribute", str(old), "--to", str(tmp_path / "x")])
    assert result.exit_code == 1 and f"roboscale data import {old} old-v3" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("", "a folder"),
        ("hf://datasets/me", "OWNER/NAME"),
        ("s3://bucket", "s3://BUCKET/FOLDER"),
        ("a.txt", "a folder"),
    ],
)
def test_an_address_that_lacks_something_is_refused_before_anything_is_looked_at(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, expected: str
):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("somebody's")
    with pytest.raises(BadData, match=expected):
        contribute_dataset(asked(plain, to))


def test_a_place_that_cannot_take_it_is_said_in_the_dry_run(plain: Path, tmp_path: Path):
    with pytest.raises(BadData, match="outside of"):
        contribute_dataset(asked(plain, plain / "given"))
    (tmp_path / "held").mkdir()
    (tmp_path / "held/other.txt").write_text("somebody's")
    with pytest.raises(BadData, match=r"other\.txt"):
        contribute_dataset(asked(plain, tmp_path / "held"))


def test_a_finished_contribution_is_never_replaced_by_another(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    other = _write(tmp_path / "other", camera=False, count=2, seed=9)
    contribute_dataset(asked(plain, "given", upload=True))
    before = Dataset(tmp_path / "given").episodes
    with pytest.raises(BadData, match="a finished contribution of another content"):
        contribute_dataset(asked(other, "given", upload=True))
    assert Dataset(tmp_path / "given").episodes == before
    again = contribute_dataset(asked(plain, "given", upload=True, html=None, licence="mit"))
    assert again.sent == "given", "the same data with another card goes on"


def test_a_pool_that_is_not_there_has_compared_nothing(plain: Path, tmp_path: Path):
    with pytest.raises(BadData, match="--pool"):
        contribute_dataset(asked(plain, tmp_path / "x", pool=tmp_path / "no pool"))


def test_a_licence_is_an_id_and_no_sentence(plain: Path, tmp_path: Path):
    for said in ("my licence", "CC BY 4.0"):
        with pytest.raises(UsageError, match="--licence: expected an SPDX id"):
            asked(plain, tmp_path / "x", licence=said)
    asked(plain, tmp_path / "x", licence="MIT OR Apache-2.0")


def test_options_that_change_nothing_are_named(plain: Path, tmp_path: Path):
    from roboscale.jobs.events import Note

    heard: list[object] = []
    contribute_dataset(asked(plain, tmp_path / "x", public=True, accept=("faces=nobody is there",)), heard.append)
    said = [event.text for event in heard if isinstance(event, Note)]
    assert any("--public" in text for text in said) and any("--accept faces" in text for text in said)
