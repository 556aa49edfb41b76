"""`roboscale guest ...`: installed beside ours, gone on with, removed; what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.guests import Guest, add_packages, environment, find_guests, make_environment, read_guest
from roboscale.jobs.guests import guest_of, parsed

runner = CliRunner()


@pytest.fixture
def small(tmp_path: Path, folder: Path) -> Guest:
    """A guest without packages."""
    home = tmp_path / "small"
    home.mkdir()
    (home / "guest.toml").write_text(
        'about = "nothing"\nlicence = "MIT"\npython = ["3.11", "3.12", "3.13"]\ndisk_gb = 0.1\n'
    )
    (home / "lock.txt").write_text("# no package\n")
    return read_guest(home)


def asked(*words: str, code: int = 0):
    done = runner.invoke(app, ["guest", *words, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 else done.stderr


def test_all_guests_are_listed_with_what_they_need(folder: Path):
    aloha, lerobot, newer, maniskill, robosuite, so101 = asked("list")["guests"]
    assert aloha["name"] == "aloha" and robosuite["name"] == "robosuite" and robosuite["licence"] == "MIT"
    assert maniskill["name"] == "maniskill" and so101["name"] == "so101"
    assert newer["name"] == "lerobot06" and "env.py" in newer["about"]
    assert lerobot["name"] == "lerobot" and lerobot["licence"] == "Apache-2.0" and not lerobot["packages"]
    (lerobot,) = asked("list", "lerobot")["guests"]
    assert any(line.startswith("lerobot==") for line in lerobot["packages"])
    assert "unknown guest" in asked("list", "lerobo", code=1) and "lerobot" in asked("list", "lerobo", code=1)


def test_locks_pin_every_package():
    for guest in find_guests().values():
        assert all("==" in line and "+" not in line for line in guest.packages), guest.name
        assert any(line.lower().startswith("msgpack==") for line in guest.packages), "the wire needs it"


def test_it_is_made_gone_on_with_and_cleaned(small: Guest, folder: Path):
    said: list[str] = []
    made = make_environment(small, said.append)
    assert made.python.exists() and "about 0.1 GB" in said[0] and "installed" in said[-1]
    assert (folder / "small/install.log").read_text().startswith("$ ")
    again: list[str] = []
    assert make_environment(small, again.append).python == made.python and again[0].startswith("small is installed")
    (folder / "small/state.json").unlink()  # as after a kill
    assert environment.environment_of(small) is None
    assert make_environment(small, said.append).python == made.python
    (small.lock).write_text("six==1.17.0\n")
    assert environment.environment_of(small) is None, "another lock is another guest"
    assert asked("clean", "--dry-run")["removed"] == [str(folder / "small")] and (folder / "small").exists()
    asked("clean")
    assert not (folder / "small").exists()


def test_what_pip_says_is_the_error(small: Guest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    small.lock.write_text("there-is-no-such-package-at-all==1.0\n")
    with pytest.raises(RoboscaleError, match=r"exit code 1: .*there-is-no-such-package-at-all"):
        make_environment(small, lambda text: None)


def test_missing_pythons_libraries_and_room_are_said_before_anything_is_made(small: Guest, folder: Path):
    import dataclasses

    for change, text in (
        ({"python": ("2.6",)}, "needs Python 2.6 with venv, found none .*uv python install 2.6"),
        ({"system": ("libnothing.so:nothing",)}, "needs libnothing.so; run this.*apt-get install .* nothing"),
        ({"disk_gb": 1e6}, "takes about 1e\\+06 GB, .* ROBOSCALE_GUESTS names another folder"),
    ):
        with pytest.raises(RoboscaleError, match=text):
            make_environment(dataclasses.replace(small, **change), lambda text: None)
    assert not folder.exists()


def test_removing_says_what_it_would_remove(folder: Path):
    assert asked("remove", "lerobot")["removed"] is False
    (folder / "lerobot").mkdir(parents=True)
    assert asked("remove", "lerobot", "--dry-run")["removed"] is True and (folder / "lerobot").exists()
    assert asked("remove", "lerobot")["removed"] is True and not (folder / "lerobot").exists()


def test_a_guest_that_is_no_guest(tmp_path: Path, folder: Path):
    (tmp_path / "guest.toml").write_text('about = "x"\nlicence = "MIT"\npython = ["3.11"]\ndisk_gb = 0\nprice = 1\n')
    with pytest.raises(BadData, match="price"):
        read_guest(tmp_path)
    (tmp_path / "guest.toml").write_text('about = "x"\nlicence = "MIT"\npython = ["3.11"]\ndisk_gb = 1\n')
    with pytest.raises(BadData, match=r"lock\.txt"):
        read_guest(tmp_path)


def test_texts_that_name_a_guest():
    assert guest_of("lerobot:a").name == "lerobot" and guest_of("noisy:lerobot:a:0.1").name == "lerobot"
    assert (
        guest_of("openpi://localhost") is None and guest_of("module:function") is None and guest_of("expert") is None
    )


def test_where_a_checkpoint_lies(tmp_path: Path):
    inside = tmp_path / "run/checkpoints/last/pretrained_model"
    inside.mkdir(parents=True)
    with pytest.raises(BadData, match="expected a folder with config.json"):
        parsed(str(tmp_path / "run"), "lerobot:run")
    (inside / "config.json").write_text("{}")
    assert parsed(f"{tmp_path / 'run'}?n_action_steps=4&device=cpu", "t") == (inside, {"rows": 4, "device": "cpu"})
    with pytest.raises(UnknownName, match="n_action_steps"):
        parsed(f"{tmp_path / 'run'}?n_action_step=4", "t")
    assert parsed(str(tmp_path / "run/checkpoints"), "t")[0] == inside
    with pytest.raises(BadData, match=r"found a folder of 1 training run, such as .*/run$"):
        parsed(str(tmp_path), "t")
    with pytest.raises(BadData, match="a whole number"):
        parsed(f"{tmp_path / 'run'}?n_action_steps=four", "t")


def test_a_policy_of_a_guest_that_is_not_installed_says_the_command(tmp_path: Path, folder: Path):
    (tmp_path / "config.json").write_text("{}")
    done = runner.invoke(app, ["eval", "--world", "pusht", "--policy", f"lerobot:{tmp_path}", "--trials", "1"])
    assert done.exit_code == 1 and "roboscale guest install lerobot" in done.stderr


def wheel(folder: Path, name: str, needs: str = "") -> None:
    """A package that holds one module."""
    import zipfile

    facts = f"{name}-1.0.dist-info"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
        file.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{facts}/RECORD", "")


def test_a_plugin_is_added_pinned_and_makes_another_guest(small: Guest, folder: Path, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel(tmp_path, "lerobot_env_toy", needs="helper_toy")
    wheel(tmp_path, "helper_toy")
    said: list[str] = []
    more = add_packages(small, ["lerobot-env-toy==1.0"], said.append)
    assert sorted(more.added) == ["helper_toy==1.0", "lerobot_env_toy==1.0"], "what it needs is pinned, too"
    assert more.identity != small.identity
    again = read_guest(small.folder)
    assert again.identity == more.identity and environment.environment_of(again) is not None
    (folder / "small/state.json").unlink()
    assert make_environment(again, said.append).digest == more.identity.digest, "made again with what was added"


def test_an_addition_that_fits_nothing_is_added_without_what_it_needs(small: Guest, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel(tmp_path, "lerobot_env_toy", needs="there-is-no-such-package-at-all")
    said: list[str] = []
    assert add_packages(small, ["lerobot_env_toy"], said.append).added == ("lerobot_env_toy==1.0",)
    assert any("they are installed without it" in text for text in said)


@pytest.mark.parametrize("text", ["-r list.txt", "--index-url=x", "", "a b", "../a"])
def test_what_is_no_package_is_not_given_to_pip(small: Guest, text: str):
    with pytest.raises(BadData, match="add: expected NAME or NAME==VERSION"):
        add_packages(small, [text], lambda said: None)
