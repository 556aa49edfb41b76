"""What nobody here looks into is carried as it is: rows are the source's, packets too, and statistics stay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roboscale
from roboscale.core import Carried, Clip, Provenance, SpecMismatch, extras_of
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.edits import Kept, cut_ends
from roboscale.dataset.lerobot import open_lerobot, tables
from roboscale.dataset.packets import packet_digests
from roboscale.dataset.resampling import ResampledRecording
from roboscale.dataset.statistics import pooled, summary
from roboscale.dataset.video import cut
from roboscale.jobs.data_import import plan_import
from roboscale.jobs.events import Note
from tests.samples import everything

COLUMNS = ("note", "language_events", "observation.images.png")
DEPTH = "observation.images.depth"
FEATURES = {*COLUMNS, DEPTH}


def held(root: Path, folder: Path, position: int = 0) -> dict[str, Any]:
    """Feature -> its rows, or the digest of its packets, of one episode."""
    recording = open_lerobot(root)
    episode = recording.read(recording.keys[position], ())
    found: dict[str, Any] = {}
    for name, one in episode.carried.items():
        if not isinstance(one.rows, Clip):
            found[name] = one.rows.read().to_pylist()
            continue
        target = folder / f"{root.name}-{position}-{name}.mp4"
        assert cut(one.rows.path, one.rows.first, len(one), target, recording.spec.rate_hz)
        found[name] = packet_digests(target, [len(one)])
    recording.close()
    return found


def fixed(source: Path, out: Path) -> None:
    roboscale.fix_dataset(roboscale.FixDataset(dataset=source, out=out, drop="3", workers=0))


def imported(source: Path, out: Path) -> None:
    roboscale.import_dataset(roboscale.ImportDataset(source=source, out=out, workers=0))


def merged(source: Path, out: Path) -> None:
    other = out.with_name("other")
    shutil.copytree(source, other)
    roboscale.merge_datasets(roboscale.MergeDatasets(members=(source, other), out=out, same=True, workers=0))


def exported(to: Any) -> Any:
    def export(source: Path, out: Path) -> None:
        roboscale.export_dataset(roboscale.ExportDataset(dataset=source, out=out, to=to))

    return export


WAYS = {
    "import": imported,
    "merge": merged,
    "fix": fixed,
    "lerobot-v2.1": exported("lerobot-v2.1"),
    "gr00t": exported("gr00t"),
}


@pytest.mark.parametrize(("version", "way"), [("v2.1", "import"), *(("v3.0", way) for way in WAYS)])
def test_texts_language_and_depth_arrive(tmp_path: Path, version: str, way: str):
    source = everything.write_foreign(tmp_path / "given", version)
    WAYS[way](source, tmp_path / "out")
    for position in (0, 2):
        before, after = held(source, tmp_path, position), held(tmp_path / "out", tmp_path, position)
        assert set(before) == FEATURES
        assert after == before
    features = [json.loads((root / "meta/info.json").read_text())["features"] for root in (source, tmp_path / "out")]
    assert {name: features[1].get(name) for name in FEATURES} == {name: features[0][name] for name in FEATURES}
    table = next((tmp_path / "out/data").rglob("*.parquet"))
    hub = json.loads(pq.read_schema(table).metadata[b"huggingface"])["info"]["features"]
    assert hub["observation.images.png"] == {"_type": "Image"}
    assert hub["note"] == {"dtype": "string", "_type": "Value"}
    assert hub["language_events"]["feature"]["role"] == {"dtype": "string", "_type": "Value"}


def test_a_second_import_gives_the_same_again(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given")
    imported(source, tmp_path / "once")
    imported(tmp_path / "once", tmp_path / "twice")
    assert held(tmp_path / "twice", tmp_path, 1) == held(source, tmp_path, 1)


def test_the_proof_and_the_terminal_say_what_is_carried(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given")
    done = roboscale.import_dataset(roboscale.ImportDataset(source=source, out=tmp_path / "out", workers=0))
    assert set(done.to_json()["carried"]) == FEATURES
    assert all(name in (tmp_path / "out/meta/roboscale/proof.html").read_text() for name in FEATURES)
    plan = plan_import(roboscale.ImportDataset(source=source, out=tmp_path / "other"))
    assert set(plan["carried"]) == FEATURES


def test_the_audit_says_what_it_does_not_look_into(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given")
    report = roboscale.audit_dataset(roboscale.AuditDataset(dataset=source, workers=0)).report
    assert set(report.facts["not looked at"]) >= FEATURES


def test_cut_episodes_cut_what_they_carry(tmp_path: Path):
    recording = open_lerobot(everything.write_foreign(tmp_path / "given"))
    episode = recording.read(recording.keys[1])
    short = cut_ends(episode, Kept(4, 9))
    assert {len(one) for one in short.carried.values()} == {6}
    note = short.carried["note"].rows
    assert not isinstance(note, Clip)
    assert note.read().to_pylist() == [f"note 1 {t}" for t in range(4, 10)]
    depth = short.carried[DEPTH].rows
    assert isinstance(depth, Clip)
    assert depth.first == everything.FRAMES + 4


def test_resampling_picks_rows_and_names_the_video_that_it_cannot_pick(tmp_path: Path):
    recording = ResampledRecording(open_lerobot(everything.write_foreign(tmp_path / "given")), 5.0)
    episode = recording.read(recording.keys[0], ())
    assert set(extras_of(recording).features) == set(episode.carried) == set(COLUMNS)
    rows = episode.carried["note"].rows
    assert not isinstance(rows, Clip)
    texts = rows.read().to_pylist()
    assert len(texts) == len(episode) < everything.FRAMES
    assert set(texts) < {f"note 0 {t}" for t in range(everything.FRAMES)}
    assert DEPTH in recording.unmapped


def test_rows_in_another_order_are_carried_in_the_order_of_frames(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    path = source / "data/chunk-000/episode_000000.parquet"
    pq.write_table(pq.read_table(path).take(pa.array(range(everything.FRAMES - 1, -1, -1))), path)
    imported(source, tmp_path / "out")
    assert held(tmp_path / "out", tmp_path)["note"] == [f"note 0 {t}" for t in range(everything.FRAMES)]


def test_a_merge_keeps_what_members_share_and_names_the_rest(tmp_path: Path):
    first, second = everything.write_foreign(tmp_path / "first"), everything.write_foreign(tmp_path / "second")
    table = second / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(table).drop_columns(["note"]), table)
    info = json.loads((second / "meta/info.json").read_text())
    del info["features"]["note"]
    (second / "meta/info.json").write_text(json.dumps({**info, "tools": []}))
    said: list[str] = []
    request = roboscale.MergeDatasets(members=(first, second), out=tmp_path / "both", same=True, workers=0)
    done = roboscale.merge_datasets(request, lambda e: said.append(e.text) if isinstance(e, Note) else None)
    assert any("first: note: the members do not say the same" in line for line in said)
    assert set(done.lost) >= {"first: note", "first: info.json tools"}
    assert not any("subtasks" in name or "intrinsics" in name for name in done.lost)
    assert (tmp_path / "both/meta/subtasks.parquet").exists()
    assert set(held(tmp_path / "both", tmp_path, 5)) == FEATURES - {"note"}


def test_an_absent_depth_video_is_chosen_about_like_any_other(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    (source / f"videos/chunk-000/{DEPTH}/episode_000002.mp4").unlink()
    with pytest.raises(roboscale.RoboscaleError, match="--missing-video drop-camera"):
        imported(source, tmp_path / "out")
    request = roboscale.ImportDataset(source=source, out=tmp_path / "out", missing_video="drop-camera", workers=0)
    done = roboscale.import_dataset(request)
    assert DEPTH in done.proof.unmapped
    assert set(done.proof.carried) == set(held(tmp_path / "out", tmp_path, 2)) == set(COLUMNS)


def test_depth_of_which_nothing_is_here_is_named(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    shutil.rmtree(source / f"videos/chunk-000/{DEPTH}")
    done = roboscale.import_dataset(roboscale.ImportDataset(source=source, out=tmp_path / "out", workers=0))
    assert "none of its videos can be read" in done.proof.unmapped[DEPTH]


def test_lerobots_own_mark_of_depth_is_known(tmp_path: Path):
    """LeRobot 0.6 writes `is_depth_map`, earlier ones `video.is_depth_map`."""
    source = everything.write_foreign(tmp_path / "given")
    path = source / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"][DEPTH] = {**info["features"][DEPTH], "shape": [32, 32, 3], "info": {"is_depth_map": True}}
    path.write_text(json.dumps(info))
    recording = open_lerobot(source)
    assert DEPTH in recording.extras.features
    assert DEPTH not in recording.spec


def test_statistics_stay_those_of_the_writer(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    said = {w: [[[v]]] for w, v in (("min", 300.0), ("max", 4000.0), ("mean", 2000.0), ("std", 10.0))}
    lines = [
        {"episode_index": n, "stats": {DEPTH: {**said, "mean": [[[2000.0 + n]]], "count": [12]}}} for n in range(4)
    ]
    (source / "meta/episodes_stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    imported(source, tmp_path / "out")
    entry = json.loads((tmp_path / "out/meta/stats.json").read_text())[DEPTH]
    assert entry["mean"] == [[[2001.5]]]
    assert (entry["count"], entry["min"]) == ([48], [[[300.0]]])
    table = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet")
    assert table[f"stats/{DEPTH}/mean"].to_pylist() == [[[[2000.0 + n]]] for n in range(4)]


def test_pooled_statistics_are_those_of_all_rows():
    rows = np.random.default_rng(0).normal(size=(90, 3))
    parts = [summary(rows[:20]), summary(rows[20:])]
    whole, true = pooled(parts), summary(rows)
    for word in ("count", "min", "max", "mean", "std"):
        assert np.allclose(whole[word], true[word])
    assert np.allclose(whole["q50"], (20 * np.array(parts[0]["q50"]) + 70 * np.array(parts[1]["q50"])) / 90)


def test_lists_that_are_empty_in_one_episode_join_those_of_another(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    path = source / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(path)
    empty = pa.array([[]] * table.num_rows, pa.list_(pa.null()))
    at = table.column_names.index("language_events")
    pq.write_table(table.set_column(at, "language_events", empty), path)
    imported(source, tmp_path / "out")
    assert held(tmp_path / "out", tmp_path, 1)["language_events"] == [[]] * everything.FRAMES
    assert held(tmp_path / "out", tmp_path, 2) == held(source, tmp_path, 2)


def test_nothing_is_recorded_into_a_set_that_carries_what_a_recorder_does_not_give(tmp_path: Path):
    imported(everything.write_foreign(tmp_path / "given"), tmp_path / "out")
    with pytest.warns(UserWarning, match="is not read"):
        spec = Dataset(tmp_path / "out").spec
    with pytest.raises(SpecMismatch, match="note.*folder of its own"):
        DatasetWriter(tmp_path / "out", spec)


def test_a_carried_feature_of_another_length_is_no_episode():
    with pytest.raises(SpecMismatch, match="different lengths"):
        roboscale.RecordedEpisode(
            key="a",
            arrays={"action": np.zeros((3, 1))},
            pictures={},
            instruction="",
            provenance=Provenance("here"),
            carried={"depth": Carried(Clip(Path("x.mp4"), 0, 2))},
        )


def tactile(folder: Path) -> Path:
    """A set with pictures of a tactile sensor, and of a camera with channels first, as plain numbers."""
    source, rng = everything.write_foreign(folder), np.random.default_rng(5)
    path, info = source / "data/chunk-000/file-000.parquet", json.loads((source / "meta/info.json").read_text())
    table, kind = pq.read_table(path), pa.list_(pa.list_(pa.list_(pa.uint8())))
    for name, shape in (("observation.tactile", [8, 6, 1]), ("observation.planes", [3, 8, 6])):
        rows = rng.integers(0, 255, (table.num_rows, *shape)).tolist()
        table = table.append_column(name, pa.array(rows, kind))
        info["features"][name] = {"dtype": "uint8", "shape": shape, "names": None}
    pq.write_table(table, path)
    (source / "meta/info.json").write_text(json.dumps(info))
    return source


@pytest.mark.parametrize("way", ["import", "fix", "lerobot-v2.1"])
def test_tactile_pictures_arrive(tmp_path: Path, way: str):
    source = tactile(tmp_path / "given")
    WAYS[way](source, tmp_path / "out")
    after = held(tmp_path / "out", tmp_path, 1)
    assert set(after) == {*FEATURES, "observation.tactile", "observation.planes"}
    assert after == held(source, tmp_path, 1)
    table = next((tmp_path / "out/data").rglob("*.parquet"))
    hub = json.loads(pq.read_schema(table).metadata[b"huggingface"])["info"]["features"]
    assert hub["observation.tactile"] == {"shape": [8, 6, 1], "dtype": "uint8", "_type": "Array3D"}


def test_tactile_pictures_are_named_where_a_format_has_no_place(tmp_path: Path):
    source = tactile(tmp_path / "given")
    done = roboscale.export_dataset(roboscale.ExportDataset(dataset=source, out=tmp_path / "out", to="zarr"))
    assert {"observation.tactile", "observation.planes", *FEATURES} <= set(done.lost)


def test_a_failed_import_blocks_nothing_once_its_source_is_mended(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    path = source / "data/chunk-000/episode_000003.parquet"
    table = pq.read_table(path)
    holed = pa.array([None, *range(1, everything.FRAMES)], pa.float32())
    pq.write_table(table.set_column(table.column_names.index("next.reward"), "next.reward", holed), path)
    with pytest.raises(roboscale.BadData, match=r"next\.reward"):
        imported(source, tmp_path / "out")
    assert list((tmp_path / "out/meta/roboscale/pending").iterdir())  # the first three arrived
    info = json.loads((source / "meta/info.json").read_text())
    del info["features"]["next.reward"]
    (source / "meta/info.json").write_text(json.dumps(info))
    imported(source, tmp_path / "out")
    with pytest.warns(UserWarning, match="is not read"):
        dataset = Dataset(tmp_path / "out")
    assert len(dataset.episodes) == 4
    assert "next.reward" not in dataset.spec


def test_a_set_of_ours_stays_ours_with_depth_inside_parquet(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given")
    imported(source, tmp_path / "once")
    imported(tmp_path / "once", tmp_path / "twice")
    ids = [
        [read.read(key, ()).id for key in read.keys]
        for read in map(open_lerobot, (tmp_path / "once", tmp_path / "twice"))
    ]
    assert ids[0] == ids[1]
    assert all(len(one) == 32 for one in ids[0])


def test_a_set_of_ours_that_another_writer_went_on_with_names_what_heals_it(tmp_path: Path):
    """LeRobot's `--resume` knows no sidecar: its episodes are in the metadata, and have no record of ours."""
    root = everything.write_own(tmp_path / "set")
    sidecar = next((root / "meta/roboscale/episodes").rglob("*.jsonl"))
    sidecar.write_text(sidecar.read_text().split("\n")[0] + "\n")
    stats = json.loads((root / "meta/stats.json").read_text())
    stats["action"]["q99"] = [1e3, 1e3]  # an error of another kind hides nothing
    (root / "meta/stats.json").write_text(json.dumps(stats))
    with pytest.raises(roboscale.BadData, match=r"another writer went on.*data fix .*--metadata"):
        Dataset(root)
    report = roboscale.audit_dataset(roboscale.AuditDataset(dataset=root, workers=0)).report
    (found,) = [one for one in report.findings if one.check == "sidecar"]
    assert found.repair.endswith("--metadata")
    roboscale.fix_dataset(roboscale.FixDataset(dataset=root, metadata=True))
    assert len(Dataset(root).episodes) == 2
    report = roboscale.audit_dataset(roboscale.AuditDataset(dataset=root, workers=0)).report
    assert not [one for one in report.findings if one.check in ("sidecar", "quantiles-wrong")]


def test_saved_episodes_that_are_not_sealed_carry_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = everything.write_foreign(tmp_path / "given")

    def killed(root: Path) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("roboscale.dataset.transfer.seal", killed)
        with pytest.raises(KeyboardInterrupt):
            imported(source, tmp_path / "out")
    assert held(tmp_path / "out", tmp_path, 1) == held(source, tmp_path, 1)
    imported(source, tmp_path / "out")  # goes on where it was killed
    assert held(tmp_path / "out", tmp_path, 3) == held(source, tmp_path, 3)


def test_a_row_group_of_many_episodes_is_read_once_for_each_choice_of_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = everything.write_foreign(tmp_path / "given")
    path = source / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=10_000)
    read: list[tuple[str, ...]] = []
    own = tables._read

    def counted(path: Path, file: Any, groups: Any, names: Any) -> pa.Table:
        if path.parents[1].name == "data":
            read.append(tuple(names))
        return own(path, file, groups, names)

    monkeypatch.setattr(tables, "_read", counted)
    with_all = open_lerobot(source)
    for key in with_all.keys:
        for one in with_all.read(key, ()).carried.values():
            assert isinstance(one.rows, Clip) or len(one.rows.read()) == everything.FRAMES
    assert len(read) == len(set(read))
    assert {(name,) for name in COLUMNS} < set(read)


def test_sound_that_only_later_videos_have_is_named(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    first = source / f"videos/chunk-000/{everything.CAMERA}/episode_000000.mp4"
    assert cut(first, 0, everything.FRAMES, tmp_path / "silent.mp4", everything.FPS)
    shutil.move(tmp_path / "silent.mp4", first)
    request = roboscale.ImportDataset(source=source, out=tmp_path / "out", workers=0)
    notes: list[str] = []
    done = roboscale.import_dataset(request, lambda e: notes.append(e.text) if isinstance(e, Note) else None)
    (note,) = [note for note in notes if "video-sound" in note]
    assert "episode_000001.mp4 has sound" in note and "(3 episodes)" in note
    assert [f.episodes for f in done.proof.findings if f.check == "video-sound"] == [(1, 2, 3)]


def test_rows_that_only_later_files_have_in_several_lengths_are_an_error_with_both_sides(tmp_path: Path):
    source = everything.write_foreign(tmp_path / "given", "v2.1")
    for number in range(everything.EPISODES):
        path = source / f"data/chunk-000/episode_{number:06d}.parquet"
        rows = [[1.0] * (3 if number == 0 else 1 + t % 3) for t in range(everything.FRAMES)]
        pq.write_table(pq.read_table(path).append_column("points", pa.array(rows, pa.list_(pa.float32()))), path)
    info = json.loads((source / "meta/info.json").read_text())
    info["features"]["points"] = {"dtype": "float32", "shape": [3], "names": None}
    (source / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(roboscale.BadData, match=r"episode_000001\.parquet: points"):
        roboscale.import_dataset(roboscale.ImportDataset(source=source, out=tmp_path / "out", workers=0))
