"""Sixty trials of two arms that move alike: nothing that an operator can see or fetch tells which one ran.

Collected are the page and its files, every state and answer, the cameras' pictures, the audit file, what the command
prints, names and sizes of all files but the store, its secret and the policies, and the dataset with its times and its
provenance. A classifier learns on half of the scenes and is asked about the others. Planted once, a leak is found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roboscale as rs
from roboscale.dataset import Dataset
from roboscale.trials.log import open_log
from tests.jobs.operator_at_bench import begin, finish
from tests.worlds.bench_arm import declare

CASES = 30
SAID = r"[A-Za-z_#-]+|-?\d+(?:\.\d+)?(?:e-?\d+)?"
POLICIES = """
import numpy as np
STEP = np.array([0.012, 0.0], np.float32)


def crimson(observation):
    return observation["observation.state"] + STEP


def teal(observation):
    return STEP + observation["observation.state"]
"""
STUDY = f"""
title = "Two that move alike"
question = "Which?"
robot = "arm.toml"
tasks = ["reach"]
cases = {CASES}
sequential = false
[[arms]]
name = "heron"
policy = "arms.py:crimson"
[[arms]]
name = "ibis"
policy = "arms.py:teal"
"""


class Collected:
    """What was seen of every trial: name of a feature -> a number, and all texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.trials: dict[int, dict[str, float]] = defaultdict(dict)

    def add(self, trial: int, where: str, seen: Any) -> None:
        """Every value as a number; words as being there."""
        text = seen if isinstance(seen, str) else json.dumps(seen)
        self.texts.append(text)
        for name, value in leaves(seen, where):
            if isinstance(value, bool | int | float):
                self.trials[trial][name] = float(value)
            else:
                for word in re.findall(SAID, str(value)):
                    self.trials[trial][f"{name}={word}"] = 1.0


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            yield from leaves(item, f"{name}[{k}]")
    else:
        yield name, value


def run_sixty(folder: Path) -> Collected:
    seen = Collected()
    process, operator = begin(folder, "study.toml")
    for file in ("", "app.js", "style.css", "icon.svg"):
        seen.texts.append(operator.client.get(file).text)
    for number in range(1, 2 * CASES + 1):
        for phase in ("set up", "score"):
            state = operator.until(phase)
            now = {**state, "trials": state["trials"][-2:], "number": 0, "facts": state["facts"], "session": ""}
            seen.add(number, phase, now)
            picture = operator.client.get("api/picture/front.jpg")
            seen.add(number, f"{phase} picture", {"bytes": len(picture.content), **dict(picture.headers)})
            if phase == "set up":
                if state["initial"]:
                    first = operator.client.get(f"api/initial/{state['scene']}/front.jpg")
                    seen.add(number, "initial", {"bytes": len(first.content)})
                assert operator.click("ready").status_code == 200
        answer = operator.click("score", number=state["number"], success=number % 2 == 0, stage=0)
        seen.add(number, "answer", {"status": answer.status_code, "text": answer.text})
    out, err = finish(process)
    seen.texts += [out, err, *operator.said]
    return seen


def add_files(seen: Collected, folder: Path) -> list[str]:
    """What lies on the disk, but the store, the secret and the policies themselves; arms in the order of trials."""
    audit = [json.loads(line) for line in (folder / "study.trials/bench.jsonl").read_text().splitlines()]
    starts = [line["time_ns"] for line in audit if line.get("phase") == "running"]
    ends = [line["time_ns"] for line in audit if line.get("phase") == "score"]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        seen.add(number, "audit", {"took_ms": (end - start) / 1e6})
    seen.texts += [json.dumps(audit)]
    dataset = Dataset(folder / "study.episodes", images="uint8")
    with open_log(str(folder / "study.trials"), read_only=True) as log:
        run = log.runs()[0]
        tried = [t for group in log.attempts(run.policies, run.world, run.settings, 0).values() for t in group]
    order = sorted(tried, key=lambda t: t.started_ns)
    place = {trial.episode: number for number, trial in enumerate(order, 1)}
    for index, info in enumerate(dataset.episodes):
        known = info.provenance.to_json()
        known["details"] = {**known["details"], "trial": ""}  # a name of its own, for every trial
        number, table = place[info.id], dataset.read(index) if hasattr(dataset, "read") else None
        seen.add(number, "episode", {"length": info.length, "provenance": {**known, "seed": 0}})
        for name, values in episode_columns(dataset, index, table).items():
            gaps = np.diff(values.astype(float)) if values.size > 1 else values.astype(float)
            seen.add(
                number, name, {"mean": float(values.mean()), "gap": float(gaps.mean()), "most": float(gaps.max())}
            )
    hidden = ("study.secret", "arms.py", "study.toml", "study.lock.json", "trials.db")
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(hidden)):
        seen.texts.append(f"{file.relative_to(folder)} {file.stat().st_size}")
        seen.texts.append(file.read_bytes().decode("latin-1"))
    return [trial.policy.name for trial in order]


def episode_columns(dataset: Dataset, index: int, table: Any) -> dict[str, np.ndarray]:
    """Times, actions and states of an episode, flat."""
    import pyarrow.parquet as pq

    rows = pq.read_table(next((dataset.root / "data").rglob("*.parquet"))).to_pydict()
    mine = [k for k, episode in enumerate(rows["episode_index"]) if episode == index]
    columns = {}
    for name, values in rows.items():
        if name in ("index", "episode_index", "task_index"):
            continue
        chosen = np.array([values[k] for k in mine])
        if chosen.dtype.kind in "fiub":
            columns[f"column {name}"] = (chosen - chosen.ravel()[0] if "time" in name else chosen).ravel()
    return columns


def told_apart(trials: dict[int, dict[str, float]], arms: list[str], draws: int = 999) -> tuple[float, float]:
    """How many trials a classifier tells right, and how often it would tell so many of arms whose order means nothing.

    Which arm of a scene comes first is a fair coin. So the same classifier is asked about the orders that other coins
    would have given: trials that follow each other look alike, and a binomial tail would not know that.
    """
    names = sorted({name for features in trials.values() for name in features})
    table = distinct(np.array([[trials[k + 1].get(name, 0.0) for name in names] for k in range(len(arms))]))
    truth = np.array([arm == arms[0] for arm in arms])
    told = accuracy(table, truth)
    coins = np.random.default_rng(0).integers(0, 2, (draws, len(arms) // 2)).astype(bool)
    as_good = sum(accuracy(table, truth ^ np.repeat(coin, 2)) >= told for coin in coins)
    return told, (1 + as_good) / (1 + draws)


def distinct(table: np.ndarray) -> np.ndarray:
    """The columns that vary, each once: fifty names for "second in its scene" would outvote what really tells."""
    varying = table[:, table.std(axis=0) > 0]
    normal = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    return np.unique(np.round(normal * np.sign(normal[0] + 1e-12), 6), axis=1)


def accuracy(table: np.ndarray, truth: np.ndarray) -> float:
    """Share of trials told right by a naive classifier that learned on the other half of the scenes."""
    scene = np.arange(len(truth)) // 2
    right = 0
    for half in (0, 1):
        learn, ask = scene % 2 != half, scene % 2 == half
        mine, others = table[learn & truth], table[learn & ~truth]
        a, b = mine.mean(axis=0), others.mean(axis=0)
        spread = np.sqrt((mine.var(axis=0) + others.var(axis=0)) / 2) + 0.05  # within an arm: what tells has little
        weight = (a - b) / spread
        strongest = np.abs(weight) >= np.sort(np.abs(weight))[-5:].min()  # few but strong; noise averages out badly
        places = np.clip(
            (table[ask] - (a + b) / 2) / spread, -1, 1
        )  # else one rare word outvotes what is always there
        score = (places * weight**3)[:, strongest].sum(axis=1)
        right += int(((score > 0) == truth[ask]).sum())
    return right / len(truth)


def test_nothing_that_an_operator_can_see_or_fetch_tells_the_arms(tmp_path: Path):
    folder = tmp_path / "bench"
    folder.mkdir()
    declare(folder)
    (folder / "arms.py").write_text(POLICIES)
    (folder / "study.toml").write_text(STUDY)
    rs.lock_study(rs.LockStudy(study=folder / "study.toml"))
    seen = run_sixty(folder)
    arms = add_files(seen, folder)
    assert len(seen.trials) == len(arms) == 2 * CASES and arms.count(arms[0]) == CASES
    with open_log(str(folder / "study.trials"), read_only=True) as log:
        digests = [policy.digest for policy in log.runs()[0].policies]
    for secret in ("crimson", "teal", "heron", "ibis", *digests, *(digest[:8] for digest in digests)):
        assert not [text for text in seen.texts if secret in text], f"{secret} is written somewhere"
    told, chance = told_apart(seen.trials, arms)
    print(f"{told:.2f} of {len(arms)} told right; as many by other orders: {chance:.3f}")
    assert chance > 0.001, f"{told:.2f} of the trials are told right, which no other order gives"

    for number, arm in enumerate(arms, 1):  # the classifier is no fool: some bytes more of one arm's pictures are seen
        seen.trials[number]["planted"] = float(
            hashlib.sha256(str(number).encode()).digest()[0] % 3 + 4 * (arm == arms[0])
        )
    told, chance = told_apart(seen.trials, arms)
    assert told > 0.65 and chance <= 0.01
    for ask in (
        lambda: rs.export_trials(rs.ExportTrials(store=str(folder / "study.trials"), out=tmp_path / "e.json")),
        lambda: rs.rank(rs.Rank(sources=(str(folder / "study.trials"),))),
        lambda: rs.explain_failures(rs.ExplainFailures(store=str(folder / "study.trials"))),
    ):
        with pytest.raises(rs.RoboscaleError, match="is blind"):
            ask()
    listed = rs.list_runs(rs.ListRuns(folder=folder))
    assert "a study that is blind" in json.dumps(listed.to_json()) and "crimson" not in json.dumps(listed.to_json())
    assert not (folder / "study.trials" / "verdict.json").exists()
    rs.unblind_study(rs.UnblindStudy(study=folder / "study.toml", by="ada"))
    assert (folder / "study.trials" / "verdict.json").exists()
