"""A guest's process: its faults are told apart, it is started again, and it never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roboscale.core import InfrastructureError, PolicyError, RoboscaleError
from roboscale.guests import GuestProcess, check_guest_process


def process(toy, does: str = "", **limits: float) -> GuestProcess:
    return GuestProcess(toy, toy.policies, {"path": "x", "does": does}, **limits)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    for _ in range(200):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_it_sees_nothing_of_ours_but_the_wire_and_printing_is_harmless(toy):
    opened = process(toy)
    said = opened.start()
    assert said["versions"] == {"roboscale": "no"} and said["notes"][0] == "set by the guest"
    assert "opening x" in opened.log.read_text()
    opened.close()
    assert not opened.log.exists() and gone(int(said["notes"][1]))


@pytest.mark.parametrize(
    ("does", "error", "text"),
    [
        ("mistake", RoboscaleError, "guest toy: no such checkpoint"),
        ("raise at start", InfrastructureError, r"cannot open it: ValueError: broken weights \(.*toy_guest.py:\d+\)"),
        ("die at start", InfrastructureError, "died with exit code 3; its last lines: .*opening x"),
    ],
)
def test_what_cannot_be_opened_says_why(toy, does: str, error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        process(toy, does).start()


def test_a_hanging_start_ends_with_its_limit(toy):
    with pytest.raises(InfrastructureError, match="did not answer within 2 s"):
        process(toy, "hang at start", start_s=2).start()


@pytest.mark.parametrize(
    ("does", "error", "text"),
    [
        ("die", InfrastructureError, "died with exit code 9; its last lines: .*the last word"),
        ("memory", InfrastructureError, "was killed by signal 9"),
        ("hang", InfrastructureError, "did not answer within 1 s"),
        ("raise", PolicyError, "guest toy: ValueError: nonsense"),
    ],
)
def test_a_fault_is_told_and_the_next_question_finds_a_process(toy, does, error, text):
    opened = process(toy, does, answer_s=1)
    opened.start()
    for _ in range(2):
        with pytest.raises(error, match=text):
            opened.ask("act", {"asked": []})
    assert opened.number == (1 if does == "raise" else 2)
    opened.close()


def test_what_it_started_ends_with_it(toy):
    opened = process(toy, "child")
    pid, child = (int(text) for text in opened.start()["notes"][1:])
    assert alive(child)
    opened.close()
    assert gone(pid) and gone(child)


def test_it_ends_when_whoever_started_it_is_killed(toy, tmp_path: Path):
    script = tmp_path / "host.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from roboscale.guests import GuestProcess, process, read_guest\n"
        f"process._MORE_PATH = ({str(Path(__file__).parent)!r},)\n"
        f"opened = GuestProcess(read_guest(Path({str(toy.folder)!r})), 'toy_guest:Policy', {{'does': 'child'}})\n"
        "print(*opened.start()['notes'][1:], flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pid, child = map(int, host.stdout.readline().split())
        assert alive(pid) and alive(child)
        os.kill(host.pid, signal.SIGKILL)
    assert gone(pid), "the guest outlived its parent"


def test_its_check_runs_in_it(toy):
    assert check_guest_process(toy) == ("it starts", "it answers")


def test_one_that_is_not_installed_says_the_command(toy, folder: Path):
    (folder / "toy" / "state.json").unlink()
    with pytest.raises(RoboscaleError, match="roboscale guest install toy"):
        process(toy)
