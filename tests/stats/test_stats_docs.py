"""The tables of the documentation are what the benchmark prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("coverage", "peeking", "limits", "errors", "stopping", "spending")


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
