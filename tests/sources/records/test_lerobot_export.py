"""v3 to v2.1 and GR00T: no number differs, no packet is encoded again unless it must be."""

import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData, Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.lerobot import modality
from roboscale.dataset.video import VideoReader, join
from roboscale.jobs.data_import import ImportDataset, import_dataset
from roboscale.sources.records import lerobot
from roboscale.sources.records.lerobot.export import ANNOTATION, export_gr00t, export_v21
from roboscale.testing.recording_checks import check_recording
from tests.samples import lerobot as samples
from tests.samples.lerobot import write_gr00t

CAMERA = "observation.images.front"
NAMES = ("arm.x", "arm.y", "gripper")
SPEC = Spec(
    (
        Field("observation.state", (3,), "float32", layout=NAMES),
        Field("action", (3,), "float64", layout=NAMES),
        Field("force", (1,), "float32"),
        Field("grid", (2, 3), "int16"),
        Field(CAMERA, (32, 32, 3), "uint8", role="ego"),
    ),
    10,
)
LENGTHS = (5, 4, 7)


def write(root: Path, *, pending: bool = False) -> Dataset:
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 190, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    writer = DatasetWriter(root, SPEC, robot_type="square")
    for number, length in enumerate(LENGTHS):
        take = writer.begin(f"task {number % 2}", Provenance("test"))
        for k in range(length):
            numbers = {f.name: rng.normal(0, 99, f.shape).astype(f.dtype) for f in SPEC if not f.is_image}
            take.add({**numbers, CAMERA: np.roll(scene, 4 * (k + number), axis=0)})
        take.save()
    if pending:
        writer._resources.close()  # as a killed process leaves it
    else:
        writer.finalize()
    return Dataset(root)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.dts is not None]


def videos(out: Path, camera: str = CAMERA) -> list[Path]:
    return sorted((out / f"videos/chunk-000/{camera}").iterdir())


@pytest.mark.parametrize("pending", [False, True])
def test_numbers_and_packets_are_the_dataset_s(tmp_path, pending):
    dataset = write(tmp_path / "v3", pending=pending)
    done = []
    export_v21(dataset, tmp_path / "v21", progress=lambda *counts: done.append(counts))
    assert done == [(1, 3), (2, 3), (3, 3)]
    recording = lerobot.open_path(tmp_path / "v21", lerobot.detect(tmp_path / "v21"))
    check_recording(recording)
    assert recording.format == "lerobot-v2.1" and not recording.findings and recording.robot_type == "square"
    assert [(f.name, f.shape, f.dtype, f.layout) for f in recording.spec if not f.is_image] == [
        (f.name, f.shape, f.dtype, f.layout) for f in SPEC if not f.is_image
    ]
    for number, key in enumerate(recording.keys):
        before, after = dataset.episode(number), recording.read(key)
        for name in after.arrays:
            assert after.arrays[name].tobytes() == before.arrays[name].tobytes(), name
        assert after.instruction == before.instruction and not after.findings
        clip = after.pictures[CAMERA]
        assert np.array_equal(VideoReader(clip.path, 10).read(range(len(after))), before.arrays[CAMERA])
    copied = [data for video in videos(tmp_path / "v21") for data in packets(video)]
    sources = sorted((tmp_path / "v3").rglob("*.mp4"))
    assert copied == [data for source in sources for data in packets(source)]


def test_a_round_trip_gives_the_same_v21(tmp_path):
    """The import that stands between is the transfer's; here its result is put together by hand."""
    source = lerobot.open_path(samples.write_v21(tmp_path / "a", episodes=3), "lerobot-v2.1")
    with DatasetWriter(tmp_path / "v3", source.spec, robot_type=source.robot_type) as writer:
        for key in source.keys:
            episode = source.read(key)
            clip = episode.pictures[samples.CAMERA]
            images = VideoReader(clip.path, 10).read(range(len(clip)))
            take = writer.begin(episode.instruction, episode.provenance)
            for k, image in enumerate(images):
                take.add({samples.CAMERA: image, **{name: array[k] for name, array in episode.arrays.items()}})
            take.save()
    (target,) = (tmp_path / "v3/videos").rglob("*.mp4")
    join(videos(tmp_path / "a", samples.CAMERA), [12] * 3, target, 10)  # remuxed, not encoded
    export_v21(Dataset(tmp_path / "v3"), tmp_path / "b")
    for number in range(3):
        name = f"data/chunk-000/episode_{number:06d}.parquet"
        before, after = pq.read_table(tmp_path / "a" / name), pq.read_table(tmp_path / "b" / name)
        assert after.column_names == before.column_names
        assert all(after[column].equals(before[column]) for column in before.column_names)
    pairs = zip(videos(tmp_path / "a", samples.CAMERA), videos(tmp_path / "b", samples.CAMERA), strict=True)
    assert all(packets(before) == packets(after) for before, after in pairs)
    for name in ("tasks.jsonl", "episodes.jsonl"):
        assert (tmp_path / "a/meta" / name).read_text() == (tmp_path / "b/meta" / name).read_text()


def test_an_episode_that_begins_within_a_group_of_pictures_is_encoded_again(tmp_path):
    dataset = write(tmp_path / "v3")
    (video,) = (tmp_path / "v3/videos").rglob("*.mp4")
    pictures = VideoReader(video, 10).read(range(sum(LENGTHS)))
    with av.open(str(video), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=10, options={"g": "100", "bf": "0", "crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for image in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    export_v21(Dataset(tmp_path / "v3"), tmp_path / "v21")
    for path, first, length in zip(videos(tmp_path / "v21"), (0, 5, 9), LENGTHS, strict=True):
        found = VideoReader(path, 10).read(range(length)).astype(int)
        wanted = pictures[first : first + length]
        assert 3 * np.abs(found - wanted).mean() < np.abs(found - np.roll(wanted, 1, axis=0)).mean()
    assert len(dataset.episodes) == 3


def test_statistics_are_lerobot_s(tmp_path):
    dataset = write(tmp_path / "v3")
    export_v21(dataset, tmp_path / "v21")
    lines = [json.loads(line) for line in (tmp_path / "v21/meta/episodes_stats.jsonl").read_text().splitlines()]
    assert [line["episode_index"] for line in lines] == [0, 1, 2]
    stats, episode = lines[1]["stats"], dataset.episode(1)
    assert stats["action"]["mean"] == pytest.approx(episode.arrays["action"].mean(0).tolist())
    # LeRobot takes matrices over their last axis, and cannot merge others
    assert stats["grid"]["max"] == episode.arrays["grid"].max((0, 1)).tolist()
    assert stats["grid"]["count"] == stats["action"]["count"] == [4]
    assert np.shape(stats[CAMERA]["mean"]) == (3, 1, 1) and stats[CAMERA]["count"] == [4]
    expected = episode.arrays[CAMERA].mean(axis=(0, 1, 2)) / 255
    assert np.ravel(stats[CAMERA]["mean"]) == pytest.approx(expected, abs=0.02)
    rows = pq.read_table(next((tmp_path / "v3/meta/episodes").rglob("*.parquet")))
    assert stats[CAMERA]["q50"] == rows[f"stats/{CAMERA}/q50"][1].as_py()
    assert stats["force"]["count"] == [4] and np.shape(stats["force"]["std"]) == (1,)


def test_pixels_are_counted_where_no_statistics_are_stored(tmp_path):
    export_v21(write(tmp_path / "v3", pending=True), tmp_path / "v21")
    stats = json.loads((tmp_path / "v21/meta/episodes_stats.jsonl").read_text().splitlines()[0])["stats"][CAMERA]
    decoded = VideoReader(videos(tmp_path / "v21")[0], 10).read(range(5))
    assert np.ravel(stats["mean"]) == pytest.approx(decoded.mean(axis=(0, 1, 2)) / 255)
    assert np.ravel(stats["max"]) == pytest.approx(decoded.max(axis=(0, 1, 2)) / 255)


def test_gr00t_has_modality_and_annotation_and_reads_back(tmp_path):
    export_gr00t(write(tmp_path / "v3"), tmp_path / "out")
    said = json.loads((tmp_path / "out/meta/modality.json").read_text())
    groups = {"arm": {"start": 0, "end": 2}, "gripper": {"start": 2, "end": 3}}
    assert said["state"] == said["action"] == groups
    assert (
        said["video"] == {"ego": {"original_key": CAMERA}}
        and f"annotation.{next(iter(said['annotation']))}" == ANNOTATION
    )
    recording = lerobot.open_path(tmp_path / "out", lerobot.detect(tmp_path / "out"))
    check_recording(recording)
    assert recording.format == "gr00t" and not recording.findings
    assert recording.spec["action"].layout == NAMES and recording.spec[CAMERA].role == "ego"
    assert recording.read("episode_000001").provenance.details["annotations"] == {ANNOTATION: [[0, "task 1"]]}


@pytest.mark.parametrize(
    ("layout", "groups"),
    [
        (("arm.x", "arm.y", "gripper"), {"arm": (0, 2), "gripper": (2, 3)}),
        (("left_arm_0", "left_arm_1", "right_arm_0"), {"left_arm": (0, 2), "right_arm": (2, 3)}),
        (("shoulder.pos", "elbow.pos", "wrist.pos"), {"all": (0, 3)}),
        (("arm.x", "gripper", "arm.y"), {"all": (0, 3)}),
        (("dx", "dy", "dz"), {"all": (0, 3)}),
        ((), {"all": (0, 3)}),
    ],
)
def test_groups_follow_from_names(layout, groups):
    found = modality.modality_of([Field("action", (3,), "float32", layout=layout)])
    assert found["action"] == {name: {"start": start, "end": end} for name, (start, end) in groups.items()}
    assert found["state"] == {} and found["video"] == {}


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    dataset = write(tmp_path / "v3")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    with pytest.raises(BadData, match="folder"):
        export_v21(dataset, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_table_is_described_as_datasets_3_and_4_know_it(tmp_path):
    export_v21(write(tmp_path / "v3"), tmp_path / "v21")
    schema = pq.read_schema(tmp_path / "v21/data/chunk-000/episode_000000.parquet")
    described = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert described["action"] == {"feature": {"dtype": "float64", "_type": "Value"}, "length": 3, "_type": "Sequence"}


def test_gr00t_keeps_every_annotation_on_the_way_round(tmp_path):
    """`human.validity` and others that change within an episode come back as they were, and so do groups and views."""
    source = write_gr00t(tmp_path / "source", episodes=2, frames=12)
    texts = ["valid", "invalid", "reach", "grasp"]
    with (source / "meta/tasks.jsonl").open("a") as file:
        file.writelines(json.dumps({"task_index": 2 + i, "task": text}) + "\n" for i, text in enumerate(texts))
    said = {"annotation.human.validity": [2] * 8 + [3] * 4, "annotation.human.coarse_action": [4] * 5 + [5] * 7}
    for path in sorted(source.glob("data/*/*.parquet")):
        table = pq.read_table(path)
        for name, numbers in said.items():
            table = table.append_column(name, pa.array(numbers, pa.int64()))
        pq.write_table(table, path)
    info = json.loads((source / "meta/info.json").read_text())
    info["features"] |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in said}
    (source / "meta/info.json").write_text(json.dumps(info))
    modality = json.loads((source / "meta/modality.json").read_text())
    modality["annotation"] |= {name.removeprefix("annotation."): {} for name in said}
    (source / "meta/modality.json").write_text(json.dumps(modality))
    import_dataset(ImportDataset(source=source, out=tmp_path / "ours", workers=0))
    export_gr00t(Dataset(tmp_path / "ours"), tmp_path / "back")
    before, after = (lerobot.open_path(root, "gr00t") for root in (source, tmp_path / "back"))
    for key in before.keys:
        kept = after.read(key).provenance.details["annotations"]
        assert kept == before.read(key).provenance.details["annotations"]
        assert kept["annotation.human.validity"] == [[0, "valid"], [8, "invalid"]]
    assert json.loads((tmp_path / "back/meta/modality.json").read_text()) == modality
