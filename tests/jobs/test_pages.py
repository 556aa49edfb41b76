"""Every page that a job writes carries the command that makes it again."""

import html
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

import roboscale.jobs
from roboscale import (
    AuditDataset,
    CheckResults,
    CheckValidity,
    ContributeDataset,
    ImportDataset,
    PlanCollection,
    PoolDatasets,
    Rank,
    SizeComparison,
    audit_dataset,
    check_results,
    check_validity,
    contribute_dataset,
    import_dataset,
    plan_collection,
    pool_datasets,
    rank,
    size_comparison,
)
from roboscale.cli.app import parse
from roboscale.core import RoboscaleError
from roboscale.jobs.events import Note, Wrote

PAGE = "a page's <name>.html"
PAGES = {
    "rank": (rank, Rank(sources=("base=trials.csv",), level=0.9, html=PAGE)),
    "validity": (check_validity, CheckValidity(real="robot.csv", cheap="simulator.csv", only_task="all", html=PAGE)),
    "plan": (plan_collection, PlanCollection(sources=("points.csv",), cost=("teleop=3",), budget=50, html=PAGE)),
    "audit": (audit_dataset, AuditDataset(dataset="recorded", against=("more",), html=PAGE, workers=0)),
    "check": (check_results, CheckResults(folder=Path("evaluations"), html=PAGE)),
    "power": (size_comparison, SizeComparison(first=0.5, second=0.7, alpha=0.0123, html=PAGE)),
    "pool": (pool_datasets, PoolDatasets(pool="pool", members=("recorded",), html=PAGE, workers=0)),
    "contribute": (contribute_dataset, ContributeDataset(dataset="recorded", to="given", html=PAGE, workers=0)),
    "import": (import_dataset, ImportDataset(source="recorded", out="a <folder>", workers=0)),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_carries_its_command(name: str, example_folder: Path):
    job, request = PAGES[name]
    told: list = []
    job(request, on_event=told.append)
    (page,) = (event.path for event in told if isinstance(event, Wrote))
    text = html.unescape(re.sub(r"</?span>", "", page.read_text()))  # words wrap one by one
    assert request.command in text
    assert parse(shlex.split(request.command)[1:]) == request
    again = page.read_bytes()
    if name not in ("import", "check"):  # which begins nothing again; which says how old its files are
        job(request)
        assert page.read_bytes() == again


def test_every_job_that_writes_a_page_is_tried():
    """Those of runs are tried where runs are made, in `test_every_case` and `test_watch`."""
    jobs = Path(roboscale.jobs.__file__).parent
    writing = {
        file.stem
        for file in jobs.glob("*.py")
        if re.search(r"\bwrite_text\(.*page\(|write_text\(.*page\)", file.read_text())
    }
    tried = {"rank", "validity", "plan_page", "data_audit", "import_proof", "check_page", "power_page"}
    tried |= {"contributing", "data_pool"}
    assert writing == tried | {"report", "runs", "demo", "recipe_round", "watch", "why"} | {
        "arena_publish",  # `test_arena_browser`
        "campaign_orders",  # `test_campaign_page` and `test_collect_captures`
        "campaign_page",
        "event_holding",  # `test_event`
        "capturing",
    }


def test_a_policy_in_one_world_only_is_noted(example_folder: Path):
    with Path("robot.csv").open("a") as file:
        file.write("alone,0,1\n")
    told: list = []
    check_validity(CheckValidity(real="robot.csv", cheap="simulator.csv"), told.append)
    assert Note("left out, tried in the real world only: alone") in told


def test_a_page_without_pictures_says_so(example_folder: Path):
    Path("recorded/meta/info.json").write_text("{}")
    told: list = []
    done = audit_dataset(AuditDataset(dataset="recorded", html=PAGE, workers=0), told.append)
    assert done.failed and json.dumps(done.to_json())
    assert any(isinstance(event, Note) and "film strips" in event.text for event in told)


def test_one_clear_line_for_what_is_not_there(example_folder: Path):
    with pytest.raises(RoboscaleError, match=r"nothing\.csv: results: expected a file or folder, found nothing"):
        rank(Rank(sources=("nothing.csv",)))


def test_what_a_page_needs_is_asked_for_before_anything_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name))
    with pytest.raises(RoboscaleError, match=r"matplotlib, which is not installed: pip install 'roboscale\[pages\]'"):
        rank(Rank(sources=(str(tmp_path / "absent.csv"),), html=tmp_path / "board.html"))
