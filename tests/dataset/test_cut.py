"""`cut` copies packets: the same bytes, on the grid of frames, or nothing at all."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from roboscale.core import BadData, Provenance, RecordedEpisode, Stream
from roboscale.dataset.edits import Kept, cut_ends
from roboscale.dataset.video import Encoder, VideoReader, cut, join, probe

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
REAL = DATA / "lerobot_v21_g1/videos/chunk-000/observation.images.cam_high/episode_000028.mp4"


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """A scene that moves slowly: a cut would make the encoder place key frames of its own."""
    scene = np.random.default_rng(seed).integers(60, 190, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([scene[k % 24 : k % 24 + 32, :32] for k in range(count)])


def encoded(path: Path, count: int, codec: str = "h264", fps: int = 10, seed: int = 0) -> Path:
    encoder = Encoder(path, (32, 32, 3), fps, codec)
    for image in pictures(count, seed):
        encoder.add(image)
    encoder.close()
    return path


def with_options(path: Path, times: list[int], *, format: str = "mp4", codec: str = "libx264", **options: str) -> Path:
    """A video whose frame k is shown at times[k] / 100 s."""
    with av.open(str(path), "w", format=format) as output:
        stream = output.add_stream(codec, rate=10, options={"preset": "veryfast", "threads": "1", **options})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, 100)
        stream.codec_context.time_base = Fraction(1, 100)
        for time, image in zip(times, pictures(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = time, Fraction(1, 100)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def packets(path: Path) -> list[tuple[Fraction, Fraction, bytes]]:
    """Presentation time, decoding time and bytes, in decoding order."""
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
        return [(p.pts * base, p.dts * base, bytes(p)) for p in container.demux(video=0) if p.dts is not None]


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_the_packets_are_the_same_bytes_and_frame_k_lies_at_k_over_fps(tmp_path, codec):
    source = encoded(tmp_path / "all.mp4", 20, codec)
    assert cut(source, 6, 7, tmp_path / "part.mp4", 10)
    part = packets(tmp_path / "part.mp4")
    assert [data for _, _, data in part] == [data for _, _, data in packets(source)[6:13]]
    assert [time for time, _, _ in part] == [Fraction(k, 10) for k in range(7)]
    assert (probe(tmp_path / "part.mp4").frames, probe(tmp_path / "part.mp4").fps) == (7, 10)
    whole, alone = VideoReader(source, 10).read(range(6, 13)), VideoReader(tmp_path / "part.mp4", 10).read(range(7))
    assert np.array_equal(whole, alone)


def test_what_was_joined_comes_apart_again(tmp_path):
    lengths = [5, 9, 4]
    parts = [encoded(tmp_path / f"{i}.mp4", n, seed=i) for i, n in enumerate(lengths)]
    join(parts, lengths, tmp_path / "all.mp4", 10)
    for i, part in enumerate(parts):
        assert cut(tmp_path / "all.mp4", sum(lengths[:i]), lengths[i], tmp_path / "again.mp4", 10)
        assert packets(tmp_path / "again.mp4") == packets(part)


def test_a_frame_that_is_no_key_frame_cannot_begin(tmp_path):
    source = encoded(tmp_path / "all.mp4", 20)
    assert not cut(source, 7, 4, tmp_path / "part.mp4", 10)
    assert not (tmp_path / "part.mp4").exists()


def test_b_frames_are_copied_whole_and_keep_their_order(tmp_path):
    source = with_options(tmp_path / "b.mp4", list(range(0, 240, 10)), g="12", bf="3", sc_threshold="0")
    of_source = packets(source)
    assert any(pts != dts for pts, dts, _ in of_source)
    assert cut(source, 12, 12, tmp_path / "part.mp4", 10)
    part = packets(tmp_path / "part.mp4")
    assert [data for _, _, data in part] == [data for _, _, data in of_source[12:]]
    assert [pts + Fraction(12, 10) for pts, _, _ in part] == [pts for pts, _, _ in of_source[12:]]
    assert all(pts >= dts for pts, dts, _ in part) and all(np.diff([dts for _, dts, _ in part]) > 0)
    assert np.array_equal(
        VideoReader(tmp_path / "part.mp4", 10).read(range(12)), VideoReader(source, 10).read(range(12, 24))
    )


def test_b_frames_that_need_a_later_frame_are_refused(tmp_path):
    source = with_options(tmp_path / "b.mp4", list(range(0, 240, 10)), g="24", bf="3", sc_threshold="0", b_adapt="0")
    assert cut(source, 0, 24, tmp_path / "whole.mp4", 10)
    refused = [n for n in range(1, 24) if not cut(source, 0, n, tmp_path / f"{n}.mp4", 10)]
    assert refused
    for n in set(range(1, 24)) - set(refused):
        assert np.array_equal(
            VideoReader(tmp_path / f"{n}.mp4", 10).read(range(n)), VideoReader(source, 10).read(range(n))
        )


def test_open_groups_of_pictures_are_refused(tmp_path):
    options = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0"}
    source = with_options(tmp_path / "open.mp4", list(range(0, 480, 10)), **options)
    with av.open(str(source)) as container:
        found = [p for p in container.demux(video=0) if p.dts is not None]
    keys = [round(p.pts * p.time_base * 10) for p in found if p.is_keyframe]
    leads = [any(p.pts < key.pts for p in found[found.index(key) :]) for key in found if key.is_keyframe]
    assert any(leads), "the encoder made no open group"
    for first, led in zip(keys, leads, strict=True):
        if led:
            assert not cut(source, first, 2, tmp_path / "part.mp4", 10)


def test_times_off_the_grid_are_refused(tmp_path):
    times = list(range(0, 100, 10))
    near, far, gap = times.copy(), times.copy(), times.copy()
    near[4] += 2
    far[4] += 4
    gap[6:] = [t + 10 for t in gap[6:]]
    assert cut(with_options(tmp_path / "near.mp4", near, g="1", bf="0"), 2, 5, tmp_path / "a.mp4", 10)
    assert [time for time, _, _ in packets(tmp_path / "a.mp4")] == [Fraction(k, 10) for k in range(5)]
    assert not cut(with_options(tmp_path / "far.mp4", far, g="1", bf="0"), 2, 5, tmp_path / "b.mp4", 10)
    assert not cut(with_options(tmp_path / "gap.mp4", gap, g="1", bf="0"), 2, 5, tmp_path / "c.mp4", 10)
    assert not cut(tmp_path / "near.mp4", 0, 5, tmp_path / "d.mp4", 30)


def test_a_codec_that_is_not_for_mp4_is_refused(tmp_path):
    source = with_options(tmp_path / "m.mkv", list(range(0, 100, 10)), format="matroska", codec="mjpeg")
    assert not cut(source, 0, 5, tmp_path / "part.mp4", 10)


@pytest.mark.parametrize(("first", "length"), [(0, 11), (10, 1), (4, 7), (-1, 2), (0, 0)])
def test_fewer_frames_than_claimed(tmp_path, first, length):
    source = encoded(tmp_path / "all.mp4", 10)
    with pytest.raises(BadData, match=r"all\.mp4: frames"):
        cut(source, first, length, tmp_path / "part.mp4", 10)
    assert not (tmp_path / "part.mp4").exists()


def test_a_video_that_is_cut_off_is_bad_data_wherever(tmp_path):
    join([encoded(tmp_path / "one.mp4", 10)], [10], tmp_path / "all.mp4", 10)  # with its index in front
    data = (tmp_path / "all.mp4").read_bytes()
    for size in range(0, len(data), 97):
        (tmp_path / "cut.mp4").write_bytes(data[:size])
        with pytest.raises(BadData):
            cut(tmp_path / "cut.mp4", 0, 10, tmp_path / "part.mp4", 10)


def test_a_damaged_video_is_copied_refused_or_bad_data(tmp_path):
    rng = np.random.default_rng(0)
    data = encoded(tmp_path / "all.mp4", 10).read_bytes()
    for _ in range(200):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            changed[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.mp4").write_bytes(changed)
        (tmp_path / "part.mp4").unlink(missing_ok=True)
        try:
            copied = cut(tmp_path / "bad.mp4", 2, 6, tmp_path / "part.mp4", 10)
        except BadData:
            continue
        assert copied == (tmp_path / "part.mp4").exists()
        if copied:
            assert len(packets(tmp_path / "part.mp4")) == 6


def test_a_real_video(tmp_path):
    if not REAL.exists():
        pytest.skip(f"no recording at {DATA}; set ROBOSCALE_TEST_DATA")
    assert cut(REAL, 40, 30, tmp_path / "part.mp4", 30)
    assert [data for _, _, data in packets(tmp_path / "part.mp4")] == [d for _, _, d in packets(REAL)[40:70]]


def test_sensors_at_their_own_rate_are_cut_with_their_frames():
    frames, samples = np.arange(10) * 100, np.arange(5, 1000, 10)
    episode = RecordedEpisode(
        key="e",
        arrays={"action": np.arange(10.0)[:, None], "time.frame_ns": frames[:, None]},
        pictures={},
        instruction="",
        provenance=Provenance("by hand"),
        streams={"wrench": Stream(samples, samples[:, None] / 10), "bump": Stream(np.array([950]), np.array([1.0]))},
    )
    cut = cut_ends(episode, Kept(3, 5))
    times = cut.streams["wrench"].time_ns
    assert cut.arrays["time.frame_ns"].ravel().tolist() == [300, 400, 500]
    assert times.tolist() == [295, *range(305, 600, 10)]  # the last before the first frame is what held at it
    np.testing.assert_array_equal(cut.streams["wrench"].values.ravel(), times / 10)
    assert len(cut.streams["bump"].time_ns) == 0
    whole = cut_ends(episode, Kept(0, 9))
    assert whole.streams["wrench"].time_ns.tolist() == samples.tolist() and len(whole.streams["bump"].time_ns) == 1
