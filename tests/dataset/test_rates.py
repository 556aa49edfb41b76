"""Rates that are no whole number: 29.97 is one, and every way through a dataset keeps its pictures and its times."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from roboscale import ExportDataset, ImportDataset, export_dataset, import_dataset
from roboscale.core import BadData, Field, Provenance, RecordedEpisode, Spec, SpecMismatch
from roboscale.core.recording import Origin
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.pictures import ArrayPictures
from roboscale.dataset.rates import exact_rate, fps_number, is_rate, same_rate
from roboscale.dataset.resampling import ResampledRecording, nearest_frames
from roboscale.dataset.video import VideoReader, probe
from roboscale.jobs.events import Note
from roboscale.web.show.library import Library
from tests.samples import lerobot as samples

CAMERA = "observation.images.front"
TELEVISION = Fraction(30000, 1001)
RATES = [(29.97, TELEVISION), (12.5, Fraction(25, 2)), (59.94, 2 * TELEVISION), (0.5, Fraction(1, 2))]


def recorded(root: Path, robot: ModuleType, rate: float, lengths: tuple[int, ...] = (30, 21)) -> Path:
    with DatasetWriter(root, Spec(robot.SPEC.fields, rate), robot_type="square") as writer:
        for seed, length in enumerate(lengths):
            robot.record(writer, seed, length, "push the block to the goal")
    return root


def worst(findings) -> list[str]:
    return [f"{f.check}: {f.text}" for f in findings if f.severity == "error" and f.check != "licence-missing"]


@pytest.mark.parametrize(
    ("said", "exact"), [*RATES, (23.976, TELEVISION * 24 / 30), (18.4327, Fraction(184327, 10000))]
)
def test_a_rate_has_one_exact_value_however_it_is_written(said: float, exact: Fraction):
    assert exact_rate(said) == exact_rate(float(exact)) == exact_rate(fps_number(said)) == exact
    assert same_rate(said, exact) and not same_rate(said, float(exact) * 1.001)


def test_whole_rates_stay_whole_and_nonsense_is_none():
    assert isinstance(fps_number(30.0), int) and exact_rate(9.99) == Fraction(999, 100)
    assert not any(map(is_rate, (0.0, -1.0, float("nan"), float("inf"), 1e7)))


@pytest.mark.parametrize(("said", "exact"), RATES)
def test_what_was_recorded_at_a_fractional_rate_comes_back(tmp_path: Path, robot: ModuleType, said, exact):
    dataset = Dataset(recorded(tmp_path / "set", robot, said), delta_timestamps={"action": [0.0, 2 / float(exact)]})
    assert dataset.fps == pytest.approx(float(exact)) and dataset[51 - 1]["timestamp"] == np.float32(20 / float(exact))
    np.testing.assert_array_equal(dataset[3]["action"][1], dataset.arrays("action")[5])
    video = next((tmp_path / "set/videos").rglob("*.mp4"))
    assert same_rate(probe(video).fps, exact)
    with av.open(str(video)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [pytest.approx(float(k / exact), abs=1e-6) for k in range(51)]  # both episodes, without drift
    assert not worst(audit_folder(tmp_path / "set").findings)
    assert Library(tmp_path / "set").describe()["fps"] == dataset.fps


@pytest.mark.parametrize("format", ["lerobot-v2.1", "gr00t", "rlds", "hdf5-robomimic", "zarr", "mcap"])
def test_a_fractional_rate_survives_exports(tmp_path: Path, robot: ModuleType, format: str):
    source = recorded(tmp_path / "set", robot, 29.97)
    export_dataset(ExportDataset(dataset=source, out=tmp_path / "there", to=format))
    if format in ("lerobot-v2.1", "gr00t"):
        assert not worst(audit_folder(tmp_path / "there").findings)
        done = import_dataset(ImportDataset(source=tmp_path / "there", out=tmp_path / "back", workers=0))
        assert {c.encoded for c in done.proof.cameras} == {0}  # packets are copied, not encoded again
        assert Dataset(tmp_path / "back").fps == Dataset(source).fps


@pytest.mark.parametrize("fps", [30, 29.97])
def test_videos_of_television_in_a_set_of_30_are_read(tmp_path: Path, fps: float):
    """Case 25: one file an episode, so a frame is a frame whatever the file's clock says."""
    root = samples.write_v21(tmp_path / "set", episodes=2, frames=40)
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, "fps": fps}))
    for path in (root / "videos").rglob("*.mp4"):
        retimed(path, TELEVISION)
    import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    assert len(Dataset(tmp_path / "out").decode(1, samples.CAMERA)) == 40
    assert not [f for f in audit_folder(root).findings if f.check in ("unreadable-pictures", "info-broken")]


def retimed(path: Path, rate: Fraction) -> None:
    """The same packets at another rate."""
    other = path.with_suffix(".new.mp4")
    with av.open(str(path)) as source, av.open(str(other), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.dts is not None):
            packet.time_base, packet.pts, packet.dts, packet.duration = 1 / rate, number, number, 1
            packet.stream = stream
            target.mux(packet)
    other.replace(path)


def test_resampling_repeats_and_drops_whole_frames_and_says_how_many(tmp_path: Path, robot: ModuleType):
    source = Dataset(recorded(tmp_path / "set", robot, 30))
    notes: list[str] = []
    import_dataset(
        ImportDataset(source=source.root, out=tmp_path / "out", resample=12.5, workers=0),
        lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    slow = Dataset(tmp_path / "out", images="uint8")
    shown = np.rint(np.arange(13) * 30 / 12.5 - 1e-9).astype(int)
    assert [e.length for e in slow.episodes] == [13, 9] and slow.fps == 12.5
    np.testing.assert_array_equal(slow.arrays("action")[:13], source.arrays("action")[shown])
    np.testing.assert_array_equal(
        slow.arrays("time.source_ns")[:13].ravel(), np.rint(shown * 1e9 / 30).astype(np.int64)
    )
    before, after = Dataset(source.root, images="uint8").decode(0, CAMERA)[shown], slow.decode(0, CAMERA)
    assert np.abs(before.astype(int) - after).mean() < 4 < np.abs(before[1:].astype(int) - after[:-1]).mean()
    assert "resampled to 12.5 Hz: 51 frames became 22, 0 repeated, 29 dropped" in "\n".join(notes)
    assert not [f for f in audit_folder(slow.root).findings if f.field == "time.source_ns"]


def test_a_recorded_clock_decides_which_frame_is_shown():
    """18.5 Hz declared as 20, with a frame lost: on a grid of 20 Hz some frames are shown twice."""
    times = np.delete(np.rint(np.arange(38) * 1e9 / 18.5), 20).astype(np.int64)
    picks = nearest_frames(times, 20, 20)
    assert len(picks) == 41 and set(picks) == set(range(37))
    assert np.abs(times[picks] - np.arange(41) * 5e7).max() < 0.55e9 / 18.5 + 0.5e9 / 18.5 * 2
    np.testing.assert_array_equal(nearest_frames(times[:20], 18.5, 20), np.arange(20))


@pytest.mark.parametrize("times", [[0, 50, 40], [0, 50_000_000, 10**18]])
def test_a_clock_that_is_none_is_refused(times: list[int]):
    with pytest.raises(BadData, match=r"time\.frame_ns"):
        nearest_frames(np.array(times, np.int64), 20, 20)


class Few:
    """A recording of one episode in memory."""

    format, robot_type, licence, keys, unmapped, missing, findings = "own", "", "", ("a",), {}, {}, ()
    root = Path("few")

    def __init__(self, mode: str = "absolute") -> None:
        fields = (
            Field("action", (1,), "float32", mode=mode),
            Field("next.done", (1,), "bool"),
            Field("c", (2, 2, 3), "uint8"),
        )
        self.spec = Spec(fields, 20)
        self.origins = [Origin(f.name, f.name) for f in fields]

    def read(self, key, cameras=None) -> RecordedEpisode:
        rows = np.arange(8)
        images = np.full((8, 2, 2, 3), rows[:, None, None, None], np.uint8)
        return RecordedEpisode(
            key=key,
            arrays={"action": rows[:, None].astype(np.float32), "next.done": (rows == 7)[:, None]},
            pictures={"c": ArrayPictures("few", "c", images, 0, 8)},
            instruction="go",
            provenance=Provenance("by hand"),
            instructions=((0, "go"), (3, "stop"), (7, "done")),
        )

    def close(self) -> None:
        pass


def test_instructions_follow_their_frames_and_an_event_that_is_dropped_is_said():
    episode = ResampledRecording(Few(), 10).read("a")
    assert episode.arrays["action"].ravel().tolist() == [0, 2, 4, 6]
    assert [int(image[0, 0, 0]) for image in episode.pictures["c"]] == [0, 2, 4, 6]
    assert episode.instructions == ((0, "go"), (2, "stop"))
    assert [f.check for f in episode.findings] == ["resampled", "event-dropped"]
    kept = ResampledRecording(Few(), 40).read("a")
    assert kept.arrays["next.done"].sum() == 1 and kept.findings[0].evidence["repeated"] == 7


def test_actions_that_are_steps_are_not_resampled():
    with pytest.raises(SpecMismatch, match="action is relative to previous action: steps of another length"):
        ResampledRecording(Few("relative to previous action"), 10)


def test_a_rate_that_is_kept_keeps_the_packets(tmp_path: Path, robot: ModuleType):
    source = recorded(tmp_path / "set", robot, 29.97)
    done = import_dataset(ImportDataset(source=source, out=tmp_path / "out", resample=29.97, workers=0))
    assert {(c.remuxed, c.encoded) for c in done.proof.cameras} == {(2, 0)}
    VideoReader(next((tmp_path / "out/videos").rglob("*.mp4")), 29.97).close()
