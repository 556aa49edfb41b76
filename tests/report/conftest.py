"""What all tests of pages read: sample reports, the words and the numbers of a page, a browser that looks at it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser import Link, browser, chromium, link, overflow
from report.samples import build, build_doubtful, build_many, build_progress, build_single
from roboscale.report.model import ReportData

__all__ = ["browser", "chromium", "link"]


@pytest.fixture(scope="session")
def full_report() -> ReportData:
    return build()


@pytest.fixture(scope="session")
def doubtful_report() -> ReportData:
    return build_doubtful()


@pytest.fixture(scope="session")
def many_report() -> ReportData:
    return build_many()


@pytest.fixture(scope="session")
def progress_report() -> ReportData:
    return build_progress()


@pytest.fixture(scope="session")
def single_report() -> ReportData:
    return build_single()


@pytest.fixture(scope="session")
def page_data() -> Callable[[str], Any]:
    """The numbers that a page carries as JSON."""

    def read(page: str) -> Any:
        match = re.search(r'<script id="page-data" type="application/json">(.*?)</script>', page, re.DOTALL)
        assert match is not None
        return json.loads(match[1])

    return read


@pytest.fixture(scope="session")
def words() -> Callable[[str], str]:
    """The words of a page, single spaces between them."""

    def read(page: str) -> str:
        body = re.sub(r"<(script|style).*?</\1>", "", page[page.index("<body") :], flags=re.DOTALL)
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))

    return read


@pytest.fixture
def check_in_browser(browser: Link, tmp_path: Path) -> Callable[[str, int, str], None]:
    """Opens a page at a width in pixels and a colour scheme: no request, no complaint, no scrolling sideways."""

    def check(page: str, width: int, scheme: str) -> None:
        file = tmp_path / "page.html"
        file.write_text(page, "utf-8")
        _look_at(browser, file, width, scheme)

    return check


def _look_at(browser: Link, file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, complaints = [], []
    context.on("request", lambda request: requests.append(request.url))
    view = context.new_page()
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.goto(file.as_uri())
    view.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()] and complaints == []
    assert overflow(view) == 0, "the page scrolls sideways"
    assert view.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    smallest = view.evaluate(
        "Math.min(99, ...[...document.querySelectorAll('.drawing svg')].filter((svg) => svg.clientWidth)"
        ".flatMap((svg) => [...svg.querySelectorAll('text')].map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width)))"
    )
    assert smallest >= 9.5, "text in a figure is too small to read"
    outside = view.evaluate(
        "[...document.querySelectorAll('.drawing svg')].filter((svg) => svg.clientWidth).flatMap((svg) =>"
        " [...svg.querySelectorAll('text')].filter((text) => { const box = text.getBoundingClientRect();"
        " return box.left < -1 || box.right > innerWidth + 1; }).map((text) => text.textContent))"
    )
    assert outside == [], "text of a figure leaves the window"
    for button in view.locator("[data-copies]").all():
        button.click()
        view.locator("[data-copies]", has_text="Copied").first.wait_for()  # no eval: the page's policy forbids it
