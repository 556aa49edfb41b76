"""The guest of ManiSkill 3: what it declares always; what it computes where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from roboscale import CheckInstalledGuest, check_installed_guest
from roboscale.core import RoboscaleError
from roboscale.guests import environment_of, find_guest
from roboscale.guests.side import maniskill_world
from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.maniskill_experts import SCREW_EXPERTS
from roboscale.guests.side.maniskill_world import SUCCESS, TASKS, THINGS, ManiSkillWorld

GUEST = find_guest("maniskill")

APT = """#!/usr/bin/env python3
import os, pathlib, shutil, subprocess, sys
assert os.environ["APT_CONFIG"]  # folders of its own: nothing of the system's changes
if "download" in sys.argv:
    root = pathlib.Path("made")
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: mesa-vulkan-drivers\\nVersion: 25.0\\nArchitecture: amd64\\nMaintainer: nobody\\n"
        "Description: a stand-in\\n")
    (root / "usr/lib/here").mkdir(parents=True)
    shutil.copy(os.environ["STAND_IN"], root / "usr/lib/here/libvulkan_lvp.so")
    (root / "usr/share/vulkan/icd.d").mkdir(parents=True)
    (root / "usr/share/vulkan/icd.d/lvp_icd.json").write_text('{"ICD": {"library_path": "libvulkan_lvp.so"}}')
    subprocess.run(["dpkg-deb", "-b", "made", "mesa-vulkan-drivers_25.0_amd64.deb"], check=True)
"""


def test_what_it_declares_is_what_its_world_says():
    assert dict(GUEST.tasks) == {task: sentence for task, (sentence, _, _) in TASKS.items()}
    assert set(TASKS) == set(SUCCESS) == set(THINGS) == set(SCREW_EXPERTS)
    assert GUEST.measures == ("success", "reward", "peak_force")
    assert {len(names) for names in THINGS.values()} == {10, 14, 16}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"task": "PickCup"}, "PickCup: there is none; there are PickCube"),
        ({"task": "PickCube", "control": "osc"}, "option control: expected one of pd_joint_pos"),
        ({"task": "PickCube", "render": "cuda"}, "option render: expected cpu or gpu, found 'cuda'"),
    ],
)
def test_what_it_does_not_have_is_refused_before_anything_is_imported(words, said):
    with pytest.raises(Refusal, match=said):
        ManiSkillWorld(**words)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="not Debian: vulkan.sh is for Debian 12")
def test_without_a_driver_it_names_a_command_that_brings_one(tmp_path, monkeypatch):
    def no_driver():
        raise RuntimeError("failed to find a rendering device")

    render = types.ModuleType("sapien.render")
    render.RenderMaterial = no_driver
    render.get_device_summary = lambda: "GPU: llvmpipe\n  Supported: 1\n"
    sapien = types.ModuleType("sapien")
    sapien.render = render
    monkeypatch.setitem(sys.modules, "sapien", sapien)
    monkeypatch.setitem(sys.modules, "sapien.render", render)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "guest/venv"))
    monkeypatch.setenv("ROBOSCALE_GUEST_FOLDER", str(GUEST.folder))
    for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        monkeypatch.setenv(name, "none")  # so that what is set is undone
        monkeypatch.delenv(name)
    with pytest.raises(Refusal, match="failed to find a rendering device") as refused:
        maniskill_world._require_vulkan()
    (command,) = [line.partition("changed: ")[2] for line in str(refused.value).splitlines() if "changed: " in line]

    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    apt.write_text(APT)
    apt.chmod(0o755)
    paths = {"PATH": f"{apt.parent}:{os.environ['PATH']}", "STAND_IN": shutil.which("true")}
    subprocess.run(command, shell=True, check=True, env={**os.environ, **paths})
    driver = tmp_path / "guest/vulkan/lvp_icd.json"
    assert f'"library_path": "{driver.parent / "libvulkan_lvp.so"}"' in driver.read_text()

    render.RenderMaterial = lambda: None
    assert maniskill_world._require_vulkan() == "llvmpipe"
    assert Path(os.environ["VK_DRIVER_FILES"]) == driver


@pytest.mark.skipif(environment_of(GUEST) is None, reason="roboscale guest install maniskill")
def test_its_expert_carries_the_cube_and_pictures_are_drawn():
    try:
        passed = check_installed_guest(CheckInstalledGuest(guest="maniskill")).passed
    except RoboscaleError as error:
        if "no Vulkan driver" not in str(error):
            raise
        pytest.skip(str(error))
    assert any("the expert carries the cube to the goal" in text for text in passed)
    assert passed[-2:] == ("it draws pictures", "the same seed gives the same scene")
