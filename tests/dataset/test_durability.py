"""A saved episode survives whatever kills the recorder."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData, Outcome, Provenance
from roboscale.dataset import Dataset, DatasetWriter, repair

RECORDER = Path(__file__).with_name("recorder.py")
CAMERAS = ("observation.images.front", "observation.images.wrist")
EPISODES, SEAL_EVERY = 25, 8
KILLS = int(os.environ.get("ROBOSCALE_KILLS", "12"))  # `make fuzz`: 30


@dataclass(frozen=True)
class Run:
    """What a recorder printed: (id, length, seed) of each saved episode, and when each line came, s after `ready`."""

    saved: list[tuple[str, int, int]]
    times: list[tuple[str, float]]


def run_recorder(root: Path, kill: Callable[[str, int], float | None]) -> Run:
    """Runs the recorder as a process of its own.

    `kill(word, n)` is asked at the n-th line that begins with `word`: seconds from then until SIGKILL, or None.
    """
    arguments = [sys.executable, str(RECORDER), str(root), str(EPISODES), str(SEAL_EVERY)]
    lines, counts = [], dict[str, int]()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        start = time.monotonic()
        for line in process.stdout:
            word = line.split()[0]
            start = time.monotonic() if word == "ready" else start
            lines.append((line.split(), time.monotonic() - start))
            delay = kill(word, counts.setdefault(word, 0))
            counts[word] += 1
            if delay is not None:
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                break
        lines += [(line.split(), 0.0) for line in process.stdout]  # what it said until it died
        assert process.wait() in (0, -signal.SIGKILL)
    saved = [(words[1], int(words[2]), int(words[3])) for words, _ in lines if words[0] == "saved"]
    return Run(saved, [(words[0], at) for words, at in lines])


def psnr(a: Any, b: Any) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(np.asarray(a, float) - b))))


@functools.cache
def frames_of(robot: ModuleType, seed: int) -> list[dict[str, Any]]:
    return robot.frames(seed, 3 + seed % 4)  # type: ignore[no-any-return]


def assert_readable(root: Path, robot: ModuleType, saved: list[tuple[str, int, int]]) -> None:
    """By our reader: every reported episode is there, whole, in the order in which it was saved."""
    dataset = Dataset(root)
    found = {episode.id: episode for episode in dataset.episodes}
    assert [id_ for id_ in found if id_ in {s[0] for s in saved}] == [s[0] for s in saved]
    for id_, length, seed in saved:
        episode = dataset.episode(found[id_].index)
        assert len(episode) == length
        for t, frame in enumerate(frames_of(robot, seed)):
            for name, value in frame.items():
                if name in CAMERAS:
                    assert psnr(episode.arrays[name][t], value) >= 30
                else:
                    np.testing.assert_array_equal(episode.arrays[name][t], value)


def assert_plain(root: Path, robot: ModuleType) -> None:
    """By pyarrow and av alone: rows and frames lie exactly where the metadata says."""
    rows = [r for f in sorted(root.glob("meta/episodes/*/*.parquet")) for r in pq.read_table(f).to_pylist()]
    tables: dict[Path, Any] = {}
    videos: dict[Path, list[Any]] = {}
    for row, episode in zip(rows, Dataset(root).episodes, strict=True):
        sent = frames_of(robot, episode.provenance.seed)
        data = root / f"data/chunk-{row['data/chunk_index']:03d}/file-{row['data/file_index']:03d}.parquet"
        table = tables.setdefault(data, pq.read_table(data))
        mine = table.filter(np.asarray(table["episode_index"]) == row["episode_index"])
        assert len(mine) == row["length"] == len(sent)
        assert mine["index"].to_pylist() == list(range(row["dataset_from_index"], row["dataset_to_index"]))
        np.testing.assert_array_equal(mine["action"].to_pylist(), [f["action"] for f in sent])
        for camera in CAMERAS:
            prefix = f"videos/{camera}"
            chunk, file = row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"]
            path = root / f"{prefix}/chunk-{chunk:03d}/file-{file:03d}.mp4"
            if path not in videos:
                with av.open(str(path)) as container:
                    videos[path] = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            first = round(row[f"{prefix}/from_timestamp"] * 10)
            for t, frame in enumerate(sent):
                assert psnr(videos[path][first + t], frame[camera]) >= 30
    expected: dict[Path, int] = {}
    for path, table in tables.items():
        expected[path] = len(table)
    assert sum(expected.values()) == sum(r["length"] for r in rows)
    assert sum(len(v) for v in videos.values()) == 2 * sum(r["length"] for r in rows)


def check_after_kill(root: Path, robot: ModuleType, saved: list[tuple[str, int, int]]) -> None:
    if not (root / "meta/info.json").exists():
        assert not saved
        return
    assert_readable(root, robot, saved)
    before = [e.id for e in Dataset(root).episodes]
    plan = repair(root, dry_run=True)
    report = repair(root)
    assert (plan.sealed, plan.quarantined, plan.episodes) == (report.sealed, report.quarantined, len(before))
    assert [e.id for e in Dataset(root).episodes] == before
    assert_readable(root, robot, saved)
    if before:
        assert_plain(root, robot)
    assert not list((root / "meta/roboscale").glob("pending/*"))
    assert not repair(root).changed


def test_kills_lose_no_saved_episode(tmp_path: Path, robot: ModuleType):
    """Two thirds at random instants of the whole recording, the others at random instants of a seal.

    An instant is a time after something that the recorder said, so that they are spread on a machine of any speed.
    """
    whole = run_recorder(tmp_path / "whole", lambda word, n: None)
    assert len(whole.saved) == EPISODES
    assert_readable(tmp_path / "whole", robot, whole.saved)
    gaps = [(word, after - at) for (word, at), (_, after) in itertools.pairwise(whole.times)]
    seals = [gap for word, gap in gaps if word == "sealing"]
    rng = np.random.default_rng(0)
    outcomes = []
    for k in range(KILLS):
        root = tmp_path / f"kill{k}"
        if k < 2 * KILLS // 3:
            which = int(rng.integers(len(gaps)))
            at, said = float(rng.uniform(0, gaps[which][1])), itertools.count()
            run = run_recorder(
                root, lambda word, n, which=which, at=at, said=said: at if next(said) == which else None
            )
        else:
            which = int(rng.integers(len(seals)))
            at = float(rng.uniform(0, seals[which]))
            run = run_recorder(root, lambda w, n, which=which, at=at: at if (w, n) == ("sealing", which) else None)
        check_after_kill(root, robot, run.saved)
        outcomes.append(len(run.saved))
        shutil.rmtree(root)
    assert len(set(outcomes)) > KILLS // 6, f"the kills were not spread: {outcomes}"


class Killed(BaseException):
    """What a test raises where a process would have died."""


class Deadline:
    """Lets `operations` file operations happen and then nothing any more, as if the process had died there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operations: int) -> None:
        self.left, self.reached = operations, False
        self._unlink = Path.unlink
        for name in ("replace", "rename", "unlink", "mkdir", "write_bytes", "write_text"):
            monkeypatch.setattr(Path, name, self._limited(getattr(Path, name)))
        monkeypatch.setattr(shutil, "rmtree", self._limited(self._half(shutil.rmtree)))
        monkeypatch.setattr(np, "savez_compressed", self._limited(np.savez_compressed))
        monkeypatch.setattr(pq, "write_table", self._limited(pq.write_table))

    def _limited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.left <= 0:
                self.reached = True
                raise Killed
            self.left -= 1
            return function(*args, **kwargs)

        return call

    def _half(self, rmtree: Callable[..., Any]) -> Callable[..., Any]:
        """Removing a folder is no single operation: the process may die between its files."""

        def call(path: Path, **kwargs: Any) -> None:
            for file in sorted(Path(path).rglob("*"))[::2]:
                if file.is_file():
                    self._unlink(file)
            if self.left <= 0:
                self.reached = True
                raise Killed
            self.left -= 1
            rmtree(path, **kwargs)

        return call


def killed_at_each_operation(monkeypatch: pytest.MonkeyPatch, run: Callable[[], None]) -> Iterator[int]:
    """Runs `run` again and again, killed after 0, 1, 2 ... file operations; yields after each death."""
    for operations in itertools.count():
        with monkeypatch.context() as patch:
            deadline = Deadline(patch, operations)
            with contextlib.suppress(Killed):
                run()
        if not deadline.reached:
            return
        yield operations


def test_sealing_may_die_at_every_single_operation(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    template, root = tmp_path / "template", tmp_path / "set"
    with DatasetWriter(template, robot.SPEC) as writer:
        saved = [(robot.record(writer, s, 3 + s % 4), 3 + s % 4, s) for s in range(2)]
    writer = DatasetWriter(template, robot.SPEC)
    saved += [(robot.record(writer, s, 3 + s % 4), 3 + s % 4, s) for s in range(2, 4)]
    writer._resources.close()  # as a killed process lets go of its lock

    deaths = 0
    for _ in killed_at_each_operation(monkeypatch, functools.partial(_seal_copy, template, root)):
        check_after_kill(root, robot, saved)
        shutil.rmtree(root)
        deaths += 1
    assert deaths > 15
    assert_plain(root, robot)


def _seal_copy(template: Path, root: Path) -> None:
    subprocess.run(["cp", "-r", str(template), str(root)], check=True)  # not by Path, whose operations are counted
    repair(root)


def test_saving_may_die_at_every_single_operation(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    saved: list[tuple[str, int, int]] = []
    writers: list[DatasetWriter] = []

    def save() -> None:
        saved.clear()
        writers.append(DatasetWriter(tmp_path / f"set{len(roots)}", robot.SPEC))
        for seed in (1, 2):
            saved.append((robot.record(writers[-1], seed, 3 + seed % 4), 3 + seed % 4, seed))

    roots: list[Path] = []
    for _ in killed_at_each_operation(monkeypatch, save):
        roots.append(tmp_path / f"set{len(roots)}")
        for writer in writers:
            writer._resources.close()
        check_after_kill(roots[-1], robot, saved)
    assert len(roots) > 10
    assert len(saved) == 2


def test_unsealed_episodes_are_part_of_the_dataset(tmp_path: Path, robot: ModuleType):
    writer = DatasetWriter(tmp_path / "set", robot.SPEC)
    robot.record(writer, 0, 3)
    writer.seal()
    robot.record(writer, 1, 4)
    robot.record(writer, 2, 5, "another task than before")
    dataset = Dataset(tmp_path / "set", images="uint8")
    assert [e.length for e in dataset.episodes] == [3, 4, 5]
    assert dataset[8]["task"] == "another task than before"
    assert (dataset[8]["episode_index"], dataset[8]["frame_index"], dataset[8]["task_index"]) == (2, 1, 1)
    assert dataset.arrays("index").tolist() == list(range(12))
    before = [dataset[i] for i in range(12)]
    writer.finalize()
    after = Dataset(tmp_path / "set", images="uint8")
    for i in range(12):
        for name, value in before[i].items():
            np.testing.assert_array_equal(after[i][name], value)


def test_recording_goes_on_after_a_kill_without_repair(tmp_path: Path, robot: ModuleType):
    root = tmp_path / "set"
    first = DatasetWriter(root, robot.SPEC)
    saved = [(robot.record(first, 1, 4), 4, 1)]
    open_take = first.begin("a take that is lost", Provenance("test"))
    open_take.add(robot.frames(2, 5)[0])
    first._resources.close()
    with DatasetWriter(root, robot.SPEC) as writer:
        assert writer.episode_ids == (saved[0][0],)
        saved.append((robot.record(writer, 2, 5), 5, 2))
    assert_readable(root, robot, saved)
    assert_plain(root, robot)
    assert open_take.id in (root / "meta/roboscale/quarantine/log.jsonl").read_text()


def test_repair_sets_a_broken_pending_episode_aside(tmp_path: Path, robot: ModuleType):
    root = tmp_path / "set"
    writer = DatasetWriter(root, robot.SPEC)
    ids = [robot.record(writer, s, 3 + s % 4) for s in range(3)]
    writer._resources.close()
    broken = next((root / "meta/roboscale/pending").glob(f"*-{ids[1]}")) / f"{CAMERAS[0]}.mp4"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    plan = repair(root, dry_run=True)
    assert plan.sealed == (ids[0], ids[2]) and "a complete mp4" in plan.quarantined[0][1]
    assert broken.exists()
    assert repair(root).episodes == 2
    assert [e.id for e in Dataset(root).episodes] == [ids[0], ids[2]]
    assert len(list((root / "meta/roboscale/quarantine").rglob("*.mp4"))) == 2
    assert not repair(root).changed
    assert_plain(root, robot)


def test_ctrl_c_in_a_take_keeps_what_was_saved(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    from roboscale.dataset.video import Encoder

    root = tmp_path / "set"
    add, calls = Encoder.add, itertools.count()

    def interrupted(self: Encoder, image: Any) -> None:
        if next(calls) == 11:
            raise KeyboardInterrupt
        add(self, image)

    monkeypatch.setattr(Encoder, "add", interrupted)
    with pytest.raises(KeyboardInterrupt), DatasetWriter(root, robot.SPEC) as writer:
        saved = [(robot.record(writer, 0, 3), 3, 0)]
        robot.record(writer, 1, 4)
    assert_readable(root, robot, saved)
    assert_plain(root, robot)
    assert [e.outcome for e in Dataset(root).episodes] == [Outcome("success", steps=3, terminated=True)]
    assert not list((root / "meta/roboscale/staging").iterdir())


def test_a_root_that_was_killed_before_it_began(tmp_path: Path, robot: ModuleType):
    (tmp_path / "set/meta/roboscale").mkdir(parents=True)
    with pytest.raises(BadData, match=r"info\.json: file: expected to exist"):
        repair(tmp_path / "set")
    with DatasetWriter(tmp_path / "set", robot.SPEC) as writer:
        robot.record(writer, 0, 3)
    assert len(Dataset(tmp_path / "set").episodes) == 1
