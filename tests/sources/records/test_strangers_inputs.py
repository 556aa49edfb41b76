"""What people hand over that is no recording, a part of one, or has others' flags: one sentence with the way on."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import BadData, RoboscaleError
from roboscale.sources.records import detect
from roboscale.sources.records.formats import FORMATS, open_recording
from tests.samples.lerobot import write_v21

runner = CliRunner()


@pytest.fixture(scope="module")
def v21(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_v21(tmp_path_factory.mktemp("strangers") / "a set", episodes=2)


@pytest.mark.parametrize("part", ["meta", "meta/info.json", "data/chunk-000", "videos", "meta/episodes.jsonl"])
def test_a_part_of_a_dataset_names_the_whole(v21: Path, part: str):
    with pytest.raises(BadData, match=f"a part of one; the whole is {v21}"):
        detect(v21 / part)


@pytest.mark.parametrize("name", ["lerobot/pusht", "hf:/lerobot/pusht"])
def test_a_dataset_of_the_hub_is_named_by_its_address(name: str):
    with pytest.raises(BadData, match="named hf://datasets/lerobot/pusht"):
        detect(Path(name))


def test_pickles_are_not_opened(tmp_path: Path):
    (tmp_path / "demos.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(BadData, match=r"a pickle, .* numpy\.savez"):
        detect(tmp_path / "demos.pkl")


def test_an_archive_that_is_none_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "set.zip").write_bytes(b"PK\3\4nonsense")
    result = runner.invoke(app, ["data", "info", str(tmp_path / "set.zip")])
    assert result.exit_code == 1 and len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_a_bag_of_ros_1_names_the_command_that_makes_it_one_of_ros_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    from rosbags.convert import cli as converter
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with rosbag1.Writer(tmp_path / "run 1.bag") as writer:
        connection = writer.add_connection("/gripper", "std_msgs/msg/Float32", typestore=store)
        for t in range(5):
            message = store.types["std_msgs/msg/Float32"](data=np.float32(t))
            writer.write(connection, t * 10**8, store.serialize_ros1(message, "std_msgs/msg/Float32"))
    for place in (tmp_path, tmp_path / "run 1.bag"):
        with pytest.raises(BadData, match="one of ROS 1") as caught:
            detect(place)
    words = shlex.split(str(caught.value).rpartition(": ")[2])
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="0"):
        converter.main()
    assert detect(Path(words[-1])) == "rosbag-db3"


@pytest.mark.parametrize("format", FORMATS)
def test_an_option_that_a_format_does_not_take_is_named(tmp_path: Path, format: str):
    with pytest.raises(RoboscaleError, match=r"(take|option).*colour"):
        open_recording(tmp_path, format, colour="blue")


def test_a_rate_for_what_says_its_own_is_no_option(v21: Path, tmp_path: Path):
    result = runner.invoke(app, ["data", "import", str(v21), str(tmp_path / "out"), "--fps", "15"])
    assert result.exit_code == 1 and "--resample makes another" in result.stderr


def test_an_older_version_is_told_its_import_wherever_v3_is_needed(v21: Path, tmp_path: Path):
    words = [["data", "fix", str(v21)], ["data", "fix", str(v21), str(tmp_path / "out")], ["data", "show", str(v21)]]
    words.append(["data", "export", str(v21), str(tmp_path / "out"), "--to", "zarr"])
    for asked in words:
        said = runner.invoke(app, asked).stderr
        assert f"roboscale data import {shlex.quote(str(v21))} OUT" in said, said
