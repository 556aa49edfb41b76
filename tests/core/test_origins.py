"""Whose code it is: Python's and distributions' are known by version, the user's by content."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import roboscale
from roboscale.core.origins import CodeOrigin, class_origin, file_origin, module_origin

PYTHON = f"cpython {sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize("module", [sys, os, os.path, types, subprocess, sys.modules["_io"]])
def test_python(module: types.ModuleType):
    assert module_origin(module) == CodeOrigin("python", PYTHON)


def test_distributions():
    assert module_origin(np) == module_origin(np.linalg) == CodeOrigin("distribution", f"numpy {np.__version__}")
    assert class_origin(np.ndarray) == module_origin(np) and class_origin(dict) == CodeOrigin("python", PYTHON)
    assert module_origin(pytest) == CodeOrigin("distribution", f"pytest {pytest.__version__}")
    yaml = pytest.importorskip("yaml")
    assert module_origin(yaml) == CodeOrigin("distribution", f"PyYAML {yaml.__version__}")  # under another name


def test_the_users_own(tmp_path: Path):
    assert module_origin(sys.modules[__name__]).own and class_origin(Own).own
    assert module_origin(types.ModuleType("made_at_run_time")).own
    assert file_origin("random", str(tmp_path / "random.py")).own  # a file of the user's, however it is called
    assert file_origin("__main__", None).own and file_origin("mine", str(tmp_path / "site-packages" / "mine.py")).own
    assert file_origin("fast", str(tmp_path / "fast.cpython-311-x86_64-linux-gnu.so")).kind == "compiled" or (
        sys.version_info[:2] != (3, 11)
    )
    assert module_origin(roboscale).version == f"roboscale {roboscale.__version__}", "from a checkout, too"


class Own:
    pass


def install(site: Path, version: str, code: str, address: str | None = None, digest: str = "x") -> None:
    """A distribution whose package has another name than itself."""
    info = site / f"some_distribution-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: some-distribution\nVersion: {version}\n")
    (info / "RECORD").write_text(f"installed_package/__init__.py,sha256={digest},{len(code)}\n{info.name}/RECORD,,\n")
    if address is not None:
        (info / "direct_url.json").write_text(address)
    (site / "installed_package").mkdir()
    (site / "installed_package" / "__init__.py").write_text(code)


CODE = """
import installed_package
from installed_package import helper, Class
from roboscale.core import identify

def act(o):
    return installed_package.other(o) + helper(o) + Class().x

print(identify(act).digest, identify(act).verified)
"""


def identity_with(site: Path) -> str:
    path = ":".join([str(site), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    digest, verified = done.stdout.split()
    assert verified == "True"
    return digest


def test_what_is_installed_counts_by_version_and_from_a_folder_by_its_files(tmp_path: Path):
    code = "K = 1\ndef other(o):\n    return K\ndef helper(o):\n    return open(o)\nclass Class:\n    x = 1\n"
    local = '{"url": "file:///home/me/package", "dir_info": {}}'
    archive = '{"url": "https://example.org/a.whl", "archive_info": {}}'
    places = {name: tmp_path / name / "site-packages" for name in "abcdef"}
    install(places["a"], "1.0", code)
    install(places["b"], "1.1", code)
    install(places["c"], "1.0", code.replace("x = 1", "x = 2"), archive)
    install(places["d"], "1.0", code, local, "one")
    install(places["e"], "1.0", code, local, "other")
    seen = {name: identity_with(places[name]) for name in "abcde"}
    assert seen["a"] == seen["c"] and len({seen[name] for name in "abde"}) == 4
