"""`--methods` for every kind of claim that a command makes: all methods known, everything cited has its entry."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import PairedOutcome
from roboscale.jobs.methods import methods_of
from roboscale.stats.independent import SequentialIndependent
from roboscale.stats.independent_anytime import EProcessIndependent
from roboscale.stats.progress import EProcessProgress
from roboscale.stats.sequential import EProcessPaired, SequentialPaired
from roboscale.stats.sequential_many import SequentialMany
from tests.cli.test_weigh_commands import points, table

LONG = "policy,task,seed,success\n"
TABLES = {
    "paired": LONG + "".join(f"{p},t,{s},{int(s % 3 < k)}\n" for k, p in enumerate("ABC") for s in range(30)),
    "tasks": LONG
    + "".join(f"{p},{t},{s},{(s + k) % 3 // 2}\n" for k, p in enumerate("AB") for t in "xy" for s in range(20)),
    "independent": "policy,success\n" + "A,1\nB,0\n" * 20,
    "counts": "policy,task,successes,trials\nA,x,12,20\nB,x,17,20\nA,y,3,20\nB,y,9,20\n",
    "many counts": "policy,successes,trials\nA,5000,10000\nB,5200,10000\n",
    "progress": "policy,seed,progress\n"
    + "".join(f"{p},{s},{(s * 7 % 9 + k) / 10}\n" for k, p in enumerate("AB") for s in range(20)),
    "own progress": "policy,progress\n"
    + "".join(f"{p},{(s * 7 % 9 + k) / 10}\n" for k, p in enumerate("AB") for s in range(20)),
    "preferences": "policy_a,policy_b,winner\n" + "x,y,left\ny,z,right\nz,x,tie\n" * 10,
    "runs": "policy,training_run,seed,success\n"
    + "".join(
        f"{p},{r},{s},{int((s + r) % 4 < 2 + k)}\n" for k, p in enumerate("AB") for r in range(3) for s in range(20)
    ),
}
RANKED = [(name, "auto") for name in TABLES] + [
    ("paired", "anytime"),
    ("paired", "bootstrap"),
    ("independent", "anytime"),
    ("preferences", "bootstrap"),
    ("preferences", "anytime"),
]


def told(*arguments: object) -> str:
    """The paragraph; every entry that it cites stands below it."""
    done = CliRunner().invoke(app, [str(a) for a in (*arguments, "--methods")])
    assert done.exit_code == 0, done.stderr
    text = done.stdout
    entries = set(re.findall(r"@\w+\{(\w+),", text))
    paragraph = " ".join(text.partition("\n@")[0].split())
    cited = {
        key for keys in re.findall(r"\[([a-z]+\d{4}\w*(?:, [a-z]+\d{4}\w*)*)\]", paragraph) for key in keys.split(", ")
    }
    assert cited | {"roboscale"} == entries and "Further:" not in paragraph
    return paragraph


@pytest.mark.parametrize(("name", "sets"), RANKED)
def test_boards(tmp_path: Path, name: str, sets: str):
    path = tmp_path / "a.csv"
    path.write_text(TABLES[name])
    assert "Computed with roboscale" in told("rank", path, "--sets", sets)


@pytest.mark.parametrize(
    "counts",
    [("12/20",), ("12/20", "17/20"), ("x:12/20", "x:17/20", "y:3/20", "y:9/20"), ("5000/10000", "5200/10000")],
)
def test_counts(counts: tuple[str, ...]):
    told("count", *counts)


@pytest.mark.parametrize("more", [(), ("--agreement", 0.7), ("--run-sd", 0.05), ("--run-sd", 0.05, "--runs", 5)])
def test_sample_sizes(more: tuple[object, ...]):
    told("power", "--from", 0.5, "--to", 0.7, *more)


def test_cards_plans_fusions_and_checks(tmp_path: Path):
    real = table(tmp_path / "real.csv", {"a": 0.8, "b": 0.6, "c": 0.3, "d": 0.1}, 40)
    cheap = table(tmp_path / "cheap.csv", {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.2}, 80)
    told("validity", "--real", real, "--cheap", cheap)
    told("fuse", "--real", real, "--cheap", cheap)
    told("next", real)
    told("plan", points(tmp_path / "points.csv"))
    folder = tmp_path / "evals"
    folder.mkdir()
    for name, text in TABLES.items():
        if name in ("paired", "tasks"):
            (folder / f"{name}.csv").write_text(text)
            told("check", folder)


def test_verdicts_that_look_after_every_trial():
    rules = [
        SequentialPaired(budget=20, names=("A", "B")),
        EProcessPaired(names=("A", "B")),
        SequentialIndependent(budget=20, names=("A", "B")),
    ]
    for rule in rules:
        rule.update(PairedOutcome("t", False, True))
        _known(rule.verdict().method)
    own, progress = EProcessIndependent(names=("A", "B")), EProcessProgress(names=("A", "B"))
    own.update(False, True)
    progress.update(0.2, 0.9)
    _known(own.verdict().method)
    _known(progress.verdict().method)
    for budget, correction in itertools.product((20, None), ("holm", "shaffer")):
        many = SequentialMany(("A", "B", "C"), budget=budget, correction=correction)
        _known(many.verdict().method)


def _known(method: str) -> None:
    said = methods_of({"method": method})
    assert "Further:" not in said.paragraph and said.bibtex.count("@") >= 2, method


def test_a_page_of_preferences_alone_has_no_column_of_rates(tmp_path: Path):
    path, page = tmp_path / "a.csv", tmp_path / "a.html"
    path.write_text("policy_a,policy_b,wins_a,wins_b,ties\nx,y,30,12,5\ny,z,25,9,1\n")
    told("rank", path, "--html", page)
    assert "no data" not in page.read_text() and "preferences, 2 rows read" in page.read_text()
