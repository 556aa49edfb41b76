"""What importing a LeRobot v2.1 dataset costs when its videos are copied, beside a converter that encodes them again.

Both turn the same 480 x 640 AV1 episodes into files of a v3 dataset. Ours is the whole `roboscale data import`, with
image statistics and the comparison of what was written; the peer decodes every frame and encodes it with LeRobot's own
settings (libsvtav1, crf 30, g 2, preset 12), and does nothing else. Below both stands what no import with the same
image statistics can go under: a bare decoder that is given the packets which the sampled pictures need.

    python -m benchmarks.import_video [--episodes 4] [--frames 150] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from roboscale import ImportDataset, import_dataset
from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.statistics import sample_indices
from roboscale.sources.records.lerobot.export import export_v21

HEIGHT, WIDTH, FPS = 480, 640, 30


def scene(rng: np.random.Generator, t: int, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A textured table with an arm that moves over it, and a camera's noise."""
    image = background.copy()
    x, y = int(80 + 3 * t) % (WIDTH - 120), int(160 + 60 * np.sin(t / 9))
    image[y : y + 90, x : x + 110] = (190, 90, 60)
    noise = rng.integers(-3, 4, image.shape, dtype=np.int16)
    return np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)


def make_source(folder: Path, episodes: int, frames: int) -> Path:
    """A LeRobot v2.1 dataset with one AV1 camera."""
    spec = Spec(
        (
            Field("observation.state", (7,), "float32"),
            Field("action", (7,), "float32"),
            Field("observation.images.front", (HEIGHT, WIDTH, 3), "uint8"),
        ),
        FPS,
    )
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    background = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
    with DatasetWriter(folder / "v3", spec, codec="av1") as writer:
        for _ in range(episodes):
            take = writer.begin("move the block over the table", Provenance("benchmark"))
            for t in range(frames):
                values = rng.normal(size=7).astype(np.float32)
                image = scene(rng, t, background)
                take.add({"observation.state": values, "action": values, "observation.images.front": image})
            take.save()
    export_v21(Dataset(folder / "v3"), folder / "v21")
    return folder / "v21"


def encode_again(source: Path, out: Path) -> None:
    """Every video of the dataset, decoded and encoded with LeRobot's settings."""
    options = {"crf": "30", "g": "2", "preset": "12", "svtav1-params": "lp=1"}
    for number, path in enumerate(sorted(source.rglob("*.mp4"))):
        with av.open(str(path)) as container, av.open(str(out / f"{number}.mp4"), "w") as output:
            container.streams.video[0].codec_context.thread_count = 1
            stream = output.add_stream("libsvtav1", rate=FPS, options=options)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
            for k, frame in enumerate(container.decode(video=0)):
                fresh = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
                fresh.pts, fresh.time_base = k, Fraction(1, FPS)
                output.mux(stream.encode(fresh))
            output.mux(stream.encode(None))


def decode_sampled(source: Path, frames: int) -> tuple[int, int]:
    """Decodes what the statistics sample, and nothing else; how many pictures these are, and with their key frames."""
    sampled, decoded = 0, 0
    wanted = {int(number) for number in sample_indices(frames)}
    for path in sorted(source.rglob("*.mp4")):
        sampled += len(wanted)
        with av.open(str(path)) as container:
            decoder = container.streams.video[0].codec_context
            decoder.thread_count = 1
            for number, packet in enumerate(container.demux(video=0)):
                needed = number in wanted or (packet.is_keyframe and number + 1 in wanted)
                if needed or not packet.size:  # the demuxer's end mark
                    decoded += len(decoder.decode(packet))
    return sampled, decoded


def seconds(function: object, *arguments: object) -> float:
    """Processor seconds of a call, of all threads of this process."""
    begin = time.process_time()
    function(*arguments)  # type: ignore[operator]
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")
    with tempfile.TemporaryDirectory() as folder_:
        folder = Path(folder_)
        source = make_source(folder, chosen.episodes, chosen.frames)
        ours, theirs, floor = [], [], []
        for k in range(chosen.rounds):
            out = folder / f"out{k}"
            ours.append(seconds(import_dataset, ImportDataset(source=source, out=out, workers=0)))
            again = folder / f"again{k}"
            again.mkdir()
            theirs.append(seconds(encode_again, source, again))
            floor.append(seconds(decode_sampled, source, chosen.frames))
        sampled, decoded = decode_sampled(source, chosen.frames)
    frames = chosen.episodes * chosen.frames
    print(f"{frames} frames of {HEIGHT}x{WIDTH} AV1, processor seconds, medians of {chosen.rounds}")
    print(f"{sampled} pictures counted for the statistics, {decoded} decoded for these")
    costs = [statistics.median(spent) for spent in (ours, theirs, floor)]
    names = (
        "roboscale data import, videos copied, everything verified",
        "decode and encode again, nothing else",
        f"decode these {decoded} pictures, nothing else",
    )
    for name, cost in zip(names, costs, strict=True):
        print(f"  {name:58} {cost:7.2f} s  {1000 * cost / frames:6.2f} ms a frame")
    print(f"  ratio {costs[0] / costs[1]:.3f}; of the bare decoder alone {costs[2] / costs[1]:.3f}")


if __name__ == "__main__":
    main()
