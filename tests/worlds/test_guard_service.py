"""What the guard's process answers, without the process: messages, ticks, stops and the end, on a test's clock."""

import threading
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import SpecMismatch
from roboscale.worlds.real import guard_process
from roboscale.worlds.real.guard_process import GuardService, guard_robot, stop_file
from tests.worlds.bench_arm import calls, declare, sent

TICK_S = 0.01


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += seconds


class Bench:
    """A service of the arm that writes everything down, and what a test does with it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, extra: str = "") -> None:
        self.clock, self.flag, self.folder, self.sequence = Clock(), threading.Event(), folder, 0
        declaration = declare(folder)
        if extra:
            (folder / "driver.py").write_text((folder / "driver.py").read_text() + extra)
        monkeypatch.setattr(guard_process.time, "sleep", self.clock.sleep)
        self.service = GuardService(declaration, self.flag, self.clock)
        self.service.connect()
        self.file = stop_file(declaration)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.s += TICK_S
            self.service.tick()

    def go(self, x: float) -> np.ndarray:
        self.sequence += 1
        return self.service.answer(("command", self.sequence, self.clock.s, np.array([x, 0.0])))

    def engaged(self) -> "Bench":
        assert self.service.answer(("engage",)) == ""
        return self


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("declared", "instead", "said"),
    [
        ('name = "front"', 'name = "top"', "observation.images.top: declared, and not read; the driver reads .*front"),
        ("height = 16", "height = 32", r"front: declared uint8\[32, 18, 3\], read uint8\[16, 18, 3\]"),
        ("home = 0.0", "home = 0.0\neffort = 3", "effort: x have an effort declared, and the driver reads none"),
        ("[[cameras]]", "{joint}[[cameras]]", r"observation.state: declared float32\[3\], read float32\[2\]"),
    ],
)
def test_what_the_driver_reads_is_compared_with_what_is_declared_before_anything_moves(
    tmp_path: Path, declared: str, instead: str, said: str
):
    file = declare(tmp_path)
    text = file.read_text()
    joint = text[text.rindex("[[joints]]") : text.index("[[cameras]]")].replace('"y"', '"z"')
    file.write_text(text.replace(declared, instead.format(joint=joint), 1))
    service = GuardService(file, threading.Event())
    with pytest.raises(SpecMismatch, match=f"(?s)driver.py:Arm: what it reads is not what the file declares.*{said}"):
        service.connect()
    service.give_back()
    assert calls(tmp_path) == ["connect", "stop", "disconnect"]


def test_nothing_is_sent_before_it_is_engaged(bench: Bench):
    bench.tick(30)
    assert sent(bench.folder) == [] and bench.service.status()["mode"] == "off"
    bench.engaged().tick(3)
    assert [x for _, x in sent(bench.folder)] == pytest.approx([0.1] * 3), "where it stands"


def test_every_message_has_its_own_answer(bench: Bench):
    service = bench.service
    assert set(service.answer(("read",))) == {"observation.state", "observation.images.front"}
    assert service.answer(("torque",)) is None and service.answer(("arrange", 7)) is None, "this driver has neither"
    bench.engaged()
    assert bench.go(0.11).tolist() == pytest.approx([0.11, 0.0]) and service.status()["mode"] == "moving"
    assert service.answer(("hold",)) is None and service.status()["mode"] == "holding"
    for wrong in ("", "a", "stop", "halt", "holds", "zero"):
        with pytest.raises(ValueError, match=f"no such message: {wrong}"):
            service.answer((wrong,))
    assert service.status()["mode"] == "holding"


EXTRA = """
    def torque_on(self):
        return np.bool_(True)
    def arrange(self, seed):
        self.note("arrange", [seed])
        return f"ball {seed}"
"""


def test_a_driver_that_says_more_is_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bench = Bench(tmp_path, monkeypatch, EXTRA)
    assert bench.service.answer(("torque",)) is True
    assert bench.service.answer(("arrange", np.int64(7))) == "ball 7" and calls(tmp_path)[-1] == "arrange"


def test_what_moves_is_read_once_a_control_period_where_nobody_else_reads(bench: Bench):
    """20 Hz: five ticks of 10 ms; a camera that froze is noticed though the policy looks at nothing."""
    reads = []
    read = bench.service.driver.read
    bench.service.driver.read = lambda: reads.append(round(bench.clock.s, 3)) or read()
    bench.engaged().tick(100)
    between = np.diff(reads[1:])
    assert len(reads) == pytest.approx(1 + 100 * TICK_S * 20, abs=2) and between.max() <= 0.061
    bench.service.answer(("read",))
    before = len(reads)
    bench.tick(4)
    assert len(reads) == before, "somebody has just read"


@pytest.mark.parametrize("how", ["flag", "file"])
def test_a_stop_is_seen_at_the_next_tick_and_is_told_once(bench: Bench, how: str):
    bench.engaged()
    bench.go(0.11)
    bench.tick(2)
    bench.flag.set() if how == "flag" else bench.file.touch()
    bench.tick()
    status = bench.service.status()
    assert status["mode"] == "stopped" and [e.kind for e in status["events"]] == ["stop"]
    assert ("arm.toml.stop is there" if how == "file" else "somebody stopped it") in status["reason"].text
    bench.tick(60)
    assert bench.service.status()["events"] == []
    path = [x for _, x in sent(bench.folder)]
    assert path[-1] == path[-30] < 0.11 and bench.go(0.3).tolist() == pytest.approx([path[-1], 0.0])
    if how == "file":
        assert "remove it when the bench is safe" in bench.service.answer(("engage",))
        bench.file.unlink()
    assert bench.service.answer(("engage",)) == "" and not bench.flag.is_set()
    assert bench.service.status()["mode"] == "holding"


@pytest.mark.parametrize("moving", [True, False])
def test_at_the_end_the_arm_brakes_and_is_then_given_back(bench: Bench, moving: bool):
    bench.engaged()
    if moving:
        for _ in range(20):
            bench.go(float(bench.service.guard.setpoint[0]) + 0.1)
            bench.tick()
    begun, before = bench.clock.s, len(sent(bench.folder))
    bench.service.end()
    path = [x for _, x in sent(bench.folder)[before:]]
    assert calls(bench.folder)[-2:] == ["stop", "disconnect"]
    assert 0 < bench.clock.s - begun < (1.0 if moving else 0.03), "nobody waits longer than it takes"
    if moving:
        steps = np.abs(np.diff(path))
        assert path[-1] - path[0] > 0.001 and steps[-1] == 0, "it is still before it is given back"
        assert (np.diff(steps) < 1e-9).all(), "slower with every tick"


def test_an_arm_that_never_comes_to_rest_is_given_back_all_the_same(bench: Bench):
    bench.engaged()
    places = iter(np.linspace(0, 1, 10**4))
    bench.service.guard.tick = lambda: np.zeros(2)
    kind = type(bench.service.guard)
    bench.service.guard.__class__ = type(
        "Drifting", (kind,), {"setpoint": property(lambda self: np.full(2, next(places)))}
    )
    begun = bench.clock.s
    bench.service.end()
    assert bench.clock.s - begun == pytest.approx(3.0, abs=0.03) and calls(bench.folder)[-2:] == ["stop", "disconnect"]


def test_a_driver_that_cannot_stop_is_disconnected(bench: Bench):
    def broken() -> None:
        raise OSError("cable out")

    bench.engaged()
    bench.service.driver.stop = broken
    with pytest.raises(OSError):
        bench.service.end()
    assert calls(bench.folder)[-1] == "disconnect"


def test_a_session_that_closes_while_its_guard_starts_gets_the_arm_given_back(tmp_path: Path):
    mine, other = Pipe()
    mine.close()
    guard_robot(str(declare(tmp_path)), other, threading.Event())  # raises nothing
    assert calls(tmp_path)[0] == "connect" and calls(tmp_path)[-1] == "disconnect"
