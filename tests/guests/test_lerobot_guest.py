"""LeRobot's own answers and ours, where the guest is installed; elsewhere `make guests` installs it and looks."""

import subprocess
from pathlib import Path

import pytest

from roboscale import CheckInstalledGuest, check_installed_guest, evaluate
from roboscale.guests import environment_of, find_guest

ENVIRONMENT = environment_of(find_guest("lerobot"))
pytestmark = pytest.mark.skipif(ENVIRONMENT is None, reason="roboscale guest install lerobot")

MAKE = """
import sys
sys.path.insert(0, sys.argv[2])
from roboscale.guests.side.lerobot_check import write_small_diffusion
write_small_diffusion(sys.argv[1], state=2)
"""

PROFILE = """
name = "diffusion"
prompt = "task"
[[observation]]
key = "observation.image"
field = "observation.images.top"
[[observation]]
key = "observation.state"
field = "observation.state"
[action]
dimension = 2
mode = "absolute"
"""


def test_diffusion_answers_as_lerobot_does():
    passed = check_installed_guest(CheckInstalledGuest(guest="lerobot")).passed
    assert any("Diffusion answers as LeRobot does on equal noise: 20 chunks" in text for text in passed)


def test_a_diffusion_checkpoint_is_tried_in_a_world(tmp_path: Path):
    pytest.importorskip("gym_pusht")
    assert ENVIRONMENT is not None
    source = Path(__file__).parents[2] / "src"
    subprocess.run([ENVIRONMENT.python, "-c", MAKE, str(tmp_path / "made"), str(source)], check=True, timeout=300)
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    asked = {"world": "pusht", "trials": 2, "horizon": 20, "workers": 0, "policy_profile": (str(profile),)}
    done = evaluate(f"lerobot:{tmp_path / 'made'}", **asked)
    assert done.success.n == 2 and not done.judged.void
    assert all(c.trial is not None and c.trial.steps == 20 and c.trial.end == "truncated" for c in done.judged.counted)
