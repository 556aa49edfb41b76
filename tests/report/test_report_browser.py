"""The page in a real browser, at the width of a phone and of a desk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from roboscale.report.html import render_report
from roboscale.report.model import Method, PolicyResult, ReportData, TaskResult
from roboscale.stats import clopper_pearson

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOADED = "[...document.querySelectorAll('video')].every((video) => video.readyState >= 2)"
TIMES = "(pair) => [...pair.querySelectorAll('video')].map((video) => video.currentTime)"


@dataclass
class Watched:
    """A page, what it asked for, and what it complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next((found for name in NAMES if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(full_report: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(full_report), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    contexts = []

    def go(path: Path, viewport: dict[str, int] = DESK, **options: Any) -> Watched:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        watched = Watched(context.new_page())
        context.on("request", lambda request: watched.requests.append(request.url))
        watched.page.on("console", lambda message: watched.complaints.append(message.text))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.goto(path.as_uri())
        wait_until(watched.page, LOADED)
        return watched

    yield go
    for context in contexts:
        context.close()


def wait_until(page: Any, condition: str) -> None:
    """Looks at every frame. Playwright's own wait needs `eval`, which the page's security policy forbids."""
    page.evaluate(
        "() => new Promise((done, fail) => { const start = performance.now(); const look = () => {"
        f" if ({condition}) done(); else if (performance.now() - start > 20000) fail(new Error('never true'));"
        " else requestAnimationFrame(look); }; look(); })"
    )


def overflow(page: Any) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


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
    assert page.locator("#paste").input_value() == full_report.method.command


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


def test_without_scripts_videos_have_controls_and_no_dead_buttons(visit: Any, file: Path, browser: Any):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("video[controls]").count() == 8
    assert page.locator("button:visible").count() == 0
    context.close()


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
    policies = tuple(PolicyResult(f"{index}{long}", clopper_pearson(1, 3), long, tasks) for index in range(4))
    method = Method(long, long, 5, {long: long}, {long: 1}, {long: long}, long, (long,))
    path = tmp_path / "long.html"
    path.write_text(render_report(ReportData(long, policies, method=method)), encoding="utf-8")
    assert overflow(visit(path, viewport).page) == 0
