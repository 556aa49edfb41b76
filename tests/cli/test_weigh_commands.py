"""`rank`, `next`, `validity`, `fuse`, `plan` and `compare` of several: from files that others wrote to sentences."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app

runner = CliRunner()


def invoke(*arguments, code=0):
    result = runner.invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (
        f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}\n{result.exception}"
    )
    return result


def table(path: Path, rates: dict[str, float], cases: int, seed: int = 0, world: str = "", first: int = 0) -> Path:
    """Successes on shared cases: a case that is hard is hard for all."""
    rng = np.random.default_rng(seed)
    hardness = rng.uniform(size=cases)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "task", "case", "success", "world"])
        for name, rate in rates.items():
            noise = rng.uniform(size=cases)
            for k in range(cases):
                won = 0.7 * hardness[k] + 0.3 * noise[k] < rate
                writer.writerow([name, "cup", first + k, int(won), world])
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return table(tmp_path / "r.csv", {"good": 0.85, "fair": 0.6, "poor": 0.2}, 60)


def test_the_board_claims_rank_sets(results: Path, tmp_path: Path):
    told = json.loads(invoke("rank", results, "--json", "--html", tmp_path / "b.html").stdout)
    assert told["ranking"]["rank_sets"] == {"good": [1, 1], "fair": [2, 2], "poor": [3, 3]}
    assert told["letters"] == {"good": "a", "fair": "b", "poor": "c"}
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", (tmp_path / "b.html").read_text())
    assert "good" in invoke("rank", results).stdout


def test_the_board_does_not_depend_on_the_order_of_rows(results: Path, tmp_path: Path):
    lines = results.read_text().splitlines()
    shuffled = tmp_path / "s.csv"
    shuffled.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    a, b = (json.loads(invoke("rank", p, "--json").stdout)["ranking"] for p in (results, shuffled))
    assert a == b


def test_counts_without_cases_are_compared_as_independent(tmp_path: Path):
    path = tmp_path / "c.csv"
    path.write_text("policy,task,successes,rollouts\na,x,46,50\nb,x,28,50\nc,x,29,50\n")
    told = json.loads(invoke("rank", path, "--json").stdout)
    assert told["ranking"]["rank_sets"]["a"] == [1, 1] and told["ranking"]["rank_sets"]["b"] == [2, 3]
    assert "Barnard" in told["verdict"]["method"]


def test_one_policy_and_no_trials_are_statements(tmp_path: Path):
    path = tmp_path / "one.csv"
    path.write_text("policy,outcome,case\na,1,1\na,0,2\n")
    board = invoke("rank", path).stdout
    assert "a is the only policy: nothing to compare" in board and "50 %" in board
    path.write_text("policy,outcome,case\n")
    assert "at least one trial" in invoke("rank", path, code=1).stderr


def test_next_names_comparisons_with_reasons_within_a_budget(results: Path):
    told = json.loads(invoke("next", results, "--budget", "3", "--count", "10", "--json").stdout)
    assert len(told["picks"]) == 3 and all(pick["reason"] for pick in told["picks"])
    text = invoke(
        "next", results, "--world", "real:2", "--world", "sim:0.1:0.4", "--evaluator", "ada:1", "--count", "2"
    )
    assert "ada" in text.stdout
    assert "NAME:COST" in invoke("next", results, "--world", "real:x", code=1).stderr


def test_a_validity_card_says_when_there_are_too_few_policies(tmp_path: Path):
    real = table(tmp_path / "real.csv", {"a": 0.8, "b": 0.6, "c": 0.3}, 40)
    cheap = table(tmp_path / "cheap.csv", {"a": 0.9, "b": 0.7, "c": 0.5}, 40, seed=1)
    told = json.loads(invoke("validity", "--real", real, "--cheap", cheap, "--json").stdout)
    assert json.loads(invoke("validity", "--real", real, "--sim", cheap, "--json").stdout) == told
    assert told["policies"] == ["a", "b", "c"] and "mmrv_orientation" in told
    page = tmp_path / "v.html"
    text = invoke("validity", "--real", real, "--cheap", cheap, "--html", page).stdout
    assert "3 policies" in text and page.stat().st_size > 5000
    other = table(tmp_path / "other.csv", {"z": 0.8}, 10)
    assert "no policy" in invoke("validity", "--real", real, "--cheap", other, code=1).stderr


def test_fusing_says_how_many_real_trials_were_saved(tmp_path: Path):
    rng = np.random.default_rng(0)
    cases = rng.uniform(size=440)
    for name, noise, count in (("real", rng.uniform(size=440), 40), ("cheap", rng.uniform(size=440), 440)):
        lines = ["policy,case,success"] + [f"a,{k},{int(0.9 * cases[k] + 0.1 * noise[k] < 0.6)}" for k in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    told = json.loads(
        invoke("fuse", "--real", tmp_path / "real.csv", "--cheap", tmp_path / "cheap.csv", "--json").stdout
    )
    both, alone = told["a"]["estimate"], told["a"]["real_only"]
    assert both["n"] == 40 and both["high"] - both["low"] < alone["high"] - alone["low"]
    assert told["a"]["saved"] > 0.2 and told["a"]["cheap"] == 400


def points(path: Path) -> Path:
    path.write_text(
        "task,source,demonstrations,successes,rollouts\n"
        "cup,teleop,10,8,40\ncup,teleop,20,14,40\ncup,teleop,40,22,40\n"
        "cup,generated,10,4,40\ncup,generated,20,5,40\ncup,generated,40,6,40\n"
    )
    return path


def test_the_plan_names_the_source_that_buys_most_and_what_would_change_it(tmp_path: Path):
    path = points(tmp_path / "p.csv")
    told = json.loads(invoke("plan", path, "--budget", "120", "--json").stdout)
    assert "cup: collect 120 more demonstrations by teleop" in told["answers"][0]
    options = {o["source"]: o["gain"]["value"] for o in told["decisions"]["cup"]["options"]}
    assert options["teleop"] > options["generated"]
    assert told["decisions"]["cup"]["would_change"]
    assert "unknown source" in invoke("plan", path, "--cost", "umi=2", code=1).stderr


def test_one_amount_is_an_honest_no(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("task,source,demonstrations,successes,rollouts\ncup,teleop,10,8,40\n")
    assert "the data cannot say" in invoke("plan", path).stdout.lower()


def test_compare_takes_several_policies(tmp_path: Path):
    policies = ("expert", "noisy:expert:0.5", "noisy:expert:3.0")
    few = ("--tasks", "reach-v3", "--horizon", "100", "--budget", "12")
    words = ("compare", *policies, *few, "-o", tmp_path, "--workers", "0", "--json")
    told = json.loads(invoke(*words).stdout)
    verdict = told["verdict"]
    assert verdict["letters"]["expert"].startswith("a") and "a" not in verdict["letters"]["noisy:expert:3"]
    assert json.loads(invoke(*words).stdout)["verdict"] == verdict
    assert (
        verdict["sentence"].split(":")[0][:30]
        in Path(invoke("report", tmp_path, "--videos", "1").stdout.strip()).read_text()
    )
    assert "expert" in invoke("rank", tmp_path).stdout
