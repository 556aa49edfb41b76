"""The same tables in other dress: other languages, trials said by headers, totals, conditions that nobody named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData
from roboscale.results import read_results
from tests.results.test_cases_of_tables import AS, counts, read, said, wins


def trials(won: int, tried: int) -> list[int]:
    return [1] * won + [0] * (tried - won)


def long(column: str, **cells: dict[str, tuple[int, int]]) -> str:
    """policy, a column, success: one row a trial; `cells` are policy -> value -> (successes, trials)."""
    rows = [f"{p},{v},{s}" for p, values in cells.items() for v, (k, n) in values.items() for s in trials(k, n)]
    return "\n".join([f"policy,{column},success", *rows, ""])


@pytest.mark.parametrize(
    "text",
    [
        "Modell;Aufgabe;Erfolge;Versuche\nA;t;17;20\nB;t;5;20\n",
        "politique;tâche;réussites;essais\nA;t;17;20\nB;t;5;20\n",
        "politica;tarea;exitos;intentos\nA;t;17;20\nB;t;5;20\n",
        "metodo;compito;successi;prove\nA;t;17;20\nB;t;5;20\n",
        "策略,任务,成功次数,试验次数\nA,t,17,20\nB,t,5,20\n",
        "モデル,タスク,成功率,試行回数\nA,t,85%,20\nB,t,25%,20\n",
        "Modell;Aufgabe;Erfolgsquote (%);n\nA;t;85,0;20\nB;t;25,0;20\n",
    ],
)
def test_names_in_other_languages(tmp_path: Path, text: str):
    assert counts(read(tmp_path, a=text)) == {("A", "t"): (17, 20), ("B", "t"): (5, 20)}


@pytest.mark.parametrize(("yes", "no"), [("sí", "no"), ("oui", "non"), ("WAHR", "FALSCH"), ("是", "否"), ("✔️", "✖")])
def test_yes_and_no_in_other_languages(tmp_path: Path, yes: str, no: str):
    found = read(tmp_path, a=f"policy,Semilla,Éxito\nA,11,{yes}\nA,12,{no}\nB,11,{no}\nB,12,{no}\n")
    assert counts(found) == {("A", "all"): (1, 2), ("B", "all"): (0, 2)} and found.paired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Method,Success (out of 20)\nA,17\nB,10\n", {("A", "all"): (17, 20), ("B", "all"): (10, 20)}),
        ("Method,Success /20\nA,17\nB,10\n", {("A", "all"): (17, 20), ("B", "all"): (10, 20)}),
        ("Method,Success rate (20 trials)\nA,85%\nB,50%\n", {("A", "all"): (17, 20), ("B", "all"): (10, 20)}),
        ("Task,A (N=20),B (N=10)\npick,17,5\n", {("A", "pick"): (17, 20), ("B", "pick"): (5, 10)}),
        ("Method,Pick (n=20),Place (n=10)\nA,85%,40%\n", {("A", "Pick"): (17, 20), ("A", "Place"): (4, 10)}),
        ("policy,result\nA,12/20 (60%)\nA2,85% (17/20)\n", {("A", "all"): (12, 20), ("A2", "all"): (17, 20)}),
        ("policy,success,failure\nA,12,8\nB,17,3\n", {("A", "all"): (12, 20), ("B", "all"): (17, 20)}),
        ("| Method | SR | n |\n|---|---|---|\n| A | 80% | 10 |\n| **B** | 30% | 10 |\n", None),
    ],
)
def test_headers_and_cells_say_how_many(tmp_path: Path, text: str, expected: dict[tuple[str, str], tuple[int, int]]):
    expected = expected or {("A", "all"): (8, 10), ("B", "all"): (3, 10)}
    assert counts(read(tmp_path, a=text)) == expected


def test_a_third_outcome_is_not_left_out(tmp_path: Path):
    with pytest.raises(BadData, match=r"--column ignore=Timeouts\), found 'Timeouts', which may count trials"):
        read(tmp_path, a="policy,Successes,Failures,Timeouts\nA,12,6,2\nB,17,3,0\n")


def test_sums_are_no_tasks_in_columns_and_rows(tmp_path: Path):
    expected = {("A", "pick"): (8, 10), ("A", "place"): (5, 10), ("B", "pick"): (3, 10), ("B", "place"): (4, 10)}
    wide = read(tmp_path, a="Method,pick,place,Total\nA,8/10,5/10,13/20\nB,3/10,4/10,7/20\n")
    assert counts(wide) == expected and "'Total' (it adds others up)" in said(wide), "place is a task here"
    other = read(tmp_path, b="Task,A,B\npick,8/10,3/10\nplace,5/10,4/10\nAvg.,65%,35%\n")
    assert counts(other) == expected
    rows = "A,pick,8,10\nA,place,5,10\nA,All (2),13,20\nB,pick,3,10\nB,place,4,10\nB,All (2),7,20\n"
    assert counts(read(tmp_path, c=f"policy,task,successes,trials\n{rows}")) == expected


def test_numbered_columns_are_trials_not_tasks(tmp_path: Path):
    found = read(tmp_path, a="Policy,Task,T1,T2,T3,T4\nA,x,1,1,1,0\nB,x,0,0,1,0\n")
    assert counts(found) == {("A", "x"): (3, 4), ("B", "x"): (1, 4)} and found.paired
    with pytest.raises(BadData, match="which may be either"):
        read(tmp_path, b="Method,seed 0,seed 1,seed 2\nA,80%,70%,75%\nB,40%,50%,45%\n")


def test_an_empty_task_is_an_error_and_no_copy(tmp_path: Path):
    with pytest.raises(BadData, match="a task"):
        read(tmp_path, a="task,policy,successes,trials\nPick,A,8,10\n,B,3,10\nPlace,A,3,10\n,B,3,10\n")


UNEQUAL = {"ours": {"easy": (45, 50), "hard": (2, 10)}, "base": {"easy": (10, 10), "hard": (20, 50)}}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("name", ["object", "surface", "Setup"])
def test_trials_are_not_pooled_over_a_mix_that_differs(tmp_path: Path, name: str, split: bool):
    files = {p: long(name, **{p: cells}) for p, cells in UNEQUAL.items()} if split else {"a": long(name, **UNEQUAL)}
    found = read(tmp_path, **files)
    assert counts(found) == {(p, v): kn for p, cells in UNEQUAL.items() for v, kn in cells.items()}
    assert f"not pooled over '{name}'" in said(found)
    asked = read(tmp_path, AS(columns={"ignore": name}), **files)
    assert counts(asked)["ours", "all"] == (47, 60)
    assert set(counts(read(tmp_path, AS(task="easy"), **files))) == {("ours", "easy"), ("base", "easy")}


@pytest.mark.parametrize("split", [False, True])
def test_counts_are_not_added_up_over_a_column_that_nobody_knows(tmp_path: Path, split: bool):
    rows = {p: "".join(f"{p},{v},{k},{n}\n" for v, (k, n) in cells.items()) for p, cells in UNEQUAL.items()}
    head = "method,rig,successes,trials\n"
    files = {p: head + text for p, text in rows.items()} if split else {"a": head + "".join(rows.values())}
    found = read(tmp_path, **files)
    assert counts(found)["ours", "easy"] == (45, 50) and "it tells counts of one policy and task apart" in said(found)


def test_reasons_of_failures_are_no_conditions(tmp_path: Path):
    cells = {"A": {"fine": (30, 30), "dropped": (0, 20)}, "B": {"fine": (10, 10), "dropped": (0, 40)}}
    assert set(counts(read(tmp_path, a=long("what_happened", **cells)))) == {("A", "all"), ("B", "all")}


def test_shared_cases_need_no_equal_mixes(tmp_path: Path):
    rows = "".join(f"{p},{100 + i},{'red' if i % 2 else p},{i % 2}\n" for p in "AB" for i in range(20))
    found = read(tmp_path, a=f"policy,seed,light_of_day,success\n{rows}")
    assert found.paired and len(found.columns.strata) == 1


def test_seeds_of_counts_may_be_training_runs(tmp_path: Path):
    text = "policy,seed,n_success,n_episodes\n" + "".join(f"{p},{s},{30 + s},50\n" for p in "AB" for s in range(3))
    with pytest.raises(BadData, match=r"--column run=seed \(training runs\) or --column variation=seed"):
        read(tmp_path, a=text)
    assert len(read(tmp_path, AS(columns={"run": "seed"}), a=text).columns.runs) == 6


def test_points_are_no_trials(tmp_path: Path):
    rows = "".join(f"{p},{i % 5}/4\n" for p in "AB" for i in range(10))
    found = read(tmp_path, a=f"policy,progress\n{rows}")
    assert found.kinds == ("progress",) and len(found.columns) == 20
    assert float(np.nanmean(found.columns.progress)) == pytest.approx(0.5)
    with pytest.raises(BadData, match=r"--column progress=score\) or successes of trials \(--column successes=score"):
        read(tmp_path, b=f"policy,score\n{rows}")


def test_numbers_of_cases_are_equal_whatever_their_digits(tmp_path: Path):
    rows = "".join(f"A,{i:03d},1\nB,{i}.0,0\n" for i in range(8))
    assert read(tmp_path, a=f"policy,seed,success\n{rows}").paired


def test_signs_that_nobody_sees_make_no_policy(tmp_path: Path):
    found = read(tmp_path, a="policy,success\nA,1\nA\u200b,0\nA\u00a0,1\nB,0\n")
    assert counts(found) == {("A", "all"): (2, 3), ("B", "all"): (0, 1)}


def test_what_may_be_the_case_is_said(tmp_path: Path):
    rows = "".join(f"{p},{7 * i},{i % 2}\n" for p in "AB" for i in range(8))
    found = read(tmp_path, a=f"policy,pose_of_cup,success\n{rows}")
    assert not found.paired and "'pose_of_cup' (every policy has each value once: --case pose_of_cup" in said(found)


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("left_policy,right_policy,winner", ("left", "right", "tie")),
        ("Policy A,Policy B,Better", ("policy_a", "policy_b", "both_bad")),
        ("policy_a,policy_b,preference", ("A is much better", "B is better", "About the same")),
        ("policy_1,policy_2,outcome", ("pi0", "PI0", "draw")),
    ],
)
def test_preferences_in_words(tmp_path: Path, head: str, cells: tuple[str, str, str]):
    first, second, tie = cells
    found = read(tmp_path, a=f"{head}\npi0,act,{first}\nact,pi0,{second}\nact,pi0,{tie}\n")
    assert wins(found) == {"pi0": 2, "tie": 1}


def test_a_winner_beside_a_tie_has_not_won(tmp_path: Path):
    found = read(tmp_path, a="winner,loser,tie\npi0,act,False\nact,pi0,True\nact,pi0,no\n")
    assert wins(found) == {"pi0": 1, "act": 1, "tie": 1}


@pytest.mark.parametrize(
    "text",
    [
        ",Pick,,Place,\nMethod,success,trials,success,trials\nA,12,20,3,10\nB,8,20,5,10\n",
        "Week 12\n,A,A,B,B\nTask,k,n,k,n\nPick,12,20,8,20\nPlace,3,10,5,10\n",
        ",Pick,Pick,Place,Place,Total,Total\nMethod,success,n,success,n,success,n\nA,12,20,3,10,15,30\nB,8,20,5,10,13,30\n",
    ],
)
def test_headers_of_two_rows(tmp_path: Path, text: str):
    found = read(tmp_path, a=text)
    expected = {("A", "Pick"): (12, 20), ("A", "Place"): (3, 10), ("B", "Pick"): (8, 20), ("B", "Place"): (5, 10)}
    assert counts(found) == expected and "two rows of headers" in said(found)


def test_what_stands_beside_a_list_is_of_every_row(tmp_path: Path):
    path = tmp_path / "a.json"
    rows = [{"seed": 7, "success": True}, {"seed": 8, "success": False}]
    path.write_text(json.dumps({"policy": "A", "task": "cup", "made": "today", "episodes": rows}))
    assert counts(read_results(path)) == {("A", "cup"): (1, 2)}
    path.write_text(json.dumps({"policy_path": "lerobot/act", "num_success": 12, "num_episodes": 20}))
    assert counts(read_results(path)) == {("lerobot/act", "all"): (12, 20)}


def test_a_zipped_table_is_read_and_a_broken_one_is_one_error(tmp_path: Path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"policy,success\nA,1\nB,0\n"))
    assert counts(read_results(path)) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadData, match="gzip"):
        read_results(path)


def test_a_page_is_no_table(tmp_path: Path):
    with pytest.raises(BadData, match="a header with names that are known"):
        read(tmp_path, a="<table><tr><td>policy</td></tr></table>")


def test_old_sums_of_lerobot_and_what_is_not_a_number(tmp_path: Path):
    path = tmp_path / "A" / "eval_info.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"aggregated": {"pc_success": 80.0, "n_episodes": 10}}))
    assert counts(read_results(path)) == {("A", "all"): (8, 10)}
    path.write_text('{"per_episode": [{"success": true, "seed": 1}, {"success": NaN, "seed": 2}], "aggregated": {}}')
    assert counts(read_results(path)) == {("A", "all"): (1, 1)}


def test_how_far_sides_came_may_have_a_scale(tmp_path: Path):
    text = "policyA_name,policyB_name,pref,policyA_partial_success,policyB_partial_success\npi0,act,A,80,20\n"
    with pytest.raises(BadData, match=r"--column progress_first=policyA_partial_success/100"):
        read(tmp_path, a=text)
    scales = {f"progress_{s}": f"policy{c}_partial_success/100" for s, c in (("first", "A"), ("second", "B"))}
    assert list(read(tmp_path, AS(columns=scales), a=text).columns.progress) == [0.8, 0.2]
