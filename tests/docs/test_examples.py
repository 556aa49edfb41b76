"""Every example runs as it stands, and prints what the documentation says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from roboscale.core.declared import read_declared
from roboscale.jobs.campaign_file import Campaign
from roboscale.policies.remote import PolicyProfile
from roboscale.worlds.simulated.declaration import WorldDeclaration

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

EXPECTED = {
    "compare_two_policies.py": [
        r"^noisy:expert:0\.1 is better than timid: .* paired cases .*$",
        r"^decided after \d+ pairs, \d+ of them discordant$",
        r"^difference +0\.\d+ \[0\.\d+\.\.0\.\d+\]",
    ],
    "evaluate_my_policy.py": [r"^1\.00 \[0\.83\.\.1\.00\] \(n=20, 95 %, Clopper-Pearson \(Biometrika 1934\)\)$"],
    "my_world.py": [
        r"^asks .move the point to the goal on the table.; success counts when first reached, horizon 50 steps",
        r"^point keeps its promises$",
    ],
    "my_policy.py": [
        r"^1\.00 \[0\.83\.\.1\.00\] \(n=20",
        r"^act is better than hasty: 1\.00 .* on 19 paired cases",
    ],
    "my_robot.py": [r"^no data \(n=0, 0 void\), 2 to be judged$"],
    "own_world.py": [
        r"^pusht-hold: keeps its promises, same bytes twice$",
        r"^0\.00 \[0\.00\.\.0\.52\] \(n=5, 95 %",
    ],
    "pool_recordings.py": [
        r"^arm: 2 episodes from lerobot-v2\.1, largest difference 0$",
        r"^widowx: 2 episodes from rlds, largest difference 0$",
        r"^audit of arm: 0 errors, 1 warnings$",
        r"^pool: 4 episodes of arm, widowx$",
    ],
    "rank_policies.py": [
        r"^0 of 3 pairs differ at family-wise error 0\.05\. Not shown to differ: ",
        r"^  v2: rank 1 to 3, 1\.00 \[0\.54\.\.1\.00\] \(n=6",
        r"^next: v1 and v2 on ",
    ],
    "policy_server.py": [
        r"^the server needs observation\.state$",
        r"^chunk of actions \(10, 2\) first row \[ 0\.8 -0\.4\]$",
    ],
    "record_my_robot.py": [
        r"^saved [0-9a-f]{32}: it survives kill -9 from here on$",
        r"^2 episodes, 80 frames at 20 Hz$",
        r"^past states \(2, 2\) picture \(3, 64, 64\)$",
        r"^future actions \(8, 2\) of which padding 4$",
        r"^30 of 80 commands were clipped by the robot; both are kept$",
    ],
}


def test_every_example_is_expected_to_print_something():
    assert sorted(EXPECTED) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path,  # an example may not depend on where it is started, nor leave anything there
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    for line in EXPECTED[name]:
        assert re.search(line, done.stdout, re.MULTILINE), f"{name} did not print {line!r}:\n{done.stdout}"
    assert not list(tmp_path.iterdir())


def test_declarations_and_profiles_load():
    assert WorldDeclaration.load(EXAMPLES / "own_world.toml").success_rule.hold == 5
    assert PolicyProfile.load(EXAMPLES / "policy_profile_droid.toml").action.execute == 8
    assert read_declared(EXAMPLES / "campaign.toml", Campaign).target
    assert len(list(EXAMPLES.glob("*.toml"))) == 3
