"""What opening a large dataset costs: processor seconds above the imports, for LeRobot v2.1 and v3.0.

    python -m benchmarks.dataset_open [--episodes 100000] [--runs 5]

The sets claim many episodes of twelve frames in one file, so what is measured is the metadata: each run opens one in a
process of its own that has imported the package already. `data import` and `data audit` open a recording, training and
`data show` a Dataset. Median of the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.start_up import processor_name

BAR_S = 3.0
LENGTH, RATE_HZ = 12, 10

OPEN = """
import sys, time
from pathlib import Path
import pyarrow.parquet
from roboscale.dataset import Dataset
from roboscale.sources.records import open_recording
from roboscale.sources.records.lerobot import open_path
what, root = sys.argv[1], Path(sys.argv[2])
begun = time.process_time()
count = len(Dataset(root).episodes) if what == "Dataset" else len(open_recording(root).keys)
print(count, time.process_time() - begun)
"""


def write_info(root: Path, version: str, count: int) -> None:
    chunk = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    episode = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    index = {"dtype": "int64", "shape": [1], "names": None}
    numbers = {"dtype": "float32", "shape": [2], "names": ["x", "y"]}
    time = {"dtype": "float32", "shape": [1], "names": None}
    counts = dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), index)
    said = {
        "codebase_version": version,
        "robot_type": "so101",
        "fps": RATE_HZ,
        "total_episodes": count,
        "total_frames": count * LENGTH,
        "total_tasks": 1,
        "chunks_size": 1000 if version == "v3.0" else count,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "splits": {"train": f"0:{count}"},
        "data_path": chunk if version == "v3.0" else episode,
        "video_path": None,
        "features": {"action": numbers, "observation.state": numbers, "timestamp": time, **counts},
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(said))


def write_v3(root: Path, count: int) -> None:
    """A set of version 3.0 whose one data file is there, and empty: opening looks at metadata only."""
    write_info(root, "v3.0", count)
    rows = np.arange(count)
    columns = {
        "episode_index": rows,
        "tasks": pa.array([["Push the block."]] * count),
        "length": np.full(count, LENGTH),
        "data/chunk_index": np.zeros(count, np.int64),
        "data/file_index": np.zeros(count, np.int64),
        "dataset_from_index": rows * LENGTH,
        "dataset_to_index": rows * LENGTH + LENGTH,
    }
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    (root / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(columns), root / "meta/episodes/chunk-000/file-000.parquet")
    tasks = pa.table({"task_index": [0], "task": ["Push the block."]})
    pq.write_table(tasks, root / "meta/tasks.parquet")
    _write_rows(root / "data/chunk-000/file-000.parquet")


def write_v21(root: Path, count: int) -> None:
    write_info(root, "v2.1", count)
    lines = (f'{{"episode_index": {i}, "tasks": ["Push the block."], "length": {LENGTH}}}\n' for i in range(count))
    (root / "meta/episodes.jsonl").write_text("".join(lines))
    (root / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "Push the block."}\n')
    (root / "data/chunk-000").mkdir(parents=True)
    _write_rows(root / "data/chunk-000/episode_000000.parquet")


def _write_rows(path: Path) -> None:
    numbers = pa.array(np.zeros((LENGTH, 2), np.float32).tolist(), pa.list_(pa.float32(), 2))
    index = pa.array(np.arange(LENGTH))
    zeros = pa.array(np.zeros(LENGTH, np.int64))
    times = pa.array((np.arange(LENGTH) / RATE_HZ).astype(np.float32))
    counts = {"frame_index": index, "episode_index": zeros, "index": index, "task_index": zeros}
    pq.write_table(pa.table({"action": numbers, "observation.state": numbers, "timestamp": times, **counts}), path)


def opened_s(what: str, root: Path, count: int) -> float:
    done = subprocess.run([sys.executable, "-c", OPEN, what, str(root)], capture_output=True, text=True, check=False)
    if done.returncode or int(done.stdout.split()[0]) != count:
        raise SystemExit(f"{what} of {root.name}: {done.stdout} {done.stderr[-2000:]}")
    return float(done.stdout.split()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(f"{given.episodes:,} episodes, median of {given.runs} runs, {processor_name()}")
    slow = []
    with tempfile.TemporaryDirectory() as folder:
        v21, v3 = Path(folder) / "v2.1", Path(folder) / "v3.0"
        write_v21(v21, given.episodes)
        write_v3(v3, given.episodes)
        for what, root in (("recording", v21), ("recording", v3), ("Dataset", v3)):
            median = statistics.median(opened_s(what, root, given.episodes) for _ in range(given.runs))
            slow += [what] if median > BAR_S else []
            print(f"{what:>9} {root.name}: {median:.2f} processor seconds (bar {BAR_S:g})", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
