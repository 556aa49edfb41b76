"""The page that drives, in a process of its own: what it shows and says, and what its death costs."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from roboscale.core import RoboscaleError
from roboscale.sources.teleop import Station
from roboscale.sources.teleop.station import Shown
from roboscale.web.teleop import PageProcess, PictureBoard
from tests.jobs.operator_driving import Driver

CAMERAS = {"front": (24, 32), "wrist": (16, 16)}


@pytest.fixture(scope="module")
def page() -> Iterator[tuple[Station, PageProcess]]:
    station = Station("apart", driven_hz=20)
    show(station, 90)
    with PageProcess(station, CAMERAS) as made:
        station.to("recording")
        yield station, made


def show(station: Station, grey: int) -> None:
    station.show(
        {
            "observation.images.front": np.full((24, 32, 3), grey, np.uint8),
            "observation.images.wrist": np.full((16, 16, 3), grey, np.uint8),
            "observation.state": np.array([0.5], np.float32),
        }
    )


def until(fits, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not fits():
        assert time.monotonic() < deadline, "never"
        time.sleep(0.01)


def test_pictures_words_and_problems_go_both_ways(page):
    station, served = page
    with Driver(served.url) as driver:
        driver.phase("recording")
        assert driver.state["numbers"] == {"observation.state": [0.5]} and driver.state["lease"]["holder"] == "ada"
        for grey in (10, 200):
            show(station, grey)
            until(lambda: len(driver.pictures) >= 2)
        driver.motion = [1.0, 0.0, 0.0]
        until(lambda: station.velocity()[0][0] > 0)
        driver.act("gripper")
        until(lambda: station.closed)
        driver.act("begin")
        until(lambda: any("begin does not fit now: recording" in problem for problem in driver.problems))
        driver.motion = [9.0, 0.0, 0.0]
        until(lambda: any("motion: expected three numbers" in problem for problem in driver.problems))
        driver.act("gripper")
        until(lambda: not station.closed)
        driver.until(lambda state: state["latency_ms"] is not None)
    until(lambda: station.state("nobody")["lease"]["pages"] == 0)
    assert not station.velocity()[0].any()


def test_a_page_process_that_is_killed_lets_go_and_another_takes_its_place(page):
    station, served = page
    with Driver(served.url) as driver:
        driver.phase("recording")
        driver.motion = [1.0, 0.0, 0.0]
        until(lambda: station.velocity()[0][0] > 0)
        before = served.process_id
        psutil.Process(before).kill()
        until(lambda: not station.velocity()[0].any(), 1.0)
        until(lambda: served.process_id != before)
    with Driver(served.url) as again:
        again.phase("recording")
        assert again.state["lease"]["mine"], "who is gone holds nothing"
        assert any("the page's process was gone" in note for note in again.state["notes"])


def test_a_board_shows_the_newest_and_never_half_of_it():
    memory = bytearray(PictureBoard.size(CAMERAS))
    writer, reader = PictureBoard(CAMERAS, memory), PictureBoard(CAMERAS, memory)
    assert reader.newest().number == 0 and reader.newest().pictures == {}
    for number in range(1, 6):
        pictures = {name: np.full((*size, 3), number, np.uint8) for name, size in CAMERAS.items()}
        writer.put(Shown(number=number, at_s=number / 2, pictures=pictures))
        seen = reader.newest()
        assert (seen.number, seen.at_s) == (number, number / 2)
        assert all((picture == number).all() for picture in seen.pictures.values())
    writer.put(
        Shown(number=6, pictures={"front": np.zeros((24, 32, 3), np.uint8), "wrist": np.zeros((4, 4, 3), np.uint8)})
    )
    assert set(reader.newest().pictures) == {"front"}, "one of another size is no picture of that camera"
    writer._head[1 + 7 % 3] = 0  # while the seventh is written
    writer._head[0] = 7
    assert reader.newest().number == 0


def test_https_by_a_certificate_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("cryptography")
    from roboscale.core import BadData
    from roboscale.web.show.certificate import self_made_certificate

    monkeypatch.setenv("ROBOSCALE_HTTPS", str(tmp_path / "https"))
    made = self_made_certificate(("bench.lan", "192.0.2.7"))
    assert made == self_made_certificate(("bench.lan",)), "fewer names are served by what there is"
    other = self_made_certificate(("other.lan",))
    assert other.fingerprint != made.fingerprint and len(other.fingerprint) == 95
    assert other.key.stat().st_mode & 0o077 == 0, "nobody else reads the key"
    station = Station("secure")
    station.to("ready")
    trusted = ssl.create_default_context(cafile=str(other.file))
    with PageProcess(station, {}, certificate=(other.file, other.key)) as page:
        assert page.url.startswith("https://127.0.0.1:")
        answer = httpx.get(f"{page.url}api/session", verify=trusted, timeout=20)
        assert answer.status_code == 200 and answer.json()["session"]
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            httpx.get(page.url, timeout=20)
    other.file.write_text("nonsense")
    with pytest.raises(BadData, match="remove the folder"):
        self_made_certificate(("other.lan",))


def test_a_certificate_of_somebody_else_is_never_replaced(tmp_path: Path):
    pytest.importorskip("cryptography")
    from roboscale.core import BadData
    from roboscale.web.show import certificate

    (tmp_path / "key.pem").write_text("somebody's")
    with pytest.raises(
        BadData, match=r"certificate\.pem and key\.pem as they were made here, or neither, found key\.pem"
    ):
        certificate.self_made_certificate(("bench.lan",), tmp_path)
    assert (tmp_path / "key.pem").read_text() == "somebody's"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate, "_OURS", "ACME on ")
        theirs = certificate.self_made_certificate(("bench.lan",), tmp_path / "theirs")
    before = theirs.file.read_bytes()
    with pytest.raises(BadData, match="issuer: expected one that was made here, .* found CN=ACME on"):
        certificate.self_made_certificate(("other.lan",), tmp_path / "theirs")
    assert theirs.file.read_bytes() == before


def test_the_number_of_a_picture_is_read_from_it_and_nonsense_is_no_answer():
    pytest.importorskip("aiortc", reason="no aiortc: pip install 'roboscale[webrtc]'")
    from roboscale.web.teleop.call import PictureCall, PictureSheet

    station = Station("test")
    station.show({"observation.images.front": np.full((20, 30, 3), 90, np.uint8)})
    sheet = PictureSheet({"front": (20, 30)})
    for number in (0, 1, 0x8001, 0xFFFF):
        laid = sheet.lay(number, station.shown().pictures)
        assert PictureSheet.number(laid // 2 + 50) == number, "a poor picture of it"
    (x, y, width, height), *_ = sheet.boxes
    assert (laid[y : y + height, x : x + width] == 90).all()
    assert not sheet.lay(1, {"front": np.full((9, 9, 3), 90, np.uint8)})[y:].any(), "another size: black"

    async def answered() -> None:
        call = PictureCall(station.shown)
        assert "candidate" in (await call.offer())["sdp"]
        with pytest.raises(RoboscaleError, match="answer: it is none to the offer"):
            await call.answer("v=0 nonsense")
        await call.close()

    asyncio.run(answered())
