"""Programs that start processes in every way there is, each really run: all work, or say why not in one sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CALL = "print(sorted(run(abs, [-1, -2, -3], workers=2)))"
IMPORT = "from roboscale.dataset.engine import run\n"
GUARDED = f'{IMPORT}if __name__ == "__main__":\n    {CALL}\n'


def python(*words: str, cwd: Path, text: str | None = None) -> tuple[str, str]:
    done = subprocess.run([sys.executable, *words], cwd=cwd, input=text, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stdout, done.stderr


WORKING = {
    "guarded": GUARDED,
    "in a function": f'{IMPORT}def main():\n    {CALL}\n\nif "__main__" == __name__:\n    main()\n',
}


@pytest.mark.parametrize("how", [*WORKING, "module", "notebook"])
def test_it_works(how: str, tmp_path: Path):
    (tmp_path / "script.py").write_text(WORKING.get(how, GUARDED))
    words = {"module": ("-m", "script"), "notebook": ("-c", IMPORT + CALL)}.get(how, ("script.py",))
    assert python(*words, cwd=tmp_path) == ("[1, 2, 3]\n", "")


BROKEN = {
    "unguarded": f"{IMPORT}{CALL}\n",
    "below the guard": f'{IMPORT}if __name__ == "__main__":\n    pass\n{CALL}\n',
    "in a function": f"{IMPORT}def main():\n    {CALL}\n\nmain()\n",
    "left early": f'{IMPORT}if __name__ != "__main__":\n    raise SystemExit\n{CALL}\n',  # workers would leave, too
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_script_without_a_guard_is_told_where(how: str, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(BROKEN[how])
    said, error = python("script.py", cwd=tmp_path)
    line = BROKEN[how].count("\n")
    assert said == "" and error.count("\n") == 1
    assert error.startswith(f"{script}, line {line}: worker processes import the script: put what it does under ")
    assert 'if __name__ == "__main__":' in error


SLEEPS = """import os, time
from pathlib import Path
from roboscale.dataset.engine import run

def sleep(number):
    Path(f"pid{number}").write_text(str(os.getpid()))
    time.sleep(300)

if __name__ == "__main__":
    list(run(sleep, [1, 2], workers=2))
"""
TRAINS = """import os
from pathlib import Path
from roboscale.jobs import training

def work(asked, progress):
    Path("pid1").write_text(str(os.getpid()))
    while True:
        progress(1, 2, 0.0)

training.run_training = work  # in the worker, too, which imports this
if __name__ == "__main__":
    training.train_all([training.Training(Path("data"), Path("out"), {})], print, at_once=1)
"""


@pytest.mark.parametrize("program", [SLEEPS, TRAINS], ids=["workers", "trainings"])
def test_workers_of_a_killed_program_end_with_it(program: str, tmp_path: Path):
    (tmp_path / "script.py").write_text(program)
    parent = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wanted = tmp_path / ("pid2" if program == SLEEPS else "pid1")
        until(lambda: wanted.exists() and wanted.read_text() != "")
    finally:
        parent.kill()
        parent.wait()
    pids = [int(file.read_text()) for file in tmp_path.glob("pid*")]
    until(lambda: not any(working(pid) for pid in pids))


def working(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(held: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not held():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_a_program_from_standard_input_is_told_to_be_saved(tmp_path: Path):
    said, error = python("-", cwd=tmp_path, text=IMPORT + CALL + "\n")
    assert said == "" and error.count("\n") == 1 and "is no file that worker processes could import" in error
