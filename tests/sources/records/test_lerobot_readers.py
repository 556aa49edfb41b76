"""Reading LeRobot v2.0, v2.1, v3 and GR00T: what is there, what is not, and what is wrong with it."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from roboscale.core import UNKNOWN, BadData, Clip, Field, Outcome, Provenance, Spec, UnknownName
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.video import VideoReader
from roboscale.sources.records import lerobot
from roboscale.testing.recording_checks import check_recording
from tests.samples import lerobot as samples

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[3] / "../shared/data"))
WRITERS = {"lerobot-v2.1": samples.write_v21, "lerobot-v2.0": samples.write_v20, "gr00t": samples.write_gr00t}


def opened(root: Path, **options):
    return lerobot.open_path(root, lerobot.detect(root), **options)


def checks(found) -> list[str]:
    return [finding.check for finding in found]


def edit_info(root: Path, **changes) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_feature(root: Path, name: str, **changes) -> None:
    features = json.loads((root / "meta/info.json").read_text())["features"]
    edit_info(root, features={**features, name: {**features.get(name, {}), **changes}})


def table_path(root: Path, number: int = 0) -> Path:
    return root / f"data/chunk-000/episode_{number:06d}.parquet"


def video_path(root: Path, number: int = 0) -> Path:
    return root / f"videos/chunk-000/{samples.CAMERA}/episode_{number:06d}.mp4"


def edit_table(root: Path, number: int = 0, **columns) -> None:
    path = table_path(root, number)
    table = pq.read_table(path)
    for name, values in columns.items():
        array = values if isinstance(values, pa.Array) else pa.array(values)
        there = name in table.column_names
        table = (
            table.set_column(table.column_names.index(name), name, array)
            if there
            else table.append_column(name, array)
        )
    pq.write_table(table, path)


SPEC = Spec(
    (
        Field("observation.state", (2,), "float32", unit="m", layout=("x", "y"), frame="world"),
        Field("action", (2,), "float64", unit="m", layout=("x", "y"), mode="relative to state at prediction"),
        Field("success", (), "bool"),
        Field("observation.images.front", (32, 32, 3), "uint8", role="front"),
    ),
    10,
)


def write_v3(root: Path, lengths=(5, 4), pending: bool = False) -> list[str]:
    ids = []
    writer = DatasetWriter(root, SPEC, robot_type="square")
    for number, length in enumerate(lengths):
        take = writer.begin(f"task {number}", Provenance("test", embodiment="square", operator="me", licence="MIT"))
        for k in range(length):
            image = np.full((32, 32, 3), 40 + 10 * k + number, np.uint8)
            arrays = {
                "observation.state": np.float32([k, number]),
                "action": np.float64([k, 0.1]),
                "success": np.bool_(k > 2),
            }
            take.add({**arrays, "observation.images.front": image})
        ids.append(take.save(Outcome("success", steps=length) if number else None))
    if pending:
        writer._resources.close()  # as a killed process leaves it
    else:
        writer.finalize()
    return ids


# what is there


@pytest.mark.parametrize("format", WRITERS)
def test_a_sample_keeps_every_promise(tmp_path, format):
    root = WRITERS[format](tmp_path / "set")
    assert lerobot.detect(root) == format
    recording = opened(root)
    check_recording(recording)
    assert recording.format == format and recording.robot_type == "toy_arm" and recording.spec.rate_hz == 10
    assert recording.keys == ["episode_000000", "episode_000001"] and not recording.missing
    assert checks(recording.findings) == ["missing-quantiles"]


def test_numbers_are_the_file_s_and_nothing_is_guessed(tmp_path):
    root = samples.write_v21(tmp_path / "set")
    recording = opened(root)
    episode = recording.read("episode_000001")
    expected = np.stack(pq.read_table(table_path(root, 1))["action"].to_numpy())
    assert episode.arrays["action"].tobytes() == expected.tobytes()
    assert episode.instruction == samples.TASKS[1] and not episode.findings and not episode.id
    assert episode.pictures[samples.CAMERA] == Clip(video_path(root, 1), 0, 12)
    action = recording.spec["action"]
    assert (action.unit, action.mode, action.layout) == (UNKNOWN, UNKNOWN, samples.NAMES)
    assert episode.provenance.source == "records.lerobot-v2.1" and episode.provenance.embodiment == "toy_arm"
    assert episode.provenance.details == {"source_key": "episode_000001", "dataset": "set"}
    assert set(recording.unmapped.values()) == {"regenerated"}


def test_gr00t_names_elements_cameras_and_annotations(tmp_path):
    recording = opened(samples.write_gr00t(tmp_path / "set"))
    assert recording.spec["action"].layout == ("arm.shoulder", "arm.elbow", "arm.wrist", "gripper")
    assert recording.spec["observation.state"].indices("arm") == (0, 1, 2)
    assert recording.spec[samples.CAMERA].role == "ego_view"
    name = "annotation.human.task_description"
    assert name in recording.unmapped
    assert recording.read("episode_000001").provenance.details["annotations"] == {name: [[0, samples.TASKS[1]]]}


@pytest.mark.parametrize(
    ("group", "error"),
    [({"start": 2, "end": 9}, "arm"), ({"start": 2, "end": 2}, "arm"), ({"end": 2}, "start"), (7, "arm"),
     ({"start": 0, "end": 2, "original_key": "nothing"}, "original_key")],
)  # fmt: skip
def test_a_slice_outside_its_field_is_bad_data(tmp_path, group, error):
    root = samples.write_gr00t(tmp_path / "set")
    (root / "meta/modality.json").write_text(json.dumps({"state": {"arm": group}}))
    with pytest.raises(BadData, match=rf"modality\.json.*{error}"):
        opened(root)


def test_a_slice_of_a_feature_without_an_axis_is_bad_data(tmp_path):
    root = samples.write_gr00t(tmp_path / "set")
    edit_feature(root, "action", shape=[])
    with pytest.raises(BadData, match=r"modality\.json"):
        opened(root)


def test_slices_that_overlap_or_leave_elements_out_are_named(tmp_path):
    root = samples.write_gr00t(tmp_path / "set")
    groups = {"arm": {"start": 0, "end": 2}, "hand": {"start": 1, "end": 3}}
    (root / "meta/modality.json").write_text(json.dumps({"state": groups, "video": {"top": {"original_key": "no"}}}))
    recording = opened(root)
    assert recording.spec["observation.state"].layout == ("arm.shoulder", "arm.elbow", "hand.wrist", "gripper")
    assert checks(recording.findings).count("modality") == 3


def test_our_own_dataset_keeps_ids_outcomes_provenance_and_units(tmp_path):
    ids = write_v3(tmp_path / "own")
    recording = opened(tmp_path / "own")
    check_recording(recording)
    assert recording.spec == SPEC and recording.format == "lerobot-v3" and not recording.findings
    episodes = [recording.read(key) for key in recording.keys]
    assert [episode.id for episode in episodes] == ids
    assert [episode.outcome for episode in episodes] == [None, Outcome("success", steps=4)]
    assert episodes[1].provenance == Provenance("test", embodiment="square", operator="me", licence="MIT")
    assert [episode.instruction for episode in episodes] == ["task 0", "task 1"]
    assert episodes[1].arrays["success"].shape == (4,) and recording.licence == "MIT"
    clip = episodes[1].pictures["observation.images.front"]
    assert (clip.first, clip.length) == (5, 4)
    decoded = Dataset(tmp_path / "own").decode(1, "observation.images.front")
    assert np.array_equal(VideoReader(clip.path, 10).read(range(5, 9)), decoded)


def test_episodes_that_a_killed_recorder_saved_are_read_too(tmp_path):
    ids = write_v3(tmp_path / "own", pending=True)
    recording = opened(tmp_path / "own")
    check_recording(recording)
    assert [recording.read(key).id for key in recording.keys] == ids


def test_a_foreign_v3_has_no_ids_and_no_units(tmp_path):
    write_v3(tmp_path / "set", lengths=(5, 4, 6))
    whole = Dataset(tmp_path / "set").arrays("action").copy()
    shutil.rmtree(tmp_path / "set/meta/roboscale")
    recording = opened(tmp_path / "set")
    check_recording(recording)
    assert not recording.findings and recording.spec["action"].unit == UNKNOWN
    last = recording.read("episode_000002")
    assert np.array_equal(last.arrays["action"], whole[9:]) and last.id == "" and last.instruction == "task 2"
    assert last.pictures["observation.images.front"].first == 9


def test_a_foreign_v3_without_its_video_says_so_and_gives_its_numbers(tmp_path):
    write_v3(tmp_path / "set")
    shutil.rmtree(tmp_path / "set/meta/roboscale")
    shutil.rmtree(tmp_path / "set/videos")
    (tmp_path / "set/meta/stats.json").unlink()
    edit_info(tmp_path / "set", total_frames=10)
    recording = opened(tmp_path / "set")
    check_recording(recording)
    assert recording.missing == {"observation.images.front": recording.keys}
    assert checks(recording.findings) == ["total-frames", "stats-missing", "missing-video"]
    with pytest.raises(BadData, match="to exist"):
        recording.read("episode_000000")


def test_rows_of_a_foreign_v3_are_found_by_episode_not_by_position(tmp_path):
    write_v3(tmp_path / "set", lengths=(5, 4, 6))
    shutil.rmtree(tmp_path / "set/meta/roboscale")
    table = next((tmp_path / "set/data").rglob("*.parquet"))
    rows = pq.read_table(table)
    pq.write_table(rows.filter(pa.compute.not_equal(rows["episode_index"], 1)), table)
    recording = opened(tmp_path / "set")
    assert recording.read("episode_000002").arrays["observation.state"][0].tolist() == [0, 2]
    with pytest.raises(BadData, match="rows of episode 1"):
        recording.read("episode_000001")


def edit_episodes(root: Path, **columns) -> None:
    path = next((root / "meta/episodes").rglob("*.parquet"))
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, path)


def test_metadata_of_a_foreign_v3_that_disagrees(tmp_path):
    write_v3(tmp_path / "set", lengths=(5, 4, 6))
    shutil.rmtree(tmp_path / "set/meta/roboscale")
    video = "videos/observation.images.front"
    times = {f"{video}/from_timestamp": [0.0, 0.53, 0.9], f"{video}/to_timestamp": [0.5, 0.9, 1.3]}
    edit_episodes(tmp_path / "set", episode_index=[0, 1, 3], tasks=[["task 0"], ["task 1"], ["lost"]], **times)
    (tmp_path / "set/meta/stats.json").write_text("{}")
    recording = opened(tmp_path / "set")
    found = {finding.check: finding for finding in recording.findings}
    assert found.keys() == {"episode-order", "missing-quantiles", "video-timestamps", "task-index"}
    assert found["episode-order"].episodes == (2,) and found["video-timestamps"].episodes == (1, 2)
    assert found["task-index"].episodes == (2,)
    edit_episodes(tmp_path / "set", episode_index=[0, 1, 1])
    with pytest.raises(BadData, match="episode_index"):
        opened(tmp_path / "set")


def test_pictures_inside_the_tables_of_a_foreign_v3(tmp_path):
    write_v3(tmp_path / "set")
    shutil.rmtree(tmp_path / "set/meta/roboscale")
    path = next((tmp_path / "set/data").rglob("*.parquet"))
    images = [np.full((16, 16, 3), 20 * number, np.uint8) for number in range(9)]
    rows = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    pq.write_table(pq.read_table(path).append_column("observation.images.wrist", pa.array(rows)), path)
    edit_feature(tmp_path / "set", "observation.images.wrist", dtype="image", shape=[16, 16, 3])
    recording = opened(tmp_path / "set")
    check_recording(recording)
    pictures = recording.read("episode_000001").pictures["observation.images.wrist"]
    assert np.array_equal(np.stack(list(pictures)), images[5:])


def test_pictures_inside_the_tables_are_decoded(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 6, 3), dtype=np.uint8)
    rows = []
    for number, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue() if number else None, "path": f"images/{number}.png"})
        (root / "images").mkdir(exist_ok=True)
        (root / f"images/{number}.png").write_bytes(buffer.getvalue())
    edit_table(root, **{"observation.images.wrist": rows})
    edit_feature(
        root, "observation.images.wrist", dtype="image", shape=[3, 8, 6], names=["channels", "height", "width"]
    )
    recording = opened(root)
    check_recording(recording)
    pictures = recording.read("episode_000000").pictures["observation.images.wrist"]
    assert np.array_equal(np.stack(list(pictures)), images)
    rows[0]["path"] = "../../outside.png"
    edit_table(root, **{"observation.images.wrist": rows})
    with pytest.raises(BadData, match="inside the dataset"):
        list(opened(root).read("episode_000000").pictures["observation.images.wrist"])


def test_what_is_not_carried_over_is_named_with_the_reason(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    edit_table(root, note=["x"] * 12, extra=list(range(12)))
    edit_feature(root, "note", dtype="string", shape=[1])
    edit_feature(root, "gone", dtype="float32", shape=[1])
    edit_feature(root, "depth", dtype="video", shape=[32, 32, 1], info={"video.is_depth_map": True})
    recording = opened(root)
    check_recording(recording)
    assert {"extra", "gone", "depth"} <= recording.unmapped.keys()
    assert set(recording.extras.features) == {"note"}  # carried as it is, which is said, too
    assert "none of its videos can be read" in recording.unmapped["depth"]
    assert "column-missing" in checks(recording.findings)


def test_options_formats_keys_and_cameras_that_are_not_there(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    with pytest.raises(UnknownName, match="option"):
        opened(root, mapping=1)
    with pytest.raises(UnknownName, match="format"):
        lerobot.open_path(root, "rlds")
    with pytest.raises(UnknownName, match="episode"):
        opened(root).read("episode_000001")
    with pytest.raises(UnknownName, match="camera"):
        opened(root).read("episode_000000", ["wrist"])
    with pytest.raises(BadData, match="codebase_version"):
        lerobot.open_path(root, "lerobot-v3")
    assert lerobot.detect(tmp_path) is None


def test_the_licence_of_the_card(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    assert opened(root).licence == ""
    (root / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\nA data set.\n")
    assert opened(root).licence == "Apache-2.0"
    assert opened(root).read("episode_000000", ()).provenance.licence == "Apache-2.0"


# what is wrong


@pytest.mark.parametrize("format", ["v21", "v20"])
def test_names_nested_too_deep_are_found_and_flattened(tmp_path, format):
    root = getattr(samples, f"write_{format}")(tmp_path / "set")
    edit_feature(root, "action", names=[list(samples.NAMES)])
    recording = opened(root)
    found = [finding for finding in recording.findings if finding.check == "names-nested"]
    assert [finding.field for finding in found] == ["action"] and found[
        0
    ].repair == f"roboscale data import {root} OUT"
    assert recording.spec["action"].layout == samples.NAMES


def test_names_in_the_ways_that_lerobot_writes_them_are_no_finding(tmp_path):
    root = samples.write_v21(tmp_path / "set")
    edit_feature(root, "action", names={"motors": list(samples.NAMES)})
    edit_feature(root, "observation.state", names={name: i for i, name in enumerate(samples.NAMES)})
    recording = opened(root)
    assert checks(recording.findings) == ["missing-quantiles"]
    assert recording.spec["action"].layout == recording.spec["observation.state"].layout == samples.NAMES


def test_metadata_that_disagrees(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=3)
    edit_info(root, total_frames=35, total_videos=9)
    rows = [json.loads(line) for line in (root / "meta/episodes.jsonl").read_text().splitlines()]
    rows[1]["length"], rows[2]["tasks"] = 11, ["Never heard of."]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "meta/episodes_stats.jsonl").rename(root / "meta/stats.json")
    table_path(root, 0).unlink()
    video_path(root, 2).unlink()
    found = {finding.check: finding for finding in opened(root).findings}
    assert found.keys() == {
        "total-videos", "codebase-version", "stats-missing", "task-index", "file-missing",
        "missing-video",
    }  # fmt: skip
    assert found["missing-video"].episodes == (2,) and found["file-missing"].episodes == (0,)
    episode = opened(root).read("episode_000001")
    assert len(episode) == 12 and checks(episode.findings) == ["episode-length"]
    assert episode.findings[0].evidence == {"metadata": 11, "data": 12}
    assert checks(opened(root).read("episode_000002", ()).findings) == ["task-index"]


def test_timestamps_off_the_grid(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    times = (np.arange(12) / 10).astype(np.float32)
    edit_table(root, timestamp=times + np.float32(5e-5))
    assert not opened(root).read("episode_000000").findings
    times[4] += 0.01
    edit_table(root, timestamp=times)
    (finding,) = opened(root).read("episode_000000").findings
    assert finding.check == "timestamp-column" and finding.evidence["frames"] == 1
    assert (finding.spans[0].first, finding.spans[0].last) == (4, 4)


def test_index_columns_that_are_wrong(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    edit_table(root, frame_index=np.arange(1, 13), episode_index=np.full(12, 7), task_index=np.full(12, 9))
    assert checks(opened(root).read("episode_000000").findings) == ["frame-index", "episode-location", "task-index"]


def test_several_tasks_in_one_episode(tmp_path):
    root = samples.write_v21(tmp_path / "set")
    edit_table(root, task_index=np.repeat([0, 1, 0], 4))
    episode = opened(root).read("episode_000000")
    assert episode.instruction == samples.TASKS[0]
    expected = [[0, samples.TASKS[0]], [4, samples.TASKS[1]], [8, samples.TASKS[0]]]
    assert episode.provenance.details["instructions"] == expected
    assert "several-tasks" in checks(episode.findings)


def test_the_dtype_of_the_data_counts_not_the_claimed_one(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    edit_feature(root, "action", dtype="float64")
    recording = opened(root)
    check_recording(recording)
    assert recording.spec["action"].dtype == "float32" and "column-type" in checks(recording.findings)


@pytest.mark.parametrize("what", ["frames", "size", "rate", "broken", "claimed"])
def test_videos_against_data_and_metadata(tmp_path, what):
    root = samples.write_v21(tmp_path / "set")
    if what == "frames":
        shutil.copy(
            samples.write_v21(tmp_path / "b", frames=11) / video_path(root, 1).relative_to(root), video_path(root, 1)
        )
    if what == "size":
        from roboscale.dataset.video import Encoder

        encoder = Encoder(video_path(root, 1), (16, 32, 3), 10, "h264")
        for _ in range(12):
            encoder.add(np.zeros((16, 32, 3), np.uint8))
        encoder.close()
    if what == "rate":
        edit_info(root, fps=20)
    if what == "broken":
        video_path(root, 1).write_bytes(video_path(root, 1).read_bytes()[:300])
    if what == "claimed":
        edit_feature(root, samples.CAMERA, shape=[64, 64, 3])
    recording = opened(root)
    if what == "rate":
        assert "video-fps" in checks(recording.read("episode_000001").findings)
    elif what == "claimed":
        assert "video-size" in checks(recording.findings) and recording.spec[samples.CAMERA].shape == (32, 32, 3)
        check_recording(recording)
    else:
        with pytest.raises(BadData, match=r"episode_000001\.mp4"):
            recording.read("episode_000001")
        assert len(recording.read("episode_000000")) == len(recording.read("episode_000001", ())) == 12


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data_path", "../{episode_index}.parquet"), ("data_path", "/etc/{episode_index}"), ("data_path", 3),
        ("data_path", "data/x.parquet"), ("data_path", "data/{episode_index:0999999999d}.parquet"),
        ("data_path", "data/{episode_index.__class__}"), ("video_path", "../{video_key}/{episode_index}.mp4"),
        ("video_path", "videos/{nobody}.mp4"), ("fps", 0), ("fps", "ten"), ("fps", float("nan")), ("features", []),
        ("codebase_version", "v1.6"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_used_is_bad_data(tmp_path, key, value):
    root = samples.write_v21(tmp_path / "set")
    edit_info(root, **{key: value})
    if key == "fps":  # else the cameras say it
        edit_feature(root, samples.CAMERA, info=None)
    with pytest.raises(BadData, match=key):
        lerobot.open_path(root, "lerobot-v2.1")


def test_rows_of_different_sizes_and_nulls_are_bad_data(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    edit_table(root, action=pa.array([[1.0] * 3, [1.0] * 5, *[[1.0] * 4] * 10], pa.list_(pa.float32())))
    with pytest.raises(BadData, match="action"):
        opened(root).read("episode_000000", ())
    edit_table(root, action=pa.array([None, *[[1.0] * 4] * 11], pa.list_(pa.float32())))
    with pytest.raises(BadData, match="null"):
        opened(root).read("episode_000000", ())


def test_real_data():
    root = DATA / "lerobot_v21_g1"
    if not root.exists():
        pytest.skip(f"no recording at {root}; set ROBOSCALE_TEST_DATA")
    recording = opened(root)
    assert lerobot.detect(root) == "lerobot-v2.1" and len(recording.keys) == 100 and recording.licence == "MIT"
    (camera,) = recording.missing
    assert len(recording.missing[camera]) == 96
    assert set(recording.keys) - set(recording.missing[camera]) == {f"episode_0000{n}" for n in range(28, 32)}
    found = checks(recording.findings)
    assert found == ["names-nested", "names-nested", "missing-quantiles", "missing-video"]
    assert recording.spec["action"].layout[0] == "kLeftShoulderPitch" and recording.spec["action"].shape == (26,)
    episode = recording.read("episode_000028")
    assert episode.pictures[camera].length == len(episode) == 278 and not episode.findings
    assert "/" not in json.dumps(episode.provenance.to_json())
