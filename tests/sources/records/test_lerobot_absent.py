"""Videos in other folders, templates of other kinds, episodes that were never fetched: named, mended by flags."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboscale import ImportDataset, import_dataset
from roboscale.cli.app import app
from roboscale.core import BadData, RoboscaleError
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.lerobot import open_lerobot
from roboscale.dataset.lerobot.absent import fetch_command
from tests.defects.planted import clean
from tests.defects.planting import edit_json
from tests.samples.lerobot import CAMERA, write_gr00t, write_v20, write_v21

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345678\n"
runner = CliRunner()


def _flat(root: Path) -> None:
    for path in sorted((root / "videos").rglob("*.mp4")):
        path.rename(root / "videos" / path.name)


def _short_names(root: Path) -> None:
    for path in sorted((root / "videos").rglob("*.mp4")):
        target = root / "recordings" / "front" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _by_episode(root: Path) -> None:
    for path in sorted((root / "videos").rglob("*.mp4")):
        target = root / "videos" / path.stem / f"{CAMERA}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _template(text: str, key: str = "video_path") -> Callable[[Path], None]:
    return lambda root: edit_json(root / "meta/info.json", lambda raw: raw.update({key: text}))


MOVED: dict[str, Callable[[Path], object]] = {
    "video instead of videos": lambda root: (root / "videos").rename(root / "video"),
    "no folders": _flat,
    "short camera names": _short_names,
    "a folder an episode": _by_episode,
    "template with another number": _template(
        "videos/chunk-{episode_index}/{video_key}/episode_{episode_index:06d}.mp4"
    ),
    "data moved": lambda root: (root / "data").rename(root / "parquet"),
    "data template of another kind": _template("data/{chunk_index}/{episode_index}.parquet", "data_path"),
}


@pytest.mark.parametrize("write", [write_v20, write_v21, write_gr00t])
@pytest.mark.parametrize("name", MOVED)
def test_files_elsewhere_are_found_and_the_named_command_imports_them(
    tmp_path: Path, write: Callable[..., Path], name: str
):
    root = write(tmp_path / "a set", episodes=3)
    MOVED[name](root)
    report = audit_folder(root, images=False)
    (found,) = [f for f in report.findings if f.check == "file-elsewhere"]
    assert "3 of 3 files" in found.text and found.evidence["files"] == 3
    assert not {f.check for f in report.findings} & {"missing-video", "file-missing", "file-unreferenced"}
    out = tmp_path / "out"
    words = [str(out) if word == "OUT" else word for word in shlex.split(found.repair)[1:]]
    assert "--data-path" in words or "--video-path" in words
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0, result.stderr
    assert not [f for f in audit_folder(out, images=False).findings if f.severity == "error"]


def test_a_v3_set_in_another_folder(tmp_path: Path):
    root = clean(tmp_path / "set", "joint")
    (root / "videos").rename(root / "films")
    (found,) = [f for f in audit_folder(root, images=False).findings if f.check == "file-elsewhere"]
    assert found.evidence["found"] == "films/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    assert found.repair.startswith(f"roboscale data import {root} OUT --video-path ")
    recording = open_lerobot(root, video_path=str(found.evidence["found"]))
    assert len(recording.read(recording.keys[-1]).pictures) == 1


def test_some_of_them_lie_elsewhere(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=4)
    (root / "videos").rename(root / "video")
    (root / f"video/chunk-000/{CAMERA}/episode_000002.mp4").unlink()
    (found,) = [f for f in audit_folder(root, images=False).findings if f.check == "file-elsewhere"]
    assert "3 lie at" in found.text and found.repair.endswith("--missing-video drop-episodes")
    words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(found.repair)[1:]]
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0 and "3 episodes" in result.stdout, result.stderr


def test_import_names_the_folder_where_they_are(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=3)
    (root / "videos").rename(root / "video")
    result = runner.invoke(app, ["data", "import", str(root), str(tmp_path / "out"), "--workers", "0"])
    assert result.exit_code == 1 and "--video-path 'video/" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_template_that_leads_outside_is_refused(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=2)
    with pytest.raises(BadData, match="video_path"):
        open_lerobot(root, video_path="../{video_key}/{episode_index}.mp4")


def test_episodes_that_are_not_here_are_one_finding_with_the_command_that_keeps_the_others(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=8)
    for number in range(3, 8):
        (root / f"data/chunk-000/episode_{number:06d}.parquet").unlink()
        (root / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4").unlink()
    findings = audit_folder(root, images=False).findings
    (found,) = [f for f in findings if f.severity == "error"]
    assert found.check == "not-fetched" and found.episodes == (3, 4, 5, 6, 7)
    assert "8 episodes claimed, 3 here; 3 to 7 are not" in found.text
    words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(found.repair)[1:]]
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["total_episodes"] == 3


def test_where_nothing_is_here_no_command_is_named_and_the_import_says_so(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=3)
    shutil.rmtree(root / "data")
    shutil.rmtree(root / "videos")
    findings = audit_folder(root, images=False).findings
    (found,) = [f for f in findings if f.severity == "error"]
    assert found.text.startswith("3 episodes claimed, none here: fetch") and not any(f.repair for f in findings)
    with pytest.raises(BadData, match=r"fetch them first, found none of 3 episodes; looked for .*000000\.parquet"):
        open_lerobot(root)


def test_a_table_that_was_uploaded_in_part_is_no_wrong_total(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=3)
    claims = {"total_episodes": 105, "total_frames": 27623, "splits": {"train": "0:105"}}
    edit_json(root / "meta/info.json", lambda raw: raw.update(claims))
    findings = [f for f in audit_folder(root, images=False).findings if f.check in ("total-episodes", "total-frames")]
    (found,) = [*findings, *(f for f in open_lerobot(root).findings if f.check == "splits-range")]
    assert found.check == "total-episodes" and "105 episodes claimed, 3 here: fetch the rest" in found.text
    result = runner.invoke(app, ["data", "import", str(root), str(tmp_path / "out"), "--workers", "0"])
    assert result.exit_code == 0 and "105 episodes claimed, 3 here" in result.stderr


def test_cameras_that_are_gone_are_left_out_by_one_command(tmp_path: Path):
    root = clean(tmp_path / "a set", "two-cameras")
    shutil.rmtree(root / "videos")
    named = {f.repair for f in audit_folder(root, images=False).findings if f.check == "missing-video"}
    (command,) = named
    assert command.count("--drop-camera") == 2, "a copy fails for the first camera that is not there"
    words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(command)[1:]]
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0, result.stderr
    assert not [f for f in audit_folder(tmp_path / "out", images=False).findings if f.severity == "error"]


def test_the_command_that_fetches_the_rest_follows_from_the_folder(tmp_path: Path):
    cached = tmp_path / "datasets--owner--a-name" / "snapshots" / "abc"
    cached.mkdir(parents=True)
    assert fetch_command(cached) == "hf download owner/a-name --repo-type dataset"
    cloned = tmp_path / "cloned"
    (cloned / ".git").mkdir(parents=True)
    (cloned / ".git/config").write_text('[remote "origin"]\n\turl = https://huggingface.co/datasets/owner/name\n')
    assert fetch_command(cloned) == f"hf download owner/name --repo-type dataset --local-dir {cloned}"
    assert fetch_command(tmp_path) == ""


@pytest.mark.parametrize(
    "pattern", ["data/*/*.parquet", "videos/*/*/*.mp4", "meta/*.parquet", "meta/*/*/*.parquet", "meta/info.json"]
)
def test_pointers_are_one_finding_and_nothing_else_is_advised(tmp_path: Path, pattern: str):
    root = clean(tmp_path / "set", "joint")
    files = sorted(root.glob(pattern))
    for path in files:
        path.write_bytes(LFS)
    findings = audit_folder(root, images=False).findings
    (found,) = [f for f in findings if f.check == "not-fetched"]
    assert found.text.startswith(f"{len(files)} file") and "git lfs pull" in found.text
    assert not [f for f in findings if f.repair or f.check in ("file-broken", "tasks-table", "info-broken")]


@pytest.mark.parametrize("tables", ["data/lance/frames.lance", "frames.lance"])
@pytest.mark.parametrize("metadata", [True, False])
def test_lance_tables_are_named(tmp_path: Path, tables: str, metadata: bool):
    root = write_v21(tmp_path / "set")
    shutil.rmtree(root / "data")
    (root / tables).mkdir(parents=True)
    if not metadata:
        shutil.rmtree(root / "meta")
    with pytest.raises(BadData, match=r"expected rows in parquet and pictures in mp4, found Lance .*frames\.lance"):
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    if metadata:
        assert "lance-layout" in {one.check for one in audit_folder(root, images=False).findings}


def test_an_import_of_a_half_fetched_set_says_how_much_is_not_here(tmp_path: Path):
    root = write_v21(tmp_path / "set", episodes=3)
    for path in sorted((root / "data").rglob("*.parquet"))[1:]:
        path.unlink()
    with pytest.raises(BadData, match=r"--broken drop, found the data files of 2 episodes of 3 are not there"):
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    done = import_dataset(ImportDataset(source=root, out=tmp_path / "out", broken="drop", workers=0))
    assert len(done.proof.episodes) == 1 and len(done.proof.dropped) == 2


def test_videos_in_another_folder_need_one_flag(tmp_path: Path):
    root = write_v21(tmp_path / "set")
    (root / "videos").rename(root / "video")
    with pytest.raises(RoboscaleError) as error:
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    command = next(line for line in str(error.value).splitlines() if line.strip().startswith("roboscale data import"))
    assert "--video-path" in command and "--missing-video" not in command
    template = shlex.split(command)[-1]
    done = import_dataset(ImportDataset(source=root, out=tmp_path / "out", video_path=template, workers=0))
    assert {camera.encoded for camera in done.proof.cameras} == {0}


def test_a_folder_around_datasets_names_them(tmp_path: Path):
    one = write_v21(tmp_path / "around/one")
    with pytest.raises(BadData, match=f"found a folder around it; it is {one}"):
        import_dataset(ImportDataset(source=tmp_path / "around", out=tmp_path / "out", workers=0))
    write_v21(tmp_path / "around/lab/two")
    with pytest.raises(BadData, match=r"found a folder that holds 2: .*lab/two, .*one"):
        import_dataset(ImportDataset(source=tmp_path / "around", out=tmp_path / "out", workers=0))
