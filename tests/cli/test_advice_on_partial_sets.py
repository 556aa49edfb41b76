"""Every command that an audit names is run, also where a part is not there: what it was named for must go away.

`make test` runs each distinct command of each state once; `make fuzz` runs every planted defect in every state, with
ROBOSCALE_WHOLE_MATRIX=1, and fails on a kind of command that `make test` does not run.
"""

from __future__ import annotations

import os
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
from roboscale.dataset.checks import PICTURES
from tests.defects.planted import DEFECTS, clean

runner = CliRunner()


def _videos(root: Path) -> list[Path]:
    return sorted((root / "videos").glob("*/*/*.mp4"))


def _lose_a_table(root: Path) -> None:
    tables = sorted((root / "data").glob("*/*.parquet"))
    if len(tables) > 1:
        tables[1].unlink()


STATES: dict[str, Callable[[Path], object]] = {
    "complete": lambda root: None,
    "a-video-gone": lambda root: [path.unlink() for path in _videos(root)[:1]],
    "video-less": lambda root: shutil.rmtree(root / "videos", ignore_errors=True),
    "data-gone": _lose_a_table,
}
_FIX = "data fix"
_COMMANDS = {  # command -> state -> what is planted so that it is named there
    f"{_FIX} --metadata": {
        "complete": "frame-skipped",
        "a-video-gone": "row-swapped",
        "video-less": "too-many-frames",
    },
    f"{_FIX} OUT --drop": dict.fromkeys(("complete", "a-video-gone", "video-less"), "nan"),
    f"{_FIX} OUT --drop --drop-broken": {"data-gone": "one-frame", "a-video-gone": "black-camera"},
    f"{_FIX} OUT --drop-camera": {"a-video-gone": "video-lost", "video-less": "black-camera"},
    f"{_FIX} OUT --drop-broken": dict.fromkeys(STATES, "data-lost") | {"data-gone": "wrong-std"},
    f"{_FIX} OUT --drop-camera --drop-camera": {"video-less": "swapped-cameras"},
    f"{_FIX} OUT --trim-idle": {"complete": "slow-start"} | dict.fromkeys(("a-video-gone", "video-less"), "slow-end"),
    f"{_FIX} OUT --trim-idle --drop-broken": dict.fromkeys(("a-video-gone", "data-gone"), "slow-start"),
    f"{_FIX} OUT --trim-idle --drop-camera": {"video-less": "slow-start"},
    _FIX: dict.fromkeys(("complete", "a-video-gone", "video-less"), "unsealed-episode"),
}
EACH = {(command, state): name for command, states in _COMMANDS.items() for state, name in states.items()}
WHOLE = bool(os.environ.get("ROBOSCALE_WHOLE_MATRIX"))
MATRIX = [(name, state, "") for name in sorted(DEFECTS) for state in STATES] if WHOLE else []
MATRIX = MATRIX or [(name, state, command) for (command, state), name in EACH.items()]


@pytest.fixture(scope="module")
def clean_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = clean(tmp_path_factory.mktemp("clean") / kind, kind)
        return made[kind]

    return get


def planted(clean_set: Callable[[str], Path], root: Path, name: str, state: str) -> dict[str, list[Finding]]:
    """Plants a defect into a set in some state; command -> the findings that it is named for."""
    shutil.copytree(clean_set(DEFECTS[name].kind), root)
    DEFECTS[name].plant(root, np.random.default_rng(0))
    STATES[state](root)
    named: dict[str, list[Finding]] = {}
    for finding in audit_folder(root, images=_of_pictures(name)).findings:
        if finding.repair:
            named.setdefault(finding.repair, []).append(finding)
    return named


def _of_pictures(name: str) -> bool:
    """Whether a defect is one that only pictures show: nothing else knows that an episode cannot be copied."""
    return DEFECTS[name].check in {check.name for check in PICTURES}


def kind_of(command: str) -> str:
    """A command without its paths and values: `data fix OUT --drop`."""
    words = [word for word in shlex.split(command)[1:] if word == "OUT" or "/" not in word]
    kept = [w for last, w in zip(["", *words], words, strict=False) if w.startswith("--") or not last.startswith("--")]
    return " ".join(kept)


@pytest.mark.parametrize(("name", "state", "expected"), MATRIX)
def test_every_command_that_is_named_works(
    clean_set: Callable[[str], Path], tmp_path: Path, name: str, state: str, expected: str
):
    root = tmp_path / "a set"
    named = planted(clean_set, root, name, state)
    kinds = {kind_of(command) for command in named}
    assert expected in kinds or WHOLE, kinds
    assert {(kind, state) for kind in kinds} <= set(EACH), "a command that `make test` does not run there"
    for number, (command, findings) in enumerate(named.items()):
        copy, out = tmp_path / f"{number}" / "a set", tmp_path / f"{number}" / "out"
        shutil.copytree(root, copy)
        words = [str(out) if w == "OUT" else str(copy) if w == str(root) else w for w in shlex.split(command)[1:]]
        parsed = parse(words)
        assert parse(parsed.to_args()) == parsed
        result = runner.invoke(app, [*words, *(["--workers", "0"] if " OUT" in command else [])])
        assert result.exit_code == 0, f"{command}: {result.stderr}\n{result.exception!r}"
        after = audit_folder(out if " OUT" in command else copy, images=_of_pictures(name)).findings
        left = {f.check for f in after} & {f.check for f in findings}
        assert not left, f"{command}: {left}"
