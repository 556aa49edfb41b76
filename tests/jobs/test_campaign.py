"""The campaign: decisions by what was measured, a journal that survives every kill, ends with the right sentence."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roboscale.core import BadData, InfrastructureError, RoboscaleError
from roboscale.jobs import campaign_deciding
from roboscale.jobs.campaign import CampaignRun, RunCampaign, foresee_campaign, run_campaign
from roboscale.jobs.campaign_journal import Journal, only_one
from tests.jobs.campaigns import FILE, GENERATING_WINS, QUICK, SMALL, declared, rehearse_slowly, rehearsing, saturating


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "campaign.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def work_of(folder: Path) -> list[str]:
    """Every piece of made-up work that was written down."""
    return sorted(
        str(path.relative_to(folder))
        for kind in ("episodes", "sets", "trainings", "trials")
        for path in (folder / kind).glob("*")
    )


def cost_of_work(folder: Path) -> float:
    """Seconds that all pieces cost, each counted once."""
    seconds = {"person": 60, "noisy": 20, "generated": 2}
    episodes = sum(seconds[path.name.split("-")[-2]] for path in (folder / "episodes").glob("*"))
    return episodes + 30 * len(list((folder / "trials").glob("*")))


def test_a_campaign_reaches_its_target_and_says_so(file: Path):
    done = run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))
    assert done.standing.ended is not None and done.standing.ended["why"] == "reached"
    assert "the target is reached for certain" in done.sentence
    assert done.hours <= 12 and done.hours * 3600 == pytest.approx(cost_of_work(done.page.parent))
    sure = done.standing.rounds[-1].sure
    assert set(sure) == {"reach-v3", "push-v3"} and all(n == 20 for runs in sure.values() for _, n in runs)
    assert json.loads(json.dumps(done.to_json()))["ended"] == "reached"


def test_it_orders_the_source_that_works(file: Path):
    """Where generating covers all, people are asked for what it is made from and for little more."""
    done = run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))
    assert all(by["generated"] >= 100 for by in done.standing.have.values())
    only_people = saturating(
        {"person": 1.0, "noisy": 0.3, "generated": 0.1}, {"person": 6, "noisy": 12, "generated": 4}
    )
    other = run_campaign(RunCampaign(file=file, out=file.parent / "people"), hands=rehearsing(only_people))
    people = [sum(by["person"] for by in one.standing.have.values()) for one in (done, other)]
    assert people[1] >= 2 * people[0] and all(by["person"] >= 20 for by in other.standing.have.values())


def test_every_prediction_was_written_before_its_measurement(file: Path):
    done = run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))
    kinds = [(entry["is"], entry.get("stage")) for entry in Journal(done.page.parent / "journal.jsonl").entries]
    for place, kind in enumerate(kinds):
        if kind == ("judged", "first"):
            assert "ordered" in [k for k, _ in kinds[:place]]
        if kind == ("judged", "sure"):
            assert kinds[place - 1][0] == "foretold"
    assert done.standing.foretold and all(one.measured is not None for one in done.standing.foretold)


def test_a_target_that_no_source_reaches_ends_within_the_budget(file: Path):
    low = saturating({"person": 0.5, "noisy": 0.3, "generated": 0.3}, {"person": 3, "noisy": 3, "generated": 3})
    done = run_campaign(RunCampaign(file=file), hands=rehearsing(low))
    assert done.standing.ended["why"] in ("out of reach", "cannot help", "budget")
    assert done.hours <= 12


def test_a_source_that_cannot_help_is_named(file: Path):
    text = FILE[: FILE.index("[[sources]]")] + '[[sources]]\nname = "noisy"\nkind = "record"\nseconds = 20\n'
    file.write_text(text)
    flat = saturating({"noisy": 0.3}, {"noisy": 1})
    done = run_campaign(RunCampaign(file=file), hands=rehearsing(flat))
    assert done.standing.ended["why"] == "cannot help"
    assert "noisy cannot help" in done.sentence and done.hours <= 12


def test_a_task_that_data_harms_ends_with_the_fall(file: Path):
    def falling(task: str, amounts: dict[str, float]) -> float:
        few = sum(amounts.values()) < 500
        return (0.8 if few else 0.05) if task == "push-v3" else 0.95

    done = run_campaign(RunCampaign(file=file), hands=rehearsing(falling))
    assert done.standing.ended["why"] == "data harms"
    assert "more data harms push-v3: success falls" in done.sentence and done.hours <= 12


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture
def thought_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits and weighings are kept, as these tests ask for the same ones hundreds of times."""
    kept: dict[str, object] = {}

    def once(function: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            key = repr((function.__name__, given, sorted(named.items())))
            if key not in kept:
                kept[key] = function(*given, **named)
            return kept[key]

        return call

    for name in ("fit_cover", "weigh_orders", "shown_interval", "check_harm"):
        monkeypatch.setattr(campaign_deciding, name, once(getattr(campaign_deciding, name)))


def test_killed_at_every_kind_of_instant_the_decisions_are_the_same(small: Path, tmp_path: Path, thought_once: None):
    """Thirty campaigns, each killed again and again at drawn instants of its work and within a line of its journal."""
    run_campaign(RunCampaign(file=small, out=tmp_path / "whole"), hands=rehearsing(QUICK))
    journal, work = (tmp_path / "whole" / "journal.jsonl").read_bytes(), work_of(tmp_path / "whole")
    kills = 0
    for number in range(30):
        draw, out = random.Random(number), tmp_path / f"killed-{number}"
        while True:
            left = [draw.randrange(1, len(work))]

            def kill(left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed

            try:
                run_campaign(RunCampaign(file=small, out=out), hands=rehearsing(QUICK, kill))
                break
            except Killed:
                kills += 1
                path = out / "journal.jsonl"
                if draw.random() < 0.5:  # a line that the kill cut short
                    path.write_bytes(path.read_bytes() + b'{"is": "judged", "round')
        assert (out / "journal.jsonl").read_bytes() == journal
        assert work_of(out) == work
    assert kills >= 30


def test_killed_for_good_at_30_random_instants_nothing_is_done_twice(small: Path, tmp_path: Path):
    run_campaign(RunCampaign(file=small, out=tmp_path / "whole"), hands=rehearsing(QUICK))
    journal, work = (tmp_path / "whole" / "journal.jsonl").read_bytes(), work_of(tmp_path / "whole")
    out, draw, kills = tmp_path / "killed", random.Random(0), 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jobs.campaigns"])
    limit = time.monotonic() + 400
    while kills < 30:
        assert time.monotonic() < limit, f"{kills} kills took too long"
        running = context.Process(target=rehearse_slowly, args=(small, out))
        running.start()
        before, more = seen_of(out), draw.randrange(0, 4)
        while running.is_alive() and seen_of(out) <= before + more and time.monotonic() < limit:
            time.sleep(0.001)
        if not running.is_alive():
            break
        os.kill(running.pid, signal.SIGKILL)
        running.join()
        kills += 1
    last = context.Process(target=rehearse_slowly, args=(small, out))
    last.start()
    last.join()
    assert last.exitcode == 0 and kills == 30, f"it was over after {kills} kills"
    assert (out / "journal.jsonl").read_bytes() == journal and work_of(out) == work


def seen_of(folder: Path) -> int:
    """How far a campaign is: work that is written down, and lines of its journal."""
    path = folder / "journal.jsonl"
    return len(work_of(folder)) + (path.read_bytes().count(b"\n") if path.exists() else 0)


def test_another_declaration_or_another_process_is_refused(file: Path, tmp_path: Path):
    run_campaign(RunCampaign(file=file, rounds=1), hands=rehearsing(GENERATING_WINS))
    with only_one(tmp_path / "campaign"), pytest.raises(InfrastructureError, match="another process"):
        run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))
    file.write_text(FILE.replace("hours = 12", "hours = 13"))
    with pytest.raises(RoboscaleError, match="belongs to another declaration"):
        run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))
    (tmp_path / "campaign" / "journal.jsonl").write_text('{"is": "dreamt"}\n')
    with pytest.raises(BadData, match="line 1"):
        run_campaign(RunCampaign(file=file), hands=rehearsing(GENERATING_WINS))


def test_a_dry_run_says_the_order_and_its_cost_and_leaves_nothing(file: Path):
    told: list[object] = []
    foreseen: CampaignRun = foresee_campaign(RunCampaign(file=file), told.append)
    (one,) = foreseen.standing.rounds
    assert one.items and one.order["cost"]["seconds"] > 0 and one.order["options"]
    assert list(file.parent.iterdir()) == [file]
    done = run_campaign(RunCampaign(file=file, rounds=1), hands=rehearsing(GENERATING_WINS))
    there = [{k: v for k, v in item.items() if k != "scenes"} for item in done.standing.rounds[0].items]
    assert there == list(one.items)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('"push-v3"]', '"psh-v3"]', "did you mean push-v3"),
        ('kind = "record"', 'kind = "record"\npolicy = "expret"', "sources.0..policy.*did you mean expert"),
    ],
)
def test_what_the_world_does_not_know_is_said_before_anything_is_written(
    file: Path, right: str, wrong: str, told: str
):
    pytest.importorskip("metaworld", reason="the simulators are an extra: pip install 'roboscale[sim]'")
    file.write_text(file.read_text().replace(right, wrong, 1))
    for begin in (foresee_campaign, run_campaign):
        with pytest.raises(RoboscaleError, match=told):
            begin(RunCampaign(file=file))
    assert list(file.parent.iterdir()) == [file]


MISTAKES = {
    "success = 0.9\nat_least = 0.75": ("success = 0.7\nat_least = 0.75", "target.at_least"),
    "hours = 12": ("hours = 0", "budget.hours"),
    "runs = 3": ("runs = 1", "learn.runs"),
    "most = 20": ("most = 2", "judge.most"),
    "seconds = 2\n": ("seconds = 0\n", "seconds"),
    'from = "person"': ('from = "persn"', "another source: person, noisy"),
    'name = "noisy"': ('name = "person"', "a name that no other source has"),
    'kind = "generate"\nfrom = "person"': ('kind = "generate"', "from"),
    "seconds = 60": ("seconds = 60\nmoney = 1", "budget.hour_costs"),
}


@pytest.mark.parametrize("right", MISTAKES, ids=[told for _, told in MISTAKES.values()])
def test_a_mistake_in_the_file_is_one_line_with_its_key(right: str):
    wrong, told = MISTAKES[right]
    assert right in FILE
    with pytest.raises(BadData, match=told.split(":")[0]):
        declared(FILE.replace(right, wrong, 1))
