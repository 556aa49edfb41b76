"""An evaluator in a real browser: three whole sessions by clicks and keys, and the board that they make."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import roboscale as rs
from browser import Link, overflow, wait_until
from roboscale.dataset import Dataset
from roboscale.jobs.arena_hosting import HostedArena
from roboscale.jobs.arena_rehearsal import PlantedPolicy, _offer, _wait_for_checks

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NAMES = ("zebra <b>", "yak", "walrus")


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[HostedArena]:
    with HostedArena(str(tmp_path / "arena")) as made:
        stop, page = threading.Event(), made.serve()
        for name, mean in zip(NAMES, (0.2, 0.5, 0.9), strict=True):
            _offer(made, page.url, PlantedPolicy(name, mean), stop).start()
        yield made
        stop.set()


@pytest.fixture
def desk(hosted: HostedArena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    rubrics = tmp_path / "rubrics.toml"
    rubrics.write_text('[steps]\ncarry = ["touches the block", "half way", "on the square"]\n')
    token = hosted.arena.join(hosted.arena.invite(None, "evaluator", "lab"), "ada")[1]
    monkeypatch.setenv("ROBOSCALE_ARENA", token)
    asked = rs.EvaluateForArena(
        arena=hosted.page.url, robot="stand-in", site="lab <i>one</i>", rubrics=rubrics, record=tmp_path / "recorded"
    )
    with rs.evaluate_for_arena(asked) as page:
        _wait_for_checks(hosted, 3, 1)
        yield page.url
    played = [rollout for match in hosted.arena.state.matches.values() for rollout in match.rollouts]
    assert len(played) == (len(Dataset(tmp_path / "recorded").episodes) if played else 0)


def open_page(browser: Link, url: str, size: dict[str, int], **options: Any) -> Any:
    page = browser.new_context(viewport=size, **options).new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.goto(url)
    return page


def shot(page: Any, name: str) -> None:
    """For people who want to look: a folder named by the environment."""
    if folder := os.environ.get("ROBOSCALE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def until(page: Any, phase: str, number: int, due: str = "") -> None:
    more = f" && document.body.dataset.due === '{due}'" if due else ""
    wait_until(page, f"document.body.dataset.phase === '{phase}' && document.body.dataset.number === '{number}'{more}")


def play(page: Any, number: int, sides: int, vote: str, progress: str) -> None:
    until(page, "describe", number)
    page.fill("#instruction", f"carry it over, <b>{number}</b>")
    page.fill("#sides", str(sides))
    page.click("#look")
    until(page, "describe", number)
    wait_until(page, "document.getElementById('live').naturalWidth === 96")
    page.click("#draw")
    for letter in "ABC"[:sides]:
        until(page, "ready", number, letter)
        assert not any(name in page.content() for name in ("zebra", "yak", "walrus")), "blind before the vote"
        page.click("#run")
        until(page, "score", number, letter)
        page.get_by_label(progress).check()
        page.get_by_label("Not done").check()
        page.keyboard.press("u")
        assert page.get_by_label("unsafe").is_checked()
        if letter == "A":
            shot(page, f"arena-score-{number}")
        page.get_by_label("unsafe").uncheck()
        page.click("#score button[type=submit]")
    until(page, "vote", number)
    page.get_by_label(vote, exact=True).check()
    page.fill("#why", "it was <img src=x onerror=alert(1)>")
    shot(page, f"arena-vote-{number}")
    page.click("#vote button[type=submit]")
    until(page, "over", number)


def test_three_whole_sessions_and_the_board_that_they_make(
    browser: Link, hosted: HostedArena, desk: str, tmp_path: Path
):
    page = open_page(browser, desk, DESK)
    shot(page, "arena-describe")
    assert page.locator("#title").inner_text().endswith("lab <i>one</i>"), "text is text"
    for number, (sides, vote) in enumerate(((2, "A"), (2, "A tie"), (3, "B")), 1):
        play(page, number, sides, vote, "half way")
        told = page.locator("#who dd").all_inner_texts()
        assert len(told) == sides and set(told) <= set(NAMES), "after the vote names are told"
        if number == 1:
            page.set_viewport_size(PHONE)
            assert not overflow(page)
            shot(page, "arena-over-phone")
            page.set_viewport_size(DESK)
        page.click("#next")
    assert page.complaints == []
    state = hosted.arena.state
    matches = [state.matches[id_] for id_ in state.finished]
    assert [m.preference for m in matches] == ["A", "tie", "B"] and [len(m.sides) for m in matches] == [2, 2, 3]
    assert {score.progress for m in matches for score in m.scores.values()} == {67.0}
    rs.publish_arena(rs.PublishArena(out=tmp_path / "out", store=hosted.arena.log.where))
    published = (tmp_path / "out/index.html").as_uri()
    for size, scheme, url in (
        (DESK, "light", hosted.page.url),
        (PHONE, "dark", hosted.page.url),
        (PHONE, "light", published),
    ):
        board = open_page(browser, url, size, color_scheme=scheme)
        wait_until(board, "document.body.dataset.matches === '3'")
        assert not overflow(board)
        assert board.locator("#board tbody tr").count() == 3
        assert "zebra <b>" in board.locator("#board").inner_text(), "text is text"
        wait_until(board, "document.querySelectorAll('#matches button').length === 3")
        shot(board, f"arena-board-{scheme}-{url[:4]}")
        met = [[state.policies[side.policy].name for side in m.sides] for m in matches]
        for name in NAMES:
            board.locator("#board tbody tr", has_text=f"team {name}").get_by_text("%").click()
            wait_until(board, f"document.querySelectorAll('#matches button').length === {sum(name in m for m in met)}")
        assert board.locator("#chosen-text").inner_text().startswith(f"Only those of {name}")
        shot(board, f"arena-chosen-{scheme}-{url[:4]}")
        board.locator("#all").click()
        wait_until(board, "document.querySelectorAll('#matches button').length === 3")
        board.locator("#matches button").first.click()
        wait_until(board, "document.querySelectorAll('dialog video').length === 3")
        inside = board.locator("#inside").inner_text()
        assert not any(name in inside for name in NAMES), "films first"
        wait_until(board, "[...document.querySelectorAll('dialog video')].every((one) => one.videoWidth === 96)")
        board.get_by_text("Who were they?").click()
        assert "probability" in board.locator("#inside").inner_text()
        shot(board, f"arena-match-{scheme}-{url[:4]}")
        assert board.complaints == []


def test_a_session_that_does_not_count_leaves_no_vote(browser: Link, hosted: HostedArena, desk: str):
    page = open_page(browser, desk, PHONE)
    until(page, "describe", 1)
    page.click("#draw")
    wait_until(page, "!document.getElementById('problem').hidden")
    assert page.locator("#problem").inner_text() == "show the scene first"
    page.click("#look")
    wait_until(page, "document.getElementById('live').naturalWidth === 96")
    until(page, "describe", 1)
    page.click("#draw")
    until(page, "ready", 1, "A")
    page.locator("#fault summary").click()
    page.fill("#reason", "somebody ran into the table")
    page.click("#give-up")
    until(page, "over", 1)
    (match,) = hosted.arena.state.matches.values()
    assert (match.phase, match.text, hosted.arena.state.finished) == ("invalid", "somebody ran into the table", [])
