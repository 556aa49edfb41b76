"""Members of a merge as people have them: packed, of another rate, size or dtype, under other names."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from roboscale import ImportDataset, import_dataset
from roboscale.cli.app import app
from roboscale.dataset import Dataset
from roboscale.jobs.events import Event, Progress
from tests.samples import lerobot
from tests.samples.lerobot import CAMERA, write_gr00t, write_v21

runner = CliRunner()
SAME = ("--same", "--workers", "0")


def run(*words: object, code: int = 0) -> Result:
    result = runner.invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{words}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
    return result


def merge(*words: object, code: int = 0) -> Result:
    return run("data", "merge", *words, *SAME, code=code)


def rewrite(root: Path, info: Callable[[dict[str, Any]], object], table: Callable[[pa.Table], pa.Table] | None = None):
    path = root / "meta/info.json"
    raw = json.loads(path.read_text())
    info(raw)
    path.write_text(json.dumps(raw))
    for file in (root / "data").rglob("*.parquet") if table else ():
        pq.write_table(table(pq.read_table(file)), file)


def renamed(root: Path, old: str, new: str) -> Path:
    def features(raw: dict[str, Any]) -> None:
        raw["features"] = {new if name == old else name: one for name, one in raw["features"].items()}

    rewrite(root, features, lambda t: t.rename_columns([new if name == old else name for name in t.column_names]))
    for chunk in (root / "videos").glob("*"):
        if (chunk / old).exists():
            (chunk / new).parent.mkdir(exist_ok=True)
            (chunk / old).rename(chunk / new)
    return root


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return write_v21(tmp_path / "a")


@pytest.fixture
def b(tmp_path: Path) -> Path:
    return write_v21(tmp_path / "b", seed=1)


def test_an_archive_is_a_member_and_nobody_is_one_twice(a: Path, b: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", b)
    merge(a, packed, tmp_path / "out")
    assert len(Dataset(tmp_path / "out").episodes) == 4
    twice = merge(a, a, tmp_path / "twice", code=1)
    assert "named twice" in twice.stderr and not (tmp_path / "twice").exists()


def test_other_rates_are_refused_with_the_command_that_brings_them_together(a: Path, b: Path, tmp_path: Path):
    """The command is run; what then differs is said with the flag that leaves it out, which is run, too."""
    rewrite(b, lambda raw: raw.update(fps=20))  # it was recorded at 10 frames a second, as its times say
    said = merge(a, b, tmp_path / "out", code=1).stderr
    line = next(line for line in said.splitlines() if "--resample" in line)
    words = shlex.split(line.partition("roboscale ")[2].partition(",")[0])
    slow = tmp_path / "slow"
    run(*[slow if word == "OUT" else word for word in words], "--workers", "0")
    said = merge(a, slow, tmp_path / "out", code=1).stderr
    assert "leave it out of all with --drop time.source_ns" in said
    told = merge(a, slow, tmp_path / "out", "--drop", "time.source_ns").stderr
    assert "a: time.frame_ns: frame number over rate" in told
    assert "not carried over: slow: time.source_ns: left out by --drop" in told
    merged = Dataset(tmp_path / "out")
    assert merged.arrays("time.frame_ns")[:3, 0].tolist() == [0, 10**8, 2 * 10**8]
    assert np.array_equal(merged.arrays("action")[24:], Dataset(slow).arrays("action"))


def test_cameras_are_matched_by_roles_of_one_declaration(a: Path, b: Path, tmp_path: Path):
    top = "observation.images.top"
    renamed(b, CAMERA, top)
    said = merge(a, b, tmp_path / "out", code=1).stderr
    assert f"a: {CAMERA}" in said and f"b: {top}" in said
    roles = tmp_path / "roles.toml"
    roles.write_text(f'[fields."{CAMERA}"]\nrole = "front"\n[fields."{top}"]\nrole = "front"\n')
    merge(a, b, tmp_path / "out", "--declare", roles)
    assert [field.name for field in Dataset(tmp_path / "out").spec.images] == [CAMERA]
    roles.write_text('[fields."observation.images.tip"]\nrole = "front"\n')
    assert "did you mean" in merge(a, b, tmp_path / "other", "--declare", roles, code=1).stderr
    merge(a, b, tmp_path / "blind", "--drop", CAMERA, "--drop", top)
    assert not Dataset(tmp_path / "blind").spec.images
    assert "unknown field" in merge(a, b, tmp_path / "other", "--drop", "camera", code=1).stderr


def test_sizes_and_dtypes_that_differ(a: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lerobot, "_SIZE", 48)
    b = write_v21(tmp_path / "b", seed=1)

    def wider(table: pa.Table) -> pa.Table:
        rows = pa.array(np.array(table["action"].to_pylist(), np.float64).reshape(-1))
        at = table.column_names.index("action")
        return table.set_column(at, "action", pa.FixedSizeListArray.from_arrays(rows, 4))

    def said_wider(raw: dict[str, Any]) -> None:
        raw["features"]["action"] = {**raw["features"]["action"], "dtype": "float64"}
        raw["features"][CAMERA]["shape"] = [48, 48, 3]

    rewrite(b, said_wider, wider)
    refused = merge(a, b, tmp_path / "out", code=1).stderr
    assert f"{CAMERA}: size: differs" in refused and "--resize" in refused and not (tmp_path / "out").exists()
    told = merge(a, b, tmp_path / "out", "--resize", "32x32").stderr
    assert "a: action: float32 becomes float64" in told and f"b: {CAMERA}: resized from (48, 48) to (32, 32)" in told
    merged = Dataset(tmp_path / "out", images="uint8")
    assert merged.spec["action"].dtype == "float64" and merged[30][CAMERA].shape == (32, 32, 3)
    before = np.array(pq.read_table(min((a / "data").rglob("*.parquet")))["action"].to_pylist(), np.float32)
    assert np.array_equal(merged.arrays("action")[:12], before.astype(np.float64))


@pytest.mark.parametrize("version", ["v2.1", "v3"])
def test_a_slash_in_a_name_is_read_and_the_audit_says_how_it_goes_away(a: Path, tmp_path: Path, version: str):
    if version == "v3":
        run("data", "import", a, tmp_path / "v3", "--workers", "0")
        a = tmp_path / "v3"
        shutil.rmtree(a / "meta/roboscale")
    renamed(a, "observation.state", "observation/state")
    found = json.loads(run("data", "audit", a, "--json", "--workers", "0", code=2).stdout)["findings"]
    (finding,) = [one for one in found if one["check"] == "feature-broken"]
    assert "read as observation.state" in finding["text"]
    words = [str(tmp_path / "out") if word == "OUT" else word for word in shlex.split(finding["repair"])[1:]]
    run(*words, "--workers", "0")
    assert "observation.state" in Dataset(tmp_path / "out").spec
    found = json.loads(run("data", "audit", tmp_path / "out", "--json", "--workers", "0").stdout)["findings"]
    assert not [one for one in found if one["check"] in ("feature-broken", "stats-missing")]


def test_a_slash_that_makes_two_names_one_or_leads_outside_is_refused(a: Path, tmp_path: Path):
    whole = json.loads((a / "meta/info.json").read_text())
    rewrite(a, lambda raw: raw["features"].update({"observation/state": raw["features"]["observation.state"]}))
    assert "no other feature has" in run("data", "import", a, tmp_path / "out", code=1).stderr
    rewrite(a, lambda raw: raw.update(features={**whole["features"], "../state": whole["features"]["action"]}))
    assert "a name without /" in run("data", "import", a, tmp_path / "out", code=1).stderr


def test_what_modality_json_says_comes_back(tmp_path: Path):
    root = write_gr00t(tmp_path / "g")
    path = root / "meta/modality.json"
    said = json.loads(path.read_text())
    said["action"]["arm"] |= {"absolute": False, "rotation_type": "axis_angle"}
    said["state"]["left.all"] = {"start": 0, "end": 4}
    said["note"] = {"by": "hand"}
    path.write_text(json.dumps(said))
    run("data", "import", root, tmp_path / "v3", "--workers", "0")
    run("data", "export", tmp_path / "v3", tmp_path / "back", "--to", "gr00t")
    assert (tmp_path / "back/meta/modality.json").read_bytes() == path.read_bytes()
    old = run("data", "export", tmp_path / "v3", tmp_path / "v21", "--to", "lerobot-v2.1")
    assert "not carried over: meta/modality.json" in old.stderr and not (tmp_path / "v21/meta/modality.json").exists()
    run("data", "fix", tmp_path / "v3", tmp_path / "blind", "--drop-camera", CAMERA, "--workers", "0")
    anew = run("data", "export", tmp_path / "blind", tmp_path / "other", "--to", "gr00t")
    assert "meta/modality.json: written anew" in anew.stderr
    assert json.loads((tmp_path / "other/meta/modality.json").read_text())["video"] == {}


def test_info_json_that_is_gone_is_no_layout_of_ones_own(a: Path):
    (a / "meta/info.json").unlink()
    assert "fetch or copy it again" in run("data", "info", a, code=1).stderr


def test_a_repaired_copy_beside_its_original_is_refused_before_anything_is_copied(a: Path, tmp_path: Path):
    """And what would tell the two apart is not upset by another robot: actions of other sizes are not compared."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    run("data", "import", a, whole, "--workers", "0")
    run("data", "fix", whole, part, "--drop", "0", "--workers", "0")
    assert "whole and part share 1 episodes" in merge(whole, part, tmp_path / "out", code=1).stderr
    assert not (tmp_path / "out").exists()
    found = json.loads(run("data", "audit", part, "--against", whole, "--json", "--workers", "0", code=2).stdout)
    assert "leaked-episode" in [one["check"] for one in found["findings"]]

    def shorter(table: pa.Table) -> pa.Table:
        rows = pa.array(np.array(table["action"].to_pylist(), np.float32)[:, :3].reshape(-1))
        return table.set_column(1, "action", pa.FixedSizeListArray.from_arrays(rows, 3))

    rewrite(a, lambda raw: raw["features"].update(action={"dtype": "float32", "shape": [3], "names": None}), shorter)
    run("data", "audit", whole, "--against", a, "--json", "--workers", "0")


def test_names_of_joints_in_another_spelling_are_the_same_joints(a: Path, b: Path, tmp_path: Path):
    """In capitals and with other signs between words; in another order they are other columns."""

    def spelt(raw: dict[str, Any]) -> None:
        raw["features"]["action"]["names"] = ["Shoulder", "EL-bow", "wrist", "gripper_"]

    rewrite(b, spelt)
    done = json.loads(merge(a, b, tmp_path / "out", "--json").stdout)
    said = [line for line in done["made_alike"] if "spelt" in line]
    assert said == [
        "b: action: names are spelt as the others': Shoulder as shoulder, EL-bow as elbow, gripper_ as gripper"
    ]
    assert done["made_alike"][-1].endswith("(--same)") and set(said) < set(done["notes"])
    assert Dataset(tmp_path / "out").spec["action"].layout == ("shoulder", "elbow", "wrist", "gripper")
    rewrite(b, lambda raw: raw["features"]["action"].update(names=["elbow", "shoulder", "wrist", "gripper"]))
    assert "action: layout: differs" in merge(a, b, tmp_path / "other", code=1).stderr


@pytest.mark.parametrize("what", ["data", "videos"])
def test_a_pointer_in_one_member_stops_before_anything_is_copied(a: Path, b: Path, tmp_path: Path, what: str):
    last = sorted(path for path in (b / what).rglob("*") if path.is_file())[-1]
    last.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345678\n")
    said = merge(a, b, tmp_path / "out", code=1).stderr
    assert "Git LFS pointer" in said and "git lfs pull" in said and last.name in said
    assert not (tmp_path / "out").exists()
    run("data", "import", b, tmp_path / "out", "--workers", "0", code=1)
    assert not (tmp_path / "out").exists()
    rule = ("--broken", "drop") if what == "data" else ("--missing-video", "drop-episodes")
    run("data", "import", b, tmp_path / "out", *rule, "--workers", "0")
    merge(a, tmp_path / "out", tmp_path / "both")
    assert len(Dataset(tmp_path / "both").episodes) == 3


def test_a_killed_import_is_said_to_be_unfinished_until_its_own_command_has_ended(
    a: Path, b: Path, tmp_path: Path, monkeypatch
):
    def killed(event: Event) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import_dataset(ImportDataset(source=Path("a"), out=Path("out"), workers=0), killed)
    monkeypatch.chdir(out)  # the command is asked from elsewhere
    audited = json.loads(run("data", "audit", out, "--json", "--workers", "0", code=2).stdout)
    (left,) = (one for one in audited["findings"] if one["check"] == "unfinished-transfer")
    assert left["evidence"] == {"asked": 2, "arrived": 1} and left["severity"] == "error"
    assert not any(one["repair"] for one in audited["findings"] if one is not left)
    assert "unfinished-transfer" in run("data", "info", out).stdout
    assert "not finished: 1 of 2" in merge(b, out, tmp_path / "both", code=1).stderr
    run(*shlex.split(left["repair"])[1:])
    run("data", "audit", out, "--workers", "0")
    assert len(Dataset(out).episodes) == 2 and not list((out / "meta").rglob("begun.json"))
