"""UMI's layout of a captured dataset: zarr opens it, its poses and widths come back, what has no place is said."""

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import SpecMismatch
from roboscale.dataset import Dataset
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld
from roboscale.jobs.collect_human import CollectHuman, collect_human
from roboscale.jobs.data_export import ExportDataset, Exported, export_dataset
from tests.samples import capture as samples

STATED = {"sigma_position": 0.004, "sigma_rotation": 0.02, "workers": 0, "instruction": "Put the cup on the saucer."}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """Two hands with a picture each frame, as UMI's two grippers."""
    place = tmp_path_factory.mktemp("umi")
    source = samples.write_egodex(place / "ego", files=2, frames=12, video=True)
    collect_human(CollectHuman(source=source, out=place / "set", video=True, **STATED))
    return place, export_dataset(ExportDataset(dataset=place / "set", out=place / "set.zarr.zip", to="umi"))


def test_zarr_opens_it_as_umi_does(made: tuple[Path, Exported]):
    import imagecodecs.numcodecs
    import zarr

    imagecodecs.numcodecs.register_codecs()
    place, _ = made
    store = zarr.storage.ZipStore(place / "set.zarr.zip", mode="r")
    root = zarr.open_group(store, mode="r")
    assert root["meta/episode_ends"][:].tolist() == [11, 22]
    assert root["data/camera0_rgb"].shape == (22, 224, 224, 3)
    assert root["data/camera0_rgb"].chunks == (1, 224, 224, 3)
    shapes = {name: array.shape for name, array in root["data"].arrays() if name.startswith("robot1")}
    assert shapes == {
        "robot1_eef_pos": (22, 3),
        "robot1_eef_rot_axis_angle": (22, 3),
        "robot1_gripper_width": (22, 1),
        "robot1_demo_start_pose": (22, 6),
        "robot1_demo_end_pose": (22, 6),
    }
    start, pos = root["data/robot0_demo_start_pose"][:], root["data/robot0_eef_pos"][:]
    assert np.array_equal(start[11:, :3], np.tile(pos[11], (11, 1)))
    first, picture = root["data/camera0_rgb"][3], Dataset(place / "set").as_recorded()[3]["observation.images.head"]
    assert abs(float(first.mean()) - float(np.asarray(picture).mean())) < 3
    store.close()


def test_our_own_reader_brings_the_same_poses_and_widths_back(made: tuple[Path, Exported], tmp_path: Path):
    place, done = made
    assert done.largest_difference["observation.state"] < 1e-6 and done.instructions == 2
    asked = CollectHandheld(recordings=place / "set.zarr.zip", out=tmp_path / "again", fps=30, seconds=0.2, **STATED)
    collect_handheld(asked)
    before, after = Dataset(place / "set"), Dataset(tmp_path / "again")
    rows = np.r_[0:10, 11:21]  # the last of each episode has nothing ahead of it
    assert np.abs(after.arrays("observation.state") - before.arrays("observation.state")[rows]).max() < 2e-6
    assert [episode.instruction for episode in after.episodes] == [e.instruction for e in before.episodes]


def test_what_umi_has_no_place_for_is_said(made: tuple[Path, Exported]):
    _, done = made
    assert "no action" in done.lost["action"] and "accurate" in done.lost["sigma"]
    assert "224 x 224" in done.lost["observation.images.head"] and "observation.points.left" in done.lost


def test_poses_without_an_error_or_a_width_are_no_umi_data(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv")
    given = {"recordings": log, "axes": "as-recorded", "workers": 0}
    collect_handheld(CollectHandheld(out=tmp_path / "untold", **given))
    with pytest.raises(SpecMismatch, match="their error has to be stated: expected observation.state, found pretrain"):
        export_dataset(ExportDataset(dataset=tmp_path / "untold", out=tmp_path / "a.zip", to="umi"))
    collect_handheld(CollectHandheld(out=tmp_path / "told", sigma_position=0.01, sigma_rotation=0.1, **given))
    with pytest.raises(SpecMismatch, match="expected gripper_width"):
        export_dataset(ExportDataset(dataset=tmp_path / "told", out=tmp_path / "a.zip", to="umi"))
    assert not (tmp_path / "a.zip").exists()
