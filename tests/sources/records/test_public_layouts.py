"""What `info.json` of public sets is like beyond what LeRobot writes: said rightly, and imported where it can be.

The oddities are those of converters and recorders that are public; the sets are ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale import BadData, ImportDataset, import_dataset
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.lerobot import open_lerobot
from tests.samples import lerobot as samples

Edit = Callable[[dict[str, Any]], None]


def edited(folder: Path, edit: Edit, write: Callable[..., Path] = samples.write_v21) -> Path:
    root = write(folder, episodes=2, frames=12)
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    edit(info)
    path.write_text(json.dumps(info))
    return root


def names_of_the_whole(info: dict[str, Any]) -> None:
    """openpi's converters name a vector once."""
    info["features"]["action"]["names"] = ["actions"]


def no_totals(info: dict[str, Any]) -> None:
    """Merging scripts write no totals of videos and chunks."""
    for key in ("total_videos", "total_chunks", "robot_type"):
        info.pop(key, None)
    info["robot_type"] = None


def per_feature_rate(info: dict[str, Any]) -> None:
    """Converters of LIBERO write a rate beside every feature."""
    for feature in info["features"].values():
        feature["fps"] = 10.0


def named_axes(info: dict[str, Any]) -> None:
    """AgiBot's converters describe a camera under `video_info`, and its axes with numbers."""
    camera = info["features"][samples.CAMERA]
    camera["video_info"] = {**camera.pop("info", {}), "video.is_depth_map": False, "has_audio": False}


def keys_of_annotators(info: dict[str, Any]) -> None:
    """Keyed by episode: positions move when one is dropped, so these are named and not carried."""
    info["camera_parameters"] = {"0": {}, "1": {}}
    info["take_over"] = {"0": []}
    info["data_pack"] = {"tier": "full"}


@pytest.mark.parametrize("edit", [names_of_the_whole, no_totals, per_feature_rate, named_axes, keys_of_annotators])
def test_it_is_imported_as_it_stands(tmp_path: Path, edit: Edit):
    root = edited(tmp_path / "set", edit)
    done = import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    assert [e.length for e in Dataset(tmp_path / "out").episodes] == [12, 12]
    errors = [one for one in audit_folder(root, images=False).findings if one.severity == "error"]
    assert not errors, errors
    if edit is keys_of_annotators:
        assert {"info.json camera_parameters", "info.json take_over", "info.json data_pack"} <= set(
            done.proof.unmapped
        )


def heard(folder: Path) -> Path:
    """With words of other writers: sounds as rows of their own, and objects in files that no column names."""

    def edit(info: dict[str, Any]) -> None:
        info["features"]["observation.audio.mic"] = {"dtype": "audio", "shape": [480], "sample_rate": 4800}
        info["features"]["ground_truth.contacts"] = {"dtype": "json", "format": "contact_list"}

    root = edited(folder, edit)
    for number, path in enumerate(sorted((root / "data").rglob("*.parquet"))):
        table = pq.read_table(path)
        rows = [{"bytes": bytes([number, t]), "path": None} for t in range(table.num_rows)]
        pq.write_table(table.append_column("observation.audio.mic", pa.array(rows)), path)
    return root


def test_types_of_other_writers_are_carried_or_named(tmp_path: Path):
    root = heard(tmp_path / "set")
    done = import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    assert "observation.audio.mic" in done.proof.carried
    assert "json in no column" in done.proof.unmapped["ground_truth.contacts"]
    recording = open_lerobot(tmp_path / "out")
    rows = recording.read(recording.keys[1], ()).carried["observation.audio.mic"].rows
    assert rows.read().to_pylist()[3]["bytes"] == bytes([1, 3])  # type: ignore[union-attr]
    assert "observation.audio.mic" in audit_folder(tmp_path / "out", images=False).facts["not looked at"]


def test_a_recorder_that_recorded_nothing_is_said_so(tmp_path: Path):
    root = edited(tmp_path / "set", lambda info: info.update(total_episodes=0, total_frames=0, splits={}))
    (root / "meta/episodes.jsonl").write_text("")
    with pytest.raises(BadData, match=r"episodes.*at least 1"):
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))


def test_folders_in_the_place_of_templates_are_said_with_what_a_template_is(tmp_path: Path):
    """An exporter of synthetic sets writes `"data_path": "data"`."""
    root = edited(tmp_path / "set", lambda info: info.update(data_path="data"))
    with pytest.raises(BadData, match="data_path"):
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    (shown,) = [one for one in audit_folder(root, images=False).findings if one.check == "path-template"]
    assert "data_path" in shown.text
