"""The pipe from a recording to a dataset: exact numbers, copied packets, drops, resuming, honest errors."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import (
    BadData,
    Clip,
    Field,
    Origin,
    Outcome,
    Provenance,
    RecordedEpisode,
    Spec,
    SpecMismatch,
    Stream,
)
from roboscale.dataset import Dataset, DatasetWriter, repair
from roboscale.dataset.edits import Corrections, Kept
from roboscale.dataset.layout import Layout, load_json
from roboscale.dataset.packets import key_frame_before, packet_digests
from roboscale.dataset.transfer import Part, transfer
from roboscale.dataset.verify import verify

SPEC = Spec(
    (
        Field("observation.state", (3,), "float64", unit="rad"),
        Field("action", (2,), "float32", unit="rad"),
        Field("observation.images.front", (32, 48, 3), "uint8", role="front"),
    ),
    10,
)
NUMBERS = SPEC.select(["observation.state", "action"])


class Images:
    def __init__(self, seed: int, count: int):
        self.seed, self.count = seed, count

    def __len__(self):
        return self.count

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        base = rng.integers(60, 200, 3, dtype=np.uint8)
        for k in range(self.count):
            image = np.broadcast_to(base, (32, 48, 3)).copy()
            image[:, (4 * k) % 44 : (4 * k) % 44 + 4] = 255 - base
            yield image


@dataclass
class Fake:
    """A recording in memory; `broken` maps a key to what is wrong with it."""

    spec: Spec = SPEC
    episodes: int = 4
    broken: dict = field(default_factory=dict)
    reads: list = field(default_factory=list)
    format = "fake"
    root = Path("fake")
    robot_type = "arm"
    licence = "MIT"
    unmapped = {}
    missing = {}
    findings = ()

    @property
    def keys(self):
        return tuple(f"e{i}" for i in range(self.episodes))

    @property
    def origins(self):
        return tuple(Origin(f.name, f.name) for f in self.spec)

    def read(self, key, cameras=None):
        self.reads.append(key)
        number = int(key[1:])
        if self.broken.get(key) == "unreadable":
            raise BadData(self.root, key, "data", "garbage")
        length = 12 + number
        rng = np.random.default_rng(number)
        arrays = {
            "observation.state": rng.normal(size=(length, 3)),
            "action": rng.normal(size=(length, 2)).astype(np.float32),
        }
        if self.broken.get(key) == "nan":
            arrays["action"][5, 1] = np.nan
        if self.broken.get(key) == "dtype":
            arrays["action"] = arrays["action"].astype(np.float64)
        wanted = {f.name for f in self.spec.images} if cameras is None else set(cameras)
        pictures = {name: Images(number, length) for name in wanted}
        stream = Stream(np.arange(length * 3, dtype=np.int64) * 10**7, rng.normal(size=(length * 3, 2)), "N")
        streams = {"wrench": stream} if self.spec is SPEC else {}
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=f"task {number % 2}",
            provenance=Provenance("fake"),
            outcome=Outcome("success"),
            streams=streams,
        )

    def close(self):
        pass


def move(recording, out, **options):
    part = Part(name="fake", open=lambda: recording, keys=recording.keys)
    return transfer([part], out, recording.spec, workers=0, robot_type="arm", **options)


def test_every_number_picture_text_and_stream_arrives(tmp_path):
    source = Fake()
    done = move(source, tmp_path / "out")
    dataset = Dataset(tmp_path / "out")
    assert [e.length for e in dataset.episodes] == [12, 13, 14, 15] and done.frames == 54
    for index, key in enumerate(source.keys):
        expected, found = source.read(key), dataset.episode(index)
        for name in NUMBERS.names:
            assert found.arrays[name].dtype == expected.arrays[name].dtype
            assert np.array_equal(found.arrays[name], expected.arrays[name])
        assert found.instruction == expected.instruction and found.outcome == Outcome("success")
        pictures = np.stack(list(expected.pictures["observation.images.front"])).astype(int)
        assert np.abs(found.arrays["observation.images.front"] - pictures).mean() < 6
        stream = dataset.stream(index, "wrench")
        assert np.array_equal(stream.values, expected.streams["wrench"].values) and stream.unit == "N"
    proof = done.episodes[0]
    assert proof.largest_difference == {"observation.state": 0.0, "action": 0.0}
    assert proof.cameras["observation.images.front"].done == "encoded"
    assert proof.cameras["observation.images.front"].worst_psnr_db > 30


def test_a_dataset_is_transferred_packet_by_packet_and_keeps_its_ids(tmp_path):
    from roboscale.sources.records import open_recording

    move(Fake(), tmp_path / "a")
    opened = partial(open_recording, tmp_path / "a", "lerobot-v3")
    recording = opened()
    done = transfer(
        [Part(name="a", open=opened, keys=tuple(recording.keys))], tmp_path / "b", recording.spec, workers=0
    )
    first, second = Dataset(tmp_path / "a"), Dataset(tmp_path / "b")
    assert [e.id for e in first.episodes] == [e.id for e in second.episodes]
    assert {p.cameras["observation.images.front"].done for p in done.episodes} == {"remuxed"}
    video = "videos/observation.images.front/chunk-000/file-000.mp4"
    lengths = [12, 13, 14, 15]
    assert packet_digests(tmp_path / "a" / video, lengths) == packet_digests(tmp_path / "b" / video, lengths)
    assert np.array_equal(first.decode(2, "observation.images.front"), second.decode(2, "observation.images.front"))


@pytest.mark.parametrize("what, said", [("nan", "finite"), ("dtype", "float32"), ("unreadable", "garbage")])
def test_a_broken_episode_stops_the_transfer_and_loses_nothing(tmp_path, what, said):
    with pytest.raises(BadData, match=said):
        move(Fake(NUMBERS, broken={"e2": what}), tmp_path / "out")
    repair(tmp_path / "out")
    assert len(Dataset(tmp_path / "out").episodes) == 2


def test_a_stopped_transfer_goes_on_when_the_source_is_mended(tmp_path):
    with pytest.raises(BadData):
        move(Fake(NUMBERS, broken={"e2": "nan"}), tmp_path / "out")
    mended = Fake(NUMBERS)
    move(mended, tmp_path / "out")
    move(Fake(NUMBERS), tmp_path / "whole")
    assert mended.reads == ["e2", "e3"]
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "whole")


def _bytes(root):
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_a_broken_episode_is_dropped_with_its_reason(tmp_path):
    done = move(Fake(NUMBERS, broken={"e0": "nan", "e3": "unreadable"}), tmp_path / "out", broken="drop")
    assert [(d.key, "finite" in d.reason) for d in done.dropped] == [("e0", True), ("e3", False)]
    assert [p.key for p in done.episodes] == ["e1", "e2"]
    assert len(Dataset(tmp_path / "out")) == 13 + 14


def test_nothing_readable_is_an_error(tmp_path):
    with pytest.raises(BadData, match="4 dropped"):
        move(Fake(NUMBERS, broken=dict.fromkeys(("e0", "e1", "e2", "e3"), "nan")), tmp_path / "out", broken="drop")


def test_a_journal_line_cut_by_a_kill_is_done_again(tmp_path):
    move(Fake(NUMBERS), tmp_path / "whole")
    with pytest.raises(BadData):
        move(Fake(NUMBERS, broken={"e3": "nan"}), tmp_path / "out")
    journal = Layout(tmp_path / "out").own / "transfer" / "episodes.jsonl"
    journal.write_text(journal.read_text()[:-20])
    again = Fake(NUMBERS)
    move(again, tmp_path / "out")
    assert again.reads == ["e2", "e3"] and _bytes(tmp_path / "out") == _bytes(tmp_path / "whole")


def test_another_plan_or_a_strange_folder_is_refused(tmp_path):
    move(Fake(NUMBERS), tmp_path / "out")
    with pytest.raises(BadData, match="sources"):
        move(Fake(NUMBERS, episodes=2), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(BadData, match=r"thesis\.tex"):
        move(Fake(NUMBERS), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_the_same_episode_twice_is_refused(tmp_path):
    with DatasetWriter(tmp_path / "a", NUMBERS) as writer:
        take = writer.begin("t", Provenance("x"))
        take.add({"observation.state": np.zeros(3), "action": np.zeros(2, np.float32)})
        take.save()
    from roboscale.sources.records import open_recording

    opened = partial(open_recording, tmp_path / "a", "lerobot-v3")
    keys = tuple(opened().keys)
    with pytest.raises(BadData, match="each episode once"):
        transfer(
            [Part(name="a", open=opened, keys=keys), Part(name="b", open=opened, keys=keys)],
            tmp_path / "out",
            opened().spec,
            workers=0,
        )


def test_verify_sees_one_changed_number_and_one_changed_packet(tmp_path):
    done = move(Fake(), tmp_path / "out")
    other = replace(done.episodes[1], digests={**done.episodes[1].digests, "action": "0" * 32})
    with pytest.raises(BadData, match="action"):
        verify(tmp_path / "out", [other])
    video = tmp_path / "out/videos/observation.images.front/chunk-000/file-000.mp4"
    data = bytearray(video.read_bytes())
    data[data.index(b"mdat") + 600] ^= 1
    video.write_bytes(data)
    with pytest.raises(BadData, match="packets"):
        verify(tmp_path / "out", done.episodes)


def test_fields_that_do_not_fit_the_spec_name_both_sides(tmp_path):
    part = Part(name="fake", open=lambda: Fake(NUMBERS), keys=("e0",))
    with pytest.raises(SpecMismatch, match="next.reward"):
        transfer([part], tmp_path / "o", Spec((*NUMBERS.fields, Field("next.reward", (), "float32")), 10), workers=0)


def test_ends_are_cut_at_a_key_frame_so_that_the_video_is_copied(tmp_path):
    from roboscale.sources.records import open_recording

    move(Fake(), tmp_path / "a")
    opened = partial(open_recording, tmp_path / "a", "lerobot-v3")
    recording = opened()
    edit = Corrections({recording.keys[0]: Kept(3, 9)}, {recording.keys[1]: "pour"}, {recording.keys[2]: "failure"})
    part = Part(name="a", open=opened, keys=tuple(recording.keys), edit=edit)
    done = transfer([part], tmp_path / "b", recording.spec, workers=0)
    before, after = Dataset(tmp_path / "a"), Dataset(tmp_path / "b")
    assert after.episodes[0].length == 8  # from frame 2, the key frame before 3
    assert done.episodes[0].cameras["observation.images.front"].done == "remuxed"
    assert np.array_equal(after.arrays("action")[:8], before.arrays("action")[2:10])
    images = before.decode(0, "observation.images.front")[2:10]
    assert np.array_equal(after.decode(0, "observation.images.front"), images)
    assert after.episodes[1].instruction == "pour"
    assert after.episodes[2].outcome.status == "failure"


def test_the_key_frame_before_a_frame(tmp_path):
    move(Fake(), tmp_path / "a")
    video = tmp_path / "a/videos/observation.images.front/chunk-000/file-000.mp4"
    assert [key_frame_before(video, n) for n in (0, 1, 2, 3, 13)] == [0, 0, 2, 2, 12]


def test_info_says_which_codec_was_copied(tmp_path):
    move(Fake(), tmp_path / "a", codec="av1")
    info = load_json(Layout(tmp_path / "a").info)
    assert info["features"]["observation.images.front"]["info"]["video.codec"] == "av1"


def test_a_clip_cannot_be_cut_beyond_its_end():
    with pytest.raises(SpecMismatch, match="frames 3 to 7"):
        Clip(Path("v.mp4"), 0, 5).cut(3, 5)


def _film(path, rate, levels, **options):
    """Pictures of one grey level each; `levels[k]` is shown at k / rate."""
    import av

    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=rate, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _of_clips(clips):
    """A recording of one camera whose episodes are these clips."""
    spec = Spec((Field("action", (1,), "float32"), Field("observation.images.front", (32, 48, 3), "uint8")), 10)

    class Filmed(Fake):
        def read(self, key, cameras=None):
            clip = clips[int(key[1:])]
            arrays = {"action": np.zeros((len(clip), 1), np.float32)}
            pictures = {"observation.images.front": clip}
            return RecordedEpisode(
                key=key, arrays=arrays, pictures=pictures, instruction="pour", provenance=Provenance("fake")
            )

    return Filmed(spec, len(clips))


def test_a_part_of_a_video_of_another_rate_is_refused(tmp_path):
    film = _film(tmp_path / "twice.mp4", 20, [5 * (n // 2) for n in range(48)], g=2, bf=0)
    clips = [Clip(film, 0, 12), Clip(film, 12, 12)]
    with pytest.raises(BadData, match=r"twice\.mp4: fps: expected 10, found 20"):
        move(_of_clips(clips), tmp_path / "out")


def test_a_whole_video_of_another_rate_is_shown_frame_by_frame(tmp_path):
    film = _film(tmp_path / "fast.mp4", 50, [10 * n for n in range(12)], g=2, bf=0)
    done = move(_of_clips([Clip(film, 0, 12)]), tmp_path / "out")
    assert done.episodes[0].cameras["observation.images.front"].done == "encoded"
    found = Dataset(tmp_path / "out").decode(0, "observation.images.front").mean(axis=(1, 2, 3))
    assert np.abs(found - 10 * np.arange(12)).max() < 4


def test_videos_with_b_frames_are_copied_and_joined_in_order(tmp_path):
    options = {"g": 6, "bf": 2, "b-adapt": 0}
    films = [_film(tmp_path / f"{k}.mp4", 10, [10 * n + 3 * k for n in range(12)], **options) for k in range(3)]
    done = move(_of_clips([Clip(film, 0, 12) for film in films]), tmp_path / "out")
    assert {p.cameras["observation.images.front"].done for p in done.episodes} == {"remuxed"}
    dataset = Dataset(tmp_path / "out")
    for k in range(3):
        found = dataset.decode(k, "observation.images.front").mean(axis=(1, 2, 3))
        assert np.abs(found - 10 * np.arange(12) - 3 * k).max() < 4


@pytest.mark.parametrize("stage", ["plan", "first word", "commit", "moves", "verify"])
def test_a_kill_at_any_stage_costs_nothing(tmp_path, stage, monkeypatch):
    import roboscale.dataset.journal as journal
    import roboscale.dataset.seal as seal
    import roboscale.dataset.transfer as transfer_

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    def after(function):
        def call(path, data):
            function(path, data)
            if path.name == "commit.json":
                raise Killed

        return call

    where = {
        "plan": (transfer_, "atomic_write", kill),
        "first word": (transfer_, "features_from_spec", kill),
        "commit": (seal, "commit", kill),
        "moves": (journal, "atomic_write", after(journal.atomic_write)),
        "verify": (transfer_, "verify", kill),
    }
    move(Fake(NUMBERS), tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(*where[stage])
        with pytest.raises(Killed):
            move(Fake(NUMBERS), tmp_path / "out")
    move(Fake(NUMBERS), tmp_path / "out")
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "whole")
