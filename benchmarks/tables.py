"""What tables of many rows cost: `python -m benchmarks.tables`.

A million rows of CSV (10 policies, 20 tasks, cases in common) and two policies with a million trials each as counts,
each read in a process of its own and ranked, the same counts typed (`count`), and `check` on a folder of a thousand
evaluation files: CPU seconds and peak memory above those of a small table, of few trials and of two files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_CODE = """
import json, resource, sys
sys.argv = {argv!r}
from roboscale.cli.__main__ import main
try:
    main()
except SystemExit:
    pass
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]), file=sys.stderr)
"""


def write_trials(path: Path, rows: int, seed: int = 0) -> Path:
    """One row a trial, cases in common, in the order of their cases."""
    rng = np.random.default_rng(seed)
    per_policy = rows // 10
    rate = np.linspace(0.3, 0.7, 10)
    won = rng.random((per_policy, 10)) < rate
    with path.open("w") as file:
        file.write("policy,task,seed,success\n")
        for k in range(per_policy):
            file.write("".join(f"policy {p},task {k % 20},{k // 20},{int(won[k, p])}\n" for p in range(10)))
    return path


def write_counts(path: Path, trials: int) -> Path:
    """Two policies with so many trials each."""
    path.write_text(f"policy,successes,trials\nA,{trials // 2},{trials}\nB,{trials // 2 + trials // 500},{trials}\n")
    return path


def write_files(folder: Path, files: int, seed: int = 0) -> Path:
    """As many evaluation files, each of a policy of its own: 2 tasks, 10 cases each."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for k in range(files):
        rows = "".join(
            f"{task},{case},{int(rng.random() < 0.5)}\n" for task in ("cup", "drawer") for case in range(10)
        )
        (folder / f"policy_{k:04}.csv").write_text(f"task,seed,success\n{rows}")
    return folder


def cost(*argv: str) -> tuple[float, float]:
    """CPU seconds and peak MB of a command in a process of its own."""
    code = _CODE.format(argv=["roboscale", *argv])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seconds, peak = json.loads(done.stderr.splitlines()[-1])
    return float(seconds), float(peak)


def reading(path: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of reading alone, start-up included."""
    code = (
        "import json, resource, sys; from pathlib import Path; from roboscale.results import read_results; "
        f"read_results(Path({str(path)!r})).outcomes(); u = resource.getrusage(resource.RUSAGE_SELF); "
        "print(json.dumps([u.ru_utime + u.ru_stime, u.ru_maxrss / 1024]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return float(seconds), float(peak)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small = write_trials(root / "small.csv", 200)
        large = write_trials(root / "large.csv", rows)
        few, many = write_counts(root / "few.csv", 100), write_counts(root / "many.csv", rows)
        two, folder = write_files(root / "two", 2), write_files(root / "folder", rows // 1000)
        for title, argvs in (
            (
                f"count of 2 x {rows:,}",
                (("count", "50/100", "51/100"), ("count", f"{rows // 2}/{rows}", f"{rows // 2 + rows // 500}/{rows}")),
            ),
            (f"check of {rows // 1000:,} files", (("check", str(two)), ("check", str(folder)))),
        ):
            before, after = (cost(*argv) for argv in argvs)
            print(f"{title}: {after[0] - before[0]:.1f} CPU s and {after[1] - before[1]:.0f} MB above start-up")
        for title, measure, base, path in (
            ("read one row a trial", reading, small, large),
            ("read counts", reading, few, many),
            ("rank one row a trial", lambda p: cost("rank", str(p)), small, large),
            ("rank counts", lambda p: cost("rank", str(p)), few, many),
        ):
            before, after = measure(base), measure(path)
            print(
                f"{title}, {rows:,}: {after[0] - before[0]:.1f} CPU s and {after[1] - before[1]:.0f} MB above start-up"
            )


if __name__ == "__main__":
    main()
