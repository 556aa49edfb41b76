"""One Chromium for all tests of pages. It can die or hang; then its test ends, with the last lines that it wrote.

Nothing is waited for without a limit: actions have playwright's timeouts, and a timer kills the browser under a test
that takes too long, and then playwright's own process, which makes whatever the test waits for fail. Import
`browser`, `chromium` and `link` into a `conftest.py`.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil
import pytest

__all__ = ["BrowserDied", "Chromium", "Link", "browser", "chromium", "link", "overflow", "wait_until"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # parts of its own window that a new one prepares in the background; on a busy machine they never come to rest
    "--disable-features=PreloadTopChromeWebUI,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
    "--enable-logging=stderr",
    "--remote-debugging-port=0",
)
START_S, ACTION_S, TEST_S, GRACE_S = 60, 20, 120, 60
"""Seconds for the start, for one action, for one test, and until the process ends when even killing did not help."""
_LISTENING = "DevTools listening on "
_KEPT = 25


class BrowserDied(AssertionError):
    """Chromium died or was killed because a test took too long; the message has its last lines."""


class Chromium:
    """A browser in a process group of its own, whose last lines are kept.

    Args:
        executable: path of Chromium.
        profile: folder that it may fill.
    """

    def __init__(self, executable: str, profile: Path) -> None:
        self.executable, self.profile = executable, profile
        self.starts = 0
        self.expired = self._killed = False
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._address = ""

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._killed and self._process.poll() is None

    @property
    def last_lines(self) -> str:
        return "".join(self._lines) or "it wrote nothing"

    def start(self) -> str:
        """Starts it unless it runs; the address at which it listens."""
        if not self.alive:
            self.starts += 1
            self.expired = self._killed = False
            self._address = ""
            profile = self.profile / str(self.starts)
            command = [self.executable, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
            self._process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            # both are of this start alone: the reader of a browser that was killed may still be at it
            self._lines = deque(maxlen=_KEPT)
            addresses: SimpleQueue[str] = SimpleQueue()
            reading = (self._process, self._lines, addresses)
            self._reader = threading.Thread(target=_read, args=reading, daemon=True)
            self._reader.start()
            with suppress(Empty):
                self._address = addresses.get(timeout=START_S)
        if not self._address:
            self.kill()
            raise BrowserDied(f"Chromium did not start; its last lines:\n{self.last_lines}")
        return self._address

    def kill(self) -> None:
        """Ends it and its children at once."""
        if self._process is not None and self.alive:
            self._killed = True
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join(START_S)

    def _expire(self) -> None:
        self.expired = True
        self.kill()

    @contextmanager
    def watched(self, limit_s: float = TEST_S) -> Iterator[None]:
        """Kills it after `limit_s`; BrowserDied, with its last lines, when it did not outlive the block."""
        timer = threading.Timer(limit_s, self._expire)
        last = threading.Timer(limit_s + GRACE_S / 2, _kill_drivers)  # where the end of the browser did not end it
        timer.start()
        last.start()
        faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True)
        try:
            yield
        except Exception as error:
            if self._is_gone(error):
                raise self._death(limit_s) from error
            raise
        finally:
            timer.cancel()
            last.cancel()
            faulthandler.cancel_dump_traceback_later()
        if not self.alive:
            raise self._death(limit_s)

    def _is_gone(self, error: Exception) -> bool:
        """Whether it died; one whose connection was cut may take a moment to be gone."""
        if self._process is not None and self.alive and "closed" in str(error):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=ACTION_S)
        return not self.alive

    def _death(self, limit_s: float) -> BrowserDied:
        what = f"was killed: the test took longer than {limit_s:g} s" if self.expired else "died"
        return BrowserDied(f"Chromium {what}; its last lines:\n{self.last_lines}")


def _read(process: subprocess.Popen[str], lines: deque[str], addresses: SimpleQueue[str]) -> None:
    """Keeps the last lines, and tells the address; an empty one when it ended before it listened."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() and "dbus/" not in line:  # a container has no D-Bus, and Chromium never tires of saying so
            lines.append(line)
        if line.startswith(_LISTENING):
            addresses.put(line.removeprefix(_LISTENING).strip())
    addresses.put("")


def _kill_drivers() -> None:
    """Ends playwright's process: on a busy machine it has been seen to turn round and round and to answer nobody."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "run-driver" in child.cmdline():
                child.kill()


def _started(sync_api: Any) -> Any:
    """Playwright; where its process does not come up it is started once more."""
    for last in (False, True):
        timer = threading.Timer(START_S, _kill_drivers)
        timer.start()
        try:
            return sync_api.sync_playwright().start()
        except Exception:
            if last:
                raise
        finally:
            timer.cancel()
    raise AssertionError


class Link:
    """Playwright's connection to a browser; one that died is started and connected anew."""

    def __init__(self, chromium: Chromium, playwright: Any) -> None:
        self.chromium, self._playwright = chromium, playwright
        self._browser: Any = None
        self._start = 0
        self._contexts: list[Any] = []

    def new_context(self, **options: Any) -> Any:
        """A context whose actions have limits; a renderer that crashes takes the browser with it, so nobody waits."""
        address = self.chromium.start()
        if self._start != self.chromium.starts:
            self._browser = self._playwright.chromium.connect_over_cdp(address, timeout=1000 * START_S)
            self._start = self.chromium.starts
        context = self._browser.new_context(**options)
        context.set_default_timeout(1000 * ACTION_S)
        start = self._start
        context.on("page", lambda page: page.on("crash", lambda _: self._crashed(start)))
        self._contexts.append(context)
        return context

    def _crashed(self, start: int) -> None:
        if start == self.chromium.starts:  # not of a browser that has been replaced since
            self.chromium.kill()

    def close_contexts(self) -> None:
        contexts, self._contexts = self._contexts, []
        for context in contexts if self.chromium.alive else ():
            context.close()

    def close(self) -> None:
        if self._browser is not None and self.chromium.alive and self._start == self.chromium.starts:
            self._browser.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser of the session; starts when it is first needed."""
    executable = next((path for name in NAMES if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(NAMES)})")
    made = Chromium(executable, tmp_path_factory.mktemp("chromium"))
    yield made
    made.kill()


@pytest.fixture(scope="module")
def link(chromium: Chromium) -> Iterator[Link]:
    """Playwright's event loop belongs to one module: other tests have their own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright = _started(sync_api)
    try:
        made = Link(chromium, playwright)
        yield made
        made.close()
    finally:
        playwright.stop()


@pytest.fixture
def browser(link: Link) -> Iterator[Link]:
    """Gives contexts (`new_context`) to one test, and closes them."""
    link.chromium.start()
    with link.chromium.watched():
        yield link
        link.close_contexts()


def wait_until(page: Any, condition: str) -> None:
    """Looks at every frame. Playwright's own wait needs `eval`, which the security policies of our pages forbid."""
    page.evaluate(
        "() => new Promise((done, fail) => { const start = performance.now(); const look = () => {"
        f" if ({condition}) done(); else if (performance.now() - start > {1000 * ACTION_S})"
        " fail(new Error('never true')); else requestAnimationFrame(look); }; look(); })"
    )


def overflow(page: Any) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
