"""The operator's page in a real browser: three trials on the stand-in arm, by clicks and keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import roboscale as rs
from browser import Link, overflow, wait_until
from tests.jobs.operator_at_bench import Operator, begin

pytestmark = pytest.mark.browser
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str], Operator]]:
    pytest.importorskip("mujoco")
    folder = tmp_path / "bench"
    rs.demo_robot(rs.DemoRobot(folder=folder))
    for file, old, new in (
        ("arm.toml", "horizon = 120", "horizon = 24"),
        ("study.toml", "The squint", "A <i>squint</i>"),
    ):
        (folder / file).write_text((folder / file).read_text().replace(old, new))
    rs.lock_study(rs.LockStudy(study=folder / "study.toml"))
    process, operator = begin(folder, "study.toml")
    yield folder, process, operator
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)


def open_page(browser: Link, operator: Operator, size: dict[str, int], **options: Any) -> Any:
    page = browser.new_context(viewport=size, **options).new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(str(operator.client.base_url))
    page.complaints = complaints
    return page


def until(page: Any, phase: str, number: int) -> None:
    wait_until(page, f"document.body.dataset.phase === '{phase}' && document.body.dataset.number === '{number}'")


def shot(page: Any, name: str) -> None:
    """For people who want to look: a folder named by the environment."""
    if folder := os.environ.get("ROBOSCALE_SCREENSHOTS"):
        size = page.viewport_size
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**size, "height": max(size["height"], height)})  # no scroll bar in the picture
        page.evaluate("document.getElementById('title').textContent = 'The squint'")  # as the demo has it
        page.screenshot(path=Path(folder) / f"{name}.png")
        page.set_viewport_size(size)


def test_three_trials_are_run_stopped_and_scored_on_the_page(browser: Link, served):
    folder, _, operator = served
    page = open_page(browser, operator, DESK)
    until(page, "set up", 1)
    assert page.locator("#title").inner_text() == "A <i>squint</i>", "text is text"
    wait_until(page, "document.querySelector('[data-live]').naturalWidth === 192")
    added = "document.querySelector('.camera').appendChild(new Image())"
    assert page.evaluate(f"(e => [getComputedStyle(e).display, e.remove()][0])({added})") == "none", (
        "a camera that shows nothing yet is no broken picture"
    )
    assert page.locator("#hint").inner_text().startswith("A new scene: put the objects in place")
    shot(page, "bench-set-up-desk")
    page.click("#ready")
    until(page, "score", 1)
    page.get_by_label("touches the ball").check()
    page.get_by_label("Success").check()
    page.fill("#notes", "<script>document.title = 'broken'</script>")
    shot(page, "bench-score-desk")
    page.click("#file")
    until(page, "set up", 2)
    assert page.locator(".first").count() == 1, "the first picture of the scene lies over the camera"
    assert "where the first picture of this scene has them" in page.locator("#hint").inner_text()
    shot(page, "bench-overlay-desk")

    page.click("#ready")
    until(page, "running", 2)
    page.keyboard.press("Space")
    until(page, "score", 2)
    page.click("#file")
    wait_until(page, "!document.getElementById('problem').hidden")
    assert "succeeded" in page.locator("#problem").inner_text()
    page.get_by_label("none of it").check()
    page.get_by_label("Failure").check()
    page.get_by_label("missed left").check()
    page.get_by_label("Collision").check()
    page.click("#file")
    until(page, "stopped", 3)
    assert "read back" in page.locator("#hint").inner_text() and "torque is on" in page.locator("#hint").inner_text()
    shot(page, "bench-stopped-desk")
    page.click("#release")
    until(page, "set up", 3)
    page.click("#ready")
    until(page, "score", 3)
    page.click("details summary:has-text('The bench')")
    page.fill("#why", "the ball rolled away")
    page.click("#void")
    until(page, "set up", 4)
    page.click("#earlier summary")
    rows = page.locator("#rows li").all_inner_texts()
    assert rows[0].startswith("success: <script>") and rows[1].startswith("failure: [missed left] [collision]")
    assert rows[2].startswith("void: the ball rolled away") and page.title() == "roboscale bench"
    assert not [c for c in page.complaints if "422" not in c], page.complaints

    phone = open_page(browser, operator, PHONE, color_scheme="dark")
    until(phone, "set up", 4)
    wait_until(phone, "document.querySelector('[data-live]').naturalWidth === 192")
    assert overflow(phone) == 0 and overflow(page) == 0
    shot(phone, "bench-set-up-phone-dark")
    phone.click("#ready")
    until(phone, "score", 4)
    dark = open_page(browser, operator, DESK, color_scheme="dark")
    light = open_page(browser, operator, PHONE, color_scheme="light")
    for seen, name in ((phone, "phone-dark"), (dark, "desk-dark"), (light, "phone-light")):
        until(seen, "score", 4)
        wait_until(seen, "document.querySelector('[data-live]').naturalWidth === 192")
        assert overflow(seen) == 0
        stop = seen.locator("#stop").bounding_box()
        assert stop["x"] >= 0 and stop["x"] + stop["width"] <= seen.viewport_size["width"] and stop["height"] >= 44
        shot(seen, f"bench-score-{name}")
    audit = [json.loads(line) for line in (folder / "study.trials" / "bench.jsonl").read_text().splitlines()]
    assert [a["click"] for a in audit if a["what"] == "click"] == [
        "ready", "score", "ready", "stop", "score", "release", "ready", "void", "ready",
    ]  # fmt: skip
    assert any(a["what"] == "guard" and a["kind"] == "stop" for a in audit)
