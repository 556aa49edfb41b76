"""Policies and worlds that end the program or never come back, where they run in this process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import RoboscaleError
from roboscale.core.objects import identify
from roboscale.jobs.strangers import staying_alive, within

PLACES = {"import": "import gymnasium", "init": "        self.render_mode,", "reset": "        super().reset"}
ENDS = ("import sys; sys.exit(0)", "import os; os._exit(0)")
POINT = {"world": "point.toml", "workers": 0, "retries": 0}


def towards(o):
    return o["observation.environment_state"] - o["observation.state"]


def plant(place: Path, where: str, code: str) -> None:
    """Puts a line into the environment, where it is imported, made or reset."""
    anchor = PLACES[where]
    indent = anchor[: len(anchor) - len(anchor.lstrip())]
    text = (place / "my_env.py").read_text()
    (place / "my_env.py").write_text(text.replace(anchor, f"{indent}{code}\n{anchor}", 1))


@pytest.mark.parametrize("code", ENDS)
@pytest.mark.parametrize("where", PLACES)
def test_a_world_does_not_end_the_program_without_a_word(place: Path, where: str, code: str):
    plant(place, where, code)
    with pytest.raises(RoboscaleError, match=r"(my_env.py|world point).*SystemExit: (os._exit\()?0"):
        rs.evaluate(towards, trials=2, **POINT)


def test_a_step_that_ends_the_program_is_void_and_the_others_count(place: Path):
    text = (place / "my_env.py").read_text()
    ends = "        if self.goal[0] > 0: import os; os._exit(0)\n        near ="
    (place / "my_env.py").write_text(text.replace("        near =", ends))
    done = rs.evaluate(towards, lambda event: None, trials=6, **POINT)
    assert done.value == 1.0 and 0 < done.success.void < 6
    assert any("os._exit(0)" in note for note in done.notes)


@pytest.mark.parametrize("code", ["sys.exit(0)", "os._exit(0)", "exit()"])
def test_a_policy_does_not_end_the_program_without_a_word(place: Path, roboscale, code: str):
    body = f"import os, sys\n\ndef make():\n    {code}\n\ndef act(o):\n    {code}\n"
    (place / "ends.py").write_text(body)
    for name in ("make", "act"):
        words = ("--policy", f"ends.py:{name}", "--world", "point.toml", "--trials", "2", "--workers", "0")
        done = roboscale("eval", *words, code=1)
        assert "error: " in done.stderr and "SystemExit" in done.stderr and name in done.stderr


@pytest.mark.parametrize("code", ["time.sleep(60)", "[0 for _ in iter(int, 1)]"])
@pytest.mark.parametrize("where", ["import", "init"])
def test_a_world_that_does_not_open_is_given_up(place: Path, where: str, code: str):
    plant(place, where, f"import time; {code}")
    begun = time.monotonic()
    with pytest.raises(RoboscaleError, match=r"^world point.toml: not opened within 0.5 s; --start-timeout"):
        rs.evaluate(towards, trials=2, start_timeout=0.5, **POINT)
    with pytest.raises(RoboscaleError, match=r"^world point.toml: not opened within 0.5 s"):
        rs.check_world_tasks(rs.CheckWorldTasks(world="point.toml", start_timeout=0.5))
    assert time.monotonic() - begun < 30


def test_a_policy_that_is_not_made_is_given_up(place: Path):
    (place / "slow.py").write_text(
        "import time\n\nclass Loads:\n    def __init__(self):\n        while True:\n"
        "            try:\n                time.sleep(60)\n            except Exception:\n                pass\n"
    )
    with pytest.raises(RoboscaleError, match=r"^policy slow.py:Loads: not opened within 0.5 s; --start-timeout"):
        rs.evaluate("slow.py:Loads", trials=2, start_timeout=0.5, **POINT)
    with pytest.raises(RoboscaleError, match=r"^policy slow.py:Loads: not opened within 0.5 s"):
        rs.check_policy_in_world(rs.CheckPolicyInWorld(policy="slow.py:Loads", world="point.toml", start_timeout=0.5))


def test_people_are_told_what_they_wait_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.jobs.strangers.SLOW_S", 0.1)
    told: list[str] = []
    with within(60.0, "world slow", told.append):
        while not told:
            time.sleep(0.01)
    with within(60.0, "world quick", told.append):
        pass
    assert told == ["world slow: still being opened after 0 s; --start-timeout gives up after 60 s"]


def test_the_alarm_of_somebody_else_still_rings():
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    left = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with within(60.0, "world", lambda text: None):
            time.sleep(0.3)
        end = time.monotonic() + 30
        while not rang and time.monotonic() < end:
            time.sleep(0.01)
        assert rang == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


def test_a_process_may_end_where_nothing_is_run_and_children_always():
    whole = os._exit
    with staying_alive():
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert os._exit is whole
    with (
        pytest.raises(RoboscaleError, match=r"ended the program \(SystemExit: 3\), in .*test_strangers.py:\d+"),
        staying_alive(),
    ):
        sys.exit(3)
    code = "import roboscale.jobs.strangers, os; os._exit(5)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 5


def test_what_reaches_os_exit_is_who_it_was():
    def acts(o):
        if o is None:
            os._exit(1)
        return o

    outside = identify(acts, "acts")
    with staying_alive():
        assert identify(acts, "acts") == outside
