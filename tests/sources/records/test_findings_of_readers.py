"""Every name of a finding that a reader may give is in the table of its kind, and the table names nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import roboscale
from roboscale.dataset.checks import CHECKS
from roboscale.sources.records.findings import READER_FINDINGS, readers_table

SRC = Path(roboscale.__file__).parent
FILES = [*sorted((SRC / "sources").rglob("*.py")), SRC / "dataset/resampling.py", SRC / "dataset/edits.py"]
MAKERS = ("Finding", "finding", "_note")


def names() -> set[str]:
    """First arguments of whatever makes a finding, and what is assigned to `check`."""
    made = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                first = node.args[0]
                if called in MAKERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    made.add(first.value)
            if isinstance(node, ast.Assign) and "check" in ast.unparse(node.targets[0]):
                made |= {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and "-" in str(n.value)}
    return made


def test_every_finding_of_a_reader_is_in_a_table():
    made = names()
    assert len(made) > 40
    assert made - CHECKS.keys() == set(READER_FINDINGS)


def test_the_table_is_in_the_docs():
    docs = Path(__file__).parents[3] / "docs/data.md"
    assert readers_table() in docs.read_text(), "paste what readers_table() prints"
