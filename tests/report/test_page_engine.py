"""What every page has in common: its command, its notes, its numbers as JSON, one script, and no way out."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from roboscale.core import Finding, SpecMismatch
from roboscale.report.audit import audit_page
from roboscale.report.blocks import Block, Card, Cards, Details, Heading, Numbers, Paragraph, Phrase, Rows, rate_phrase
from roboscale.report.board import BoardData, board_page
from roboscale.report.model import ReportData
from roboscale.report.page import Headline, Page, Section, render_page
from roboscale.report.plan import PlanData, plan_page
from roboscale.report.proof import ProofData, proof_page
from roboscale.report.runs import runs_page
from roboscale.report.tables import Table
from roboscale.report.trials import report_page
from roboscale.report.validity import ValidityData, validity_page
from roboscale.stats import clopper_pearson
from roboscale.stats.bradley_terry import count_comparisons
from roboscale.stats.rank_sets import rank_policies
from roboscale.stats.validity import validity

Make = Callable[..., str]


@dataclass
class Audited:
    root: str = "/data/kitchen"
    format: str = "lerobot-v3"
    episodes: int = 3
    frames: int = 60
    pictures: int = 0
    rate_hz: float = 20.0
    checked: tuple[str, ...] = ("spikes",)
    skipped: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=lambda: {"spikes": "a jump"})
    findings: tuple[Finding, ...] = ()
    operators: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"root": self.root}


def proof(**common: Any) -> ProofData:
    listed: dict[str, Any] = dict.fromkeys(("fields", "cameras", "episodes", "findings", "undeclared", "dropped"), ())
    empty: dict[str, Any] = {"unmapped": {}, "missing": {}, "licence": "", "robot_type": ""}
    return ProofData(source="kitchen", format="hdf5", rate_hz=20.0, **listed, **empty, **common)


def card(**common: Any) -> ValidityData:
    scores = {"a": (1, 10), "b": (5, 10), "c": (9, 10)}
    return ValidityData.of(validity(scores, scores), scores, scores, **common)


PAGES: dict[str, Make] = {
    "report": lambda **common: report_page(ReportData(title="t", **common)),
    "audit": lambda **common: audit_page(Audited(), **common),
    "proof": lambda **common: proof_page(proof(**common)),
    "board": lambda **common: board_page(
        BoardData(ranking=rank_policies(count_comparisons(["a"], ["b"], ["first"])), **common)
    ),
    "validity": lambda **common: validity_page(card(**common)),
    "plan": lambda **common: plan_page(PlanData(answers=(), **common)),
    "runs": lambda **common: runs_page([], **common),
}
ALL = pytest.mark.parametrize("kind", PAGES)


@ALL
def test_every_page_has_its_command_or_says_that_there_is_none(kind: str, words: Callable[[str], str]):
    said = words(PAGES[kind](command="roboscale do it --again"))
    assert "Reproduce this page Copy roboscale do it --again" in said
    bare = words(PAGES[kind]())
    assert "Made from Python: there is no command line that makes this page again." in bare and "Reproduce" not in bare


@ALL
def test_every_page_shows_its_notes_its_date_and_its_versions(kind: str, words: Callable[[str], str]):
    versions = {"roboscale": "0.1.0", "numpy": "2.4.6"}
    said = words(
        PAGES[kind](notes=("One file was skipped", "The rate was guessed."), created="today", versions=versions)
    )
    assert "Notes on these numbers One file was skipped. The rate was guessed." in said
    assert f"roboscale {kind} today" in said and "Versions roboscale 0.1.0 numpy 2.4.6" in said
    assert "Notes on these numbers" not in words(PAGES[kind]())


@ALL
def test_every_page_allows_its_own_script_and_nothing_else(kind: str, page_data: Callable[[str], Any]):
    page = PAGES[kind]()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}'" in policy
    assert ("connect-src" in policy) == (kind == "runs"), "only runs may ask, and only when they are served"
    assert page.count("<script") == 2 and isinstance(page_data(page), dict)
    ids = re.findall(r'\bid="(.*?)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#(.*?)"', page)) <= set(ids)


EVIL = "<img src=x onerror=alert(1)>\"'"


def page_of(*blocks: Block, **changes: Any) -> str:
    section = Section(anchor="s", title=EVIL, lead=EVIL, blocks=blocks)
    return render_page(Page(title=EVIL, kind="test", sections=(section,), data={}, command=None, **changes))


def test_blocks_within_blocks_are_escaped_once(words: Callable[[str], str]):
    inner = (Heading(Phrase(text=EVIL, small=(EVIL,))), Paragraph(EVIL))
    card = Card(title=EVIL, blocks=(Details(EVIL, inner),))
    page = page_of(Cards((card,)), headline=Headline(sentence=EVIL, small=EVIL, doubts=(EVIL,), details=(EVIL,)))
    assert "<img" not in page and "&amp;lt;" not in page
    # title; the headline's four parts; section in the list, its heading, its lead; card; summary; heading with its
    # small print; paragraph
    assert words(page).count(EVIL) == 1 + 4 + 3 + 1 + 1 + 2 + 1


def test_a_section_without_blocks_leaves_no_trace():
    page = page_of()
    assert 'id="s"' not in page and "#s" not in re.findall(r'href="(.*?)"', page)


def test_a_table_whose_rows_do_not_fit_is_refused():
    with pytest.raises(SpecMismatch, match="rates: row 1 has 1 cells for 2 columns"):
        Rows(caption="rates", columns=("a", "b"), rows=(("1", "2"), ("3",)))


def test_rows_are_set_apart_in_groups():
    table = Rows(caption="t", columns=("a",), rows=tuple((letter,) for letter in "abcde"), groups=(2, 3))
    assert [len(body) for body in table.bodies] == [2, 3] and page_of(table).count(
        '<tbody role="rowgroup" class="group">'
    ) == 2


def test_a_long_table_keeps_its_last_row():
    table = Table(("n",), tuple((i,) for i in range(1000)))
    shown = Numbers(table=table, caption="t").shown
    assert len(shown.rows) <= 60 and shown.rows[-1] == (999,)


def test_a_rate_never_stands_without_what_qualifies_it():
    phrase = rate_phrase(clopper_pearson(9, 10, void=9), ("nobody knows",))
    assert [part.replace("\u202f", " ") for part in (phrase.text, *phrase.small)] == [
        "90 %",
        "55–99.7 %",
        "n = 10",
        "9 void: 47–95 %",
        "unverified: nobody knows",
    ]
    nothing = rate_phrase(clopper_pearson(0, 0, void=2))
    assert nothing.text == "no data" and nothing.small == ("2 void: 0–100\u202f%",)
