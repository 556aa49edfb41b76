"""Every command that an audit of v2.x names is run, on sets that are whole, half there and without videos.

`make test` runs each distinct command of each format in each state, and every planted fault of v2.1; `make fuzz` runs
every fault of every format in every state, and fails on a kind of command that `make test` does not run.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app, parse
from roboscale.core import Finding
from roboscale.dataset.audit import audit_folder
from tests.defects.planting import edit_json
from tests.samples.lerobot import CAMERA, NAMES, write_gr00t, write_v20, write_v21

runner = CliRunner()
Plant = Callable[[Path], object]


def _tables(root: Path) -> list[Path]:
    return sorted((root / "data").rglob("*.parquet"))


def _videos(root: Path) -> list[Path]:
    return sorted((root / "videos").rglob("*.mp4"))


def _info(**values: Any) -> Plant:
    return lambda root: edit_json(root / "meta/info.json", lambda raw: raw.update(values))


def _feature(name: str, **values: Any) -> Plant:
    return lambda root: edit_json(root / "meta/info.json", lambda raw: raw["features"][name].update(values))


def _ghost(root: Path) -> None:
    ghost = {"dtype": "float32", "shape": [2], "names": None}
    edit_json(root / "meta/info.json", lambda raw: raw["features"].update(ghost=ghost))


def _column(name: str, change: Callable[[Any], Any]) -> Plant:
    def plant(root: Path) -> None:
        path = _tables(root)[0]
        table = pq.read_table(path)
        place = table.column_names.index(name)
        values = change(np.asarray(table[name].to_pylist()))
        pq.write_table(table.set_column(place, name, pa.array(values.tolist(), table.schema.field(name).type)), path)

    return plant


def _swapped(root: Path) -> None:
    table = pq.read_table(_tables(root)[0])
    pq.write_table(table.take([1, 0, *range(2, table.num_rows)]), _tables(root)[0])


def _lines(name: str, change: Callable[[list[Any]], list[Any]]) -> Plant:
    def plant(root: Path) -> None:
        path = root / "meta" / name
        if not path.is_file():
            return  # v2.0 has no statistics of each episode
        rows = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return plant


def _cut(files: Callable[[Path], list[Path]]) -> Plant:
    def plant(root: Path) -> None:
        path = files(root)[-1]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return plant


def _statistics_gone(root: Path) -> None:
    for path in (root / "meta").glob("*stats*"):
        path.unlink()


def _undeclared(root: Path) -> None:
    for path in _tables(root):
        table = pq.read_table(path)
        pq.write_table(table.append_column("extra", pa.array(np.ones(table.num_rows, np.float32))), path)


def _lie(rows: list[Any]) -> list[Any]:
    for row in rows:
        row["stats"]["action"]["mean"] = [value + 5 for value in row["stats"]["action"]["mean"]]
    return rows


def _info_camera(root: Path) -> None:
    edit_json(root / "meta/info.json", lambda raw: raw["features"].update(ghost=raw["features"][CAMERA]))


def _one_frame(root: Path) -> None:
    path = _tables(root)[0]
    pq.write_table(pq.read_table(path).slice(0, 1), path)


def _nan(values: Any) -> Any:
    values[3] = np.nan
    return values


PLANTED: dict[str, Plant] = {
    "totals": _info(total_frames=7, total_episodes=9, total_tasks=5, total_videos=99),
    "length": _lines("episodes.jsonl", lambda rows: [{**rows[0], "length": 5}, *rows[1:]]),
    "a task nobody knows": _lines("episodes.jsonl", lambda rows: [{**rows[0], "tasks": ["Another text."]}, *rows[1:]]),
    "frame_index": _column("frame_index", lambda values: values + 3),
    "rows swapped": _swapped,
    "index": _column("index", lambda values: values + 100),
    "timestamp": _column("timestamp", lambda values: values * 1.07),
    "task_index": _column("task_index", lambda values: values + 7),
    "nan": _column("action", _nan),
    "split": _info(splits={"train": "0:99"}),
    "dtype": _feature("action", dtype="float64"),
    "column without data": _ghost,
    "size": _feature(CAMERA, shape=[16, 16, 3]),
    "video cut": _cut(_videos),
    "table cut": _cut(_tables),
    "video gone": lambda root: _videos(root)[1].unlink(),
    "table gone": lambda root: _tables(root)[1].unlink(),
    "episode gone": lambda root: (_tables(root)[1].unlink(), _videos(root)[1].unlink()),
    "statistics gone": _statistics_gone,
    "episode twice": _lines("episodes.jsonl", lambda rows: rows + rows[:1]),
    "episodes reversed": _lines("episodes.jsonl", lambda rows: rows[::-1]),
    "tasks gone": lambda root: (root / "meta/tasks.jsonl").unlink(),
    "fps as text": _info(fps="10"),
    "names nested": _feature("action", names=[list(NAMES)]),
    "names too few": _feature("action", names=list(NAMES)[:-1]),
    "column nobody names": _undeclared,
    "statistics lie": _lines("episodes_stats.jsonl", _lie),
    "codec": _feature(CAMERA, info={"video.codec": "av1", "video.pix_fmt": "gray12le", "video.fps": 10}),
    "template": _info(data_path="data/{number}.parquet"),
    "camera nobody recorded": _info_camera,
    "one frame": _one_frame,
}
STATES: dict[str, Plant] = {
    "complete": lambda root: None,
    "partial": lambda root: (_tables(root)[-1].unlink(), _videos(root)[-1].unlink()),
    "video-less": lambda root: shutil.rmtree(root / "videos"),
}
EACH = {  # flags of the import -> state -> what is planted so that it is named there
    "": {"complete": "totals"},
    "--broken drop": {"complete": "nan"},
    "--missing-video drop-episodes": {"complete": "video gone"},
    "--missing-video drop-episodes --broken drop": {"complete": "episode gone", "partial": "frame_index"},
    "--missing-video drop-camera": {"complete": "camera nobody recorded", "video-less": "rows swapped"},
    "--missing-video drop-camera --broken drop": {"partial": "camera nobody recorded", "video-less": "table gone"},
}
WHOLE = bool(os.environ.get("ROBOSCALE_WHOLE_MATRIX"))  # `make fuzz`
FORMATS = (write_v20, write_v21, write_gr00t)
MATRIX: list[tuple[Any, str, str, str | None]] = [
    (write, state, name, flags)
    for write in FORMATS
    for flags, states in EACH.items()
    for state, name in states.items()
]
if WHOLE:
    MATRIX = [(write, state, name, None) for write in FORMATS for state in STATES for name in PLANTED]
else:
    MATRIX += [(write_v21, "complete", name, None) for name in PLANTED]


@pytest.fixture(scope="module")
def clean_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[..., Path]], Path]:
    """The set of a writer; made once, not to be changed."""
    return cache(lambda write: write(tmp_path_factory.mktemp("clean") / "a set", episodes=5, frames=14))


@pytest.mark.parametrize(("write", "state", "name", "expected"), MATRIX)
def test_every_command_that_is_named_works(
    clean_set: Callable[[Callable[..., Path]], Path],
    tmp_path: Path,
    write: Callable[..., Path],
    state: str,
    name: str,
    expected: str | None,
):
    root = tmp_path / "a set"
    shutil.copytree(clean_set(write), root)
    PLANTED[name](root)
    STATES[state](root)
    named: dict[str, list[Finding]] = {}
    for finding in audit_folder(root, images=False).findings:
        if finding.repair:
            named.setdefault(finding.repair, []).append(finding)
    assert len(named) <= 1, "one import mends whatever an import mends"
    kinds = {" ".join(shlex.split(command)[5:]) for command in named}
    assert kinds == {expected} or expected is None
    assert all(state in EACH.get(kind, {}) for kind in kinds), "a command that `make test` does not run there"
    for command, findings in named.items():
        words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(command)[1:]]
        parsed = parse(words)
        assert parse(parsed.to_args()) == parsed
        result = runner.invoke(app, [*words, "--workers", "0"])
        assert result.exit_code == 0, f"{command}: {result.stderr}\n{result.exception!r}"
        left = {f.check for f in audit_folder(tmp_path / "out", images=False).findings}
        assert not left & {f.check for f in findings}, command
