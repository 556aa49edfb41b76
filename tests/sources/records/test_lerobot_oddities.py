"""Oddities of other writers, one each: what the audit says, and what comes of the command that it names."""

from __future__ import annotations

import codecs
import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import splits_of
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder
from roboscale.sources.records import detect, open_recording
from tests.samples import lerobot as samples

runner = CliRunner()
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def usual(sets: dict[str, Path]) -> dict[str, set[str]]:
    """What is found of the sets as they are."""
    return {name: {one.check for one in audit_folder(root, images=False).findings} for name, root in sets.items()}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same four episodes as somebody else's v2.1 and v3; not to be changed."""
    place = tmp_path_factory.mktemp("sets")
    old = samples.write_v21(place / "v2.1", episodes=4)
    result = runner.invoke(app, ["data", "import", str(old), str(place / "v3"), "--workers", "0", "--no-proof"])
    assert result.exit_code == 0, result.stderr
    shutil.rmtree(place / "v3/meta/roboscale")
    return {"v2.1": old, "v3": place / "v3"}


def edit_info(**values: Any) -> Change:
    def change(root: Path) -> None:
        info = json.loads((root / "meta/info.json").read_text())
        (root / "meta/info.json").write_text(json.dumps({**info, **values}))

    return change


def edit_feature(name: str, **values: Any) -> Change:
    def change(root: Path) -> None:
        features = json.loads((root / "meta/info.json").read_text())["features"]
        edit_info(features={**features, name: {**features.get(name, {}), **values}})(root)

    return change


def edit_tables(edit: Callable[[pa.Table], pa.Table]) -> Change:
    def change(root: Path) -> None:
        for path in sorted((root / "data").rglob("*.parquet")):
            pq.write_table(edit(pq.read_table(path)), path)

    return change


def of_first(edit: Callable[[pa.Table], pa.Table]) -> Change:
    """Edits the rows of episode 0, wherever they lie."""

    def whole(table: pa.Table) -> pa.Table:
        mine = np.asarray(table["episode_index"]) == 0
        return (
            pa.concat_tables([edit(table.filter(pa.array(mine))), table.filter(pa.array(~mine))])
            if any(mine)
            else table
        )

    return edit_tables(whole)


def without(column: str) -> Change:
    return edit_tables(lambda table: table.drop_columns([column]))


def as_type(column: str, kind: pa.DataType) -> Change:
    def edit(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(column), column, table[column].cast(kind))

    return edit_tables(edit)


def mark(root: Path) -> None:
    for path in (root / "meta").glob("*.json*"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


def capitals(root: Path) -> None:
    for path in list(root.rglob("*.mp4")):
        path.rename(path.with_suffix(".MP4"))


def leftover(root: Path) -> None:
    (next((root / "data").iterdir()) / "._file-000.parquet").write_bytes(b"mac")


def lose_tasks(root: Path) -> None:
    next((root / "meta").glob("tasks.*")).unlink()


def in_fragments(root: Path, suffix: str = ".mp4") -> None:
    for path in list(root.rglob("*.mp4")):
        new = path.with_name(f"new{suffix}")
        options = {"movflags": "frag_keyframe+empty_moov"} if suffix == ".mp4" else {}
        with av.open(str(path)) as source, av.open(str(new), "w", options=options) as target:
            given = source.streams.video[0]
            stream = target.add_stream_from_template(given)
            for packet in source.demux(given):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        path.unlink()
        new.rename(path.with_suffix(suffix))


def another_size(root: Path) -> None:
    """The second half of the episodes get videos of another size."""
    from roboscale.dataset.video import Encoder, probe

    for path in sorted(root.rglob("*.mp4"))[2:]:
        frames = probe(path).frames
        encoder = Encoder(path, (16, 32, 3), 10, "h264")
        for number in range(frames):
            encoder.add(np.full((16, 32, 3), number, np.uint8))
        encoder.close()


def _points(root: Path) -> None:
    edit_feature("observation.points", dtype="float32", shape=[-1], names=None)(root)
    kind = pa.list_(pa.float32())

    def edit(table: pa.Table) -> pa.Table:
        rows = [[1.0] * (1 + i % 3) for i in range(table.num_rows)]
        return table.append_column("observation.points", pa.array(rows, kind))

    edit_tables(edit)(root)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An oddity.

    Args:
        of: the sets that it is made of.
        check: what must be found; empty where nothing is wrong.
        command: what is named for it, without paths; empty where only a person can mend it.
        rows: of the four times twelve that are there afterwards.
    """

    change: Change
    check: str = ""
    command: dict[str, str] | str = ""
    of: tuple[str, ...] = ("v2.1", "v3")
    rows: int = 48


MENDED = {"v2.1": "data import OUT", "v3": "data fix --metadata"}
VIDEO = "data import OUT --video-path"
CASES: dict[str, Case] = {
    "byte order marks": Case(change=mark, check="info-broken", command=MENDED),
    "a rate in quotes": Case(change=edit_info(fps="10"), check="info-broken", command=MENDED, of=("v3",)),
    "a rate that the cameras say": Case(change=edit_info(fps=None), check="info-broken", command=MENDED),
    "no limit of files": Case(change=edit_info(chunks_size=0), check="info-broken", command=MENDED, of=("v3",)),
    "no template": Case(change=edit_info(video_path=None), check="path-template", command=MENDED, of=("v3",)),
    "blanks by other names": Case(
        change=edit_info(data_path="data/chunk-{chunk:03d}/episode_{episode:06d}.parquet"),
        check="path-template",
        command=MENDED,
        of=("v2.1",),
    ),
    "blanks of v3": Case(
        change=edit_info(data_path="data/chunk-{chunk_index:03d}/episode_{file_index:06d}.parquet"),
        check="file-elsewhere",
        command="data import OUT --data-path",
        of=("v2.1",),
    ),
    "a newer version's name": Case(
        change=edit_info(codebase_version="v3.0"), check="codebase-version", command=MENDED, of=("v2.1",)
    ),
    "an older version's name": Case(
        change=edit_info(codebase_version="v2.1"), check="codebase-version", command=MENDED, of=("v3",)
    ),
    "a version without v": Case(change=edit_info(codebase_version="3.0"), of=("v3",)),
    "a version to come": Case(change=edit_info(codebase_version="v3.7"), check="codebase-version", of=("v3",)),
    "no tasks": Case(change=lose_tasks, check="tasks-table", command=MENDED),
    "splits that overlap": Case(
        change=edit_info(splits={"train": "0:4", "val": "2:4"}), check="split-leak", of=("v2.1",)
    ),
    "a whole beside its parts": Case(
        change=edit_info(splits={"all": "0:4", "train": "0:3", "val": "3:4"}), of=("v3",)
    ),
    "a size as a number": Case(change=edit_feature("action", shape=4), of=("v2.1",)),
    "a size with a point": Case(change=edit_feature("action", shape=[4.0]), of=("v3",)),
    "another size": Case(change=edit_feature("action", shape=[7], names=None), check="column-type", command=MENDED),
    "rows of several lengths": Case(change=_points, of=("v3",)),
    "a column twice": Case(
        change=edit_tables(lambda t: t.append_column("action", t["action"])), check="file-broken", rows=0, of=("v2.1",)
    ),
    "frames in floats": Case(
        change=as_type("frame_index", pa.float32()), check="column-type", command=MENDED, of=("v3",)
    ),
    "no frame numbers": Case(change=without("frame_index"), check="column-missing", command=MENDED, of=("v3",)),
    "no times": Case(change=without("timestamp"), check="column-missing", command=MENDED, of=("v3",)),
    "no task numbers": Case(change=without("task_index"), check="column-missing", command=MENDED, of=("v3",)),
    "nobody's rows": Case(change=without("episode_index"), check="column-missing", of=("v3",), rows=0),
    "first rows lost": Case(change=of_first(lambda t: t.slice(5)), check="frame-index", command=MENDED, rows=43),
    "rows between lost": Case(
        change=of_first(lambda t: pa.concat_tables([t.slice(0, 4), t.slice(6)])),
        check="episode-unreadable",
        command={"v2.1": "data import OUT --broken drop", "v3": "data fix OUT --drop-broken"},
        rows=36,
    ),
    "an empty table": Case(change=of_first(lambda t: t.slice(0, 0)), check="episode-location", of=("v2.1",), rows=36),
    "capital letters": Case(change=capitals, check="file-elsewhere", command=VIDEO, of=("v2.1",)),
    "another container": Case(
        change=lambda root: in_fragments(root, ".mkv"), check="file-elsewhere", command=VIDEO, of=("v3",)
    ),
    "fragments": Case(change=in_fragments, of=("v3",)),
    "pictures of two sizes": Case(
        change=another_size, check="video-size", command="data import OUT --broken drop", of=("v2.1",), rows=24
    ),
    "left by macOS": Case(change=leftover, check="file-unreferenced", of=("v3",)),
}


def _kind(command: str) -> str:
    """A command without paths: `data fix --metadata`."""
    words = [word for word in shlex.split(command)[1:] if "/" not in word]
    return " ".join(words)


@pytest.mark.parametrize(("name", "version"), [(name, of) for name, case in CASES.items() for of in case.of])
def test_an_oddity_is_said_and_costs_nothing_else(
    sets: dict[str, Path], usual: dict[str, set[str]], tmp_path: Path, name: str, version: str
):
    case, root, out = CASES[name], tmp_path / "set", tmp_path / "out"
    shutil.copytree(sets[version], root)
    case.change(root)
    findings = audit_folder(root, images=False).findings
    mine = [one for one in findings if one.check == case.check]
    assert bool(mine) if case.check else {one.check for one in findings} == usual[version], [
        str(one) for one in findings
    ]
    expected = case.command[version] if isinstance(case.command, dict) else case.command
    assert {_kind(one.repair) for one in mine} <= {expected} | ({""} if case.check == "column-type" else set())
    commands = {one.repair for one in findings if one.repair} or {f"roboscale data import {root} OUT --broken drop"}
    for command in commands:
        words = [str(out) if word == "OUT" else word for word in shlex.split(command)[1:]]
        result = runner.invoke(app, [*words, *(["--workers", "0"] if " OUT" in command else [])])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert (result.exit_code == 0) == (case.rows > 0), result.stderr
    if case.rows:
        made = Dataset(out if out.exists() else root)
        left = {one.check for one in audit_folder(out if out.exists() else root, images=False).findings}
        assert sum(len(made.episode(i)) for i in range(len(made.episodes))) == case.rows
        assert case.check not in left or not expected


def test_pictures_stay_with_their_rows_where_the_first_rows_are_lost(sets: dict[str, Path], tmp_path: Path):
    """As in LeRobot's loader a row shows the picture of its time, whichever row is the first."""
    whole = Dataset(sets["v3"]).decode(0, samples.CAMERA)
    for version, words in (("v2.1", ["import", "set", "out"]), ("v3", ["fix", "set", "--metadata"])):
        place = tmp_path / version
        shutil.copytree(sets[version], place / "set")
        of_first(lambda table: table.slice(5))(place / "set")
        paths = [str(place / word) if word in ("set", "out") else word for word in words]
        assert runner.invoke(app, ["data", *paths]).exit_code == 0
        shown = Dataset(place / ("out" if "out" in words else "set")).decode(0, samples.CAMERA)
        assert len(shown) == 7
        assert np.abs(whole.astype(int) - shown[0]).mean(axis=(1, 2, 3)).argmin() == 5


@pytest.mark.parametrize("version", ["v2.1", "v3"])
def test_what_a_writer_says_of_each_episode_is_kept(sets: dict[str, Path], tmp_path: Path, version: str):
    root = tmp_path / "set"
    shutil.copytree(sets[version], root)
    said = [{"operator": "ann", "score": 0.5 * n, "parts": [{"name": "reach", "until": n}]} for n in range(4)]
    if version == "v3":
        path = root / "meta/episodes/chunk-000/file-000.parquet"
        rows = [{**row, **more} for row, more in zip(pq.read_table(path).to_pylist(), said, strict=True)]
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path = root / "meta/episodes.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**line, **more}) + "\n" for line, more in zip(lines, said, strict=True)))
    result = runner.invoke(app, ["data", "import", str(root), str(tmp_path / "out"), "--workers", "0"])
    assert result.exit_code == 0, result.stderr
    made = Dataset(tmp_path / "out")
    assert [episode.provenance.details["episode"] for episode in made.episodes] == said


@pytest.mark.parametrize(
    ("change", "found"), [(lambda m: np.ravel(m), True), (lambda m: 255 * m, True), (lambda m: m, False)]
)
def test_statistics_of_pictures_have_the_shape_and_scale_of_lerobot(
    sets: dict[str, Path], tmp_path: Path, change: Callable[[Any], Any], found: bool
):
    root = tmp_path / "set"
    shutil.copytree(sets["v2.1"], root)
    path = root / "meta/episodes_stats.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        said = line["stats"][samples.CAMERA]
        said |= {name: change(np.array(said[name])).tolist() for name in ("min", "max", "mean", "std")}
        said = line["stats"]["action"]  # over n - 1, as some take it
        said["std"] = (np.array(said["std"]) * np.sqrt(12 / 11)).tolist()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    checks = {one.check for one in audit_folder(root).findings}
    assert ("image-stats-wrong" in checks) == found and "episode-stats-wrong" not in checks


def test_splits_count_places_where_the_numbers_of_episodes_have_gaps(sets: dict[str, Path], tmp_path: Path):
    root = tmp_path / "set"
    shutil.copytree(sets["v2.1"], root)
    for path in root.rglob("episode_000001.*"):
        path.unlink()
    lines = (root / "meta/episodes.jsonl").read_text().splitlines(keepends=True)
    (root / "meta/episodes.jsonl").write_text("".join(lines[:1] + lines[2:]))
    edit_info(total_episodes=3, splits={"train": "0:2", "val": "2:3"})(root)
    splits = splits_of(open_recording(root, detect(root)))
    assert {name: list(keys) for name, keys in splits.items()} == {
        "train": ["episode_000000", "episode_000002"],
        "val": ["episode_000003"],
    }


def test_mending_keeps_the_splits_of_others_and_removes_no_rows_that_the_totals_count(
    sets: dict[str, Path], tmp_path: Path
):
    root = tmp_path / "set"
    shutil.copytree(sets["v3"], root)
    edit_info(splits={"train": "0:2", "val": "2:9"})(root)
    assert runner.invoke(app, ["data", "fix", str(root), "--metadata"]).exit_code == 0
    assert json.loads((root / "meta/info.json").read_text())["splits"] == {"train": "0:2", "val": "2:4"}
    table = root / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(table).slice(0, 2), table)
    result = runner.invoke(app, ["data", "fix", str(root), "--metadata"])
    assert result.exit_code == 1 and "none of episode 2, whose rows are in file-000.parquet" in result.stderr
    command = shlex.split(result.stderr.rpartition("dataset: ")[2])
    words = [str(tmp_path / "out") if word == "OUT" else word for word in command[1:]]
    assert runner.invoke(app, [*words, "--workers", "0"]).exit_code == 0
    assert len(Dataset(tmp_path / "out").episodes) == 2
