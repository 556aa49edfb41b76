"""What public checkers of LeRobot datasets find of planted defects, beside `roboscale data audit`.

Each defect is planted into a clean set; a checker finds it where it says what it does not say of the clean set.
They run in environments of their own, which are named here; one that is not named is left out.

    python3 -m venv doctor && doctor/bin/pip install lerobot-doctor==0.2.0 lerobot-quality-gates==0.1.7
    python3 -m venv lint && lint/bin/pip install lerobot-lint==0.1.1  # 5 GB: it brings torch
    python -m benchmarks.checkers --doctor doctor/bin/lerobot-doctor --gates doctor/bin/lerobot-quality-gates \\
        [--lint lint/bin/lelint] [--only spike,nan] [--json results.json]
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from roboscale.dataset.audit import audit_folder
from tests.defects.planted import DEFECTS, clean

Said = set[str]
"""What a checker says of a dataset, with numbers and paths taken out, so that two datasets can be compared."""


def plain(text: str) -> str:
    return re.sub(r"[-+]?\d[\d.,e+-]*|/\S+", "#", text)[:200]


def said_in_json(answer: str) -> Said:
    """Every text of an answer that stands beside a bad severity."""
    try:
        data = json.loads(answer[answer.index("{") :])
    except ValueError:
        return {plain(line) for line in answer.splitlines()[-3:]}
    found: Said = set()

    def walk(node: object, name: str = "") -> None:
        if isinstance(node, dict):
            level = str(node.get("severity", node.get("status", node.get("level", "")))).lower()
            if level in ("fail", "error", "warn", "warning", "high", "medium", "critical"):
                texts = [str(node.get(key, "")) for key in ("name", "check", "gate", "message", "text")]
                found.add(plain(f"{level}: {' '.join(t for t in texts if t) or name}"))
            for key, value in node.items():
                walk(value, key)
        elif isinstance(node, list):
            for value in node:
                walk(value, name)

    walk(data)
    return found


def asked(*command: str) -> Callable[[Path], Said]:
    def ask(root: Path) -> Said:
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "answer.json"
            places = {"SET": str(root), "JSON": str(answer)}
            words = [places.get(word, word) for word in command]
            done = subprocess.run(words, capture_output=True, text=True, timeout=300)
            if "No such option" in done.stderr:
                raise SystemExit(f"{shlex.join(words)}: {done.stderr}")
            return said_in_json(answer.read_text() if answer.exists() else done.stdout or done.stderr)

    return ask


def ours(root: Path) -> Said:
    return {f"{one.severity}: {one.check} {one.field}" for one in audit_folder(root).findings}


def checkers(given: argparse.Namespace) -> dict[str, Callable[[Path], Said]]:
    found: dict[str, Callable[[Path], Said]] = {"roboscale": ours}
    if given.doctor:
        found["lerobot-doctor"] = asked(given.doctor, "SET", "--json")
    if given.gates:
        found["lerobot-quality-gates"] = asked(given.gates, "check", "SET", "--format", "json")
    if given.lint:
        found["lerobot-lint"] = asked(given.lint, "check", "SET", "--json", "JSON")
    return found


def cpu_s() -> float:
    """Processor seconds of this process and of the children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("doctor", "gates", "lint"):
        parser.add_argument(f"--{name}", help="the program")
    parser.add_argument("--only", help="defects, with commas")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    names = given.only.split(",") if given.only else sorted(DEFECTS)
    tools = checkers(given)
    spent, results = dict.fromkeys(tools, 0.0), {}
    with tempfile.TemporaryDirectory() as folder_:
        folder, before = Path(folder_), dict[tuple[str, str], Said]()
        for name in names:
            kind, root = DEFECTS[name].kind, folder / "set"
            if not (folder / kind).exists():
                clean(folder / kind, kind)
                before |= {(tool, kind): ask(folder / kind) for tool, ask in tools.items()}
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(folder / kind, root)
            DEFECTS[name].plant(root, np.random.default_rng(0))
            results[name] = {}
            for tool, ask in tools.items():
                begin = cpu_s()
                results[name][tool] = sorted(ask(root) - before[tool, kind])
                spent[tool] += cpu_s() - begin
            print(
                f"{name:28} " + "  ".join(f"{tool} {'+' if said else '-'}" for tool, said in results[name].items()),
                flush=True,
            )
    for tool in tools:
        found = sum(bool(said[tool]) for said in results.values())
        wrong = len({text for (one, _), said in before.items() if one == tool for text in said})
        print(f"{tool}: {found} of {len(results)} found; {wrong} things said of clean sets; {spent[tool]:.0f} CPU-s")
    only = [name for name, said in results.items() if not said["roboscale"] and any(said.values())]
    print(f"found by another and not by roboscale: {', '.join(only) or 'none'}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
