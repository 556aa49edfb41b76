"""`data info` of what only a mapping explains, and what is no dataset of ours: in words, with a command that runs."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from roboscale.cli.app import app
from roboscale.dataset import Dataset
from tests.samples import mcap, own, rlds
from tests.samples.lerobot import write_v21

runner = CliRunner()


def run(*words: object, code: int = 0) -> Result:
    result = runner.invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{words}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
    return result


def drafted(text: str) -> None:
    """Runs the command between backticks."""
    run(*shlex.split(text.split("`")[1])[1:])


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_a_bag_says_its_topics(tmp_path: Path, storage):
    told = run("data", "info", mcap.write(tmp_path / "bags", storage=storage))
    assert "2 episodes, rate not said" in told.stdout
    assert "/joint_states: sensor_msgs/msg/JointState, 100 messages" in told.stdout
    drafted(told.stderr)


def test_an_own_layout_says_its_arrays_and_a_mapping_what_they_mean(tmp_path: Path):
    root = own.write(tmp_path / "own", episodes=2, seed=0)
    told = run("data", "info", root, "--json")
    said = json.loads(told.stdout)
    assert (
        said["episodes"] == 2
        and said["rate_hz"] is None
        and any("rows of float" in one for one in said["fields"].values())
    )
    drafted(told.stderr)


def test_bags_below_a_folder_are_named(tmp_path: Path):
    inner = tmp_path / "repository/deep/er"
    mcap.write(inner / "bags")
    (tmp_path / "repository/deep/notes.rst").write_text("notes")
    error = run("data", "info", tmp_path / "repository", code=1).stderr
    assert "holds 2" in error and "episode_a" in error


@pytest.mark.parametrize("command", ["show", "fix", "export", "curate"])
def test_what_is_no_dataset_of_ours_is_told_with_the_command_that_makes_it_one(tmp_path: Path, monkeypatch, command):
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    more = {"show": (), "fix": ("--metadata",), "export": (tmp_path / "o", "--to", "zarr")}
    words = more.get(command, (tmp_path / "s.json", "--method", "length", "--keep", "0.5"))
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", write_v21(tmp_path / "a")))
    error = run("data", command, packed, *words, code=1).stderr
    assert "found an archive" in error
    if command == "fix":  # one command for all of them
        asked = shlex.split(error.partition("; roboscale ")[2])
        run(*[tmp_path / "out" if word == "OUT" else word for word in asked], "--workers", "0")
        assert len(Dataset(tmp_path / "out").episodes) == 2
    assert "found rlds" in run("data", command, rlds.write(tmp_path / "r"), *words, code=1).stderr
    assert "--explain" in run("data", command, mcap.write(tmp_path / "m"), *words, code=1).stderr
    assert "found nothing" in run("data", command, tmp_path / "nothing", *words, code=1).stderr
    assert "an address" in run("data", command, "hf://datasets/a/b", *words, code=1).stderr
