"""The index of runs: newest first, searchable, marked, silent when it is a file and up to date when it is served."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browser import Link, wait_until
from report.samples import NOON, SECOND
from roboscale.report.runs import RUNS_FILE, RunPolicy, RunRow, runs_page, runs_state, runs_text
from roboscale.stats import clopper_pearson

Read = Callable[[str], Any]
EVIL = "<script>alert(1)</script>\"'&</style>\x1b[31m"
VOID = clopper_pearson(9, 10, void=9)


def rows() -> tuple[RunRow, ...]:
    ours = RunPolicy(name="ours", rate=clopper_pearson(7, 10))
    served = RunPolicy(name="served", rate=VOID, unverified=("the server does not say",))
    return (
        RunRow(
            id="first",
            started_ns=NOON,
            state="finished",
            world="metaworld",
            policies=(ours, served),
            command="roboscale compare ours http://served",
            verdict="No difference shown between ours and served",
            done=38,
            of=38,
            report="first/report.html",
        ),
        RunRow(
            id="second",
            started_ns=NOON + 3600 * SECOND,
            state="running",
            world="kitchen",
            policies=(RunPolicy(name="ours"),),
            done=3,
            of=10,
            unverified=("its camera was not calibrated",),
        ),
        RunRow(id="third", started_ns=NOON - 60 * SECOND, state="unfinished", world="lab", policies=(ours,), done=10),
    )


@pytest.fixture(scope="module")
def page() -> str:
    return runs_page(rows(), title="runs of today", command="roboscale runs today")


def test_newest_first_with_state_rates_and_marks(page: str, words: Read):
    said = words(page).replace("\u202f", " ")
    assert said.index("running, 3 of 10") < said.index("finished, 38") < said.index("unfinished, 10")
    assert "ours 70 % (35–93 %), n = 10" in said
    assert "served 90 % (55–99.7 %), n = 10, 9 void: 47–95 %, unverified: the server does not say" in said
    assert "kitchen unverified: its camera was not calibrated" in said
    assert "ours no data, unverified: world: its camera was not calibrated" in said
    assert "3 runs. 1 finished 1 running 1 unfinished" in said and "made from Python" in said
    assert 'href="first/report.html"' in page and "Reproduce this page Copy roboscale runs today" in said


def test_the_state_that_a_served_page_asks_for_has_the_words_of_the_page(page: str):
    state = runs_state(rows())
    assert len(state) == 9 and state["second/state"] == "running, 3 of 10"
    assert all(f'data-live="{key}"' in page for key in state)
    json.dumps(state)


def test_a_report_can_only_be_a_file_below():
    for path in ("javascript:alert(1)", "http://elsewhere/x", "//elsewhere/x"):
        page = runs_page([dataclasses.replace(rows()[0], report=path)])
        targets = re.findall(r'href="(.*?)"', page)
        assert not any(target.startswith(("javascript:", "http:", "//")) for target in targets)


def test_no_runs_reads_well(words: Read):
    assert "No runs yet." in words(runs_page([]))


def test_the_text_has_a_line_for_each_policy_and_cannot_steer_a_terminal():
    lines = runs_text(rows()).splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["second", "first", "first", "third"]
    assert lines[3].endswith("unverified: the server does not say")
    assert "\x1b" not in runs_text([dataclasses.replace(rows()[0], id=EVIL, world=EVIL)])


def test_nothing_from_the_data_becomes_markup(page_data: Read):
    policy = RunPolicy(name=EVIL, rate=VOID, unverified=(EVIL,))
    row = RunRow(
        id=EVIL,
        started_ns=1,
        state="running",
        world=EVIL,
        policies=(policy,),
        command=EVIL,
        verdict=EVIL,
        report=EVIL,
        unverified=(EVIL,),
    )
    page = runs_page([row], title=EVIL, command=EVIL, notes=(EVIL,), created=EVIL, versions={EVIL: EVIL})
    assert "<script>alert" not in page and page.count("<script") == 2 and page.count("</style>") == 1
    assert page_data(page)["runs"][0]["world"] == EVIL


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)


@pytest.mark.browser
def test_words_filter_the_runs(page: str, browser: Link, tmp_path: Path):
    (tmp_path / "index.html").write_text(page, "utf-8")
    view = browser.new_context().new_page()
    view.goto((tmp_path / "index.html").as_uri())
    shown = "[...document.querySelectorAll('tbody tr')].filter((row) => row.checkVisibility()).length"
    assert view.evaluate(shown) == 3
    view.locator("[data-filter]").fill("ours METAWORLD")
    assert view.evaluate(shown) == 1 and view.locator("output").inner_text() == "1 of 3"
    view.locator("[data-filter]").fill("nothing of the kind")
    assert view.evaluate(shown) == 0


@pytest.fixture
def served(page: str, tmp_path: Path) -> Iterator[str]:
    """A folder with the page in it, served; its address."""
    (tmp_path / "index.html").write_text(page, "utf-8")
    (tmp_path / RUNS_FILE).write_text(json.dumps(runs_state(rows())))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.browser
def test_a_served_page_follows_the_runs(served: str, browser: Link, tmp_path: Path):
    view = browser.new_context().new_page()
    view.goto(served)
    first, second, third = rows()
    later = (first, dataclasses.replace(second, done=7, verdict="decided"), third)
    _replace(tmp_path / RUNS_FILE, runs_state(later))
    wait_until(view, "document.querySelector('[data-live=\"second/state\"]').textContent === 'running, 7 of 10'")
    assert view.locator('[data-live="second/verdict"]').inner_text() == "decided"
    assert not view.locator("#newer").is_visible()
    _replace(tmp_path / RUNS_FILE, runs_state((*later, dataclasses.replace(first, id="fourth"))))
    wait_until(view, "!document.getElementById('newer').hidden")


def _replace(file: Path, state: dict[str, str]) -> None:
    """In one step, as whoever writes it while somebody reads should."""
    file.with_suffix(".new").write_text(json.dumps(state))
    file.with_suffix(".new").replace(file)
