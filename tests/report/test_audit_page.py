"""The page of an audit: everything escaped, nothing requested, readable on a phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from roboscale.core import Finding, Span
from roboscale.report.audit import audit_page
from roboscale.report.audit_plots import plot_figure

EVIL = "<script>alert(1)</script>\"'&</style>"


@dataclass
class Report:
    """As an audit's report, filled in by hand."""

    root: str = f"/data/{EVIL}"
    format: str = "lerobot-v3"
    episodes: int = 1200
    frames: int = 240_000
    pictures: int = 28_800
    rate_hz: float = 20.0
    checked: tuple[str, ...] = ("spikes", "idle-lead", "not-finite")
    skipped: dict[str, str] = field(default_factory=lambda: {"leaked-episode": "no other dataset was given"})
    facts: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    operators: tuple[str, ...] = ("ada: 12 episodes, 1 failed",)

    @property
    def meanings(self) -> dict[str, str]:
        return {name: f"The meaning of {name}." for name in (*self.checked, *self.skipped)}

    def to_json(self) -> dict[str, Any]:
        return {"root": self.root, "findings": [f.to_json() for f in self.findings]}


def findings() -> tuple[Finding, ...]:
    bars = {"kind": "episodes", "values": [[1, 2.5], [7, 1.5]], "y": "idle, s"}
    lines = {"kind": "lines", "x": [0, 1, 2], "lines": {EVIL: [0, 1, 0]}, "xlabel": "frame", "y": EVIL}
    ranges = {"kind": "ranges", "rows": {"stats.json": [[0.2], [0.8]], "data": [[0.0], [1.0]]}, "x": "x", "y": "y"}
    spans = tuple(Span(i, 0, 40) for i in range(12))
    return (
        Finding(
            "not-finite",
            "error",
            f"NaN in {EVIL}",
            episodes=(3,),
            field=EVIL,
            spans=(Span(3, 5, 5),),
            evidence={EVIL: EVIL},
            repair=f"rm {EVIL}",
        ),
        Finding(
            "quantiles-averaged", "error", "wrong", episodes=(), field="action", spans=(), evidence={"plot": ranges}
        ),
        Finding(
            "idle-lead",
            "warning",
            "still",
            episodes=tuple(range(40)),
            field="",
            spans=spans,
            evidence={"plot": bars},
            repair="roboscale data fix",
        ),
        Finding(
            "spikes",
            "warning",
            "jump",
            episodes=(1,),
            field="action",
            spans=(),
            evidence={"plot": lines, "numbers": [1, 2.5, [3]]},
        ),
        Finding("from-a-reader", "info", "x" * 300, episodes=(), field="a.very.long.feature.name.without.spaces" * 4),
    )


@pytest.fixture(scope="module")
def page() -> str:
    strip = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3)).astype(np.uint8)
    return audit_page(Report(findings=findings()), {0: [(f"episode 3 {EVIL}", strip)]})


def test_nothing_from_the_data_becomes_markup(page: str, page_data: Callable[[str], Any]):
    assert page_data(page)["root"] == f"/data/{EVIL}", "the data are whole"
    assert "<script>alert" not in page and page.count("<script") == 2
    assert page.count("</style>") == 1


def test_it_says_how_much_was_found_and_where(page: str):
    assert "2 errors, 2 warnings, 1 note" in page
    assert "1\u202f200 episodes" in page and "240\u202f000 frames" in page
    assert "and 16 more" in page, "a long list of episodes is cut"
    assert "0: 0–40" in page and "and 4 more" in page
    assert "not made: no other dataset was given" in page and ">nothing found<" not in page.split("checks")[0]
    assert page.count('class="whole"') == 3 and page.count("data:image/jpeg") == 1


def test_nothing_found_reads_well():
    page = audit_page(Report(root="/data/good"))
    assert "nothing found" in page and "3 checks made" in page and 'id="error"' not in page


def test_the_same_report_gives_the_same_bytes(page: str):
    strip = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3)).astype(np.uint8)
    assert audit_page(Report(findings=findings()), {0: [(f"episode 3 {EVIL}", strip)]}) == page


def test_an_unknown_plot_is_left_out():
    assert plot_figure("p", {"kind": "pie"}) is None


def test_every_plot_returns_its_numbers():
    plots = [one.evidence["plot"] for one in findings() if "plot" in one.evidence]
    tables = [plot_figure("p", plot).table for plot in plots]
    assert [table.rows for table in tables] == [
        (("stats.json", 0, 0.2, 0.8), ("data", 0, 0.0, 1.0)),
        ((1, 2.5), (7, 1.5)),
        ((0, 0), (1, 1), (2, 0)),
    ]


def test_it_has_its_command_and_its_notes(page: str, words: Callable[[str], str]):
    assert "made from python" in words(page).lower()
    typed = audit_page(Report(), command="roboscale data audit d", notes=("one file was skipped",))
    assert "Reproduce this page Copy roboscale data audit d" in words(typed)
    assert "Notes on these numbers one file was skipped." in words(typed)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)
