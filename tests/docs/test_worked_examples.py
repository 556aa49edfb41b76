"""The examples in docstrings come out as they stand there."""

import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
ROOMS = ("curate", "dataset", "sources", "stats")
FILES = [p for room in ROOMS for p in sorted((SOURCE / "roboscale" / room).rglob("*.py")) if ">>> " in p.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.usefixtures("example_folder")
def test_worked_examples(path: Path):
    module = importlib.import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0 and outcome.failed == 0
