"""Interpreters of this machine: on PATH, pyenv's, uv's, conda's; each is started only to ask its version."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["find_python", "say_places"]


def find_python(versions: Sequence[str]) -> Path | None:
    """The first interpreter of one of the versions, in their order; `None` where there is none.

    Args:
        versions: e.g. `3.11`.
    """
    for version in versions:
        for path in _candidates(version):
            if _version(path) == version:
                return path
    return None


def say_places() -> str:
    """Where was looked, for people."""
    return "PATH, pyenv, uv and conda"


def _candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield Path(on_path)
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    for folder, pattern in ((pyenv, f"{version}.*"), (uv, f"cpython-{version}.*")):
        if folder.is_dir():
            yield from (path / "bin" / f"python{version}" for path in sorted(folder.glob(pattern), reverse=True))
    for root in (
        os.environ.get("CONDA_PREFIX", ""),
        *(str(home / n) for n in ("miniconda3", "anaconda3", "miniforge3")),
    ):
        if root:
            yield Path(root) / "bin" / f"python{version}"
            yield from (path / "bin" / f"python{version}" for path in sorted(Path(root, "envs").glob("*")))


def _version(path: Path) -> str:
    """`3.11` of an interpreter that runs; empty for anything else (pyenv's shims exist for versions that do not)."""
    if not path.is_file():
        return ""
    words = [str(path), "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
