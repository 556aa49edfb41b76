"""The command line's manners: the result alone on stdout, the rest on stderr, whoever prints."""

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
import typer
from typer.testing import CliRunner

import roboscale
from roboscale.cli.app import app, parse
from roboscale.cli.commands import Command
from roboscale.cli.terminal import Lines, Terminal
from roboscale.core import BadData, UnknownName
from roboscale.jobs.events import Note, Progress, Stage, Wrote, counting, progressing
from roboscale.jobs.rank import Rank
from roboscale.jobs.request import Argument, Option, Request

LOUD = """
import ctypes, os, subprocess, sys
from roboscale.cli.terminal import terminal
with terminal(as_json=True) as opened:
    print("python")
    os.write(1, b"descriptor\\n")
    ctypes.CDLL(None).puts(b"buffered in C")
    subprocess.run(["echo", "child"])
    opened.show({"result": "ünï"}, "")
    print("after")
print("restored")
"""


def test_a_job_that_prints_does_not_break_the_json():
    done = subprocess.run([sys.executable, "-c", LOUD], capture_output=True, text=True, check=True)
    result, _, rest = done.stdout.partition("}\n")
    assert json.loads(result + "}") == {"result": "ünï"} and rest == "restored\n"
    for said in ("python", "descriptor", "buffered in C", "child", "after"):
        assert said in done.stderr


def test_a_closed_stdout_is_no_error(tmp_path: Path):
    (tmp_path / "t.csv").write_text("policy,case,success\na,1,1\na,2,0\n")
    script = "from roboscale.cli.__main__ import main; main()"
    command = f"{sys.executable} -c '{script}' rank t.csv >&-"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def show(**options: bool) -> tuple[Terminal, list[str]]:
    written: list[str] = []
    return Terminal(written.append, **options), written


def test_notes_are_a_line_each_and_stand_in_the_json(capsys: pytest.CaptureFixture[str]):
    terminal, written = show(as_json=True)
    terminal.event(Note("reused 3 trials"))
    terminal.show({"n": 3}, "three")
    assert json.loads("".join(written)) == {"n": 3, "notes": ["reused 3 trials"]}
    assert capsys.readouterr().err == "note: reused 3 trials\n"
    terminal, written = show(as_json=True)
    terminal.show({"n": 3}, "three")
    assert json.loads("".join(written)) == {"n": 3}


def test_nan_is_no_json():
    terminal, written = show(as_json=True)
    with pytest.raises(ValueError):
        terminal.show({"n": float("nan")}, "")
    assert written == []


def test_text_is_a_text_or_lines():
    terminal, written = show()
    terminal.show({}, "one\ntwo")
    terminal.show({}, (word for word in ("three", "four")))
    assert "".join(written) == "one\ntwo\nthree\nfour\n"


def test_stages_and_files_are_lines(capsys: pytest.CaptureFixture[str]):
    terminal, _ = show()
    terminal.event(Stage(1, 3, "collecting"))
    terminal.event(Wrote("page", Path("a.html")))
    assert capsys.readouterr().err == "1/3  collecting\npage: a.html\n"


def progress_lines(capsys: pytest.CaptureFixture[str], events: list[Progress], seconds: float) -> list[str]:
    """What is said of events that come so many seconds apart."""
    now = [0.0]
    lines = Lines(lambda: now[0])
    for event in events:
        now[0] += seconds
        lines.show(event)
    lines.close()
    return capsys.readouterr().err.splitlines()


def test_progress_in_a_log_is_a_line_each_tenth(capsys: pytest.CaptureFixture[str]):
    events = [Progress("trials", done, 40, f"{done} won") for done in range(1, 41)]
    assert progress_lines(capsys, events, 1.0) == [f"trials: {n} of 40  {n} won" for n in range(4, 41, 4)]


def test_a_quick_job_does_not_flood_the_log(capsys: pytest.CaptureFixture[str]):
    events = [Progress("trials", done, 40) for done in range(1, 41)]
    assert progress_lines(capsys, events, 1 / 16) == ["trials: 17 of 40", "trials: 33 of 40", "trials: 40 of 40"]


def test_what_takes_long_or_has_no_end_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]):
    slow = [Progress("steps", done, 1000) for done in range(1, 9)]
    endless = [Progress("episodes", done) for done in range(1, 9)]
    assert progress_lines(capsys, slow, 16.0) == ["steps: 5 of 1000", "steps: 8 of 1000"]
    assert progress_lines(capsys, endless, 16.0) == ["episodes: 5", "episodes: 8"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch):
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", tty := Tty())
    terminal, written = show()
    terminal.event(Progress("trials", 1, 2, "[red]1 won"))
    terminal.event(Note("something"))
    terminal.event(Progress("trials", 2, 2, "[red]2 won"))
    terminal.show({}, "done")
    assert "2/2" in tty.getvalue() and "[red]2 won" in tty.getvalue() and "note: something" in tty.getvalue()
    assert written == ["done\n"]


def test_counters_become_progress():
    told: list[Progress] = []
    advance = counting(told.append, "episodes", 3)
    advance()
    advance(2, "last")
    progressing(told.append, "frames")(5, 10)
    assert told == [
        Progress("episodes", 1, 3),
        Progress("episodes", 3, 3, "last"),
        Progress("frames", 5, 10),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Request):
    words: ClassVar[tuple[str, ...]] = ("ask",)

    sources: Annotated[tuple[Path, ...], Argument("What is read.")]
    out: Annotated[Path, Argument("What is written.")]
    size: Annotated[int, Option("How large.", flag="--size/-s", min=1)] = 1
    proof: Annotated[bool, Option("Prove it.")] = True


def answer(request: Ask, terminal: Terminal) -> int:
    """Answer.

    With more words.
    """
    print("noise")
    terminal.event(Note("guessed"))
    if request.size == 13:
        raise BadData("a", "b", 1, 2)
    terminal.show({"out": str(request.out), "size": request.size, "dry": terminal.dry_run}, repr(request))
    return request.size - 1


@pytest.fixture
def asking() -> typer.Typer:
    made = typer.Typer()
    made.callback()(lambda: None)
    Command(Ask, answer, dry_run=True).add_to(made)
    return made


def test_a_command_is_made_from_its_request(asking: typer.Typer):
    done = CliRunner().invoke(asking, ["ask", "a", "b", "c", "--no-proof", "--json", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"out": "c", "size": 1, "dry": True, "notes": ["guessed"]}
    assert done.stderr == "noise\nnote: guessed\n"
    done = CliRunner().invoke(asking, ["ask", "a", "b", "-s", "3"])
    assert done.exit_code == 2
    assert done.stdout == f"{Ask(sources=('a',), out='b', size=3)!r}\n"


def test_errors_are_one_line(asking: typer.Typer):
    done = CliRunner().invoke(asking, ["ask", "a", "b", "--size", "13"])
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.endswith("error: a: b: expected 1, found 2\n")
    assert CliRunner().invoke(asking, ["ask", "a", "b", "--size", "0"]).exit_code == 2
    assert CliRunner().invoke(asking, ["ask", "a"]).exit_code == 2


def test_the_help_is_the_function_s(asking: typer.Typer):
    said = CliRunner().invoke(asking, ["ask", "--help"]).stdout
    for text in ("Answer.", "With more words.", "What is read.", "--no-proof", "--dry-run", "How large."):
        assert text in said


def test_parse_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert parse(["rank", "missing.csv", "--html", "p.html", "--json"]) == Rank(
        sources=("missing.csv",), html=Path("p.html")
    )
    assert list(tmp_path.iterdir()) == []
    for words in (["rnak", "a"], [], ["rank", "--help"]):
        with pytest.raises(UnknownName):
            parse(words)


def test_the_version_is_said():
    assert CliRunner().invoke(app, ["--version"]).stdout == f"roboscale {roboscale.__version__}\n"
