"""The statistics page: tables are what the benchmark prints, pictures what the script draws, examples are right."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from roboscale.stats import clopper_pearson
from roboscale.stats.barnard import barnard, probability_better
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_forms import Point

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/statistics.md"
IMAGES = ROOT / "docs/images"
TABLES = ("coverage", "peeking", "limits", "errors", "stopping", "spending")
NOT_METHODS = {
    "Contents",
    "Which one do I need",
    "What naive peeking costs",
    "What the verdict contains",
    "What columns are known",
}
WITHOUT_PICTURE = {
    "More than two policies",  # it points to the picture of the section after it
    "Several tasks at once",
    "A recipe, not a checkpoint",
    "Two policies on their own cases, no budget",
}


def sections() -> dict[str, str]:
    """Text of each section by its heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


METHODS = [heading for heading in sections() if heading not in NOT_METHODS]
PICTURES = sorted([*IMAGES.glob("stats-*.svg"), IMAGES / "coverage.svg"])


def test_documented_tables_are_what_the_command_prints():
    command = [sys.executable, "benchmarks/stats_sequential.py"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    documented = (ROOT / "docs/statistics.md").read_text() + (ROOT / "docs/lab-notes.md").read_text()
    found = [block for block in printed.split("<!-- ") if block]
    assert len(found) == len(TABLES)
    for block in found:
        name, table = block.split(" -->\n")
        assert name in TABLES
        assert table.strip() in documented, f"table {name!r} of the documentation is out of date"


@pytest.mark.parametrize("heading", METHODS)
def test_each_method_says_what_it_assumes_and_when_not_to_use_it(heading: str):
    text = re.sub(r"\s+", " ", sections()[heading])
    assert "**Assumes**" in text and "**Do not use**" in text
    assert re.match(r" `\w+`", text), "a section opens with the functions that it is about"
    assert "](images/" in text or heading in WITHOUT_PICTURE


@pytest.mark.parametrize("heading", METHODS)
def test_the_python_of_each_method_gives_what_is_printed(heading: str):
    text = re.sub(r"^```.*$", "", sections()[heading], flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, heading, str(PAGE), 0)
    assert test.examples or "```python" in sections()[heading], "a method has a line of Python"
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_contents_list_every_section():
    listed = re.findall(r"\[([^\]]+)\]\(#", sections()["Contents"])
    assert [re.sub(r"\s+", " ", name) for name in listed] == [
        heading for heading in sections() if heading not in ("Contents", "Which one do I need")
    ]


def test_no_picture_is_missing_or_left_over():
    assert set(re.findall(r"\]\(images/([\w.-]+)\)", PAGE.read_text())) == {path.name for path in PICTURES}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_small_and_their_text_is_text(path: Path):
    assert path.stat().st_size < 60_000
    texts = [node for node in ElementTree.parse(path).iter() if node.tag.endswith("}text")]
    assert len(texts) > 4 and all("".join(node.itertext()).strip() for node in texts)


@pytest.mark.parametrize("topic", ["void", "paired", "ranking"])
def test_pictures_are_what_the_script_draws(topic: str, tmp_path: Path):
    command = [sys.executable, "scripts/statistics_figures.py", topic, "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    name = f"stats-{topic}.svg"
    assert (tmp_path / name).read_bytes() == (IMAGES / name).read_bytes()


def test_examples_in_the_text_are_right():
    text = re.sub(r"\s+", " ", PAGE.read_text())
    eight = clopper_pearson(8, 10)
    interval = f"an interval from {eight.low:.2f} to {eight.high:.2f}".replace("0.", ".")
    assert f"8 successes in 10 trials are a rate of .80 and {interval}" in text
    found = fit_curve([Point(50, 10, 50), Point(100, 20, 50), Point(200, 28, 50)]).predict(400)
    assert f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] at 400".replace("0.", ".") in text
    counts = (28, 50), (46, 50)
    assert f"Here p is {barnard(*counts):.6f}".replace("0.", ".") in text
    assert f"{probability_better(*counts):.5f} for the example".replace("0.", ".") in text
