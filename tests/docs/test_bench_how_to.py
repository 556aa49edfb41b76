"""The bench in fifteen minutes, followed as docs/robots.md has it: its commands, and an operator at the page.

The operator is a script that scores as the simulator's detector proposes, and two cases of 2 s stand for 20 of 6.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.jobs.operator_at_bench import Operator, begin, finish

TEXT = (Path(__file__).parents[2] / "docs" / "robots.md").read_text()
FIRST, SECOND, *_ = re.findall(r"```bash\n(.*?)```", TEXT[TEXT.index("## A bench in fifteen minutes") :], re.DOTALL)


def run(line: str, folder: Path) -> str:
    words = shlex.split(line)
    assert words[0] == "roboscale"
    done = subprocess.run(
        [sys.executable, "-m", "roboscale.cli", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def score_as_proposed(operator: Operator) -> set[int]:
    """Until the command ends; the numbers of the trials that were scored."""
    scored: set[int] = set()
    with contextlib.suppress(httpx.TransportError):  # the command ends, and its page with it
        while (state := operator.until("set up", "stopped", "score", "done", seconds=120))["phase"] != "done":
            if state["phase"] == "stopped":
                operator.click("release")
            elif state["phase"] == "set up":
                operator.click("ready")
            elif state["proposals"] and state["number"] not in scored:
                (near,) = state["proposals"]
                good = near["says"] == "success"
                if operator.click("score", number=state["number"], success=good, stage=2 * good).status_code == 200:
                    scored.add(state["number"])
            time.sleep(0.05)  # a person takes longer
    return scored


def test_the_bench_in_fifteen_minutes_is_what_it_says(tmp_path: Path):
    pytest.importorskip("mujoco")
    demo, lock, compare = FIRST.splitlines()
    said = run(demo, tmp_path)
    for line in (lock, compare, *SECOND.splitlines()):  # it names what comes next, as the page does
        assert " ".join(shlex.split(line)[:4]) in said, line
    changes = (("arm.toml", "horizon = 120", "horizon = 40"), ("study.toml", "\ncases = 20 ", "\ncases = 2 "))
    for name, old, new in (*changes, ("study.toml", "min_cases = 4", "min_cases = 2")):
        file = tmp_path / "bench" / name
        file.write_text(file.read_text().replace(old, new))
    run(lock, tmp_path)
    process, operator = begin(tmp_path, *shlex.split(compare)[2:])
    scored = score_as_proposed(operator)
    out, _ = finish(process)
    assert len(scored) == 4 and "the study is over, 4 trials scored" in out
    told = run(SECOND.splitlines()[0], tmp_path)
    assert "old is better than new" not in told, told
    page = run(SECOND.splitlines()[1], tmp_path)
    assert "report.html" in page
    assert "Detectors beside whoever decided" in (tmp_path / "bench" / "study.trials" / "report.html").read_text()
