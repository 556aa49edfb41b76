"""The page in a real browser: it plays in step, labels by key, and asks nothing of anybody else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from browser import Link, overflow, wait_until
from roboscale.core import Finding, Span

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
FRAMES = "[...document.querySelectorAll('.camera canvas')].map((canvas) => Number(canvas.dataset.frame))"
GREY = """() => [...document.querySelectorAll('.camera canvas')].map((canvas) => {
  const { width, height } = canvas;
  const data = canvas.getContext('2d').getImageData(Math.round(width / 8), Math.round(height / 8), 1, 1).data;
  return data[0];
})"""
"""Level of the patch by which every picture says its frame: 4 times its number."""


@dataclass
class Visit:
    """A page, what it asked for, and what it complained about."""

    page: Any
    base: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def until(self, condition: str) -> None:
        wait_until(self.page, condition)

    def until_frame(self, frame: int) -> None:
        self.until(f"document.getElementById('film').dataset.frame === '{frame}'")

    def until_episode(self, episode: int, frame: int = 0) -> None:
        self.until(f"document.body.dataset.episode === '{episode}' && document.querySelector('.plot, #curves .none')")
        self.until_frame(frame)

    def until_said(self, text: str) -> None:
        self.until(f"document.getElementById('toast').textContent.startsWith({json.dumps(text)})")

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def rows(self) -> list[str]:
        return [str(text) for text in self.page.locator(".row b").all_inner_texts()]

    def overflow(self) -> int:
        return overflow(self.page)


@pytest.fixture
def visit(browser: Link) -> Iterator[Any]:
    def go(client: Any, viewport: dict[str, int] = DESK, path: str = "/", wait: bool = True, **options: Any) -> Visit:
        context = browser.new_context(viewport=viewport, **options)
        visit = Visit(context.new_page(), str(client.base_url))
        context.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.goto(str(client.base_url).rstrip("/") + path)
        if wait:
            visit.until_episode(0)
        return visit

    yield go


@pytest.fixture(scope="module")
def client(serving: Any, recorded: Path) -> Iterator[Any]:
    """Of a dataset that nobody labels."""
    with serving(recorded) as client:
        yield client


def actions(root: Path) -> list[tuple[str, str]]:
    lines = (root / "meta/roboscale/curation.jsonl").read_text("utf-8").splitlines()
    return [(entry["action"], entry["value"]) for entry in map(json.loads, lines)]


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_opens_without_complaint_overflow_or_request_to_others(visit: Any, client: Any, viewport: dict[str, int]):
    seen = visit(client, viewport)
    assert seen.overflow() == 0 and seen.complaints == []
    assert seen.requests and all(url.startswith((seen.base, "blob:")) for url in seen.requests)
    assert seen.text("#task") == "push the red block to the goal"
    assert "✓ success" in seen.text("#chips") and "licence unknown" in seen.text("#chips")
    assert seen.page.evaluate(FRAMES) == [0, 0]
    assert seen.page.locator(".plot").count() == 2
    refused = seen.page.evaluate("() => fetch('https://example.invalid/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"


def test_cameras_play_in_step_and_show_the_frames_they_say(visit: Any, client: Any):
    seen = visit(client)
    seen.page.evaluate(
        f"""() => {{
          window.seen = [];
          const look = () => {{ window.seen.push({FRAMES}); requestAnimationFrame(look); }};
          look();
        }}"""
    )
    seen.press(" ")
    seen.until_frame(49)
    seen.until("document.body.dataset.playing === 'false'")
    pairs = seen.page.evaluate("window.seen")
    assert all(front == wrist for front, wrist in pairs)
    fronts = [front for front, _ in pairs]
    assert fronts == sorted(fronts) and len(set(fronts)) > 15
    assert seen.page.evaluate(GREY) == pytest.approx([4 * 49, 4 * 49], abs=6)
    assert seen.text("#clock") == "2.45 s frame 49 of 50"
    assert seen.complaints == []


def test_steps_go_to_exactly_that_frame_of_every_camera(visit: Any, client: Any):
    seen = visit(client)
    at = 0
    for key, to in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Shift+ArrowRight", 11), ("End", 49)):
        seen.press(key)
        seen.until_frame(to)
        assert seen.page.evaluate(FRAMES) == [to, to]
        assert seen.page.evaluate(GREY) == pytest.approx([4 * to, 4 * to], abs=6)
        at = to
    seen.press("ArrowRight")
    assert at == 49 and seen.page.locator("#frame").input_value() == "49"
    seen.press("Home")
    seen.until_frame(0)
    seen.page.locator("#frame").fill("33")
    seen.until_frame(33)
    assert seen.page.evaluate(GREY) == pytest.approx([132, 132], abs=6)


def test_space_pauses_and_goes_on(visit: Any, client: Any):
    seen = visit(client)
    seen.page.locator("#speed").select_option("0.25")
    seen.page.locator("#speed").blur()
    seen.press(" ")
    seen.until("Number(document.getElementById('film').dataset.frame) >= 2")
    assert seen.text("#play") == "Pause"
    seen.press(" ")
    held = seen.page.evaluate(FRAMES)
    assert seen.text("#play") == "Play"
    seen.page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    assert seen.page.evaluate(FRAMES) == held
    seen.press(" ")
    seen.until(f"Number(document.getElementById('film').dataset.frame) > {held[0]}")


def test_labels_by_key_reach_the_log(visit: Any, serving: Any, root: Path):
    with serving(root) as client:
        seen = visit(client)
        for key, said in (("k", "Kept"), ("d", "Dropped"), ("u", "Undone"), ("f", "Failure"), ("s", "Success")):
            seen.press(key)
            seen.until_said(said)
        assert seen.page.locator("[data-action=keep]").get_attribute("aria-pressed") == "true"
        assert seen.page.locator("[data-action=success]").get_attribute("aria-pressed") == "true"
        assert seen.page.locator(".row").first.get_attribute("data-decision") == "keep"
        for _ in range(4):
            seen.press("u")
        seen.until_said("episode")  # and what is refused is said, too
        assert "nothing to undo" in seen.text("#toast")
        seen.page.locator("[data-action=drop]").click()
        seen.until_said("Dropped")
        seen.press(" ")  # plays; it does not press the button again
        seen.until("document.body.dataset.playing === 'true'")
    assert [action for action, _ in actions(root)] == ["keep", "drop", "undo", "failure", "success"] + ["undo"] * 3 + [
        "drop"
    ]


def test_the_task_text_is_edited_and_undone(visit: Any, serving: Any, root: Path):
    with serving(root) as client:
        seen = visit(client)
        seen.press("e")
        assert seen.page.locator("#text").input_value() == "push the red block to the goal"
        seen.page.keyboard.type("skip <i>this</i> n p k")  # keys are text here
        seen.press("Enter")
        seen.until_said("Text saved")
        assert seen.text("#task") == "skip <i>this</i> n p k"
        assert "recorded text: push the red block" in seen.text("#chips")
        assert seen.rows()[0] == "skip <i>this</i> n p k"
        seen.press("e")
        seen.page.keyboard.type("not this")
        seen.press("Escape")
        assert seen.text("#task") == "skip <i>this</i> n p k" and not seen.page.locator("#edit").is_visible()
        seen.press("u")
        seen.until_said("Undone")
        assert seen.text("#task") == "push the red block to the goal"
        assert seen.complaints == []
    assert actions(root) == [("task", "skip <i>this</i> n p k"), ("undo", "")]


def test_next_previous_jump_and_address(visit: Any, client: Any):
    seen = visit(client)
    seen.press("n")
    seen.until_episode(1)
    assert seen.text("#task") == "Öffne die <b>Schublade</b> & schließe sie"
    assert "✕ failure: the block fell off the table" in seen.text("#chips")
    seen.press("p")
    seen.until_episode(0)
    seen.press("p")
    seen.until_said("This is the first")
    seen.press("g")
    seen.page.keyboard.type("3")
    seen.press("Enter")
    seen.until_episode(3)
    assert seen.page.url.endswith("#3")
    seen.press("g")
    seen.page.keyboard.type("77")
    seen.press("Enter")
    seen.until_said("There are episodes 0 to 4")
    seen.press("p")
    seen.until_episode(2)
    again = visit(client, path="/#4", wait=False)
    again.until_episode(4)
    assert again.page.evaluate(FRAMES) == [0, 0]


def test_search_and_filters_narrow_the_list_and_the_walk(visit: Any, client: Any):
    seen = visit(client)
    seen.press("/")
    seen.page.keyboard.type("BLOCK")
    seen.until("document.getElementById('count').textContent === '2 episodes'")
    assert seen.rows() == ["push the red block to the goal"] * 2
    seen.press("Escape")  # leaves the field, not the search
    seen.press("n")
    seen.until_episode(3)
    seen.press("n")
    seen.until_said("This is the last")
    seen.page.locator("#query").fill("")
    seen.until("document.getElementById('count').textContent === '5 episodes'")
    assert seen.page.evaluate("document.body.dataset.episode") == "3"
    seen.page.locator("#outcome").select_option("failure")
    seen.until_episode(1)
    assert seen.text("#count") == "1 episode"
    seen.page.locator("#outcome").select_option("")
    seen.page.locator("#label").select_option("keep")
    seen.until("document.getElementById('count').textContent === '0 episodes'")
    assert seen.rows() == [] and seen.complaints == []


def test_the_cursor_is_dragged_and_the_film_follows(visit: Any, client: Any):
    seen = visit(client)
    box = seen.page.locator(".plot .area").first.bounding_box()
    seen.page.mouse.move(box["x"] + 60, box["y"] + 60)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 60, steps=4)
    seen.page.mouse.up()
    seen.until_frame(49)
    assert seen.page.evaluate(FRAMES) == [49, 49]
    value = seen.page.locator(".plot").first.locator(".legend .value").first.inner_text()
    assert float(value.replace("−", "-")) == pytest.approx(math.sin(49 / 9), abs=2e-4)


PIXELS = """(i) => { const canvas = document.querySelectorAll('.plot .area canvas')[0];
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0; for (let k = 0; k < data.length; k += 1) sum = (sum * 31 + data[k]) % 4294967291; return sum; }"""


def test_curves_zoom_and_toggle(visit: Any, client: Any):
    seen = visit(client)
    plot = seen.page.locator(".plot").first
    looks = [seen.page.evaluate(PIXELS)]

    def changed() -> bool:
        looks.append(seen.page.evaluate(PIXELS))
        return looks[-1] != looks[-2]

    plot.get_by_role("button", name="zoom in").click()
    assert changed()
    plot.get_by_role("button", name="show all time").click()
    assert changed() and looks[-1] == looks[0]
    box = plot.locator(".area").bounding_box()
    seen.page.keyboard.down("Shift")
    seen.page.mouse.move(box["x"] + 200, box["y"] + 50)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 400, box["y"] + 50, steps=3)
    seen.page.mouse.up()
    seen.page.keyboard.up("Shift")
    assert changed() and seen.page.evaluate(FRAMES) == [0, 0]
    plot.locator(".area").dblclick(position={"x": 300, "y": 40})
    assert changed() and looks[-1] == looks[0]
    first = plot.locator(".legend button").first
    first.click()
    assert first.get_attribute("aria-pressed") == "false" and changed()
    first.click()
    assert changed() and looks[-1] == looks[0]
    first.click(modifiers=["Shift"])
    assert plot.locator(".legend [aria-pressed=true]").count() == 1
    seen.press("n")
    seen.until_episode(1)
    assert seen.page.locator(".plot").first.locator(".legend [aria-pressed=true]").count() == 1


def test_more_curves_are_shown_on_demand(visit: Any, client: Any):
    seen = visit(client)
    assert seen.text(".more") == "More curves (2)"
    seen.page.locator(".more").click()
    fields = seen.page.locator(".plot").evaluate_all("(all) => all.map((one) => one.dataset.field)")
    assert fields == ["observation.state", "action", "observation.tactile", "time.front_ns"]
    tactile = seen.page.locator(".plot").nth(2)
    assert tactile.locator(".legend button").count() == 20
    assert tactile.locator(".legend [aria-pressed=true]").count() == 8


def test_findings_lie_on_the_timeline_and_are_only_text(visit: Any, serving: Any, root: Path, audit: Path):
    with serving(root, audit=audit) as client:
        seen = visit(client)
        assert seen.page.locator(".mark").count() == 2
        assert "<img src=x onerror=alert(1)>" in seen.text("#findings")
        assert seen.page.locator("#findings img").count() == 0
        seen.page.locator(".mark.error").click()
        seen.until_frame(30)
        seen.page.get_by_role("button", name="frames 0–9").click()
        seen.until_frame(0)
        assert "no licence is named" in seen.text("#findings")
        assert seen.page.locator(".row .error").count() == 2
        assert seen.complaints == []


def test_a_broken_camera_says_so_in_its_place_and_the_other_plays(visit: Any, serving: Any, root: Path):
    video = next((root / "videos" / WRIST).rglob("*.mp4"))
    video.write_bytes(bytes(video.stat().st_size))
    with serving(root) as client:
        seen = visit(client)
        problem = seen.page.locator(f"[data-camera='{WRIST}'] .problem")
        assert problem.is_visible() and str(video) in problem.inner_text()
        assert not seen.page.locator(f"[data-camera='{FRONT}'] .problem").is_visible()
        seen.press("End")
        seen.until_frame(49)
        assert seen.page.evaluate(GREY)[0] == pytest.approx(196, abs=6)
        assert seen.complaints == []


def test_help_opens_and_takes_the_keys(visit: Any, serving: Any, root: Path):
    with serving(root) as client:
        seen = visit(client)
        seen.press("?")
        assert seen.page.locator("#keys").is_visible()
        seen.press("k", "d")
        seen.press("Escape")
        assert not seen.page.locator("#keys").is_visible()
    assert not (root / "meta/roboscale/curation.jsonl").exists()


def test_ten_thousand_episodes_are_scrolled_with_few_elements(visit: Any, serving: Any, many: Path):
    with serving(many) as client:
        seen = visit(client, wait=False)
        seen.until("document.querySelectorAll('.row').length > 5 && document.querySelector('.plot')")
        painted = seen.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert painted < 5000
        assert seen.text("#count") == "10,000 episodes" and seen.page.locator(".row").count() < 60
        assert seen.text("#film") == "This dataset has no camera."
        seen.page.evaluate("document.getElementById('list').scrollTop = 52 * 9000")
        seen.until("document.getElementById('row-9003')")
        assert seen.page.locator(".row").count() < 60
        seen.press("g")
        seen.page.keyboard.type("9999")
        seen.press("Enter")
        seen.until("document.getElementById('row-9999')?.getAttribute('aria-selected') === 'true'")
        seen.until_episode(9999)
        seen.press("End")
        seen.until_frame(4)
        assert seen.complaints == []


def test_the_page_works_under_a_token(visit: Any, serving: Any, recorded: Path):
    token = "a-token-of-24-characters"
    with serving(recorded, token=token) as client:
        seen = visit(client, path=f"/{token}/")
        assert seen.page.evaluate(FRAMES) == [0, 0] and seen.complaints == []
        assert all(f"/{token}/" in url for url in seen.requests if not url.startswith("blob:"))


def test_on_a_phone_the_list_opens_and_closes(visit: Any, client: Any):
    seen = visit(client, PHONE)
    assert not seen.page.locator("#shelf").is_visible()
    seen.page.locator("#open-shelf").click()
    seen.page.locator(".row").nth(2).click()
    seen.until_episode(2)
    seen.until("getComputedStyle(document.getElementById('shelf')).visibility === 'hidden'")
    assert seen.overflow() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out(visit: Any, client: Any, scheme: str):
    seen = visit(client, color_scheme=scheme)
    contrast = seen.page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const hex = style.getPropertyValue(name).trim();
            const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
            const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const read = ["--ink", "--muted", "--good", "--bad", "--warn", "--info"];
          const drawn = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `--c${i}`);
          const least = (names) => Math.min(...names.flatMap((n) => [ratio(n, "--paper"), ratio(n, "--card")]));
          return [least(read), least(drawn), ratio("--on-accent", "--accent")];
        }"""
    )
    assert contrast[0] >= 4.5 and contrast[1] >= 3 and contrast[2] >= 4.5, contrast


def test_long_texts_do_not_widen_the_page(visit: Any, serving: Any, root: Path, tmp_path: Path):
    long = "x" * 300
    audit = tmp_path / "audit.json"
    finding = Finding(
        long, "error", long, episodes=(0,), field="action", spans=(Span(0, 0, 3),), evidence={"a": long}, repair=long
    )
    audit.write_text(json.dumps({"findings": [finding.to_json()]}))
    with serving(root, audit=audit) as client:
        headers = {"content-type": "application/json", "x-roboscale-session": "secret"}
        content = json.dumps({"episode": 0, "action": "task", "value": long})
        assert client.post("/api/label", content=content, headers=headers).status_code == 200
        for viewport in (PHONE, DESK):
            seen = visit(client, viewport)
            assert seen.overflow() == 0
            assert re.fullmatch("x{300}", seen.text("#task"))
