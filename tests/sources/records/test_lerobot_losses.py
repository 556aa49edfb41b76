"""What people's LeRobot datasets have that a conversion may lose: splits, instructions, clocks, the order of rows."""

import json
import shlex
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roboscale import ImportDataset, import_dataset
from roboscale.cli.app import app, parse
from roboscale.core import RecordedEpisode, extras_of
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.lerobot import clock, open_lerobot, tables
from roboscale.dataset.lerobot.catalog import load_info
from roboscale.dataset.tables import write_tasks
from roboscale.jobs.events import Note
from roboscale.sources.records.lerobot.export import export_v21
from tests.samples import lerobot as samples

runner = CliRunner()


def edit_info(root: Path, **changes) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_rows(root: Path, number: int, **columns) -> None:
    path = root / f"data/chunk-000/episode_{number:06d}.parquet"
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, path)


def imported(root: Path, out: Path, **options) -> tuple[Dataset, list[str]]:
    notes: list[str] = []
    request = ImportDataset(source=root, out=out, workers=0, **options)
    import_dataset(request, lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    return Dataset(out), notes


def test_splits_survive_import_and_export(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=4)
    splits = {"train": "0:3", "val": "3:4"}
    edit_info(root, splits=splits)
    dataset, _ = imported(root, tmp_path / "out")
    assert load_info(tmp_path / "out").raw["splits"] == splits
    export_v21(dataset, tmp_path / "v21")
    assert json.loads((tmp_path / "v21/meta/info.json").read_text())["splits"] == splits
    assert open_lerobot(tmp_path / "v21").splits["val"] == ("episode_000003",)


def test_a_split_whose_episodes_would_not_follow_one_another_is_refused(tmp_path):
    from roboscale.core import BadData
    from roboscale.dataset.ingest import EpisodeProof
    from roboscale.dataset.layout import Layout
    from roboscale.dataset.transfer import _write_splits

    proofs = [
        EpisodeProof(
            part="a",
            key=str(i),
            id="0" * 32,
            frames=1,
            duration_s=0.1,
            instruction="",
            digests={},
            cameras={},
            streams={},
        )
        for i in range(3)
    ]
    with pytest.raises(BadData, match="split val"):
        _write_splits(Layout(tmp_path), proofs, {"val": ["0", "2"]})


def test_every_frame_keeps_its_instruction(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=2)
    edit_rows(root, 0, task_index=np.repeat([0, 1, 0], 4))
    dataset, notes = imported(root, tmp_path / "out")
    texts = [dataset[i]["task"] for i in range(12)]
    assert texts == [samples.TASKS[n] for n in np.repeat([0, 1, 0], 4)]
    assert dataset[12]["task"] == samples.TASKS[1]
    assert any("several-tasks" in note for note in notes), "it is said on the terminal"
    export_v21(dataset, tmp_path / "v21")
    again = open_lerobot(tmp_path / "v21").read("episode_000000")
    assert again.instructions == ((0, samples.TASKS[0]), (4, samples.TASKS[1]), (8, samples.TASKS[0]))
    ours = open_lerobot(tmp_path / "out").read("episode_000000")
    assert ours.instructions == again.instructions, "a second import, a merge or a fix keeps them, too"


def test_cutting_an_episode_moves_its_instructions():
    from roboscale.core import Provenance
    from roboscale.dataset.edits import Kept, cut_ends

    changes = ((0, "a"), (4, "b"), (8, "c"))
    episode = RecordedEpisode(
        key="k",
        arrays={"x": np.zeros((12, 1))},
        pictures={},
        instruction="a",
        provenance=Provenance("test"),
        instructions=changes,
    )
    cut = cut_ends(episode, Kept(5, 9))
    assert cut.instruction == "b" and cut.instructions == ((0, "b"), (3, "c"))
    assert cut_ends(episode, Kept(5, 7)).instructions == ()


def test_the_recorded_clock_is_kept_and_its_rate_is_said(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=2)
    times = (np.arange(12) / 9.2 + np.r_[0, 0.004, np.zeros(10)]).astype(np.float32)
    for number in range(2):
        edit_rows(root, number, timestamp=times)
    dataset, notes = imported(root, tmp_path / "out")
    (said,) = [note for note in notes if "timestamp-column" in note]
    assert "9.2 Hz measured" in said and "jitter" in said
    kept = dataset.arrays("time.frame_ns")[:12, 0]
    assert np.array_equal(kept, np.round(times.astype(np.float64) * 1e9).astype(np.int64))
    assert np.allclose(dataset.arrays("timestamp")[:12], np.arange(12) / 10)


@pytest.mark.parametrize(
    ("times", "rate", "lost", "back"),
    [
        (np.arange(50) / 20, 20, 0, 0),
        (np.delete(np.arange(50), [10, 11, 30]) / 20, 20, 3, 0),
        (np.r_[np.arange(20), 5, np.arange(20, 30)] / 20, 20, 14, 1),
        (np.arange(50) / 29.97, 29.97, 0, 0),
    ],
)
def test_a_clock_is_measured_despite_gaps(times, rate, lost, back):
    facts = clock.clock_facts(times)
    assert facts is not None and abs(facts.rate_hz - rate) < 1e-6
    assert (facts.lost, facts.backwards) == (lost, back)


def test_rows_out_of_order_are_put_in_order_and_none_is_lost(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=2)
    path = root / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(path)
    action = np.stack(table["action"].to_numpy())
    pq.write_table(table.take(np.arange(12)[::-1].copy()), path)
    episode = open_lerobot(root).read("episode_000001")
    assert np.array_equal(episode.arrays["action"], action)
    assert [f.check for f in episode.findings] == ["row-order"]


def test_no_footer_is_read_twice(tmp_path, monkeypatch):
    root = samples.write_v21(tmp_path / "set", episodes=12)
    seen: Counter[Path] = Counter()
    whole = pq.ParquetFile

    def counted(path, **options):
        seen[Path(path)] += 1
        return whole(path, **options)

    monkeypatch.setattr(tables.pq, "ParquetFile", counted)
    recording = open_lerobot(root)
    assert sum(seen.values()) == 1, "opening reads the first footer only"
    assert recording.findings and not recording.missing
    for key in recording.keys:
        recording.read(key, ())
    assert len(seen) == 12 and set(seen.values()) == {1}


# Planted into v2.1: what is wrong, and what must be said.


def _stats_lie(root: Path) -> None:
    path = root / "meta/episodes_stats.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["stats"]["action"]["mean"] = [value + 5 for value in rows[1]["stats"]["action"]["mean"]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _video_gone(root: Path, number: int) -> None:
    (root / f"videos/chunk-000/{samples.CAMERA}/episode_{number:06d}.mp4").unlink()


def _no_videos(root: Path) -> None:
    for number in range(4):
        _video_gone(root, number)


PLANTED = {
    "stats-lie": ("episode-stats-wrong", _stats_lie),
    "totals": ("total-frames", lambda root: edit_info(root, total_frames=1)),
    "split": ("splits-range", lambda root: edit_info(root, splits={"train": "0:9"})),
    "frames": ("frame-index", lambda root: edit_rows(root, 1, frame_index=np.r_[np.arange(11), 30])),
    "clock": ("timestamp-column", lambda root: edit_rows(root, 1, timestamp=np.arange(12) / 9)),
    "task": ("task-index", lambda root: edit_rows(root, 1, task_index=np.full(12, 7))),
    "index": ("index-column", lambda root: edit_rows(root, 1, index=np.arange(12) + 500)),
    "a-video": ("missing-video", lambda root: _video_gone(root, 2)),
    "all-videos": ("missing-video", _no_videos),
    "data": ("file-missing", lambda root: (root / "data/chunk-000/episode_000001.parquet").unlink()),
    "nothing": ("missing-quantiles", lambda root: None),
}


@pytest.mark.parametrize("writer", [samples.write_v21, samples.write_gr00t])
@pytest.mark.parametrize("name", PLANTED)
def test_v2_is_checked_as_v3_is_and_the_advice_works(tmp_path, writer, name):
    root = writer(tmp_path / "set", episodes=4)
    check, plant = PLANTED[name]
    plant(root)
    report = audit_folder(root)
    found = {finding.check: finding for finding in report.findings}
    assert check in found, sorted(found)
    command = found[check].repair
    if not command:
        assert name in ("clock", "task"), "only where nothing mends it"
        return
    words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(command)[1:]]
    parsed = parse(words)
    assert parse(parsed.to_args()) == parsed
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0, f"{command}\n{result.stderr}"
    assert check not in {finding.check for finding in audit_folder(tmp_path / "out").findings}


def test_many_episodes_open_without_a_look_at_each(tmp_path):
    """What it costs is in `benchmarks/dataset_open.py`."""
    count = 10_000
    for version in ("v2.1", "v3.0"):
        root = tmp_path / version
        samples.write_v21(root, episodes=1)
        info = {"total_episodes": count, "total_frames": 12 * count, "splits": {"train": f"0:{count}"}}
        edit_info(root, codebase_version=version, **info)
        if version == "v2.1":
            lines = (f'{{"episode_index": {i}, "tasks": ["Push it."], "length": 12}}\n' for i in range(count))
            (root / "meta/episodes.jsonl").write_text("".join(lines))
        else:
            write_many(root, count)
        assert len(open_lerobot(root).keys) == count
        if version == "v3.0":
            assert len(Dataset(root).episodes) == count


def write_many(root: Path, count: int) -> None:
    """Turns the sample into a v3 set that claims many episodes, all in one file."""
    features = json.loads((root / "meta/info.json").read_text())["features"]
    del features[samples.CAMERA]
    template = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    sizes = {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
    edit_info(root, features=features, data_path=template, video_path=None, **sizes)
    (root / "data/chunk-000/episode_000000.parquet").rename(root / "data/chunk-000/file-000.parquet")
    write_tasks(root / "meta/tasks.parquet", ["Push it."])
    rows = np.arange(count)
    columns = {
        "episode_index": rows,
        "tasks": pa.array([["Push it."]] * count),
        "length": np.full(count, 12),
        "data/chunk_index": np.zeros(count, np.int64),
        "data/file_index": np.zeros(count, np.int64),
        "dataset_from_index": rows * 12,
        "dataset_to_index": rows * 12 + 12,
    }
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(columns), root / "meta/episodes/chunk-000/file-000.parquet")


def test_validation_data_that_was_trained_on_is_a_finding_of_its_own(tmp_path):
    from tests.defects.planted import clean
    from tests.defects.planting import edit_columns

    root = clean(tmp_path / "set", "no-camera")

    def copy(arrays) -> None:
        owner = arrays["episode_index"]
        source, target = np.flatnonzero(owner == 1), np.flatnonzero(owner == 7)
        count = min(len(source), len(target))
        for name in ("action", "observation.state"):
            arrays[name][target[:count]] = arrays[name][source[:count]]

    edit_columns(root, copy)
    assert "near-duplicate" in {f.check for f in audit_folder(root).findings}
    edit_info(root, splits={"train": "0:6", "val": "6:8"})
    (leak,) = [f for f in audit_folder(root).findings if f.check == "split-leak"]
    assert leak.episodes == (7,) and "episode 7 (val)" in leak.text and "episode 1 (train)" in leak.text


def test_metadata_are_mended_although_a_video_is_not_there(tmp_path):
    from tests.defects.planted import clean

    root = clean(tmp_path / "set", "joint")
    edit_info(root, total_frames=1)
    sorted((root / "videos").glob("*/*/*.mp4"))[0].unlink()
    found = {f.check: f for f in audit_folder(root).findings}
    assert set(found) == {"total-frames", "missing-video"}
    words = shlex.split(found["total-frames"].repair)[1:]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.stderr
    rows = sum(pq.ParquetFile(path).metadata.num_rows for path in (root / "data").rglob("*.parquet"))
    assert f"{rows} rows before, {rows} after" in result.stdout
    assert {f.check for f in audit_folder(root).findings} == {"missing-video"}
    assert load_info(root).raw["total_episodes"] == 8, "no episode is lost for a video"


def test_depth_of_a_newer_writer_is_not_mended_to_what_our_decoder_sees(tmp_path):
    from tests.defects.planted import clean

    root = clean(tmp_path / "set", "joint")
    info = json.loads((root / "meta/info.json").read_text())
    feature = info["features"]["observation.images.front"]
    feature["shape"] = [48, 64, 1]
    feature["info"]["video.is_depth_map"] = True
    feature["info"]["video.pix_fmt"] = "gray12le"
    edit_info(root, features=info["features"], total_frames=1)
    stats = json.loads((root / "meta/stats.json").read_text())
    stats["observation.images.front"]["mean"] = [[[815.0]]]
    (root / "meta/stats.json").write_text(json.dumps(stats))
    spec = root / "meta/roboscale/spec.json"
    spec.unlink()
    result = runner.invoke(app, ["data", "fix", str(root), "--metadata"])
    assert result.exit_code == 0, result.stderr
    assert "stay as their writer left them" in result.stdout
    after = json.loads((root / "meta/info.json").read_text())["features"]["observation.images.front"]
    assert after == feature
    assert json.loads((root / "meta/stats.json").read_text())["observation.images.front"]["mean"] == [[[815.0]]]


def encode_with_types(path: Path, pictures: np.ndarray, types: str) -> None:
    """In one and the same setting, as x264 does by default: only the content decides where B-frames are."""
    import av

    with av.open(str(path), "w") as output:
        options = {"bf": "3", "b-adapt": "1", "g": "24", "scenecut": "0", "threads": "1"}
        stream = output.add_stream("libx264", rate=samples.FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = pictures.shape[1], pictures.shape[2], "yuv420p"
        for picture, type_ in zip(pictures, types, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pict_type = av.video.frame.PictureType[type_]
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def test_later_episodes_may_decode_further_ahead_than_earlier_ones(tmp_path):
    from roboscale.dataset.video import VideoReader

    root = samples.write_v21(tmp_path / "set", episodes=3, frames=24)
    videos = [root / f"videos/chunk-000/{samples.CAMERA}/episode_{n:06d}.mp4" for n in range(3)]
    x = np.arange(32)[None, None, :] + 2 * np.arange(24)[:, None, None]
    panning = np.broadcast_to((128 + 100 * np.sin(x / 5))[..., None], (24, 32, 32, 3)).astype(np.uint8)
    for path, types in zip(videos, ("I" + "P" * 23, "I" + "BBP" * 7 + "PP", "I" + "P" * 23), strict=True):
        encode_with_types(path, panning, types)
    dataset, _ = imported(root, tmp_path / "out")
    for number, path in enumerate(videos):
        reader = VideoReader(path, samples.FPS)
        assert np.array_equal(dataset.decode(number, samples.CAMERA), reader.read(range(24)))
        reader.close()


def test_what_a_newer_writer_adds_is_named(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=2)
    edit_info(root, tools=[{"name": "look"}], mood="good", splits={"train": "0:2", "odd": "80%"})
    (root / "meta/colours.json").write_text("{}")
    pq.write_table(pa.table({"subtask": ["Reach."]}), root / "meta/subtasks.parquet")
    _, notes = imported(root, tmp_path / "out")
    said = " ".join(notes)
    assert "info.json mood" in said and "meta/colours.json" in said and "split odd" in said
    carried = extras_of(open_lerobot(tmp_path / "out"))
    assert carried.info == {"tools": [{"name": "look"}]} and list(carried.files) == ["meta/subtasks.parquet"]
    assert "tools" not in said and "subtasks" not in said, "what is carried is not lost"


def test_an_episode_table_without_tasks_and_statistics_is_read(tmp_path):
    from tests.defects.planted import clean

    root = clean(tmp_path / "set", "no-camera")
    shutil.rmtree(root / "meta/roboscale")
    for path in (root / "meta/episodes").glob("*/*.parquet"):
        table = pq.read_table(path)
        gone = [n for n in table.column_names if n.startswith("stats/") or n == "tasks"]
        pq.write_table(table.drop_columns(gone), path)
    assert "episode-columns" in {f.check for f in audit_folder(root).findings}
    dataset, _ = imported(root, tmp_path / "out")
    assert all(e.instruction for e in dataset.episodes) and len(dataset.episodes) == 8
