"""One defect at a time: it is found where it was planted, nothing else is, and what the audit advises mends it.

The command is run as it stands.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import Provenance
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import CHECKS, audit_folder
from tests.defects.planted import DEFECTS, clean

runner = CliRunner()

# Planted into single episodes: which of them the finding must name.
WHERE = {
    "frame-skipped": (2,),
    "index-leaps": (4,),
    "timestamps-drift": (3,),
    "wrong-task": (2,),
    "range-shifted": (2,),
    "length-too-long": (1,),
    "wrong-file": (3,),
    "episodes-out-of-order": (1, 2),
    "row-swapped": (2,),
    "two-instructions": (1,),
    "wrong-episode-mean": (1,),
    "data-cut-off": (4, 5, 6, 7),
    "video-lost": (4, 5, 6, 7),
    "video-times-drift": (1, 2, 3),
    "empty-task": (1,),
    "placeholder-task": (1,),
    "one-word-task": (1,),
    "one-frame": (3,),
    "far-too-short": (3,),
    "nan": (5,),
    "clock-backwards": (1,),
    "slow-start": (2, 5),
    "slow-end": (2, 5),
    "spike": (6,),
    "action-unrelated": (3,),
    "action-early": (5,),
    "gripper-flipped": (2,),
    "degrees": (4,),
    "state-frozen": (3,),
    "joint-dead-in-one": (2,),
    "command-clipped": (3,),
    "clock-fast": (4,),
    "same-with-noise": (6,),
    "same-but-cut": (7,),
    "black-camera": (4,),
    "frozen-camera": (4,),
    "swapped-cameras": (5,),
    "taxel-dead-in-one": (4,),
    "wrist-camera-elsewhere": (2,),
    "person-took-over": (5,),
    "safety-layer": (3,),
    "attempt-failed": (6,),
}

# No command mends these: a person has to decide what is right, or to record again.
FOR_PEOPLE = {
    "action-in-degrees",
    "action-is-state-to-come",
    "angle-wraps",
    "clock-fast",
    "command-clipped",
    "joint-commanded-backwards",
    "joint-dead-in-one",
    "state-frozen",
    "action-copied",
    "dead-joint",
    "degrees",
    "empty-task",
    "gripper-flipped",
    "joint-twice",
    "leaked-takes",
    "no-licence",
    "nulls",
    "one-word-task",
    "placeholder-task",
    "saturated",
    "sparse-key-frames",
    "spike",
    "stray-data-file",
    "swapped-cameras",
    "task-spelled-twice",
    "two-instructions",
    "uneven-video",
    "wrong-rate",
    "taxel-dead",
    "taxel-dead-in-one",
    "wrench-drifts",
    "taxel-saturated",
    "wrist-camera-stands",
    "wrist-camera-elsewhere",
    "hand-called-joints",
    "person-took-over",
    "safety-layer",
    "attempt-failed",
}

# What else is found after the repair, and is true: the recovered episode was a copy.
# Where rests were left out, the recorded clock has gaps.
AFTERWARDS = {"unsealed-episode": {"near-duplicate"}, "pauses": {"clock-rate"}}

# Episodes that the repair leaves; the others keep all eight.
LEFT = {
    **dict.fromkeys(("data-cut-off", "data-lost", "video-lost", "video-empty"), 4),
    "unsealed-episode": 9,
    "video-cut-off": 6,
    "video-scrambled": 5,
}


@pytest.fixture(scope="module")
def clean_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The clean set of a kind; made once, not to be changed."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = clean(tmp_path_factory.mktemp("clean") / kind, kind, seed=0)
        return made[kind]

    return get


def planted(name: str, clean_set: Callable[[str], Path], root: Path) -> Path:
    shutil.copytree(clean_set(DEFECTS[name].kind), root)
    DEFECTS[name].plant(root, np.random.default_rng(0))
    return root


def repair(command: str, out: Path) -> None:
    words = [str(out) if word == "OUT" else word for word in shlex.split(command)[1:]]
    more = [] if "--metadata" in words else ["--workers", "0"]
    result = runner.invoke(app, [*words, *more])
    assert result.exit_code == 0, f"{command}: {result.exit_code}\n{result.stderr}\n{result.exception!r}"


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_it_alone_is_found_and_what_the_audit_advises_mends_it(
    name: str, clean_set: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # where a selection is written
    root, out = planted(name, clean_set, tmp_path / "a set"), tmp_path / "out"
    before = Dataset(clean_set(DEFECTS[name].kind))
    findings = audit_folder(root).findings
    assert {f.check for f in findings} == {DEFECTS[name].check}, [f"{f.check}: {f.text}" for f in findings]
    assert all(f.severity == CHECKS[f.check].severity for f in findings)
    if name in WHERE:
        assert {f.episodes for f in findings} == {WHERE[name]}
    commands = {finding.repair for finding in findings}
    if name in FOR_PEOPLE:
        assert commands == {""}, "there is a command now: take it out of the list"
        return
    (command,) = commands
    repair(command, out)
    if " curate " in command:  # a selection, which changes nothing by itself
        command = f"roboscale data fix {shlex.quote(str(root))} OUT --selection rest.json"
        repair(command, out)
    mended = out if " OUT" in command else root
    assert {f.check for f in audit_folder(mended).findings} == AFTERWARDS.get(name, set())
    after = Dataset(mended)
    assert len(after.episodes) == LEFT.get(name, 8 - ("--drop " in command))
    ids = {e.id for e in before.episodes}
    if name not in ("unsealed-episode", "sidecar-line-lost", "same-with-noise", "same-but-cut"):
        assert {e.id for e in after.episodes} <= ids, "episodes keep their ids"


# One for each kind of file that a mending writes.
METADATA = (
    "column-extra",
    "column-lost",
    "episodes-out-of-order",
    "frame-skipped",
    "orphan-rows",
    "sidecar-line-lost",
    "tasks-cut-off",
    "too-few-names",
    "unused-task",
)


@pytest.mark.parametrize("name", METADATA)
def test_a_mended_dataset_can_be_added_to_and_the_mending_undone(
    name: str, clean_set: Callable[[str], Path], tmp_path: Path
):
    root = planted(name, clean_set, tmp_path / "a")
    (command,) = {finding.repair for finding in audit_folder(root).findings}
    before = _bytes(root)
    repair(command, tmp_path / "out")
    repair(f"{command} --undo", tmp_path / "out")
    assert _bytes(root) == before
    repair(command, tmp_path / "out")
    source = Dataset(root)
    with DatasetWriter(root, source.spec, robot_type="made-up-no-camera") as writer:
        take = writer.begin(source.episodes[0].instruction, Provenance("again", licence="Apache-2.0"))
        for t in range(source.episodes[3].length):
            take.add({n: a[::-1][t] for n, a in source.episode(3).arrays.items()})
        take.save()
    found = {f.check for f in audit_folder(root).findings}
    assert found <= {"near-duplicate", "clock-backwards", "action-lag", "action-ignored", "action-copies-state"}


def _bytes(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_what_is_broken_in_the_middle_does_not_cost_the_end(clean_set: Callable[[str], Path], tmp_path: Path):
    root = tmp_path / "a"
    shutil.copytree(clean_set("joint"), root)
    ids = [e.id for e in Dataset(root).episodes]
    sorted((root / "videos").glob("*/*/*.mp4"))[0].unlink()
    (command,) = {f.repair for f in audit_folder(root).findings} - {""}
    repair(command, tmp_path / "out")
    assert [e.id for e in Dataset(tmp_path / "out").episodes] == ids[4:]
    assert [f.check for f in audit_folder(tmp_path / "out").findings] == []
    camera = "observation.images.front"
    repair(f"roboscale data fix {root} OUT --drop-camera {camera}", tmp_path / "blind")
    assert [e.id for e in Dataset(tmp_path / "blind").episodes] == ids
    assert camera not in Dataset(tmp_path / "blind").spec


def test_statistics_of_pictures_are_made_again_where_they_are_lost(clean_set: Callable[[str], Path], tmp_path: Path):
    root = tmp_path / "a"
    shutil.copytree(clean_set("joint"), root)
    stats = root / "meta/stats.json"
    before = stats.read_bytes()
    stats.unlink()
    repair(f"roboscale data fix {root} --metadata", tmp_path)
    assert [f.check for f in audit_folder(root).findings] == []
    assert len(stats.read_bytes()) > 0.9 * len(before)


def test_a_change_after_the_mending_is_not_undone_with_it(clean_set: Callable[[str], Path], tmp_path: Path):
    root = planted("too-many-frames", clean_set, tmp_path / "a")
    repair(f"roboscale data fix {root} --metadata", tmp_path)
    info = root / "meta/info.json"
    info.write_text(info.read_text().replace('"robot_type": "', '"robot_type": "my-'))
    result = runner.invoke(app, ["data", "repair", str(root), "--undo"])
    assert result.exit_code == 1 and "changed since" in result.stderr
    assert "my-" in info.read_text()


@pytest.mark.parametrize("column", ["tasks", "length", "dataset_from_index", "data/file_index"])
def test_a_lost_column_of_the_episode_table_is_made_again(
    column: str, clean_set: Callable[[str], Path], tmp_path: Path
):
    root = tmp_path / "a"
    shutil.copytree(clean_set("no-camera"), root)
    for path in (root / "meta/episodes").glob("*/*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns([column]), path)
    repair(f"roboscale data fix {root} --metadata", tmp_path)
    assert [f.check for f in audit_folder(root).findings] == []


def test_a_broken_episode_table_costs_nothing_in_place(clean_set: Callable[[str], Path], tmp_path: Path):
    root = tmp_path / "a"
    shutil.copytree(clean_set("no-camera"), root)
    last = sorted((root / "meta/episodes").glob("*/*.parquet"))[-1]
    last.write_bytes(last.read_bytes()[:-50])
    before = _bytes(root)
    result = runner.invoke(app, ["data", "repair", str(root), "--metadata"])
    assert result.exit_code == 1 and "new dataset" in result.stderr
    assert _bytes(root) == before
    repair(f"roboscale data fix {root} OUT --drop-broken", tmp_path / "out")
    assert len(Dataset(tmp_path / "out").episodes) == 4
