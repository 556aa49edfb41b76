"""Everything that a set holds either arrives in what is made of it, or is named on the terminal and in the JSON.

Each path is walked once over sets that hold everything; each (kind, path) is then looked at by itself.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import av
import pyarrow.parquet as pq
import pytest

import roboscale
from roboscale.core import RecordedEpisode, Recording, splits_of
from roboscale.jobs.events import Event, Note
from roboscale.sources.records import detect, open_recording
from tests.samples import everything
from tests.samples.everything import CAMERA, CHANGES, FPS, STREAM


@dataclass(kw_only=True)
class Walk:
    """What came of one path: what was said, the result as JSON, and what was made, opened again."""

    out: Path
    in_place: bool = False
    notes: list[str] = field(default_factory=list)
    data: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def recording(self) -> Recording:
        rate = {} if (self.out / "meta/info.json").exists() else {"fps": FPS}
        return open_recording(self.out, detect(self.out), **rate)

    @cached_property
    def first(self) -> RecordedEpisode:
        recording = self.recording
        return recording.read(recording.keys[0], ())

    @cached_property
    def info(self) -> dict[str, Any]:
        path = self.out / "meta/info.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def kept_in_place(self, name: str) -> bool:
        """Whether a dataset that was mended in place still has the feature as its writer left it."""
        given = self.out.with_name("given")
        before = json.loads((given / "meta/info.json").read_text())["features"].get(name)
        if not self.in_place or before is None or self.info["features"].get(name) != before:
            return False
        if before["dtype"] == "video":
            return all((self.out / path.relative_to(given)).exists() for path in given.rglob("*.mp4"))
        tables = [pq.read_table(root / "data", columns=[name]) for root in (given, self.out)]
        return bool(tables[0].equals(tables[1]))

    def names(self, word: str) -> bool:
        """Whether a line of the terminal and an entry of the JSON name it."""
        said = self.data["changes"] if self.in_place else self.notes
        return any(word in line for line in said) and word in json.dumps(self.data, ensure_ascii=False)


@dataclass(kw_only=True, frozen=True)
class Kind:
    """Something that can be lost, whether it arrived, and the word by which it must be named where it did not."""

    word: str
    arrived: Callable[[Walk], bool]


def in_spec(name: str) -> Kind:
    return Kind(
        word=name,
        arrived=lambda w: name in w.recording.spec or name in w.first.carried or w.kept_in_place(name),
    )


def has_sound(walk: Walk) -> bool:
    for path in walk.out.rglob("*.mp4"):
        with av.open(str(path)) as container:
            if container.streams.audio:
                return True
    return False


def column_of_annotations(walk: Walk) -> bool:
    """As the reader of LeRobot's formats gives them: a number of the table of tasks in every frame."""
    kept = walk.first.provenance.details.get("annotations", {})
    return [text for _, text in kept.get("annotation.human.validity", ())][:1] == ["valid"]


def same_stream(walk: Walk) -> bool:
    stream = walk.first.streams.get(STREAM)
    return stream is not None and stream.values.shape == (60, 6) and (stream.unit, stream.layout[0]) == ("N", "fx")


FOREIGN: dict[str, Kind] = {
    "splits": Kind(word="split", arrived=lambda w: set(splits_of(w.recording)) == {"train", "val"}),
    "several instructions": Kind(word="instructions", arrived=lambda w: w.first.instructions == CHANGES),
    "strings": in_spec("note"),
    "language": in_spec("language_events"),
    "subtasks": Kind(word="subtasks", arrived=lambda w: (w.out / "meta/subtasks.parquet").exists()),
    "tools": Kind(word="tools", arrived=lambda w: "tools" in w.info),
    "clock": in_spec("time.frame_ns"),
    "annotations": Kind(word="annotation.human.validity", arrived=column_of_annotations),
    "depth as PNG": in_spec("observation.images.png"),
    "depth as video": in_spec("observation.images.depth"),
    "sound": Kind(word="sound", arrived=has_sound),
    "intrinsics": Kind(
        word="camera.intrinsics",
        arrived=lambda w: "camera.intrinsics" in w.info.get("features", {}).get(CAMERA, {}).get("info", {}),
    ),
    "no dimension": in_spec("observation.count"),
    "matrices": in_spec("observation.camera_pose"),
    "touch": in_spec("observation.touch"),
    "executed": in_spec("applied.action"),
    "success": in_spec("next.success"),
    "reward": in_spec("next.reward"),
    "subtask of a frame": in_spec("subtask_index"),
    "names": Kind(word="names of elements", arrived=lambda w: w.recording.spec["action"].layout[-1:] == ("gripper",)),
    "robot": Kind(word="robot_type", arrived=lambda w: w.recording.robot_type == "toy_arm"),
}

OWN: dict[str, Kind] = {
    "stream": Kind(word=STREAM, arrived=same_stream),
    "outcome": Kind(word="outcome", arrived=lambda w: w.first.outcome is not None and not w.first.outcome.success),
    "reason": Kind(word="outcome", arrived=lambda w: bool(w.first.outcome and w.first.outcome.reason)),
    "unit": Kind(word="units", arrived=lambda w: w.recording.spec["action"].unit == "m"),
    "frame": Kind(word="frames", arrived=lambda w: w.recording.spec["action"].frame == "base"),
    "role": Kind(word="roles", arrived=lambda w: w.recording.spec[CAMERA].role == "front"),
    "provenance": Kind(word="provenance", arrived=lambda w: w.first.provenance.details.get("operator") == "ann"),
    "annotations": Kind(word="annotation.human.validity", arrived=column_of_annotations),
    "id": Kind(word="ids", arrived=lambda w: len(w.first.id) == 32),
    "executed": in_spec("applied.action"),
    "clock": in_spec("time.frame_ns"),
}

TARGETS = ("lerobot-v2.1", "gr00t", "rlds", "hdf5-robomimic", "zarr")
ENDINGS = {"hdf5-robomimic": ".hdf5"}


def walk_import(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
    return roboscale.import_dataset(roboscale.ImportDataset(source=source, out=out, workers=0), listen)


def walk_twice(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
    """What the first import names need not be named again."""
    between = out.with_name("between")
    first = walk_import(source, between, listen)
    second = walk_import(between, out, listen)
    return _Both(first.to_json(), second.to_json())


@dataclass
class _Both:
    first: Mapping[str, Any]
    second: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second}


def walk_merge(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
    other = out.with_name("other")
    ours = (source / "meta/roboscale").exists()  # a copy would have episodes of the same ids
    everything.write_own(other, seed=2) if ours else shutil.copytree(source, other)
    request = roboscale.MergeDatasets(members=(source, other), out=out, same=True, workers=0)
    return roboscale.merge_datasets(request, listen)


def walk_fix(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
    return roboscale.fix_dataset(roboscale.FixDataset(dataset=source, out=out, drop="1", workers=0), listen)


def walk_metadata(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
    shutil.copytree(source, out)
    path = out / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "total_frames": 1}))
    return roboscale.fix_dataset(roboscale.FixDataset(dataset=out, metadata=True), listen)


def walk_export(target: str) -> Callable[[Path, Path, Callable[[Event], None]], Any]:
    def walk(source: Path, out: Path, listen: Callable[[Event], None]) -> Any:
        return roboscale.export_dataset(roboscale.ExportDataset(dataset=source, out=out, to=target), listen)

    return walk


CONVERSIONS = {
    "import": walk_import,
    "import twice": walk_twice,
    "merge": walk_merge,
    "fix": walk_fix,
    "fix in place": walk_metadata,
    **{f"export {target}": walk_export(target) for target in TARGETS},
}
SOURCES: dict[str, Callable[[Path], Path]] = {
    "v3": everything.write_foreign,
    "v2.1": lambda folder: everything.write_foreign(folder, "v2.1"),
    "ours": everything.write_own,
}
V2 = ("import", "import twice")  # the others take v3, and an import brings them there
CELLS = [
    (source, path, kind)
    for source in SOURCES
    for path in (V2 if source == "v2.1" else CONVERSIONS)
    for kind in (OWN if source == "ours" else FOREIGN)
]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Walk]:
    """(source, path) -> what came of it; each is walked once."""

    @cache
    def walk(source: str, path: str) -> Walk:
        folder = tmp_path_factory.mktemp("walk")
        out = folder / ("out" + ENDINGS.get(path.removeprefix("export "), ""))
        made = Walk(out=out, in_place=path == "fix in place")
        given = SOURCES[source](folder / "given")
        hear = lambda event: made.notes.append(event.text) if isinstance(event, Note) else None  # noqa: E731
        made.data = CONVERSIONS[path](given, made.out, hear).to_json()
        return made

    return walk


@pytest.mark.parametrize(("source", "path", "kind"), CELLS)
def test_it_arrives_or_is_named(walked: Callable[[str, str], Walk], source: str, path: str, kind: str):
    made = walked(source, path)
    one = (OWN if source == "ours" else FOREIGN)[kind]
    assert one.arrived(made) or made.names(one.word), "\n".join(made.notes)


def test_an_export_reads_each_episode_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from roboscale.sources.records.zarr.reader import ZarrRecording

    read: list[str] = []
    own = ZarrRecording.read

    def counted(self: ZarrRecording, key: str, *given: Any) -> RecordedEpisode:
        read.append(key)
        return own(self, key, *given)

    monkeypatch.setattr(ZarrRecording, "read", counted)
    given = everything.write_own(tmp_path / "given")
    request = roboscale.ExportDataset(dataset=given, out=tmp_path / "out", to="zarr")
    assert "outcome" in roboscale.export_dataset(request).lost
    assert len(read) == len(set(read)) == 2


@pytest.mark.parametrize("to", ["mcap", "rrd"])
def test_files_for_viewers_name_what_they_do_not_hold(tmp_path: Path, to: Any):
    if to == "rrd":
        pytest.importorskip("rerun")
    given = everything.write_foreign(tmp_path / "given")
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is lost is said in one line each, not by warnings of Python
        request = roboscale.ExportDataset(dataset=given, out=tmp_path / f"out.{to}", to=to)
        done = roboscale.export_dataset(request, lambda e: said.append(e.text) if isinstance(e, Note) else None)
    for name in ("note", "language_events", "observation.images.depth", "observation.images.png", "sound", "tools"):
        assert any(name in one for one in done.lost), name
        assert any(name in line for line in said), name
