"""A browser that dies or hangs ends its test with its last lines, and the next test gets another one."""

from __future__ import annotations

import pytest

from browser import BrowserDied, Chromium, Link

pytestmark = pytest.mark.browser


def test_a_page_that_never_answers_ends_with_the_last_lines(chromium: Chromium, link: Link):
    page = link.new_context().new_page()
    with pytest.raises(BrowserDied, match=r"took longer than 2 s; its last lines:\n(.|\n)*\w"), chromium.watched(2):
        page.evaluate("() => new Promise(() => {})")
    assert not chromium.alive


def test_a_renderer_that_crashes_ends_its_test_and_says_why(chromium: Chromium, link: Link):
    context = link.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    with pytest.raises(BrowserDied, match=r"Chromium died; its last lines:\n(.|\n)*\w"), chromium.watched(60):
        session.send("Page.crash")
        page.evaluate("() => new Promise(() => {})")


def test_the_next_test_gets_another_browser(chromium: Chromium, browser: Link):
    chromium.kill()
    assert browser.new_context().new_page().evaluate("6 * 7") == 42


def test_a_browser_that_does_not_start_says_why(tmp_path):
    with pytest.raises(BrowserDied, match="did not start; its last lines:\n.*no such option"):
        broken = tmp_path / "chromium"
        broken.write_text("#!/bin/sh\necho no such option >&2\nexit 1\n")
        broken.chmod(0o755)
        Chromium(str(broken), tmp_path).start()
