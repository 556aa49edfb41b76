"""The environments of the oracle take the CPU build of torch where there is one.

Python and pip are played by small programs, as for set-up; nothing is installed and no dataset is read.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scripts.test_setup import PYTHON, ROOT, torch_index

__all__ = ["torch_index"]

REAL = "awk bash cat chmod cp dirname env grep mkdir mktemp rm sort timeout touch uname"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which every Python does nothing but write down what pip is asked for."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/oracle.sh", tmp_path / "scripts")
    for folder in ("bin", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in REAL.split():
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    python = PYTHON.replace("VERSION", "3.11")
    for path in (tmp_path / "bin/python3.11", tmp_path / ".venv/bin/python", tmp_path / "bin/ldconfig"):
        path.write_text(f"#!{shutil.which('bash')}\necho libavcodec.so.60\n" if path.name == "ldconfig" else python)
        path.chmod(0o755)
    return tmp_path


def asked_of_pip(clone: Path, **environment: str) -> tuple[list[str], str]:
    calls = clone / "calls"
    calls.write_text("")
    told = {"PATH": str(clone / "bin"), "HOME": str(clone), "CALLS": str(calls), **environment}
    words = ["bash", "scripts/oracle.sh", "0.4.4"]
    done = subprocess.run(words, cwd=clone, capture_output=True, text=True, env=told)
    assert done.returncode == 0, done.stderr
    lines = calls.read_text().splitlines()
    return [line.split(" TMPDIR=")[0] for line in lines if " install " in line], done.stderr


def test_the_index_with_cpu_builds_is_taken_where_it_answers(clone: Path, torch_index: str):
    first, second, third, *_, last = asked_of_pip(clone, TORCH_INDEX=torch_index)[0]
    assert first.endswith(f"--no-deps --index-url {torch_index} torch==2.13.0")
    assert second.endswith(f"--no-deps --index-url {torch_index} torchvision==0.28.0")
    assert third.endswith("torch==2.13.0") and "lerobot==0.4.4" in last
    assert asked_of_pip(clone)[0] == [], "what is installed stays"


def test_where_it_does_not_a_cpu_build_from_elsewhere_is_and_cuda_is_said(clone: Path):
    closed = "http://127.0.0.1:9"  # nothing listens there
    asked, said = asked_of_pip(clone, TORCH_INDEX=closed, TORCH_FOUND="9.0, 2.13.0+cpu, 2.13.0")
    assert asked[0].endswith("--no-deps torch==2.13.0+cpu") and "CUDA" not in said
    shutil.rmtree(clone / ".venv-oracle-0.4.4")
    asked, said = asked_of_pip(clone, TORCH_INDEX="none")
    assert asked[0].endswith("torch==2.13.0") and "--index-url" not in asked[0]
    assert "with CUDA, 4 GB more" in said
