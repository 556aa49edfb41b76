"""Which cases are tried: a simulator's own seeds, a file of cases, rules, horizons, thinking time, progress."""

import json
import re
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import BadData, RoboscaleError, UnknownName

POINT = {"world": "point.toml", "workers": 0}


def seeds(done) -> list[int]:
    return [c.case.seed for c in done.judged.counted]


def test_a_simulators_own_seeds_are_used_as_they_are(place: Path):
    done = rs.evaluate("policies.py:good", seeds="1000:1004", store="x", **POINT)
    assert seeds(done) == [1000, 1001, 1002, 1003]
    info = json.loads(Path("x/eval_info.json").read_text())
    assert info["per_task"][0]["metrics"]["seeds"] == [1000, 1001, 1002, 1003]
    metrics = info["per_task"][0]["metrics"]
    assert len(metrics["sum_rewards"]) == 4 and all(r < 0 for r in metrics["sum_rewards"]), "rewards as rewards"


def test_cases_are_agreed_on_in_a_file(place: Path, roboscale):
    made = json.loads(roboscale("cases", "make", "c.json", "--world", "point.toml", "--seeds", "7,9", "--json").stdout)
    shown = json.loads(roboscale("cases", "show", "c.json", "--json").stdout)
    assert shown == made and made["cases"] == ["reach/nominal/7", "reach/nominal/9"]
    roboscale("cases", "check", "c.json", "--world", "point.toml")
    done = rs.evaluate("policies.py:good", cases=Path("c.json"), store="x", **POINT)
    assert seeds(done) == [7, 9]


def test_a_file_of_cases_that_was_edited_is_refused(place: Path):
    rs.make_cases(rs.MakeCases(out=Path("c.json"), world="point.toml", seeds="7,9"))
    Path("c.json").write_text(Path("c.json").read_text().replace("nominal/9", "nominal/8"))
    with pytest.raises(BadData, match="digest"):
        rs.evaluate("policies.py:good", cases=Path("c.json"), **POINT)
    with pytest.raises(UnknownName, match="did you mean split"):
        Path("d.json").write_text('{"roboscale_cases": 1, "splt": "test", "split": "test", "cases": []}')
        rs.show_cases(rs.ShowCases(file=Path("d.json")))


def test_cases_that_data_came_from_are_called_out(place: Path):
    rs.make_cases(rs.MakeCases(out=Path("c.json"), world="point.toml", seeds="7,9", split="train"))
    done = rs.evaluate("policies.py:good", cases=Path("c.json"), store="x", **POINT)
    assert any("not held out" in note for note in done.notes)


def test_a_variation_that_the_world_does_not_have_is_refused(place: Path):
    from roboscale.core import Case
    from roboscale.trials.condition_set import ConditionSet

    made = ConditionSet("c", (Case("reach", 1, "light:2"),))
    Path("c.json").write_text(json.dumps(made.to_json()))
    with pytest.raises(UnknownName, match="light"):
        rs.check_cases(rs.CheckCases(file=Path("c.json"), world="point.toml"))


def test_rule_and_horizon_can_be_set_and_are_part_of_what_was_tried(place: Path):
    first = rs.evaluate("policies.py:good", trials=2, store="x", **POINT)
    held = rs.evaluate("policies.py:good", trials=2, rule="hold 4", store="x", **POINT)
    assert first.value == held.value == 1.0
    trials = [c.trial for c in held.judged.counted]
    assert all(t.series["success"][-4:].tolist() == [1, 1, 1, 1] for t in map(full("x"), trials))
    short = rs.evaluate("policies.py:still", trials=2, horizon=3, store="x", **POINT)
    assert [c.trial.steps for c in short.judged.counted] == [3, 3]
    assert not any("found" in note for note in (*held.notes, *short.notes))
    with pytest.raises(RoboscaleError, match="longer than the horizon"):
        rs.evaluate("policies.py:good", trials=2, rule="hold 40", store="x", **POINT)
    with pytest.raises(UnknownName, match="success rule"):
        rs.evaluate("policies.py:good", trials=2, rule="any", store="x", **POINT)


def full(store: str):
    from roboscale.trials.log import open_log

    def read(trial):
        with open_log(store, read_only=True) as log:
            return log.trial(trial.id)

    return read


def test_progress_is_compared_where_nobody_succeeds(place: Path):
    text = (place / "point.toml").read_text()
    (place / "point.toml").write_text(
        text.replace(
            'success = "is_success"', 'success = "is_success"\nprogress = {from = "reward", low = -2.0, high = 0.0}'
        )
    )
    (place / "slow.py").write_text(
        "import numpy as np\n"
        "def half(o):\n"
        "    return 0.01 * np.sign(o['observation.environment_state'] - o['observation.state'])\n"
    )
    done = rs.compare("slow.py:half", "policies.py:bad", budget=60, outcome="progress", horizon=20, store="x", **POINT)
    assert done.verdict.decision == "first is better" and "progress" in done.sentence
    data = rs.write_report(rs.WriteReport(store="x", videos=0))
    assert data.outcome == "progress" and "progress" in Path("x/report.html").read_text()


def test_runs_are_listed_newest_first(place: Path):
    for name in ("a", "b"):
        rs.evaluate("policies.py:still", trials=1, store=f"runs/{name}", **POINT)
    listed = rs.list_runs(rs.ListRuns(html=Path("index.html")))
    assert len(listed.rows) == 2 and listed.rows[0].started_ns > listed.rows[1].started_ns
    assert {row.state for row in listed.rows} == {"finished"} and "point" in Path("index.html").read_text()


def test_runs_tell_two_policies_of_one_name_apart(place: Path):
    rs.evaluate("policies.py:still", trials=1, store="runs/a", **POINT)
    rs.evaluate("policies.py:good", trials=1, store="runs/a", **POINT)
    file = place / "policies.py"
    file.write_text(file.read_text() + "\n\ndef still(observation):\n    return [0.0, 0.01]\n")
    rs.evaluate("policies.py:still", trials=1, store="runs/b", **POINT)
    names = [policy.name for row in rs.list_runs(rs.ListRuns()).rows for policy in row.policies]
    assert names[1] == "policies.py:good" and names[0] != names[2], names
    assert all(re.fullmatch(r"policies\.py:still@[0-9a-f]{8}", name) for name in (names[0], names[2]))


def test_three_policies_are_recorded_and_kept_to_the_budget_like_two(place: Path):
    policies = ("policies.py:good", "policies.py:bad", "policies.py:still")
    done = rs.compare(
        *policies, budget=5, sequential=False, record=Path("set"), execute=1, shard="0/1", store="x", **POINT
    )
    from roboscale.dataset import Dataset

    assert len(Dataset(Path("set")).episodes) == 15
    assert done.judged.decided is not None and done.judged.decided.used == 5
    again = rs.compare(*policies, budget=5, sequential=False, execute=1, store="x", **POINT)
    assert any("found 15 of 15" in note for note in again.notes)


@pytest.mark.parametrize(
    ("asked", "says", "tried"),
    [
        (
            {"seeds": "0:3", "trials": 5},
            "not used: --trials 5, since --seeds 0:3 says which cases are tried",
            [0, 1, 2],
        ),
        ({"seeds": "0:3", "trials": 3}, None, [0, 1, 2]),
        ({"seeds": "0:2", "seed": 4}, "not used: --seed 4, since --seeds 0:2", [0, 1]),
        (
            {"cases": Path("c.json"), "trials": 1, "tasks": "raech"},
            "not used: --tasks raech, --trials 1, since",
            [7, 9],
        ),
        ({"cases": Path("c.json")}, None, [7, 9]),
    ],
)
def test_options_that_another_one_makes_useless_are_said(place: Path, asked: dict, says: str | None, tried: list[int]):
    rs.make_cases(rs.MakeCases(out=Path("c.json"), world="point.toml", seeds="7,9"))
    done = rs.evaluate("policies.py:good", **asked, **POINT)
    assert seeds(done) == tried
    assert [note for note in done.notes if "not used" in note] == [n for n in done.notes if says and says in n]
    assert says is None or any(says in note for note in done.notes)


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (2, "has 3 cases: only the first 2 are tried, which is the budget"),
        (9, "has 3 cases, fewer than the budget of 9: no more than these are tried"),
        (3, None),
    ],
)
def test_a_budget_that_is_not_the_number_of_cases_is_said(place: Path, budget: int, says: str | None):
    done = rs.compare("policies.py:good", "policies.py:still", seeds="0:3", budget=budget, sequential=False, **POINT)
    assert len({c.case.id for c in done.judged.counted}) == min(budget, 3)
    assert [note for note in done.notes if "budget" in note] == ([f"--seeds 0:3 {says}"] if says else [])
