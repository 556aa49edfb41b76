"""README's table of how far each piece has been tried: what a machine can know of it is true.

It knows whether a test is there, whether it runs in real time against a stand-in, whether it asks for a GPU, and that
no machine has seen a person or a robot: such a cell needs a date and a place where it is written down.
"""

from __future__ import annotations

import ast
import datetime
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
SECTION = TEXT[TEXT.index("### How far has each piece been tried") :].split("\n## ")[0]
LINES = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("|")]
HEAD, ROWS = LINES[0], LINES[2:]
COLUMNS = ["piece", "simulated", "stand-in, real time", "real checkpoint", "GPU", "real robot", "a person"]
PIECES = {  # what the bench consists of, and a word of its row
    "src/roboscale/worlds/real/guard.py": "guard",
    "src/roboscale/web/bench": "operator's page",
    "src/roboscale/sources/teleop": "driving from a page",
    "src/roboscale/web/teleop": "the page that drives",
    "src/roboscale/trials/study.py": "studies",
    "src/roboscale/stats/designs.py": "designs",
    "src/roboscale/policies/asynchronous.py": "asynchronous",
    "src/roboscale/jobs/why.py": "why",
    "src/roboscale/trials/rollout.py": "step loop",
    "src/roboscale/referees/detectors.py": "detectors",
    "src/roboscale/guests/robot.py": "robots of LeRobot",
    "benchmarks/bench_comparisons.py": "comparisons",
}
REAL_TIME = re.compile(r"declare\(|stand-in|operator_at_bench|pace=\"wall\"|StandInArm")
CELLS = [(row[0], column, cell) for row in ROWS for column, cell in zip(HEAD, row, strict=True) if column != "piece"]


def source_of(test: str) -> str:
    return (ROOT / test).read_text()


def test_the_table_has_its_columns_and_every_piece_a_row():
    assert HEAD == COLUMNS and all(len(row) == len(HEAD) for row in ROWS)
    for path, word in PIECES.items():
        assert (ROOT / path).exists(), path
        assert any(word in row[0] for row in ROWS), f"no row says how far {path} has been tried"


def test_it_is_dated_and_not_from_the_future():
    said = re.search(r"As of (\d+ \w+ \d{4})", SECTION)
    assert said is not None
    assert datetime.datetime.strptime(said[1], "%d %B %Y").date() <= datetime.date.today() + datetime.timedelta(days=1)


@pytest.mark.parametrize(("piece", "column", "cell"), CELLS)
def test_a_cell_says_no_or_what_shows_it(piece: str, column: str, cell: str):
    """`-` does not apply, `no` was not tried; anything else names a test, a command or a dated note that is there."""
    if cell in ("-", "no"):
        return
    tests = re.findall(r"`((?:tests|benchmarks)/[\w/.]+\.py)`", cell)
    if column in ("real robot", "a person"):
        assert re.search(r"\d{4}-\d{2}-\d{2}", cell) and "docs/" in cell, "no machine can know: a date and a document"
        return
    assert tests, f"{piece}, {column}: {cell!r} names nothing that shows it"
    for test in tests:
        tree = ast.parse(source_of(test))
        names = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        assert any(name.startswith("test_") or name == "main" for name in names), f"{test} shows nothing"
        if column == "stand-in, real time":
            assert REAL_TIME.search(source_of(test)), f"{test} does not run against a stand-in in real time"
        if column == "GPU":
            assert "cuda" in source_of(test), f"{test} asks for no GPU"
        if column == "real checkpoint":
            assert re.search("checkpoint|hub|lerobot", source_of(test)), f"{test} opens no checkpoint"
