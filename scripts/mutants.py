"""Plants small faults in a room, one at a time, and looks whether the room's tests notice.

    scripts/mutants.py trials            60 faults drawn with seed 0, in an environment that has cosmic-ray
    make mutants ROOM=trials             the same; makes that environment

The list of faults is cosmic-ray's (operators, comparisons, numbers, conditions, loops, exceptions ...). Annotations
are left out: they are not evaluated, so no test can notice. The room's tests run once under coverage, and a fault is
tried against those that run its line, the quickest first; a line outside of functions against all that run its file,
and one that no test of this process runs against the files named below. Results go to `mutants/ROOM.jsonl`, one line
a fault, and the same command goes on where it was. The summary lists every survivor with its line.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import itertools
import json
import operator
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "trials": (("trials",), ("tests/trials", "tests/jobs/test_cases.py")),
    "referees": (("referees", "core/referee.py"), ("tests/referees", "tests/trials/test_rollout.py")),
    "results": (("results",), ("tests/results", "tests/jobs/test_result_files.py")),
    "worlds": (("worlds",), ("tests/worlds",)),
    "deciding": (
        ("stats/deciding.py", "jobs/judged.py", "jobs/running.py"),
        ("tests/stats/test_deciding.py", "tests/jobs", "tests/cli/test_commands.py"),
    ),
}
"""Room -> its files below src/roboscale, and its tests, the quickest first."""

NEAR = {
    "trials/log": ("tests/trials/test_log.py", "tests/trials/test_log_files.py", "tests/trials/test_log_legacy.py"),
    "trials/condition_set.py": ("tests/jobs/test_cases.py",),
    "trials/export.py": ("tests/trials/test_export.py",),
    "trials/recording.py": ("tests/trials/test_recording.py", "tests/jobs/test_films.py"),
    "trials": ("tests/trials/test_evidence.py", "tests/trials/test_rollout.py", "tests/trials/test_schedule.py"),
    "worlds/real": ("tests/worlds/test_robot_world.py",),
    "stats/deciding.py": ("tests/stats/test_deciding.py", "tests/trials/test_evidence.py"),
}
"""Files below src/roboscale -> the tests for lines that run in processes of their own."""

LIBRARIES = ("numpy", "scipy.special", "pyarrow", "sqlalchemy", "gymnasium", "hypothesis")
"""Loaded once; every fault is tried in a fork."""

LIMIT_S = 240
"""Of the processor's time; a machine that is busy with other things kills no fault."""

LIMIT_WALL_S = 1200
"""For what waits for ever."""

ENOUGH_S = 20.0
"""Of the quickest tests that run a line: some lines are run by every test."""

MOST = 60
"""Of the tests that run most of a file, for a line outside of its functions."""

STAMPS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mutant:
    """One planted fault: cosmic-ray's operator, and which of its occurrences in the file."""

    path: str
    operator: str
    occurrence: int
    line: int

    @property
    def key(self) -> str:
        return f"{self.path}:{self.line} {self.operator} {self.occurrence}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tool", type=Path, default=Path("mutants/.venv/bin/cosmic-ray"), help="cosmic-ray's command")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    args = parser.parse_args()
    out = ROOT / "mutants" / f"{args.room}.jsonl"
    out.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        scratch = copy_of_the_project(Path(folder))
        for library in LIBRARIES:
            importlib.import_module(library)
        drawn = draw(scratch, args.room, args.tool.resolve(), args.count, args.seed)
        ran = who_runs_what(scratch, args.room, args.tool.resolve())
        told = {line["key"]: line for line in map(json.loads, out.read_text().splitlines())} if out.exists() else {}
        for number, mutant in enumerate(drawn, 1):
            known = told.get(mutant.key)
            if known is None or (args.again and known["survived"]):
                told[mutant.key] = try_out(
                    scratch, mutant, tests_of(scratch, mutant, args.room, ran), args.tool.resolve()
                )
                with out.open("a") as file:
                    file.write(json.dumps(told[mutant.key]) + "\n")
            said = told[mutant.key]
            print(
                f"{number:3} {'SURVIVED' if said['survived'] else 'killed  '} {said['seconds']:5.0f} s  {mutant.key}"
            )
    survivors = [told[m.key] for m in drawn if told[m.key]["survived"]]
    print(f"{args.room}: {len(drawn)} drawn with seed {args.seed}, {len(drawn) - len(survivors)} killed")
    for said in survivors:
        print(f"\n{said['key']}\n{said['change']}")


def copy_of_the_project(folder: Path) -> Path:
    """Source and tests as they stand now, so that nothing is ever mutated in place."""
    for name in ("src", "tests", "examples", "docs", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "Makefile", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def draw(scratch: Path, room: str, tool: Path, count: int, seed: int) -> list[Mutant]:
    """`count` of the room's faults, in the order in which they were drawn."""
    files = files_of(scratch, room)
    listed = faults_in(scratch, files, tool)
    ordered = sorted(mutant for file in files for mutant in listed[file])  # the tool lists them in no order
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def files_of(scratch: Path, room: str) -> list[Path]:
    package = scratch / "src" / "roboscale"
    listed = [package / name for name in ROOMS[room][0]]
    return sorted(file for path in listed for file in ([path] if path.is_file() else path.rglob("*.py")))


def faults_in(scratch: Path, files: list[Path], tool: Path) -> dict[Path, list[Mutant]]:
    """What cosmic-ray would change in every file, outside annotations."""
    config, session = scratch / "session.toml", scratch / "session.sqlite"
    session.unlink(missing_ok=True)
    paths = json.dumps([str(file) for file in files])
    lines = (f"module-path = {paths}", "timeout = 10.0", 'test-command = "true"', "excluded-modules = []")
    config.write_text("\n".join(("[cosmic-ray]", *lines, "[cosmic-ray.distributor]", 'name = "local"', "")))
    subprocess.run([tool, "init", config, session], check=True, capture_output=True, cwd=scratch)
    dump = subprocess.run([tool, "dump", session], check=True, capture_output=True, text=True, cwd=scratch).stdout
    notes = {file: annotations(file) for file in files}
    listed: dict[Path, list[Mutant]] = {file: [] for file in files}
    for line in dump.splitlines():
        (spec,) = json.loads(line)[0]["mutations"]
        file, (row, column) = Path(spec["module_path"]), spec["start_pos"]
        if not any(start <= (row, column) < end for start, end in notes[file]):
            path = file.relative_to(scratch).as_posix()
            operator_name, occurrence = spec["operator_name"], spec["occurrence"]
            listed[file].append(Mutant(path=path, operator=operator_name, occurrence=occurrence, line=row))
    return listed


def annotations(file: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where annotations and `TYPE_CHECKING` blocks reach."""
    ranges = []
    for node in ast.walk(ast.parse(file.read_text())):
        found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node)
        ranges += [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found if n is not None]
    return ranges


def try_out(scratch: Path, mutant: Mutant, tests: list[str], tool: Path) -> dict[str, object]:
    """Plants a fault, runs tests until one fails, and takes it out again."""
    file = scratch / mutant.path
    whole = file.read_text()
    begun = time.monotonic()
    try:
        subprocess.run(
            [tool, "apply", file, mutant.operator, str(mutant.occurrence)],
            check=True,
            capture_output=True,
            cwd=scratch,
        )
        change = difference(whole, file.read_text())
        stamp = next(STAMPS)
        os.utime(file, (stamp, stamp))  # compiled files are told apart by it
        survived, by = run_tests(scratch, tests) if compiles(file) else (False, "does not compile")
    finally:
        file.write_text(whole)
    seconds = round(time.monotonic() - begun, 1)
    said = {"key": mutant.key, "survived": survived, "by": by, "seconds": seconds, "change": change}
    return {**asdict(mutant), **said}


def compiles(file: Path) -> bool:
    try:
        ast.parse(file.read_text())
    except SyntaxError:
        return False
    return True


def difference(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return "\n".join(f"- {a.strip()}\n+ {b.strip()}" for a, b in pairs if a != b)


Lines = dict[str, dict[int, list[str]]]
"""File -> line -> the tests that run it, the quickest first."""


def who_runs_what(scratch: Path, room: str, tool: Path) -> Lines:
    """Runs the room's tests once, without a fault; those that fail already can tell nothing, and are named."""
    told = scratch / "lines.json"
    child = os.fork()
    if child == 0:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        sys.path.append(str(tool.parents[1] / "lib" / version / "site-packages"))  # where coverage is
        watch = Watch(scratch, files_of(scratch, room))
        pytest_in(scratch, list(ROOMS[room][1]), scratch / "tests.txt", [watch])
        told.write_text(json.dumps([watch.lines(), sorted(watch.failed), sorted(watch.broken)]))
        os._exit(0)
    os.waitpid(child, 0)
    files, failed, broken = json.loads(told.read_text())
    if broken:
        sys.exit(f"cannot be loaded without a fault, so that every fault would seem killed: {', '.join(broken)}")
    for test in failed:
        print(f"left out, it fails without a fault: {test}", flush=True)
    return {file: {int(n): tests for n, tests in lines.items()} for file, lines in files.items()}


class Watch:
    """A plugin of pytest: which test runs which lines of some files, and how long it takes."""

    def __init__(self, scratch: Path, files: list[Path]) -> None:
        import coverage

        self.scratch = scratch
        self.coverage = coverage.Coverage(data_file=None, include=[str(file) for file in files], config_file=False)
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.broken: set[str] = set()
        self.coverage.start()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        begun = time.process_time()
        said = yield
        self.seconds[item.nodeid] = time.process_time() - begun
        self.coverage.switch_context("")
        return said

    def lines(self) -> Lines:
        self.coverage.stop()
        data: Any = self.coverage.get_data()
        return {
            Path(file).relative_to(self.scratch).as_posix(): {
                line: self.quickest(filter(None, tests)) for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }

    def quickest(self, tests: Iterable[str]) -> list[str]:
        ordered = sorted(set(tests) - self.failed, key=self.seconds.__getitem__)
        until = itertools.accumulate(self.seconds[test] for test in ordered)
        return [test for test, seconds in zip(ordered, until, strict=True) if seconds <= ENOUGH_S] or ordered[:1]


def tests_of(scratch: Path, mutant: Mutant, room: str, ran: Lines) -> list[str]:
    """The tests that a fault is tried against: who runs its line, its file, or is named for it."""
    bodies = lines_of_bodies(scratch / mutant.path)
    lines = ran.get(mutant.path, {})
    if mutant.line in bodies and lines.get(mutant.line):
        return lines[mutant.line]
    if mutant.line not in bodies:
        counts: dict[str, int] = defaultdict(int)
        for test in (test for line in bodies & lines.keys() for test in lines[line]):
            counts[test] += 1
        if counts:
            return [test for test, _ in sorted(counts.items(), key=operator.itemgetter(1), reverse=True)[:MOST]]
    near = next(
        (tests for under, tests in NEAR.items() if mutant.path.startswith(f"src/roboscale/{under}")), ROOMS[room][1]
    )
    files = [f for name in near for f in (sorted((ROOT / name).rglob("test_*.py")) or [ROOT / name])]
    return list(dict.fromkeys(file.relative_to(ROOT).as_posix() for file in files if file.exists()))


def lines_of_bodies(file: Path) -> set[int]:
    """Lines that run when a function is called, and not when its module is imported."""
    functions = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef | ast.Lambda)]
    bodies = [body for n in functions for body in (n.body if isinstance(n.body, list) else [n.body])]
    return {line for body in bodies for line in range(body.lineno, (body.end_lineno or body.lineno) + 1)}


def run_tests(scratch: Path, tests: list[str]) -> tuple[bool, str]:
    """Whether all tests pass, and else which one does not; in a fork, where the libraries are loaded."""
    output = scratch / "tests.txt"
    child = os.fork()
    if child == 0:
        os._exit(pytest_in(scratch, tests, output))
    end, done, status = time.monotonic() + LIMIT_WALL_S, 0, 0
    while not done and time.monotonic() < end:
        time.sleep(0.1)
        done, status = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever the tests have started ends with them
    if not done:
        os.waitpid(child, 0)
        return False, f"no end within {LIMIT_WALL_S} s"
    code = os.waitstatus_to_exitcode(status)
    lines = output.read_text(errors="replace").splitlines() if output.exists() else []
    failed = [line.removeprefix("FAILED ") for line in lines if line.startswith(("FAILED", "ERROR"))]
    return code == 0, (failed or [f"exit code {code}"])[0]


def pytest_in(scratch: Path, tests: list[str], output: Path, plugins: list[object] | None = None) -> int:
    """Runs tests in the copy of the project; the exit code. In a process of its own."""
    os.setsid()
    if not plugins:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 1)
    os.dup2(to, 2)
    os.chdir(scratch)
    os.environ["PYTHONPATH"] = str(scratch / "src")
    sys.path.insert(0, str(scratch / "src"))
    words = ["-q", "--no-header", "--timeout=600", "-p", "no:cacheprovider", *([] if plugins else ["-x"])]
    return int(pytest.main([*words, *tests], plugins=plugins))


if __name__ == "__main__":
    main()
