"""A campaign that really collects, trains and tries, as small as it gets; people's work is delivered in between."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.cli.app import parse
from roboscale.core import Case
from roboscale.dataset import Dataset
from roboscale.jobs.campaign import RunCampaign, foresee_campaign, run_campaign
from roboscale.jobs.campaign_file import Campaign
from roboscale.jobs.campaign_hands import MachineHands
from roboscale.jobs.campaign_journal import Journal
from roboscale.jobs.campaign_scenes import choose_scenes
from roboscale.jobs.collect_record import RecordEpisodes, record_episodes
from roboscale.jobs.events import ignore

FILE = """
title = "As small as it gets"
tasks = ["reach-v3"]
[target]
success = 0.9
at_least = 0.5
[budget]
hours = 3
rounds = 2
[learn]
steps = 20
runs = 2
[judge]
trials = 2
most = 3
[[sources]]
name = "person"
kind = "order"
seconds = 60
episodes = 4
how = "roboscale collect record {out} --policy expert --tasks {task} --episodes {episodes}"
[[sources]]
name = "generated"
kind = "generate"
from = "person"
needs = 2
seconds = 20
episodes = 4
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return path


def test_people_are_waited_for_and_then_it_is_generated_trained_and_tried(file: Path):
    pytest.importorskip("torch", reason="training is an extra: pip install 'roboscale[train]'")
    pytest.importorskip("metaworld", reason="the simulators are an extra: pip install 'roboscale[sim]'")
    asked = RunCampaign(file=file, rounds=1, workers=0)
    first = run_campaign(asked)
    (waiting,) = first.waiting
    assert "by person" in waiting.what and waiting.page is not None
    order = json.loads(waiting.page.with_suffix(".json").read_text())
    page = waiting.page.read_text()
    assert (
        order["place"] in page
        and order["how"][0] in page
        and order["episodes"] == first.standing.rounds[0].items[0]["episodes"]
    )
    place = Path(order["place"])
    record_episodes(RecordEpisodes(out=place, tasks="reach-v3", episodes=1, workers=0))
    some = run_campaign(asked)
    assert some.waiting and "1 are there" in some.waiting[0].what
    typed = parse(shlex.split(order["how"][0])[1:])  # what the page tells people to type
    assert isinstance(typed, RecordEpisodes) and typed.out == place and typed.episodes == order["episodes"]
    record_episodes(replace(typed, workers=0))
    told: list[object] = []
    done = run_campaign(asked, told.append)
    assert not done.waiting and len(done.standing.rounds) == 1
    one = done.standing.rounds[0]
    assert one.judged and one.trained and [n for _, n in one.first["reach-v3"]] == [2, 2]
    assert one.amounts["reach-v3"]["person"] == order["episodes"]
    before = (done.page.parent / "journal.jsonl").read_bytes()
    assert run_campaign(asked).standing.rounds[0].counts == one.counts
    assert (done.page.parent / "journal.jsonl").read_bytes() == before
    kinds = [entry["is"] for entry in Journal(done.page.parent / "journal.jsonl").entries]
    assert kinds.index("ordered") < kinds.index("collected") < kinds.index("trained") < kinds.index("judged")
    wanted = MachineHands(
        campaign=done.campaign, folder=asked.folder, workers=0, accept=False, on_event=ignore
    ).scenes(2, "reach-v3", done.campaign.source("person"), 3)
    assert len({Case.parse(case).start for case in wanted.cases}) == 3 and "near scenes that failed" in wanted.why


class _Judging(MachineHands):
    """Hands whose policies were not trained: one succeeds, one does not move."""

    def _policy(self, number: int, run: int) -> Path:
        return Path("expert" if run == 1 else "constant")


def test_trials_that_succeeded_are_trained_on_in_the_next_round(file: Path, tmp_path: Path):
    pytest.importorskip("metaworld", reason="the simulators are an extra: pip install 'roboscale[sim]'")
    file.write_text(FILE.replace("[learn]", '[learn]\nrollouts = "successes"'))
    campaign = foresee_campaign(RunCampaign(file=file)).campaign
    hands = _Judging(campaign=campaign, folder=tmp_path / "c", workers=0, accept=False, on_event=ignore)
    place = hands._batch(1, 0, "person", "reach-v3")
    record_episodes(RecordEpisodes(out=place, tasks="reach-v3", episodes=1, workers=0))
    assert hands.curate(1, {}).kept == {"reach-v3": {"person": 1}}
    assert hands.judge(1, {"reach-v3": 2}).counts == {"reach-v3": ((2, 2), (0, 2))}
    hands.judge(1, {"reach-v3": 3})  # to be certain
    for _ in range(2):  # what was killed goes on
        assert hands.curate(2, {}).kept == {"reach-v3": {"person": 1, "rollouts": 3}}
    pooled = Dataset(hands._set(2))
    assert len(pooled.episodes) == 4 and not pooled.spec.images


def test_scenes_are_near_failures_and_far_from_what_is_covered():
    rng = np.random.default_rng(0)
    pool, judged = rng.uniform(-1, 1, (200, 2)), rng.uniform(-1, 1, (100, 2))
    failed = (judged[:, 0] > 0.3).astype(float)
    covered = np.column_stack([np.linspace(0.3, 1, 20), np.full(20, 0.8)])
    places, risk = choose_scenes(pool, judged, failed, covered, 12)
    chosen = pool[places]
    assert len(set(places)) == 12 and risk["near"] > risk["all"]
    assert (chosen[:, 0] > 0.3).mean() >= 0.6 > (pool[:, 0] > 0.3).mean()
    near = np.linalg.norm(chosen[:, None] - covered[None], axis=2).min(axis=1)
    assert near.min() > 0.2, "an episode covers that scene"
    assert (
        choose_scenes(pool, judged, failed, np.empty((0, 2)), 12)[0]
        == choose_scenes(pool, judged, failed, np.empty((0, 2)), 12)[0]
    )


def test_a_campaign_of_nothing_but_defaults_reads(file: Path):
    from roboscale.core.declared import read_declared

    campaign = read_declared(file, Campaign)
    assert campaign.source("generated").needs == 2 and campaign.world == "metaworld"
