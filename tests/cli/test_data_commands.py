"""`roboscale data`: what others recorded becomes a dataset with its proof, and leaves again unchanged."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.collection import Collection
from roboscale.dataset.layout import Layout, load_json
from roboscale.jobs.export_formats import TARGETS

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
real = pytest.mark.skipif(not DATA.exists(), reason=f"no recordings at {DATA}; set ROBOSCALE_TEST_DATA")
runner = CliRunner()


def invoke(*arguments, code=0):
    result = runner.invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
    return result


@real
def test_missing_videos_are_decided_by_the_user(tmp_path: Path):
    source = DATA / "lerobot_v21_g1"
    result = invoke("data", "import", source, tmp_path / "x", code=1)
    assert "96 of 100 episodes" in result.stderr and "drop-camera" in result.stderr
    assert not (tmp_path / "x").exists()
    out = tmp_path / "kept"
    invoke("data", "import", source, out, "--missing-video", "drop-episodes", "--workers", "0")
    dataset = Dataset(out)
    assert [e.length for e in dataset.episodes] == [278, 221, 277, 267]
    proof = load_json(Layout(out).own / "proof.json")
    assert proof["cameras"] == [
        {"name": "observation.images.cam_high", "remuxed": 4, "encoded": 0, "worst_psnr_db": None}
    ]
    assert len(proof["dropped"]) == 96 and {f["check"] for f in proof["findings"]} >= {"names-nested"}
    assert dataset.spec["action"].layout[0] == "kLeftShoulderPitch"


@real
def test_v21_to_v3_and_back_changes_no_number_and_no_packet(tmp_path: Path):
    import pyarrow.parquet as pq

    from roboscale.dataset.packets import packet_digests

    source = DATA / "lerobot_v21_g1"
    invoke("data", "import", source, tmp_path / "v3", "--missing-video", "drop-episodes", "--workers", "0")
    invoke("data", "export", tmp_path / "v3", tmp_path / "v21", "--to", "lerobot-v2.1")
    video = "videos/chunk-000/observation.images.cam_high/episode_{:06d}.mp4"
    for new, old in enumerate((28, 29, 30, 31)):
        tables = [
            pq.read_table(root / f"data/chunk-000/episode_{i:06d}.parquet")
            for root, i in ((tmp_path / "v21", new), (source, old))
        ]
        for name in ("action", "observation.state"):
            assert tables[0][name].to_pylist() == tables[1][name].to_pylist()
        length = [len(tables[0])]
        ours = packet_digests(tmp_path / "v21" / video.format(new), length)
        assert ours == packet_digests(source / video.format(old), length)


@real
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_exports_read_back_exactly(tmp_path: Path, target: str):
    invoke("data", "import", DATA / "rlds_bridge", tmp_path / "v3", "--workers", "0")
    name = "out.hdf5" if target == "hdf5-robomimic" else "out"
    result = invoke("data", "export", tmp_path / "v3", tmp_path / name, "--to", target, "--json")
    told = json.loads(result.stdout)
    assert told["episodes"] == 25 and told["frames"] == 250
    assert told["largest_difference"]["action"] == told["largest_difference"]["observation.state"] == 0
    again = invoke("data", "export", tmp_path / "v3", tmp_path / name, "--to", target, code=1)
    assert "nothing there" in again.stderr


@real
def test_processes_ray_and_one_process_write_the_same_bytes(tmp_path: Path):
    pytest.importorskip("ray", reason="ray is an extra: pip install 'roboscale[ray]'")
    for name, more in (("one", ["--workers", "0"]), ("two", ["--workers", "2"]), ("ray", ["--engine", "ray"])):
        invoke("data", "import", DATA / "rlds_bridge", tmp_path / name, "--no-proof", *more)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two") == _bytes(tmp_path / "ray")


def _bytes(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@real
def test_a_killed_import_goes_on_and_gives_the_same_bytes(tmp_path: Path):
    arguments = ["data", "import", DATA / "lerobot_v21_g1", "--missing-video", "drop-camera", "--no-proof"]
    start = "from roboscale.cli.__main__ import main; main()"
    command = [sys.executable, "-c", start, *map(str, arguments), str(tmp_path / "killed")]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        journal = Layout(tmp_path / "killed").own / "transfer" / "episodes.jsonl"
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_text().count("\n") >= 20):
            assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    finished = journal.read_text().count("\n")
    assert finished < 100
    invoke(*arguments, tmp_path / "killed", "--workers", "0")
    invoke(*arguments, tmp_path / "whole", "--workers", "2")
    assert _bytes(tmp_path / "killed") == _bytes(tmp_path / "whole")


def test_what_nobody_knows_lists_what_is_known(tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")
    result = invoke("data", "import", tmp_path / "a.txt", tmp_path / "out", code=1)
    assert "lerobot-v2.1" in result.stderr and "a.txt" in result.stderr
    result = invoke("data", "import", tmp_path / "a.txt", tmp_path / "out", "--format", "lerobot", code=1)
    assert "did you mean" in result.stderr


def test_explain_drafts_a_declaration_that_import_takes(tmp_path: Path):
    source = importlib.import_module("tests.samples.lerobot").write_v21(tmp_path / "s", seed=1)
    told = invoke("data", "import", source, "--explain")
    assert "action" in told.stdout and "observation.state" in told.stdout
    draft = tmp_path / "draft.toml"
    draft.write_text(told.stdout.split("--declare:\n")[1])
    invoke("data", "import", source, tmp_path / "drafted", "--declare", draft, "--workers", "0")
    words = tmp_path / "d.toml"
    words.write_text('licence = "MIT"\n[fields."action"]\nunit = "rad"\nmode = "absolute"\n')
    invoke("data", "import", source, tmp_path / "out", "--declare", words, "--workers", "0")
    assert Dataset(tmp_path / "out").spec["action"].unit == "rad"
    assert Dataset(tmp_path / "out").episodes[0].provenance.licence == "MIT"


def record(root: Path, seed: int, *, robot="arm", unit="rad", dims=2, episodes=3, role="front", name="front"):
    spec = Spec(
        (
            Field("observation.state", (dims,), "float32", unit=unit, layout=tuple("abcd"[:dims])),
            Field("action", (dims,), "float32", unit=unit, layout=tuple("abcd"[:dims])),
            Field(f"observation.images.{name}", (32, 48, 3), "uint8", role=role),
        ),
        10,
    )
    rng = np.random.default_rng(seed)
    with DatasetWriter(root, spec, robot_type=robot) as writer:
        for _ in range(episodes):
            take = writer.begin("put the cup away", Provenance("test", licence="MIT"))
            for t in range(10):
                image = np.full((32, 48, 3), 20 * t, np.uint8)
                values = rng.normal(size=dims).astype(np.float32)
                take.add({"observation.state": values, "action": values, f"observation.images.{name}": image})
            take.save()
    return root


def test_the_same_robot_becomes_one_dataset_with_cameras_by_role(tmp_path: Path):
    a, b = record(tmp_path / "a", 1), record(tmp_path / "b", 2, name="top")
    invoke("data", "merge", a, b, tmp_path / "out", "--workers", "0")
    out = Dataset(tmp_path / "out")
    ids = [e.id for root in (a, b) for e in Dataset(root).episodes]
    assert [e.id for e in out.episodes] == ids and out.spec.images[0].name == "observation.images.front"
    both = np.concatenate([Dataset(root).arrays("action") for root in (a, b)])
    assert np.array_equal(out.arrays("action"), both)
    assert np.array_equal(out.decode(3, "observation.images.front"), Dataset(b).decode(0, "observation.images.top"))


def test_merging_what_is_not_declared_is_refused_with_a_table(tmp_path: Path):
    a, b = record(tmp_path / "a", 1, unit="rad"), record(tmp_path / "b", 2, unit="deg")
    result = invoke("data", "merge", a, b, tmp_path / "out", code=1)
    assert "action: unit: differs" in result.stderr and "deg" in result.stderr
    c, d = record(tmp_path / "c", 1, unit="unknown"), record(tmp_path / "d", 2, unit="unknown")
    result = invoke("data", "merge", c, d, tmp_path / "out", code=1)
    assert "not declared" in result.stderr and "--same" in result.stderr
    assert not (tmp_path / "out").exists()
    invoke("data", "merge", c, d, tmp_path / "out", "--same", "--workers", "0")
    assert len(Dataset(tmp_path / "out").episodes) == 6


def test_robots_that_differ_become_a_collection_or_are_padded(tmp_path: Path):
    a, b = record(tmp_path / "a", 1), record(tmp_path / "b", 2, robot="other", dims=4)
    told = json.loads(invoke("data", "merge", a, b, tmp_path / "pool", "--json").stdout)
    assert told["kind"] == "collection" and len(Collection(tmp_path / "pool").episodes) == 6
    invoke("data", "merge", a, b, tmp_path / "flat", "--flatten", "--workers", "0")
    flat = Dataset(tmp_path / "flat")
    assert flat.spec["action"].shape == (4,) and len(flat) == 60
    assert np.array_equal(flat.arrays("action")[:30, :2], Dataset(a).arrays("action"))
    assert not flat.arrays("action")[:30, 2:].any() and flat.arrays("mask.action")[30:].all()
    told = load_json(Layout(tmp_path / "flat").own / "embodiments.json")
    assert [e["robot_type"] for e in told["embodiments"]] == ["arm", "other"]


def idle(root: Path) -> Path:
    spec = Spec((Field("observation.state", (2,), "float32"), Field("action", (2,), "float32")), 10)
    with DatasetWriter(root, spec, robot_type="arm") as writer:
        for k in range(4):
            take = writer.begin("open the drawer", Provenance("test", licence="MIT"))
            rng = np.random.default_rng(k)
            path = np.concatenate([np.zeros(25), np.linspace(0, 1 + k, 40), np.full(20, 1 + k)])
            for value in path:
                state = np.array([value, -value], np.float32) + rng.normal(0, 1e-4, 2).astype(np.float32)
                take.add({"observation.state": state, "action": np.array([value, -value], np.float32)})
            take.save()
    return root


def test_repair_trims_drops_and_applies_labels_into_a_new_dataset(tmp_path: Path):
    from roboscale.curate.log import LOG, CurationLog

    root = idle(tmp_path / "a")
    before, episodes = _bytes(root), Dataset(root).episodes
    log = CurationLog(root / LOG)
    log.append(episodes[2].id, "drop")
    log.append(episodes[3].id, "task", "open the top drawer")
    log.append(episodes[3].id, "failure")
    invoke("data", "fix", root, tmp_path / "b", "--trim-idle", "--drop", "0", "--curation", "--workers", "0")
    done = Dataset(tmp_path / "b")
    assert [e.id for e in done.episodes] == [episodes[1].id, episodes[3].id]
    assert done.episodes[1].instruction == "open the top drawer" and done.episodes[1].outcome.status == "failure"
    assert 45 <= done.episodes[0].length <= 56
    moved = done.arrays("action")[: done.episodes[0].length, 0]
    assert moved[0] == 0 and moved[-1] == 2 and np.ptp(moved) == 2
    after = _bytes(root)
    assert {name: after[name] for name in before} == before


def test_a_camera_is_left_out(tmp_path: Path):
    root = record(tmp_path / "a", 1)
    invoke("data", "fix", root, tmp_path / "b", "--drop-camera", "front", "--workers", "0", code=1)
    camera = "observation.images.front"
    invoke("data", "fix", root, tmp_path / "b", "--drop-camera", camera, "--workers", "0")
    assert Dataset(tmp_path / "b").spec.names == ("observation.state", "action")


def test_metadata_is_mended_in_place_and_undone(tmp_path: Path):
    root = idle(tmp_path / "a")
    whole = _bytes(root)
    info = load_json(Layout(root).info)
    wrong = {**info, "total_frames": 17}
    Layout(root).info.write_text(json.dumps(wrong))
    stats = load_json(root / "meta/stats.json")
    stats["action"]["q99"] = [9.0, 9.0]
    (root / "meta/stats.json").write_text(json.dumps(stats))
    told = invoke("data", "fix", root, "--metadata")
    assert "total_frames: claimed 17, found 340" in told.stdout and "action (q99)" in told.stdout
    assert load_json(Layout(root).info) == info and len(Dataset(root)) == 340
    assert "0 files" in invoke("data", "fix", root, "--metadata").stdout
    invoke("data", "fix", root, "--undo")
    assert load_json(Layout(root).info)["total_frames"] == 17
    del whole["meta/info.json"], whole["meta/stats.json"]
    assert {name: data for name, data in _bytes(root).items() if name in whole} == whole


def test_a_dataset_cut_off_by_a_crash_is_repaired_to_its_verified_prefix(tmp_path: Path):
    """As a LeRobot recorder leaves it: the last data file has no footer."""
    spec = Spec((Field("action", (2,), "float32"),), 10)
    for _ in range(2):  # two files
        with DatasetWriter(tmp_path / "a", spec) as writer:
            for _ in range(2):
                take = writer.begin("t", Provenance("x"))
                for t in range(8):
                    take.add({"action": np.full(2, t, np.float32)})
                take.save()
    last = tmp_path / "a/data/chunk-000/file-001.parquet"
    last.write_bytes(last.read_bytes()[:-40])
    result = invoke("data", "fix", tmp_path / "a", "--metadata", code=1)
    assert "repairing this needs a new dataset" in result.stderr
    told = invoke("data", "fix", tmp_path / "a", tmp_path / "b", "--workers", "0")
    assert "file-001.parquet" in told.stdout
    assert [e.length for e in Dataset(tmp_path / "b").episodes] == [8, 8]
    assert not list(tmp_path.glob(".b.view"))


def test_repair_never_changes_the_original_by_these_options(tmp_path: Path):
    for option in ("--trim-idle", "--curation", "--drop-broken"):
        result = invoke("data", "fix", idle(tmp_path / option), option, code=1)
        assert "OUT is missing: the original is never changed" in result.stderr
    for option in ("--metadata", "--undo"):
        result = invoke("data", "fix", tmp_path / "--curation", tmp_path / "out", option, code=1)
        assert "in place" in result.stderr


def test_audit_has_an_exit_code_a_page_and_json(tmp_path: Path):
    root = idle(tmp_path / "a")
    page = tmp_path / "audit.html"
    told = json.loads(invoke("data", "audit", root, "--json", "--html", page, "--workers", "0").stdout)
    assert {f["check"] for f in told["findings"]} >= {"idle-lead", "idle-tail"}
    assert "idle-lead" in page.read_text()
    invoke("data", "audit", root, "--fail-on", "warning", "--workers", "0", code=2)
    invoke("data", "fix", root, tmp_path / "b", "--trim-idle", "--workers", "0")
    told = json.loads(invoke("data", "audit", tmp_path / "b", "--json", "--workers", "0").stdout)
    assert not {f["check"] for f in told["findings"]} & {"idle-lead", "idle-tail"}


def test_dry_runs_write_nothing(tmp_path: Path):
    a = record(tmp_path / "a", 1)
    b = record(tmp_path / "b", 2)
    invoke("data", "import", a, tmp_path / "out", "--dry-run")
    invoke("data", "merge", a, b, tmp_path / "out", "--dry-run")
    invoke("data", "export", a, tmp_path / "out", "--to", "zarr", "--dry-run")
    invoke("data", "fix", a, tmp_path / "out", "--dry-run")
    assert not (tmp_path / "out").exists()


def test_merged_episodes_say_which_member_they_come_from(tmp_path: Path):
    for seed, name in enumerate("abc"):
        record(tmp_path / name, seed)
    invoke("data", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "ab", "--workers", "0")
    invoke("data", "merge", tmp_path / "ab", tmp_path / "c", tmp_path / "abc", "--workers", "0")
    members = [e.provenance.details["dataset"] for e in Dataset(tmp_path / "abc").episodes]
    assert members == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    result = invoke("data", "merge", tmp_path / "ab", tmp_path / "b", tmp_path / "x", "--workers", "0", code=1)
    assert "ab and b share 3 episodes" in result.stderr and not (tmp_path / "x").exists()


def test_two_sources_of_one_name_are_not_taken_for_each_other(tmp_path: Path):
    first, second = record(tmp_path / "x" / "set", 1), record(tmp_path / "y" / "set", 2)
    invoke("data", "import", first, tmp_path / "out", "--workers", "0")
    result = invoke("data", "import", second, tmp_path / "out", "--workers", "0", code=1)
    assert "another transfer" in result.stderr
    invoke("data", "import", first, tmp_path / "out", "--workers", "0")


def test_a_source_is_never_written_into(tmp_path: Path):
    source = record(tmp_path / "a set, with ünicode", 1)
    before = _bytes(source)
    (tmp_path / "link").symlink_to(source)
    for command in (["import"], ["merge"], ["fix"]):
        for out in (source, source / "out", tmp_path / "link" / "meta" / "x"):
            result = invoke("data", *command, source, out, code=1)
            assert "outside" in result.stderr and result.stdout == ""
    assert _bytes(source) == before


def test_drop_takes_positions_and_ids_once_each(tmp_path: Path):
    root = record(tmp_path / "a", 1, episodes=4)
    ids = [e.id for e in Dataset(root).episodes]
    invoke("data", "fix", root, tmp_path / "b", "--drop", f" 0, 0 ,{ids[2]},,", "--workers", "0")
    assert [e.id for e in Dataset(tmp_path / "b").episodes] == [ids[1], ids[3]]
    assert "0 to 3" in invoke("data", "fix", root, tmp_path / "c", "--drop", "4", code=1).stderr
    assert "all 4 dropped" in invoke("data", "fix", root, tmp_path / "c", "--drop", "0,1,2,3", code=1).stderr
    assert not (tmp_path / "c").exists()


def test_ids_of_other_peoples_episodes_survive_a_repair(tmp_path: Path):
    import shutil

    from roboscale.curate.log import LOG, CurationLog

    root = record(tmp_path / "a", 1, episodes=4)
    shutil.rmtree(Layout(root).own)
    ids = [e.id for e in Dataset(root).episodes]
    invoke("data", "fix", root, tmp_path / "b", "--drop", ids[3], "--workers", "0")
    assert [e.id for e in Dataset(tmp_path / "b").episodes] == ids[:3]
    log = CurationLog(root / LOG)
    log.append(ids[1], "drop")
    log.append(ids[2], "task", "pour the tea")
    Layout(root).info.write_text(json.dumps({**load_json(Layout(root).info), "total_frames": 7}))
    invoke("data", "fix", root, tmp_path / "c", "--curation", "--workers", "0")
    done = Dataset(tmp_path / "c").episodes
    assert [e.id for e in done] == [ids[0], ids[2], ids[3]] and done[1].instruction == "pour the tea"


def test_json_of_a_dry_run_is_json(tmp_path: Path):
    a, out = record(tmp_path / "a", 1), tmp_path / "out"
    info = Layout(a).info
    info.write_text(json.dumps({**load_json(info), "total_frames": 7}))
    invoke("data", "fix", a, "--metadata")
    before = _bytes(tmp_path)
    for words in (
        ["import", a, out],
        ["export", a, out, "--to", "zarr"],
        ["merge", a, out],
        ["repair", a, out, "--drop", "1"],
        ["repair", a, "--metadata"],
        ["repair", a, "--undo"],
        ["repair", a],
    ):
        json.loads(invoke("data", *words, "--dry-run", "--json").stdout)
        invoke("data", *words, "--dry-run")
    assert _bytes(tmp_path) == before


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path):
    a = record(tmp_path / "a", 1)
    (tmp_path / "file").write_text("x")
    result = invoke("data", "import", a, tmp_path / "file" / "out", "--workers", "0", code=1)
    assert "Not a directory" in result.stderr and "Traceback" not in result.stderr
    invoke("data", "import", a, tmp_path / "file", "--workers", "0", code=1)
    assert (tmp_path / "file").read_text() == "x"
