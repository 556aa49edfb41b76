"""Every method that a result can name is told in a paper's words, with an entry that BibTeX reads."""

import ast
import re
from pathlib import Path

import pytest

from roboscale.jobs.methods import methods_of
from roboscale.stats.bibliography import BIBTEX
from roboscale.stats.references import RECIPES, cite

SOURCE = Path(__file__).parents[2] / "src" / "roboscale"
CITED = re.compile(r"\b[A-Z][\w-]+,? (et al\. )?(1[89]|20)\d\d|\((\w[\w .]*)(1[89]|20)\d\d[,)]")


def method_strings() -> list[pytest.param]:
    """Texts in `stats` that cite somebody and become a `method`; docstrings are not among them."""
    found = {}
    for path in sorted((SOURCE / "stats").glob("*.py")):
        if path.name in ("references.py", "bibliography.py"):
            continue
        tree = ast.parse(path.read_text())
        prose = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                text = node.value
                if CITED.search(text) and len(text) < 160 and not text.startswith("estimate_prior"):
                    found.setdefault(text, path.stem)
    return [pytest.param(text, id=f"{where}: {text[:40]}") for text, where in found.items()]


@pytest.mark.parametrize("text", method_strings())
def test_every_cited_method_is_known(text: str):
    assert cite([text])[1] == [], text


def test_every_recipe_cites_entries_that_exist_and_every_entry_is_cited():
    cited = {key for _, citation in RECIPES for key in citation.keys}
    assert cited == set(BIBTEX)


@pytest.mark.parametrize("key", sorted(BIBTEX))
def test_entries_are_bibtex(key: str):
    entry = BIBTEX[key]
    assert re.match(rf"@(article|book|misc)\{{{key},\n", entry) and entry.endswith("\n}")
    assert entry.count("{") == entry.count("}") and re.search(r"year = \{(19|20)\d\d\}", entry)
    assert str(re.search(r"\d{4}", key)[0]) in entry


def test_an_unknown_method_is_said_and_not_dropped():
    said = methods_of({"method": "our own trick", "level": 0.95}).paragraph
    assert "Further: our own trick." in said and "95 %" in said
