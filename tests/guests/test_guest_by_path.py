"""A repository on the disk is a guest by its path; `check_guest` says what one does not keep."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from roboscale.core import BadData, UnknownName
from roboscale.guests import clean_environments, environment, find_guests, guest_at, open_guest_world, process
from roboscale.testing.guest_checks import check_guest

TOML = """
about = "mine"
licence = "MIT"
python = ["3.11", "3.12", "3.13"]
disk_gb = 0.1
worlds = "toy_guest_world:World"
measures = ["success", "distance"]

[tasks]
point = "move the point to the goal"
"""


@pytest.fixture
def repository(tmp_path: Path, folder: Path) -> Path:
    """A repository with a world in it."""
    home = tmp_path / "mine"
    home.mkdir()
    (home / "guest.toml").write_text(TOML)
    (home / "lock.txt").write_text("")
    shutil.copy(Path(__file__).with_name("toy_guest_world.py"), home)
    return home


def installed(repository: Path, monkeypatch: pytest.MonkeyPatch):
    """As `guest install FOLDER` does it, with what pip would do left to the tests' own environment."""

    def run(words, folder, say):
        done.append(words)
        if words[1:3] == ["-m", "venv"]:
            inside = Path(words[-1]) / "bin/python"
            inside.parent.mkdir(parents=True)
            inside.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            inside.chmod(0o755)

    done: list[list[str]] = []
    monkeypatch.setattr(environment, "_run", run)
    monkeypatch.setattr(process, "_MORE_PATH", (str(repository),))  # what `pip install -e` leads to
    environment.make_environment(guest_at(str(repository)), lambda text: None)
    return done


def test_it_is_installed_as_it_is_and_found_by_its_name(repository, monkeypatch):
    done = installed(repository, monkeypatch)
    assert done[-1][-2:] == ["-e", str(repository)] and "--no-deps" in done[-1]
    guest = find_guests()["mine"]
    assert guest.source == repository and environment.environment_of(guest) is not None
    world = open_guest_world(guest, "point", {})
    before = world.info.identity
    world.close()
    (repository / "toy_guest_world.py").open("a").write("\n# changed\n")
    world = open_guest_world(guest, "point", {})
    assert world.info.identity != before, "its content is its identity"
    world.close()


def test_one_that_moved_away_is_cleaned_up(repository, folder, monkeypatch):
    installed(repository, monkeypatch)
    assert clean_environments(find_guests(), dry_run=True) == []
    repository.rename(repository.with_name("elsewhere"))
    assert "mine" not in find_guests()
    assert clean_environments(find_guests(), dry_run=True) == [folder / "mine"]


def test_what_is_no_guest_is_refused(repository, tmp_path):
    with pytest.raises(UnknownName, match="lerobot"):
        guest_at(str(tmp_path / "nowhere"))
    with pytest.raises(BadData, match=r"guest\.toml"):
        guest_at(str(tmp_path))
    taken = repository.rename(tmp_path / "lerobot")
    with pytest.raises(BadData, match="a name|one that no guest has"):
        guest_at(str(taken))


def checks(guest, **changes):
    return {finding.check: finding.text for finding in check_guest(dataclasses.replace(guest, **changes))}


def test_a_guest_that_keeps_its_promises_has_no_finding(toy):
    toy.lock.write_text("numpy==1.0\nmsgpack==1.0\n")
    made = environment.Installed(Path(sys.executable), "3", toy.identity.digest, 1.0)
    environment._write_state(environment.guests_folder() / "toy/state.json", made)
    good = dataclasses.replace(toy, tasks={"point": "move the point to the goal"}, measures=("success", "distance"))
    assert check_guest(good) == []
    assert "distance" in checks(good, measures=("success",))["measures"]
    assert "fly" in checks(good, tasks={"point": "fly"})["tasks"]
    assert "no such task" in checks(good, tasks={"nowhere": "go"})["opens"]


def test_what_a_folder_lacks_is_found_before_anything_runs(toy):
    toy.lock.write_text("numpy\n")
    found = checks(toy, policies="", worlds="", check="")
    assert "brings nothing" in found["empty"] and "msgpack" in found["lock"] and "nothing to run" in found["check"]
