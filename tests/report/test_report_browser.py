"""The page in a real browser, at the width of a phone and of a desk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from browser import Link, overflow, wait_until
from roboscale.report.model import PolicyResult, ReportData, TaskResult
from roboscale.report.trials import report_page
from roboscale.stats import clopper_pearson

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
LOADED = "[...document.querySelectorAll('video')].every((video) => video.readyState >= 2)"
TIMES = "(pair) => [...pair.querySelectorAll('video')].map((video) => video.currentTime)"


@dataclass
class Watched:
    """A page, what it asked for, and what it complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def file(full_report: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_page(full_report), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Link) -> Iterator[Any]:
    def go(path: Path, viewport: dict[str, int] = DESK, **options: Any) -> Watched:
        context = browser.new_context(viewport=viewport, **options)
        watched = Watched(context.new_page())
        context.on("request", lambda request: watched.requests.append(request.url))
        watched.page.on("console", lambda message: watched.complaints.append(message.text))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.goto(path.as_uri())
        wait_until(watched.page, LOADED)
        return watched

    yield go


@pytest.mark.parametrize("viewport", [PHONE, {"width": 700, "height": 900}, DESK], ids=["phone", "tablet", "desk"])
def test_opens_from_a_file_without_request_complaint_or_overflow(visit: Any, file: Path, viewport: dict[str, int]):
    watched = visit(file, viewport)
    page = watched.page
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert overflow(page) == 0
    assert {url.split(":")[0] for url in watched.requests} <= {"file", "data"}
    assert [url for url in watched.requests if url.startswith("file:")] == [file.as_uri()]
    assert watched.complaints == []
    assert page.locator(".drawing svg:visible").count() == 3
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('.drawing svg')].filter((svg) => svg.clientWidth)"
        ".flatMap((svg) => [...svg.querySelectorAll('text')].map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width)))"
    )
    assert smallest >= 10


def test_nothing_can_be_requested_even_by_a_script(visit: Any, file: Path):
    page = visit(file).page
    refused = page.evaluate("() => fetch('https://example.invalid/').then(() => 'sent', () => 'refused')")
    blocked = page.evaluate(
        "() => new Promise((done) => { addEventListener('securitypolicyviolation', (e) => done(e.effectiveDirective));"
        " const picture = new Image(); picture.src = 'https://example.invalid/a.png'; })"
    )
    assert (refused, blocked) == ("refused", "img-src")


def test_both_videos_of_a_pair_play_in_step(visit: Any, file: Path):
    page = visit(file).page
    pair = page.locator(".pair").first
    button = pair.locator("button")
    assert button.inner_text() == "Play both"
    assert pair.evaluate(TIMES) == [0, 0]
    button.click()
    assert button.inner_text() == "Pause"
    wait_until(page, "document.querySelectorAll('.pair video')[1].currentTime > 0.6")
    first, second = pair.evaluate(TIMES)
    assert first > 0.5 and abs(first - second) < 0.15
    button.click()
    assert pair.evaluate("(pair) => [...pair.querySelectorAll('video')].every((video) => video.paused)")
    others = page.locator(".pair").nth(1).evaluate(TIMES)
    assert others == [0, 0]


def test_a_video_that_ran_away_is_brought_back(visit: Any, file: Path):
    page = visit(file).page
    pair = page.locator(".pair").first
    pair.locator("button").click()
    wait_until(page, "document.querySelectorAll('.pair video')[0].currentTime > 0.3")
    pair.evaluate("(pair) => { pair.querySelectorAll('video')[1].currentTime = 0; }")
    wait_until(
        page,
        "(() => { const [a, b] = [...document.querySelectorAll('.pair video')];"
        " return !b.seeking && b.currentTime > 0.3 && Math.abs(a.currentTime - b.currentTime) < 0.15; })()",
    )


def test_the_shorter_video_waits_and_both_start_again_together(visit: Any, file: Path):
    page = visit(file).page
    pair = page.locator(".pair").first
    lengths = pair.evaluate("(pair) => [...pair.querySelectorAll('video')].map((video) => video.duration)")
    assert lengths[0] > lengths[1] + 0.5
    page.evaluate("document.querySelector('.pair video').playbackRate = 1")
    pair.locator("button").click()
    wait_until(page, "document.querySelectorAll('.pair video')[1].ended")
    assert pair.evaluate(TIMES)[1] == pytest.approx(lengths[1], abs=0.05)
    wait_until(page, "document.querySelectorAll('.pair video')[0].currentTime > 2.5")
    assert page.evaluate("document.querySelectorAll('.pair video')[1].ended")
    wait_until(
        page,
        "[...document.querySelectorAll('.pair video')].slice(0, 2)"
        ".every((video) => video.currentTime < 1 && video.currentTime > 0.1 && !video.paused)",
    )


def test_play_all_starts_and_pauses_every_pair(visit: Any, file: Path):
    page = visit(file).page
    button = page.locator("#play-all")
    button.click()
    wait_until(page, "[...document.querySelectorAll('video')].every((video) => video.currentTime > 0.1)")
    assert button.inner_text() == "Pause all"
    button.click()
    assert page.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")
    assert button.inner_text() == "Play all"


def test_a_browser_that_refuses_data_videos_gets_them_from_memory(visit: Any, file: Path):
    watched = visit(file)
    video = watched.page.locator("video").first
    video.dispatch_event("error")
    assert video.evaluate("(video) => video.src").startswith("blob:")
    wait_until(watched.page, LOADED)
    assert watched.complaints == []


def test_copy_button_copies_the_command(visit: Any, file: Path, full_report: ReportData):
    page = visit(file).page
    button = page.locator("[data-copies]")
    assert button.inner_text() == "Copy"
    button.click()
    wait_until(page, "document.querySelector('[data-copies]').textContent === 'Copied'")
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'paste' }))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#paste").input_value() == full_report.command


def test_copying_works_where_the_clipboard_api_is_absent(visit: Any, file: Path):
    page = visit(file).page
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("[data-copies]").click()
    wait_until(page, "document.querySelector('[data-copies]').textContent === 'Copied'")
    assert page.locator("textarea").count() == 0


def test_details_open_from_the_keyboard(visit: Any, file: Path):
    page = visit(file, PHONE).page
    table = page.locator("#success details table")
    assert not table.is_visible()
    page.locator("#success details summary").focus()
    page.keyboard.press("Enter")
    assert table.is_visible() and overflow(page) == 0


def test_without_scripts_videos_have_controls_and_no_dead_buttons(browser: Link, file: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("video[controls]").count() == 8
    assert page.locator("button:visible").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out(visit: Any, file: Path, scheme: str):
    page = visit(file, DESK, color_scheme=scheme).page
    contrast = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const hex = style.getPropertyValue(name).trim();
            const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
            const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const names = ["--ink", "--muted", "--p0", "--p1", "--p2", "--p3", "--p4", "--p5", "--good", "--bad"];
          return Object.fromEntries(names.flatMap((n) => ["--paper", "--card"].map((p) => [n + p, ratio(n, p)])));
        }"""
    )
    assert min(contrast.values()) >= 4, contrast
    fills = page.evaluate(
        "[...document.querySelectorAll('.wide svg text')].map((text) => getComputedStyle(text).fill)"
    )
    assert page.evaluate("getComputedStyle(document.body).color") in fills


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_long_names_do_not_widen_the_page(visit: Any, tmp_path: Path, viewport: dict[str, int]):
    long = "x" * 200
    tasks = (TaskResult(long, clopper_pearson(1, 3), long),)
    policies = tuple(
        PolicyResult(name=f"{i}{long}", success=clopper_pearson(1, 3), description=long, tasks=tasks) for i in range(4)
    )
    mapping = {long: long}
    data = ReportData(
        title=long,
        policies=policies,
        referee=long,
        versions=mapping,
        seeds=mapping,
        settings=mapping,
        command=long,
        method=(long,),
        notes=(long,),
        judge_command=long,
    )
    path = tmp_path / "long.html"
    path.write_text(report_page(data), encoding="utf-8")
    assert overflow(visit(path, viewport).page) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("report", ["doubtful_report", "many_report", "progress_report"])
def test_reports_of_every_kind(report: str, width: int, scheme: str, check_in_browser: Any, request: Any):
    check_in_browser(report_page(request.getfixturevalue(report)), width, scheme)


def test_four_films_of_a_case_play_in_step(visit: Any, many_report: ReportData, tmp_path: Path):
    path = tmp_path / "many.html"
    path.write_text(report_page(many_report), encoding="utf-8")
    page = visit(path).page
    page.locator(".pair button").first.click()
    wait_until(page, "[...document.querySelectorAll('.pair video')].slice(0, 4).every((v) => v.currentTime > 0.4)")
    times = page.locator(".pair").first.evaluate(TIMES)
    assert len(times) == 4 and max(times) - min(times) < 0.15


def test_a_case_without_its_film_plays_the_others(visit: Any, doubtful_report: ReportData, tmp_path: Path):
    path = tmp_path / "out.html"
    path.write_text(report_page(doubtful_report), encoding="utf-8")
    page = visit(path).page
    page.locator(".pair button").first.click()
    wait_until(page, "document.querySelector('.pair video').currentTime > 0.2")
    assert page.locator(".unseen").inner_text() == "no film"
