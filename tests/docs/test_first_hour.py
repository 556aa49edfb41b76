"""The commands of the README's first sections and of the page on extending run as they stand, in a new folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTING_UP = ("sudo ", "git ", "make ", "python3 -m venv", "pip ", "scripts/setup.sh")


def commands(page: str, heading: str) -> list[str]:
    """What stands in the bash blocks of a section, without what sets up."""
    section = (ROOT / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [
        line
        for block in re.findall(r"^```bash\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    return [line for line in lines if not line.startswith(SETTING_UP)]


def run(lines: list[str], folder: Path) -> str:
    """What they print; each has to succeed."""
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ROBOSCALE": str(ROOT),
            "COLUMNS": "100",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("heading", "answer"),
    [
        ("Your own table", r"neu is better than alt"),
        ("Your own policy", r"(?s)^1\.00 \[0\.83.*towards_goal is better than constant: .*report\.html"),
    ],
)
def test_the_readme_leads_to_an_answer(heading: str, answer: str, tmp_path: Path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    lines = commands("README.md", heading)
    assert len(lines) >= 2
    lines = [re.sub(r"^(roboscale report \S+)", r"\1 --videos 1", line) for line in lines]  # four take half a minute
    assert re.search(answer, run(lines, tmp_path))


@pytest.mark.parametrize(
    ("heading", "answer"),
    [
        ("A policy", r"(?s)act: deterministic.*my_policy.py:act is better than my_policy.py:hasty"),
        ("A world", r"reach +ok, same bytes again"),
        ("A robot", r"nobody has judged it yet"),
        ("A form of table", r"neu is better than alt"),
    ],
)
def test_the_page_on_extending_runs_in_an_empty_folder(heading: str, answer: str, tmp_path: Path):
    first = 'cp "$ROBOSCALE"/examples/my_* .'
    assert f"```bash\n{first}\n```" in (ROOT / "docs/extending.md").read_text()
    assert re.search(answer, run([first, *commands("docs/extending.md", heading)], tmp_path))


def test_every_extra_is_named_where_newcomers_look():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    for page in ("llms.txt", "docs/index.md"):
        named = set(re.findall(r"`([a-z]+)`", (ROOT / page).read_text()))
        assert not extras - {"test", "docs"} - named, page


def test_llms_txt_names_what_exists():
    text = (ROOT / "llms.txt").read_text()
    assert text.startswith("# roboscale\n\n> ")  # https://llmstxt.org: a title, then a summary
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / target).is_file(), target
    assert (
        not {page.name for page in (ROOT / "docs").glob("*.md")}
        - set(re.findall(r"docs/([\w-]+\.md)", text))
        - {"index.md", "lab-notes.md", "public-tables.md", "scale.md"}
    )
