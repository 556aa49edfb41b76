"""A guest whose environment is the tests' own: what is tested is the process, not pip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from roboscale.guests import Guest, environment, read_guest

FILE = """
about = "a toy"
licence = "MIT"
python = ["3.11", "3.12", "3.13"]
disk_gb = 0.1
policies = "toy_guest:Policy"
worlds = "toy_guest_world:World"
check = "toy_guest:Check"

[environment]
TOY = "set by the guest"
"""

CODE = Path(__file__).with_name("toy_guest.py")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where guests are installed."""
    monkeypatch.setenv("ROBOSCALE_GUESTS", str(tmp_path / "guests"))
    return tmp_path / "guests"


@pytest.fixture
def toy(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    """A guest, installed."""
    home = tmp_path / "toy"
    home.mkdir()
    (home / "guest.toml").write_text(FILE)
    (home / "lock.txt").write_text("# nothing\n")
    guest = read_guest(home)
    (folder / "toy").mkdir(parents=True)
    said = {"python": sys.executable, "version": "3", "digest": guest.identity.digest, "megabytes": 1.0}
    (folder / "toy" / environment._STATE).write_text(json.dumps(said))
    monkeypatch.setattr("roboscale.guests.process._MORE_PATH", (str(CODE.parent),))
    return guest
