"""The page that drives, in a real browser: keys, blur, focus, touch, viewers; and who may open its socket."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from browser import Link, overflow, wait_until
from roboscale.sources.teleop import Station
from roboscale.sources.teleop.station import DrivenCounts, Practice
from roboscale.web.teleop import serve_teleop
from tests.jobs.operator_driving import Driver

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


class Rig:
    """A station that shows moving pictures at 30 Hz, and where its operator would have gone."""

    def __init__(self, webrtc: bool = False, **options: Any) -> None:
        self.station = Station("set <b>one</b>", driven_hz=60, **options)
        self.station.sentence = "put the puck onto the green mark"
        self.station.counts = DrivenCounts(wanted=50, kept=3, failed=1, of_start=0, start="seed 7")
        self.served = serve_teleop(self.station, webrtc=webrtc)
        self.url = self.served.url
        self.velocities: list[tuple[float, np.ndarray]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.station.to("recording")

    def _run(self) -> None:
        number = 0
        while not self._over.wait(1 / 30):
            number += 1
            picture = np.full((120, 160, 3), 60, np.uint8)
            picture[:, number % 150 : number % 150 + 10] = (230, 60, 40)
            pictures = {"observation.images.front": picture, "observation.images.wrist": picture[::-1]}
            self.station.show({**pictures, "observation.state": np.array([0.1, 0.2], np.float32)})
            self.velocities.append((time.monotonic(), self.station.velocity()[0]))

    @property
    def velocity(self) -> np.ndarray:
        return self.velocities[-1][1]

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.served.close()

    def until(self, fits: Any, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not fits():
            assert time.monotonic() < deadline, "never"
            time.sleep(0.01)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def open_page(browser: Link, url: str, size: dict[str, int], **options: Any) -> Any:
    page = browser.new_context(viewport=size, **options).new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.goto(url)
    wait_until(page, "document.body.dataset.phase && document.body.dataset.pictures > 2")
    return page


def shot(page: Any, name: str) -> None:
    if folder := os.environ.get("ROBOSCALE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.browser
def test_keys_move_while_they_are_held_and_blur_lets_go(browser: Link, rig: Rig):
    page = open_page(browser, rig.url, DESK)
    assert page.locator("#title").inner_text() == "set <b>one</b>", "text is text"
    page.keyboard.down("w")
    rig.until(lambda: rig.velocity[0] > 0)
    page.keyboard.down("i")
    rig.until(lambda: rig.velocity[2] > 0)
    page.keyboard.up("w")
    rig.until(lambda: rig.velocity[0] == 0 and rig.velocity[2] > 0)
    page.evaluate("dispatchEvent(new Event('blur'))")
    rig.until(lambda: not rig.velocity.any())
    page.keyboard.up("i")
    page.keyboard.press("3")
    page.keyboard.down("a")
    rig.until(lambda: rig.velocity[1] == pytest.approx(0.2))
    page.keyboard.up("a")
    wait_until(page, "/\\d of 60 Hz/.test(rate.textContent) && /\\d ms/.test(latency.textContent)")
    assert page.get_attribute("#rate", "data-bad") == "yes", "30 of 60"
    shot(page, "teleop-desk")
    assert page.complaints == []


LATE_STATES = """const add = WebSocket.prototype.addEventListener;
WebSocket.prototype.addEventListener = function (kind, hear) {
  add.call(this, kind, kind !== "message" ? hear
    : (event) => (typeof event.data === "string" ? setTimeout(() => hear(event), 300) : hear(event)));
};"""


@pytest.mark.browser
def test_a_scene_that_stands_still_is_seen(browser: Link):
    """It shows itself once, here before the page knows which cameras there are."""
    station = Station("still")
    station.show({"observation.images.front": np.full((120, 160, 3), 90, np.uint8)})
    station.to("ready")
    with serve_teleop(station) as served:
        context = browser.new_context(viewport=DESK)
        context.add_init_script(LATE_STATES)
        page = context.new_page()
        page.goto(served.url)
        wait_until(page, "document.querySelector('canvas')?.width === 160")
        shown = "[...document.querySelector('canvas').getContext('2d').getImageData(80, 60, 1, 1).data]"
        assert page.evaluate(shown) == pytest.approx([90, 90, 90, 255], abs=3)


@pytest.mark.browser
def test_closing_the_page_with_a_key_held_stops_the_hand(browser: Link, rig: Rig):
    page = open_page(browser, rig.url, DESK)
    page.keyboard.down("w")
    rig.until(lambda: rig.velocity[0] > 0)
    page.close()
    closed = time.monotonic()
    rig.until(lambda: not rig.velocity.any())
    moving = [at for at, v in rig.velocities if v.any()]
    assert moving[-1] - closed < 0.3 + 1.0, "its lease, and what a busy machine takes"


@pytest.mark.browser
def test_space_on_a_focused_button_presses_that_button_and_no_gripper(browser: Link, rig: Rig):
    page = open_page(browser, rig.url, DESK)
    page.keyboard.press("Space")
    rig.until(lambda: rig.station.closed)
    page.locator("[data-act=turn]").focus()
    page.keyboard.press("Space")
    wait_until(page, "facts.textContent.includes('90°')")
    assert rig.station.closed, "the gripper stayed"
    page.click("[data-act=turn]")
    wait_until(page, "facts.textContent.includes('180°')")
    page.keyboard.press("Space")
    rig.until(lambda: not rig.station.closed)
    assert page.locator("#facts").inner_text().count("180°") == 1, "a click leaves no focus behind"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("key", "ending"),
    [("ArrowRight", "success"), ("n", "success"), ("ArrowLeft", "discard"), ("r", "discard"), ("f", "fail"),
     ("Escape", "stop"), ("q", "stop")],
)  # fmt: skip
def test_lerobots_keys_end_an_episode(browser: Link, rig: Rig, key: str, ending: str):
    page = open_page(browser, rig.url, DESK)
    page.keyboard.press(key)
    rig.until(lambda: rig.station.ending == ending)


@pytest.mark.browser
def test_a_finger_moves_the_hand_without_a_jump_and_the_phone_is_not_scrolled(browser: Link, rig: Rig):
    page = open_page(browser, rig.url, PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    assert overflow(page) == 0
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    x, y = box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"]  # not in the middle: no jump
    down = "(e, [kind, x, y]) => e.dispatchEvent(new PointerEvent(kind, {pointerId: 1, clientX: x, clientY: y}))"
    page.evaluate("document.getElementById('pad').setPointerCapture = () => {}")
    page.locator("#pad").evaluate(down, ["pointerdown", x, y])
    time.sleep(0.2)
    assert not rig.velocity.any()
    page.locator("#pad").evaluate(down, ["pointermove", x, y - box["height"] / 4])
    rig.until(lambda: rig.velocity[0] == pytest.approx(0.03, abs=0.003))
    page.locator("#pad").evaluate(down, ["pointercancel", x, y])
    rig.until(lambda: not rig.velocity.any())
    shot(page, "teleop-phone-dark")
    assert rig.station.moved["touch"] > 0 and page.complaints == []


@pytest.mark.browser
def test_a_gamepad_moves_only_while_a_shoulder_button_is_held(browser: Link, rig: Rig):
    page = open_page(browser, rig.url, DESK)
    page.evaluate(
        "window.pad = {axes: [0, -1, 0, 0], buttons: [...Array(17)].map(() => ({pressed: false}))};"
        "navigator.getGamepads = () => [window.pad]; document.hasFocus = () => true"
    )
    time.sleep(0.2)
    assert not rig.velocity.any()
    page.evaluate("window.pad.buttons[4].pressed = true")
    rig.until(lambda: rig.velocity[0] > 0)
    page.evaluate("window.pad.buttons[0].pressed = true")
    rig.until(lambda: rig.station.closed)
    time.sleep(0.3)
    assert rig.station.closed, "a button that is held acts once"
    page.evaluate("window.pad.buttons[4].pressed = false")
    rig.until(lambda: not rig.velocity.any())


@pytest.mark.browser
def test_a_second_page_looks_on_queues_and_is_handed_over_to(browser: Link, rig: Rig):
    first = open_page(browser, f"{rig.url}?name=ada", DESK)
    second = open_page(browser, f"{rig.url}?name=grace", DESK)
    assert "ada drives; you look on" in second.locator("#lease").inner_text()
    second.keyboard.down("w")
    time.sleep(0.2)
    assert not rig.velocity.any()
    second.keyboard.up("w")
    second.click("[data-act=ask]")
    wait_until(second, "lease.textContent.includes('number 1 in the queue')")
    wait_until(first, "lease.textContent.includes('1 wait to drive')")
    first.click("[data-act='hand over']")
    wait_until(second, "lease.textContent.startsWith('You drive')")
    second.keyboard.down("w")
    rig.until(lambda: rig.velocity[0] > 0)
    second.keyboard.up("w")
    assert rig.station.drivers == ["ada", "grace"]
    third = open_page(browser, f"{rig.url}?name=joan", PHONE)
    for page in (first, third):
        page.click("[data-act=ask]")
        wait_until(page, "lease.textContent.includes('in the queue')")
    first.click("[data-act=withdraw]")
    wait_until(first, "lease.textContent === 'grace drives; you look on.'")
    second.click("text=Hand over to ada")  # who does not wait, before joan, who does
    wait_until(first, "lease.textContent.includes('1 wait to drive')")
    shot(first, "teleop-queue")
    first.keyboard.down("w")
    rig.until(lambda: rig.velocity[0] > 0)
    first.close()
    wait_until(third, "lease.textContent.startsWith('You drive')")
    rig.until(lambda: not rig.velocity.any())
    assert rig.station.drivers == ["ada", "grace", "joan"]
    assert [*second.complaints, *third.complaints] == []


@pytest.mark.browser
def test_two_hands_have_two_clutches_on_the_page(browser: Link):
    """Keys move the hand that is chosen, or both; on a gamepad each shoulder button is the clutch of one."""
    with closing(Rig(hands=2)) as rig:
        page = open_page(browser, rig.url, DESK)
        left, right = (lambda: rig.velocity[:3]), (lambda: rig.velocity[3:])
        page.keyboard.down("w")
        rig.until(lambda: left()[0] > 0 and not right().any())
        page.keyboard.press("h")
        rig.until(lambda: right()[0] > 0 and not left().any())
        page.keyboard.press("Space")
        rig.until(lambda: rig.station.grips == (False, True))
        page.click("#hand")
        rig.until(lambda: right()[0] > 0 and left()[0] > 0)
        page.keyboard.up("w")
        wait_until(page, "document.getElementById('hand-name').textContent === 'Both hands'")
        shot(page, "teleop-two-hands")
        pad = "{axes: [0, -1, 1, 0], buttons: [...Array(17)].map(() => ({pressed: false}))}"
        page.evaluate(
            f"window.pad = {pad}; navigator.getGamepads = () => [window.pad]; document.hasFocus = () => true"
        )
        page.evaluate("window.pad.buttons[4].pressed = true")
        rig.until(lambda: left()[0] > 0 and not right().any())
        page.evaluate("window.pad.buttons[5].pressed = window.pad.buttons[12].pressed = true")
        rig.until(lambda: right()[1] < 0 and right()[2] > 0 and left()[0] > 0)
        page.evaluate("window.pad.buttons[4].pressed = false")
        rig.until(lambda: right().any() and not left().any())
        assert page.complaints == []


@pytest.mark.browser
def test_a_hand_of_twenty_joints_is_driven_joint_by_joint_and_practised(browser: Link):
    names = [f"finger{k // 4}_{k % 4}" for k in range(20)]
    with closing(Rig(joints=names)) as rig:
        rig.station.practice = Practice(wanted=3, scores=[40], best=71)
        page = open_page(browser, rig.url, PHONE, color_scheme="dark")
        assert overflow(page) == 0 and page.locator("#phase").inner_text() == "Practice 2 of 3"
        page.click("text=finger4_3")
        page.keyboard.down("k")
        rig.until(lambda: list(np.flatnonzero(rig.velocity < 0)) == [0, 19])
        page.keyboard.press("Period")
        rig.until(lambda: list(np.flatnonzero(rig.velocity < 0)) == [1])
        page.keyboard.up("k")
        rig.until(lambda: not rig.velocity.any())
        assert "10 %" in page.locator("#speeds").inner_text()
        assert page.locator("#facts").inner_text().split("\n")[-5:-3] == ["40", "The best of others"]
        shot(page, "teleop-twenty-joints")
        assert page.complaints == []


def test_the_socket_wants_the_session_and_our_own_page(rig: Rig):
    address = rig.url.replace("http", "ws", 1) + "api/drive"
    for query in ("", "?session=guessed"):
        with pytest.raises(InvalidStatus), connect(address + query):
            pass
    with Driver(rig.url) as driver:
        driver.phase("recording")
        session = str(driver.socket.request.path).partition("session=")[2].partition("&")[0]
        elsewhere: Any = "http://elsewhere.example"
        with pytest.raises(InvalidStatus), connect(f"{address}?session={session}", origin=elsewhere):
            pass
        ours: Any = rig.url.rstrip("/")
        with connect(f"{address}?session={session}", origin=ours):
            pass


def test_a_token_is_part_of_the_sockets_address():
    station = Station("test")
    with serve_teleop(station, token="a-token-of-some-length") as page:
        with Driver(page.url) as driver:
            driver.phase("starting")
            session = str(driver.socket.request.path).partition("session=")[2]
        wrong = page.url.replace("http", "ws", 1).replace("a-token", "b-token")
        with pytest.raises(InvalidStatus), connect(f"{wrong}api/drive?session={session}"):
            pass


def test_nonsense_is_answered_and_changes_nothing(rig: Rig):
    with Driver(rig.url) as driver:
        driver.phase("recording")
        driver.silent = True
        for text in ("{", "[]", '{"type": "fly"}', '{"type": "move", "motion": [9, 9, 9]}', '{"type": "seen"}'):
            before = len(driver.problems)
            driver.socket.send(text)
            rig.until(lambda before=before: len(driver.problems) > before)
        assert driver.state["phase"] == "recording" and not rig.velocity.any()
        assert any("motion: expected three numbers" in problem for problem in driver.problems)


def test_a_page_that_shows_nothing_is_sent_few_pictures(rig: Rig):
    """Pictures become fewer on a slow line, not late."""
    with Driver(rig.url) as driver:
        driver.phase("recording")
        rig.until(lambda: len(driver.pictures) > 20)
        driver.until(lambda state: state["latency_ms"] is not None)
    slow: list[bytes] = []
    with Driver(rig.url) as driver:
        session = str(driver.socket.request.path).partition("session=")[2].partition("&")[0]
    with connect(rig.url.replace("http", "ws", 1) + f"api/drive?session={session}") as quiet:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            message = quiet.recv(timeout=2)
            slow += [message] if isinstance(message, bytes) else []
    assert len(slow) <= 4, "two times two cameras, and then it waits"


XR = """
window.xrAt = { x: 0, y: 1, z: 0 }; window.xrHear = {};
const pose = () => ({ emulatedPosition: false, transform: { position: { ...window.xrAt } } });
const session = {
  visibilityState: "visible", updateRenderState() {}, requestReferenceSpace: async () => ({}),
  addEventListener: (kind, hear) => { window.xrHear[kind] = hear; },
  requestAnimationFrame: (look) => requestAnimationFrame((t) => look(t, { getViewerPose: pose, getPose: pose })),
};
window.XRWebGLLayer = class {};
Object.defineProperty(navigator, "xr", { value: {
  isSessionSupported: async (mode) => mode === "immersive-ar", requestSession: async () => session } });
"""


@pytest.mark.browser
def test_a_device_that_is_held_and_moved_moves_the_hand(browser: Link, rig: Rig):
    """A stand-in of WebXR: a phone whose pose the test says. No phone has tried it."""
    context = browser.new_context(viewport=PHONE)
    context.add_init_script(XR)
    page = context.new_page()
    page.goto(rig.url)
    page.click("#pose")
    wait_until(page, "window.xrHear.selectstart && document.getElementById('pose').hidden")
    page.evaluate("window.xrAt.x = 0.3")
    time.sleep(0.2)
    assert not rig.velocity.any(), "nobody took hold"
    page.evaluate("window.xrHear.selectstart({ inputSource: window.phone = { targetRayMode: 'screen' } })")
    rig.until(lambda: rig.station._input.offsets[0] is not None, 20)
    assert not rig.velocity.any(), "taking hold does not jump"
    page.evaluate("window.xrAt.z = -0.12")
    rig.until(lambda: rig.velocity[0] > 0)
    rig.until(lambda: not rig.velocity.any())
    assert sum(v[0] for _, v in rig.velocities) / 60 == pytest.approx(0.12, abs=0.01), "as far as the device went"
    page.evaluate("window.xrAt.y = 1.1")
    rig.until(lambda: rig.velocity[2] > 0)
    page.evaluate("window.xrHear.selectend({ inputSource: window.phone })")
    rig.until(lambda: not rig.velocity.any(), 1.0)
    page.evaluate("window.xrHear.selectstart({ inputSource: window.phone })")
    rig.until(lambda: rig.station._input.offsets[0] is not None, 20)
    page.evaluate("window.xrAt.x = 2.0")
    wait_until(page, "problem.textContent.includes('was lost: the hand holds')")
    assert not rig.velocity.any(), "a tracker that jumps is no hand"


BY = "[...facts.querySelectorAll('dd')].at(-1)?.textContent"
REDS = "[...document.querySelectorAll('canvas')].map((c) => c.getContext('2d').getImageData(80, 60, 1, 1).data[0])"
NOTED = "window.lines = []; const Line = RTCPeerConnection; window.RTCPeerConnection = class extends Line { \
constructor(...words) { super(...words); window.lines.push(this); } };"


@pytest.mark.browser
def test_pictures_come_by_webrtc_and_by_the_socket_where_no_call_is(browser: Link):
    """The server calls. A line that dies, and a browser that knows no WebRTC, get JPEGs; the page says which."""
    pytest.importorskip("aiortc", reason="no aiortc: pip install 'roboscale[webrtc]'")
    with closing(Rig(webrtc=True)) as rig:
        context = browser.new_context(viewport=DESK)
        context.add_init_script(NOTED)
        page = context.new_page()
        page.goto(rig.url)
        wait_until(page, f"{BY} === 'WebRTC' && /\\d ms/.test(latency.textContent)")
        wait_until(page, f"{REDS}.length === 2 && {REDS}.every((red) => Math.abs(red - 60) < 12)")
        wait_until(page, f"{REDS}.every((red) => red > 180)")  # the bar that moves
        assert list(rig.station.pictures_by.values()) == ["webrtc"]
        shot(page, "teleop-webrtc")
        page.evaluate("window.lines[0].close()")
        wait_until(page, f"{BY} === 'JPEG (WebRTC: no picture came)'")
        rig.until(lambda: list(rig.station.pictures_by.values()) == ["jpeg"])
        last = int(page.get_attribute("body", "data-pictures"))
        wait_until(page, f"document.body.dataset.pictures > {last + 2}")
        context = browser.new_context(viewport=DESK)
        context.add_init_script("window.RTCPeerConnection = undefined")
        other = context.new_page()
        other.goto(rig.url)
        wait_until(other, f"document.body.dataset.pictures > 2 && {BY}?.startsWith('JPEG (WebRTC: ')")
