"""Every command that an audit names is run, also where a part is not there: what it was named for must go away."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app, parse
from roboscale.core import Finding
from roboscale.dataset.audit import audit_folder
from tests.defects.planted import DEFECTS, clean

runner = CliRunner()


def _videos(root: Path) -> list[Path]:
    return sorted((root / "videos").glob("*/*/*.mp4"))


STATES: dict[str, Callable[[Path], object]] = {
    "complete": lambda root: None,
    "a-video-gone": lambda root: _videos(root)[0].unlink(),
    "video-less": lambda root: shutil.rmtree(root / "videos"),
    "data-gone": lambda root: sorted((root / "data").glob("*/*.parquet"))[1].unlink(),
}
PLANTED = ("too-many-frames", "wrong-std", "range-shifted", "frame-skipped", "row-swapped", "split-too-long")


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean(tmp_path_factory.mktemp("clean") / "set", "joint")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", PLANTED)
def test_every_command_that_is_named_works(joint: Path, tmp_path: Path, state: str, name: str):
    root = tmp_path / "a set"
    shutil.copytree(joint, root)
    DEFECTS[name].plant(root, np.random.default_rng(0))
    STATES[state](root)
    named: dict[str, list[Finding]] = {}
    for finding in audit_folder(root, images=False).findings:
        if finding.repair:
            named.setdefault(finding.repair, []).append(finding)
    assert named, "something is planted, and something mends it"
    for number, (command, findings) in enumerate(named.items()):
        copy, out = tmp_path / f"{number}" / "a set", tmp_path / f"{number}" / "out"
        shutil.copytree(root, copy)
        words = [str(out) if w == "OUT" else str(copy) if w == str(root) else w for w in shlex.split(command)[1:]]
        parsed = parse(words)
        assert parse(parsed.to_args()) == parsed
        result = runner.invoke(app, [*words, *(["--workers", "0"] if " OUT" in command else [])])
        assert result.exit_code == 0, f"{command}: {result.stderr}\n{result.exception!r}"
        after = audit_folder(out if " OUT" in command else copy, images=False).findings
        left = {f.check for f in after} & {f.check for f in findings}
        assert not left, f"{command}: {left}"
