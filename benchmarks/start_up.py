"""What a command costs that has nothing to do: processor seconds from start to end.

    python -m benchmarks.start_up [--runs 5]

Every command runs once to make what there is to find, and its bytecode; then the median of the runs that follow is
given, user and system time together. Processor time, not time on the clock: that is what a machine shared by many
pays, and threads that spin while they wait are part of it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BAR_S = 1.2

EVAL = ("eval", "--policy", "expert", "--tasks", "reach-v3", "--trials", "4", "--out", "one", "--workers", "0")
COMPARE = ("compare", "expert", "constant", "--tasks", "reach-v3", "--budget", "8", "--out", "two", "--workers", "0")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("--help",),
    EVAL,
    COMPARE,
    ("eval", "--world", "pusht", "--policy", "constant", "--trials", "2", "--horizon", "20", "--out", "three"),
    ("trials", "list", "one"),
    ("runs", "."),
    ("world", "list"),
    ("rank", "some.csv"),
)
"""Only what has nothing to do the second time."""

TABLE = "policy,task,success\n" + "".join(
    f"{p},t{k},{int(k % n > 0)}\n" for p, n in (("a", 5), ("b", 2)) for k in range(20)
)


def processor_name() -> str:
    """As the kernel calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def processor_s(words: tuple[str, ...], folder: Path) -> tuple[float, int]:
    """Processor seconds of one command, and its exit code."""
    hidden = {"PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "roboscale.cli", *words], cwd=folder, env=environment, capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print(f"{processor_name()}, {os.cpu_count()} cores; bar {BAR_S:g} s")
    print("  first  median     min     max  command")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "some.csv").write_text(TABLE)
        for words in COMMANDS:
            first, _ = processor_s(words, folder)
            runs = [processor_s(words, folder) for _ in range(args.runs)]
            spent = [seconds for seconds, _ in runs]
            failed = "" if not any(code for _, code in runs) else f"  (exit code {runs[-1][1]})"
            row = "".join(f"{s:8.2f}" for s in (first, statistics.median(spent), min(spent), max(spent)))
            print(f"{row[1:]}  roboscale {' '.join(words)}{failed}", flush=True)


if __name__ == "__main__":
    main()
