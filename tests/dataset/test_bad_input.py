"""Each broken thing gives one error that names file, field and both sides, and costs nothing that was saved."""

from __future__ import annotations

import errno
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData, InfrastructureError, Provenance, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter, repair

ROOT = Path(__file__).parents[2]
CAMERA = "observation.images.front"
VIDEO = f"videos/{CAMERA}/chunk-000/file-000.mp4"
DATA = "data/chunk-000/file-000.parquet"


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def edit_info(root: Path, **changes: Any) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_video(root: Path, share: float):
    cut(root / VIDEO, share)
    dataset = Dataset(root)  # numbers stay readable
    assert dataset.arrays("action").shape == (18, 3)
    with pytest.raises(BadData) as caught:
        dataset.decode(2, CAMERA)
    assert caught.value.file == str(root / VIDEO)
    assert caught.value.field.split()[0] in ("video", "frame")


def test_a_video_that_is_shorter_than_its_episodes(root: Path, tmp_path: Path, robot: ModuleType):
    with DatasetWriter(tmp_path / "short", robot.SPEC) as writer:
        robot.record(writer, 0, 5)
    (root / VIDEO).write_bytes((tmp_path / "short" / VIDEO).read_bytes())
    with pytest.raises(BadData, match=r"file-000\.mp4: frame 7: expected to be there, found the end of .* 5 frames"):
        Dataset(root)[7]


def test_a_video_at_another_rate_or_size(root: Path, tmp_path: Path, robot: ModuleType):
    spec = robot.Spec(robot.SPEC.fields, 20)
    with DatasetWriter(tmp_path / "fast", spec) as writer:
        robot.record(writer, 0, 30)
    (root / VIDEO).write_bytes((tmp_path / "fast" / VIDEO).read_bytes())
    with pytest.raises(BadData, match=r"file-000\.mp4: fps: expected 10, found 20"):
        Dataset(root)[0]


@pytest.mark.parametrize("name", [DATA, "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"])
def test_a_parquet_without_footer(root: Path, name: str):
    cut(root / name, 0.6)
    with pytest.raises(BadData, match=r"footer: expected a complete parquet file") as caught:
        Dataset(root).arrays("action")
    assert caught.value.file == str(root / name)


def lie(**changes: Any) -> Callable[[Path], None]:
    return lambda root: edit_info(root, **changes)


def lie_in_features(root: Path) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    info["features"]["action"]["shape"] = [7]
    edit_info(root, features=info["features"])


LIES: list[tuple[str, Callable[[Path], None], str]] = [
    ("more episodes", lie(total_episodes=4), r"total_episodes: expected 3 as in .*, found 4"),
    ("fewer episodes", lie(total_episodes=2), r"total_episodes: expected 3 as in .*, found 2"),
    ("frames", lie(total_frames=19), r"total_frames: expected 18 as in .*, found 19"),
    ("fps", lie(fps=20), r"fps: expected 10 as in .*, found 20"),
    ("no fps", lie(fps=0), r"fps: expected a positive number, found 0"),
    ("fps of another type", lie(fps="10"), r"fps: expected a positive number, found '10'"),
    ("version", lie(codebase_version="v2.1"), r"codebase_version: expected v3\.0, whose files are here, found v2\.1"),
    ("features", lie(features=None), r"features: expected an object that names the features, found None"),
    ("absolute path", lie(data_path="/etc/{file_index}"), r"data_path: expected a path inside the dataset"),
    ("escaping path", lie(video_path="a/../../{video_key}"), r"video_path: expected a path inside the dataset"),
    ("template", lie(data_path="data/{0.__class__}"), r"data_path: expected a template of chunk_index, file_index"),
    ("no template", lie(data_path=None), r"data_path: expected a path with blanks"),
    ("other file", lie(data_path="data/{file_index}.parquet"), r"0\.parquet: file: expected to exist, .* names it"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in LIES], ids=[case[0] for case in LIES])
def test_an_info_json_that_lies(root: Path, change: Callable[[Path], None], message: str):
    change(root)
    with pytest.raises(BadData, match=message):
        Dataset(root)


def test_a_shape_that_lies(root: Path):
    lie_in_features(root)
    with pytest.raises(SpecMismatch, match=r"action shape: .*spec\.json \(3,\), .*info\.json \(7,\)"):
        Dataset(root)
    (root / "meta/roboscale/spec.json").unlink()
    with pytest.raises(BadData, match=r"action: expected 18 rows of shape \[7\], found 54 values"):
        Dataset(root).arrays("action")


def test_files_that_are_missing(root: Path):
    (root / VIDEO).unlink()
    with pytest.raises(BadData, match=r"file-000\.mp4: file: expected to exist"):
        Dataset(root)
    with pytest.raises(BadData, match=r"info\.json: file: expected to exist, found nothing"):
        Dataset(root / "nowhere")
    (root / "meta/info.json").write_text("{")
    with pytest.raises(BadData, match=r"info\.json: file: expected JSON"):
        Dataset(root)


def test_data_files_that_disagree_with_their_metadata(root: Path):
    table = pq.read_table(root / DATA)
    pq.write_table(table.slice(1), root / DATA)
    with pytest.raises(BadData, match=r"rows: expected 18 as in meta/episodes, found 17"):
        Dataset(root)[0]
    pq.write_table(pa.concat_tables([table.slice(9), table.slice(0, 9)]), root / DATA)
    with pytest.raises(BadData, match=r"index: expected 0 counting up, found \[9, 10, 11\]"):
        Dataset(root)[0]
    pq.write_table(table.drop_columns(["action"]), root / DATA)
    with pytest.raises(BadData, match=r"columns: expected action, found"):
        Dataset(root)[0]
    nulls = table.set_column(table.column_names.index("time.front_ns"), "time.front_ns", pa.nulls(18, pa.int64()))
    pq.write_table(nulls, root / DATA)
    with pytest.raises(BadData, match=r"time\.front_ns: expected a value in every row, found 18 nulls"):
        Dataset(root)[0]


def test_a_sidecar_that_is_broken(root: Path):
    sidecar = root / "meta/roboscale/episodes/chunk-000/file-000.jsonl"
    lines = sidecar.read_text().splitlines(keepends=True)
    sidecar.write_text("".join(lines[:2]))
    with pytest.raises(BadData, match=r"episodes: expected 3, found 2"):
        Dataset(root)
    sidecar.write_text("".join([*lines[:2], lines[2][:40]]))
    with pytest.raises(BadData, match=r"file-000\.jsonl: line 3: expected JSON"):
        Dataset(root)


def test_a_commit_that_points_outside(root: Path):
    sealing = root / "meta/roboscale/sealing"
    sealing.mkdir()
    (sealing / "0000.json").write_text("{}")
    (sealing / "commit.json").write_text(json.dumps({"moves": [["0000.json", "../../escaped"]], "pending": []}))
    with pytest.raises(BadData, match=r"commit\.json: moves: expected a path inside the dataset"):
        repair(root)
    assert not (root.parent.parent / "escaped").exists()


def test_a_folder_that_is_something_else(tmp_path: Path, robot: ModuleType):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(BadData, match=r"folder: expected a dataset, or nothing, found thesis\.tex"):
        DatasetWriter(tmp_path, robot.SPEC)


def test_frames_that_do_not_fit_are_refused_and_the_take_goes_on(tmp_path: Path, robot: ModuleType):
    good = robot.frames(0, 4)
    state = good[0]["observation.state"]
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"action": np.array([0.0, np.nan, 1.0], np.float32)}, BadData, "action: expected finite numbers"),
        ({"observation.state": np.where([1, 0, 0, 0], np.inf, state).astype(np.float32)}, BadData, "finite numbers"),
        ({"action": np.zeros(4, np.float32)}, SpecMismatch, r"action: expected float32\[3\], found float32\[4\]"),
        ({"action": np.zeros(3)}, SpecMismatch, r"action: expected float32\[3\], found float64\[3\]"),
        ({CAMERA: np.zeros((48, 48, 4), np.uint8)}, SpecMismatch, r"front: expected uint8\[48, 48, 3\]"),
        ({CAMERA: np.zeros((48, 48, 3), np.float32)}, SpecMismatch, r"front: expected uint8"),
        ({"reward": np.zeros(1)}, SpecMismatch, "the spec has no reward"),
    ]
    with DatasetWriter(tmp_path / "set", robot.SPEC) as writer:
        take = writer.begin("anything", Provenance("test"))
        for frame, (change, error, message) in zip(good * 2, refused, strict=False):
            with pytest.raises(error, match=message):
                take.add({**frame, **change})
        incomplete = dict(good[0])
        del incomplete["applied.action"]
        with pytest.raises(SpecMismatch, match=r"applied\.action is missing"):
            take.add(incomplete)
        for frame in good:
            take.add(frame)
        take.save()
    dataset = Dataset(tmp_path / "set")
    assert len(dataset) == 4
    np.testing.assert_array_equal(dataset.arrays("action"), [f["action"] for f in good])
    assert len(dataset.decode(0, CAMERA)) == 4


def full_disk(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["Encoder.add", "Encoder.close", "write_take", "begin"])
def test_a_full_disk_while_recording(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch, where: str):
    from roboscale.dataset import writer as module

    root = tmp_path / "set"
    with DatasetWriter(root, robot.SPEC) as writer:
        kept = robot.record(writer, 0, 3)
        with monkeypatch.context() as patch:
            owner, _, name = where.rpartition(".")
            if where == "begin":
                patch.setattr(module.Encoder, "__init__", full_disk)
            else:
                patch.setattr(getattr(module, owner) if owner else module, name, full_disk)
            with pytest.raises(
                InfrastructureError, match=r"No space left on device while .* 1 saved episodes are not"
            ):
                robot.record(writer, 1, 4)
        assert [e.id for e in Dataset(root).episodes] == [kept]
        assert not list((root / "meta/roboscale/staging").iterdir())
        robot.record(writer, 1, 4)  # room has been made
    assert len(Dataset(root).episodes) == 2


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_disk_while_sealing(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch, durable: bool):
    root = tmp_path / "set"
    writer = DatasetWriter(root, robot.SPEC, durable=durable)
    ids = [robot.record(writer, s, 3) for s in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("roboscale.dataset.seal.write_tasks", full_disk)
        with pytest.raises(InfrastructureError, match="No space left on device while sealing"):
            writer.finalize()
    assert not (root / "meta/roboscale/sealing").exists()  # it gives back the room that it took
    assert [e.id for e in Dataset(root).episodes] == ids
    assert repair(root).sealed == tuple(ids)


LIMITED = """
import resource, signal
from pathlib import Path
from roboscale.core import RoboscaleError
from roboscale.dataset import DatasetWriter
from tests.dataset import recorder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = DatasetWriter(Path({root!r}), recorder.SPEC)
recorder.record(writer, 0, 3)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    recorder.record(writer, 1, 200)
except RoboscaleError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
recorder.record(writer, 2, 3)
writer.finalize()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE") or not hasattr(signal, "SIGXFSZ"), reason="no file limits")
def test_a_real_limit_in_the_middle_of_a_video(tmp_path: Path):
    script = LIMITED.format(root=str(tmp_path / "set"))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "File too large while" in done.stdout
    assert [e.provenance.seed for e in Dataset(tmp_path / "set").episodes] == [0, 2]
