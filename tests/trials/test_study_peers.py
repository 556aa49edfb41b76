"""Point by point beside the public package fieldtrial: its templates as our studies, its tests on our outcomes.

It lives in `.venv-peers`, which `make peers` makes; without it these tests are skipped and say so.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, Evidence, EvidenceRow, cases, combine
from roboscale.stats.deciding import decide
from roboscale.stats.scorers import cohen_kappa
from roboscale.trials import Schedule
from roboscale.trials.study import Study, StudyLock

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-peers with fieldtrial: make peers")
RATES = ((0.2, 0.9, 0.3), (0.5, 0.5, 0.9), (0.8, 0.3, 0.3))
ASK = """
import json, sys
from fieldtrial import stats as f
from fieldtrial.design.loader import parse_study
from fieldtrial.design.schedule import build_schedule
from fieldtrial.stats.agreement import cohens_kappa, kappa_table
from fieldtrial.stats.crossover import crossover_test
from fieldtrial.stats.paired import mcnemar_exact
from fieldtrial.stats.selection import eliminate
from fieldtrial.templates import TEMPLATES, template_text
asked = json.load(sys.stdin)
studies = {}
for name in TEMPLATES:
    spec = parse_study(template_text(name, "x")).spec
    slots = [[slot.block, slot.arm, slot.condition] for slot in build_schedule(spec)]
    studies[name] = {"spec": spec.model_dump(mode="json"), "slots": slots}
chosen = []
for rows in asked["arms"]:
    told = eliminate(rows, list("ABC"))
    chosen.append({"best": told.best, "left": list(told.survivors)})
json.dump({
    "studies": studies,
    "paired": [mcnemar_exact(b, c).pvalue for b, c in asked["discordant"]],
    "crossover": [crossover_test(p, o).test.pvalue for p, o in asked["crossover"]],
    "chosen": chosen,
    "kappa": [cohens_kappa(kappa_table(a, b)).kappa for a, b in asked["scorers"]],
}, sys.stdout)
"""
DISCORDANT = [(0, 0), (5, 0), (9, 1), (3, 8), (12, 12), (1, 14)]


def outcomes(rates, n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, len(rates))) < np.asarray(rates)


def crossover_pairs(rates, seed: int) -> tuple[np.ndarray, list[str]]:
    """Twelve pairs of trials, by place, and the orders."""
    drawn = outcomes(rates, 12, seed)
    orders = ["AB", "BA"] * 6
    places = [row if order == "AB" else row[::-1] for row, order in zip(drawn, orders, strict=True)]
    return np.array(places), orders


CROSSOVER = [crossover_pairs(rates, seed) for seed, rates in enumerate([(0.05, 1.0), (1.0, 0.1), (0.5, 0.5)])]
SCORERS = [outcomes((0.6, 0.6), 40, seed) for seed in (4, 5)]


@pytest.fixture(scope="module")
def peer() -> dict:
    asked = {
        "discordant": DISCORDANT,
        "arms": [outcomes(rates, 120, seed).astype(float).tolist() for seed, rates in enumerate(RATES)],
        "crossover": [(places.astype(float).tolist(), orders) for places, orders in CROSSOVER],
        "scorers": [both.T.tolist() for both in SCORERS],
    }
    done = subprocess.run([PYTHON, "-c", ASK], input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def as_ours(spec: dict, trials: int) -> str:
    """A study of theirs as a file of ours. What they count in rounds of a scene, we count in pairs on one."""
    analysis, arms = spec["analysis"], spec["arms"]
    keys = {
        "title": spec["title"] or spec["name"],
        "question": spec["title"] or spec["name"],
        "robot": "arm.toml",
        "tasks": [spec["task"]["instruction"] or "task"],
        "cases": trials // len(arms),
        "stages": [stage["label"] for stage in spec["rubric"]["stages"]],
        "tags": spec["rubric"]["failure_tags"],
        "alpha": analysis["primary"]["alpha"],
        "sequential": analysis["stopping"]["rule"] == "anytime" or analysis["selection"] is not None,
    }
    if analysis["selection"] is not None:
        keys |= {"design": "best arm", "indifference": 0.05, "alpha": analysis["selection"]["delta"]}
    elif analysis["ladder"] is not None:
        keys["design"] = "ladder"
    elif spec["design"]["type"] == "crossover_rounds":
        keys["design"] = "crossover"
    elif spec["design"]["type"] == "single_arm":
        keys |= {"design": "one arm", "threshold": analysis["primary"]["threshold"]}
    lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
    for arm in arms:
        policy = json.dumps({**arm["policy"], **arm["serving"]}, sort_keys=True)
        lines += ["[[arms]]", f"name = {json.dumps(arm['id'])}", f"policy = {json.dumps(policy)}"]
    return "\n".join(lines)


def test_every_template_of_theirs_is_a_study_of_ours_with_as_many_trials(peer: dict, tmp_path: Path):
    seen = set()
    for name, said in peer["studies"].items():
        file = tmp_path / f"{name}.toml"
        file.write_text(as_ours(said["spec"], len(said["slots"])))
        study = Study.load(file)
        assert StudyLock.make(file).digest == study.digest
        seen.add(study.design)
        policies = tuple(combine(arm.name, arm.policy) for arm in study.arms)
        drawn = cases(study.tasks[0], study.cases, study.seed, "eval")
        schedule = Schedule(policies=policies, cases=drawn, order=7, balanced=study.design == "crossover")
        mine = [(case.id, policy.name) for case, policy in schedule.pairs()]
        assert len(mine) == len(said["slots"]), name
        blocks = Counter(case for case, _ in mine)
        assert set(blocks.values()) == {len(study.arms)}, "every case under every arm"
        per_arm = Counter(arm for _, arm, _ in said["slots"])
        assert Counter(arm for _, arm in mine) == per_arm, name
        if study.design == "crossover":
            first = [mine[k][1] for k in range(0, len(mine), 2)]
            assert set(Counter(first).values()) == {len(first) // 2}
    assert seen == {"paired blocks", "best arm", "ladder", "crossover"}


def decided(rows: np.ndarray, first: list[str] | None = None, **design):
    from roboscale.core import Design

    arms = tuple("ABC"[: rows.shape[1]])
    made = [
        EvidenceRow(
            Case("t", k), {a: float(v) for a, v in zip(arms, row, strict=True)}, "A" if first is None else first[k]
        )
        for k, row in enumerate(rows)
    ]
    return decide(Evidence(policies=arms, rows=tuple(made), design=Design(budget=len(rows), **design)))


def test_the_exact_test_of_pairs_is_theirs(peer: dict):
    for (b, c), theirs in zip(DISCORDANT, peer["paired"], strict=True):
        rows = np.array([[True, False]] * b + [[False, True]] * c + [[True, True]] * 3)
        mine = decided(rows, sequential=False).verdict
        assert mine.p_value == pytest.approx(theirs, abs=1e-12)


def test_a_crossover_decides_as_theirs_where_a_round_is_one_trial(peer: dict):
    """Theirs draws all orders anew, ours conditions on the pairs that differ: p-values differ, decisions do not."""
    for (places, orders), theirs in zip(CROSSOVER, peer["crossover"], strict=True):
        arms = np.array([row if order == "AB" else row[::-1] for row, order in zip(places, orders, strict=True)])
        first = ["A" if order == "AB" else "B" for order in orders]
        mine = decided(arms, first, kind="crossover", sequential=False).verdict
        assert (mine.p_value <= 0.05) == (theirs <= 0.05), (mine.p_value, theirs)


def test_the_best_arm_is_theirs_or_nobody_yet(peer: dict):
    named = 0
    for (seed, rates), theirs in zip(enumerate(RATES), peer["chosen"], strict=True):
        mine = decided(outcomes(rates, 120, seed), kind="best arm", margin=0.05).verdict.best
        truth = "ABC"[int(np.argmax(rates))]
        assert truth in mine and truth in theirs["left"], "neither drops the best"
        named += len(mine) == 1 and theirs["best"] == mine[0]
    assert named >= 2


def test_kappa_is_theirs_and_its_interval_has_width_where_nobody_differs(peer: dict):
    for both, theirs in zip(SCORERS, peer["kappa"], strict=True):
        assert cohen_kappa(both[:, 0], both[:, 1]).value == pytest.approx(theirs, abs=1e-9)
    same = cohen_kappa([True] * 5 + [False] * 5, [True] * 5 + [False] * 5)
    assert same.value == 1.0 and same.low < 0.9
