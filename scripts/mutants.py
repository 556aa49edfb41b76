"""Would the tests notice? Mutants of one room, each run against that room's tests until the first test fails.

The mutants are those of cosmic-ray's operators, less those that change an annotation alone; 60 are drawn with seed 0.
They are tried one after the other in a copy of the tree, each in a fork of a process that has the libraries loaded,
so that a mutant costs its tests and not their imports. What was tried is in a file, one line each: the same command
goes on where it stopped, and `--again` tries once more what survived, after tests were written.

    make mutants ROOM=trials

It runs in an environment that has cosmic-ray; the tests run in the one given by `--python`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "docs", "examples", "benchmarks", "scripts", "pyproject.toml", "README.md", "Makefile")
DRAWN, SEED = 60, 0
TEST_LIMIT_S, MUTANT_LIMIT_S = 120, 400
LIBRARIES = ("numpy", "scipy.special", "pyarrow", "sqlalchemy", "gymnasium", "hypothesis", "pytest")

ROOMS: dict[str, dict[str, str]] = {
    "trials": {
        "src/roboscale/trials/log": "trials/test_log trials/test_log_files trials/test_log_legacy",
        "src/roboscale/trials/condition_set.py": "jobs/test_cases",
        "src/roboscale/trials/export.py": "jobs/test_result_files trials/test_schedule",
        "src/roboscale/trials": "trials/test_evidence trials/test_rollout trials/test_schedule",
    },
    "referees": {"src/roboscale/referees": "referees/test_rules trials/test_rollout trials/test_evidence"},
    "verdicts": {
        "src/roboscale/stats/deciding.py": "stats/test_deciding trials/test_evidence",
        "src/roboscale/jobs/judged.py": "jobs/test_identity_of_results jobs/test_robot_run",
        "src/roboscale/jobs/running.py": "jobs/test_robot_run jobs/test_identity_of_results jobs/test_mistakes",
    },
    "worlds": {
        "src/roboscale/worlds/real": "worlds/test_robot_world",
        "src/roboscale/worlds": "worlds/test_declarations worlds/test_own_worlds worlds/test_contacts "
        "worlds/test_robot_world worlds/test_world_checks worlds/test_gymnasium_worlds worlds/test_metaworld",
    },
}
"""Room -> what is mutated -> the tests that should notice, the quickest first. A file belongs to its first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one file: `line` counts from 1; `code` is the whole changed file."""

    path: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.operator}:{self.occurrence}"


def without_annotations(code: str) -> str:
    """What the code does, as text: annotations are never evaluated."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def places_in(path: Path) -> list[tuple[Path, str, int]]:
    """Everywhere that an operator has something to change: file, operator, the how-manieth."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(path.read_text("utf-8"))))
    operators = {name: get_operator(name) for name in sorted(operator_names())}
    return [
        (path, name, number)
        for name, operator in operators.items()
        if not operator.arguments()  # those with arguments replace variables that a configuration names
        for number in range(sum(1 for node in nodes for _ in operator().mutation_positions(node)))
    ]


def mutant_at(path: Path, operator: str, occurrence: int) -> Mutant | None:
    """`None` for one that does not compile or changes an annotation alone."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = path.read_text("utf-8")
    code = mutate_code(source, get_operator(operator)(), occurrence)
    try:
        if code is None or without_annotations(code) == without_annotations(source):
            return None
    except SyntaxError:
        return None
    lines, changed = source.splitlines(), code.splitlines()
    where = next((i for i, (a, b) in enumerate(zip(lines, changed, strict=False)) if a != b), len(changed) - 1)
    return Mutant(
        path=str(path.relative_to(ROOT)),
        operator=operator.removeprefix("core/"),
        occurrence=occurrence,
        line=where + 1,
        before=lines[where].strip(),
        after=changed[where].strip(),
        code=code,
    )


def draw(room: str) -> list[Mutant]:
    """The room's mutants that are tried: the first of all in random order."""
    files = [f for s in ROOMS[room] for f in (sorted((ROOT / s).rglob("*.py")) or [ROOT / s])]
    places = [place for file in dict.fromkeys(files) for place in places_in(file)]
    random.Random(SEED).shuffle(places)
    made = (mutant for place in places if (mutant := mutant_at(*place)) is not None)
    return list(islice(made, DRAWN))


def tests_for(path: str, room: str) -> list[str]:
    """The tests of a file, those named after it first."""
    near = next(tests for under, tests in ROOMS[room].items() if path.startswith(under)).split()
    return [f"tests/{test}.py" for test in sorted(near, key=lambda test: Path(path).stem not in test)]


def outcome(mutant: Mutant, room: str, count: int, output: Path) -> str:
    """Tries a mutant in the working directory: killed, survived or timeout."""
    file = Path(mutant.path)
    original = file.read_text("utf-8")
    try:
        file.write_text(mutant.code, "utf-8")
        os.utime(file, (count, count))  # a time of its own: compiled files are told apart by it
        return tried(tests_for(mutant.path, room), output)
    finally:
        file.write_text(original, "utf-8")


def tried(tests: list[str], output: Path) -> str:
    """Runs tests in a fork of this process: killed by the first that fails, survived, or timeout."""
    child = os.fork()
    if child == 0:
        os._exit(_pytest([test for test in tests if Path(test).exists()], output))
    return _wait(child)


def _pytest(tests: list[str], output: Path) -> int:
    import pytest

    os.setsid()
    to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 1)
    os.dup2(to, 2)
    return int(pytest.main(["-x", "-q", f"--timeout={TEST_LIMIT_S}", "-p", "no:cacheprovider", *tests]))


def _wait(child: int) -> str:
    """How the tests of a child ended. Whatever they have started ends with them."""
    end = time.monotonic() + MUTANT_LIMIT_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > end:
            break
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not done:
        os.waitpid(child, 0)
        return "timeout"
    return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"


def try_all(room: str, drawn: Path, results: Path, again: bool) -> None:
    """Tries what has no result yet, in the copy that is the working directory."""
    for library in LIBRARIES:
        __import__(library)
    known = read_results(results)
    every = sorted({f"tests/{test}.py" for tests in ROOMS[room].values() for test in tests.split()})
    if not known and tried(every, drawn.with_name("unchanged.txt")) != "survived":
        sys.exit(f"the tests fail without any mutant: {drawn.with_name('unchanged.txt')}")
    for count, line in enumerate(drawn.read_text("utf-8").splitlines(), 1):
        mutant = Mutant(**json.loads(line))
        if mutant.name in known and not (again and known[mutant.name]["outcome"] == "survived"):
            continue
        began = time.monotonic()
        ended = outcome(mutant, room, count, drawn.with_name(f"{count}.txt"))
        about = {
            **asdict(mutant),
            "name": mutant.name,
            "outcome": ended,
            "seconds": round(time.monotonic() - began, 1),
        }
        del about["code"]
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(about) + "\n")
        print(f"{count:3} {ended:8} {about['seconds']:6} s  {mutant.path}:{mutant.line}  {mutant.after}", flush=True)


def read_results(path: Path) -> dict[str, dict[str, object]]:
    """Mutant's name -> its newest result."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {one["name"]: one for one in map(json.loads, lines)}


def main() -> None:
    """Draws, copies the tree, tries, and prints what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "mutants", help="where the copy and results go")
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="runs the tests")
    parser.add_argument("--again", action="store_true", help="try the survivors once more")
    parser.add_argument("--trying", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = (options.work / options.room).absolute()
    drawn, results, copy = work / "drawn.jsonl", work / "results.jsonl", work / "tree"
    if options.trying:
        return try_all(options.room, drawn, results, options.again)
    work.mkdir(parents=True, exist_ok=True)
    drawn.write_text("".join(json.dumps(asdict(m)) + "\n" for m in draw(options.room)), "utf-8")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, copy / name)
    command = [options.python, str(Path(__file__).resolve()), *sys.argv[1:], "--work", str(options.work.absolute())]
    subprocess.run([*command, "--trying"], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy / "src")}, check=True)
    said = [one["outcome"] for one in read_results(results).values()]
    print(f"{options.room}: {len(said)} tried, {said.count('survived')} survived")


if __name__ == "__main__":
    main()
