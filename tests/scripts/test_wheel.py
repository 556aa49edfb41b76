"""A built wheel answers on counts and tables with its declared base dependencies and nothing else.

The environment is empty but for the wheel and links to what `dependencies` in pyproject.toml names, and to what those
need: whatever else the interpreter of the tests has cannot be imported there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = ("av", "pyarrow", "PIL", "gymnasium", "matplotlib", "torch", "mujoco", "metaworld", "pytest")


def distributions(requirements: list[str]) -> dict[str, Distribution]:
    """What is installed for these requirements and for what they need, by name; of extras what is asked for."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(text, "") for text in requirements], set()
    while waiting:
        requirement, extras_of_parent = waiting.pop()
        text, _, marker = requirement.partition(";")
        name, extras = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", text).groups()
        name = re.sub(r"[-_.]+", "-", name).lower()
        extra = re.search(r"extra == ['\"]([\w-]+)", marker)
        if (extra and extra[1] not in extras_of_parent.split(",")) or (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            assert marker, f"{name} is not installed"  # e.g. for another Python or system
            continue
        waiting += [(one, extras or "") for one in found[name].requires or []]
    return found


class Installed(NamedTuple):
    folder: Path
    wheel: Path
    base_mb: float

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            env={**clean, "COLUMNS": "100", **environment},
        )


def pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), str(source))
    (built,) = work.glob("roboscale-*.whl")
    return built


def install(wheel: Path, env: Path, requirements: list[str]) -> Installed:
    """An environment with the wheel, and links to what these requirements need."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    (site,) = env.glob("lib/python*/site-packages")
    size = 0
    for one in distributions(requirements).values():
        files = [file for file in one.files or () if file.parts[0] != ".."]
        size += sum(file.size or 0 for file in files)
        for top in {file.parts[0] for file in files} - {"__pycache__"}:
            (site / top).symlink_to(one.locate_file(top))
    pip("--python", str(env / "bin/python"), "install", "--no-index", "--no-deps", str(wheel))
    return Installed(env, wheel, size / 1e6)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("base") / "env", PROJECT["dependencies"])


@pytest.fixture(scope="module", autouse=True)
def table(installed: Installed) -> None:
    rows = [f"{name},{case},{int(case % every > 0)}" for name, every in (("a", 2), ("b", 5)) for case in range(20)]
    (installed.folder.parent / "table.csv").write_text("\n".join(["policy,case,success", *rows]) + "\n")


def test_nothing_but_the_base_is_there(installed: Installed):
    code = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    done = installed.run("python", "-c", code)
    assert done.stdout == "[]\n", done.stderr


ANSWERS = {
    "count 12/20 17/20": r"12 of 20",
    "rank table.csv": r"\bb\b",
    "power --from .5 --to .7": r"\d+",
    "check table.csv": r"\bb\b",
}


@pytest.mark.parametrize("line", ANSWERS)
def test_it_answers(installed: Installed, line: str):
    done = installed.run("roboscale", *line.split())
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert re.search(ANSWERS[line], done.stdout), done.stdout


NEEDS = {
    "rank table.csv --html board.html": "pages",
    "data audit .": "data",
    "data show .": "web",
    "eval --policy expert --tasks reach-v3 --trials 1": "sim",
    "policy train . weights": "train",
    "rank table.parquet": "tables",
    "rank table.xlsx": "tables",
}


@pytest.mark.parametrize("line", NEEDS)
def test_what_is_missing_is_one_line_that_names_the_extra(installed: Installed, line: str):
    for suffix in ("parquet", "xlsx"):
        (installed.folder.parent / f"table.{suffix}").write_bytes(b"PK")
    done = installed.run("roboscale", *line.split())
    errors = [text for text in done.stderr.splitlines() if not text.startswith("note: ")]
    assert done.returncode == 1 and len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ") and re.search(rf"roboscale\[{NEEDS[line]}\]", errors[0]), errors[0]


def test_a_world_needs_its_extra_and_no_other(wheel: Path, tmp_path: Path):
    requirements = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["sim"]]
    done = install(wheel, tmp_path / "env", requirements).run("python", str(ROOT / "examples/evaluate_my_policy.py"))
    assert done.stdout.startswith("1.00 [0.83..1.00] (n=20"), done.stderr


def test_size_time_and_the_answer(installed: Installed, capsys: pytest.CaptureFixture[str]):
    code = "import time; t = time.process_time(); import roboscale.cli.app; print(time.process_time() - t)"
    seconds = min(float(installed.run("python", "-c", code).stdout) for _ in range(3))
    answer = installed.run("roboscale", "count", "12/20", "17/20").stdout.splitlines()[0]
    size = installed.wheel.stat().st_size / 1e6
    with capsys.disabled():
        print(f"\nwheel {size:.2f} MB, base dependencies {installed.base_mb:.0f} MB, import {seconds:.2f} s: {answer}")
    assert size < 3 and installed.base_mb < 300 and seconds < 2
