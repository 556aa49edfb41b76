"""Tables of wins, objects in objects, headings between rows, other encodings, names that are nearly the same."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from roboscale.core import BadData
from roboscale.results import PREFERENCE_OUTCOMES, Results, read_results, trained_table
from tests.results.test_cases_of_tables import AS, counts, read, said


def wins(found: Results) -> dict[tuple[str, str, str], int]:
    """(first, second, who won) -> how often."""
    p = found.preferences
    table: Counter[tuple[str, str, str]] = Counter()
    for k in range(len(p)):
        outcome = PREFERENCE_OUTCOMES[p.outcome[k]]
        table[p.policies[p.first[k]], p.policies[p.second[k]], outcome] += int(p.weight[k])
    return {key: count for key, count in table.items() if count}


def document(tmp_path: Path, data: Any, columns: dict[str, str] | None = None, whose: str = "") -> Results:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    return read_results(path, whose, AS(columns=columns or {}))


FIRST, SECOND, TIE = PREFERENCE_OUTCOMES[:3]
THREE_WAYS = {("x", "y", FIRST): 10, ("x", "y", SECOND): 4, ("x", "y", TIE): 1, ("y", "z", SECOND): 3}


@pytest.mark.parametrize(
    "text",
    [
        "policy_a,policy_b,wins_a,wins_b,ties\nx,y,10,4,1\ny,z,0,3,0\n",
        "policy_a,policy_b,wins,losses,draws\nx,y,10,4,1\ny,z,0,3,0\n",
        "model_1,model_2,a_wins,b_wins,n_ties,n\nx,y,10,4,1,15\ny,z,,3,,3\n",
        "policy_a,policy_b,winner,count\nx,y,x,10\nx,y,y,4\nx,y,tie,1\ny,z,z,3\n",
        "policy_a,policy_b,preference,n\nx,y,A,10\nx,y,B,4\nx,y,tie,1\ny,z,B,3\n",
    ],
)
def test_counts_of_comparisons_are_read_and_not_taken_for_one_each(tmp_path: Path, text: str):
    assert wins(read(tmp_path, a=text)) == THREE_WAYS


@pytest.mark.parametrize("head", ["winner,loser,count", "preferred,non_preferred,times", "policy_a,policy_b,wins"])
def test_who_beats_whom_how_often(tmp_path: Path, head: str):
    found = read(tmp_path, a=f"{head}\nx,y,10\ny,x,3\ny,z,4\n")
    assert wins(found) == {("x", "y", FIRST): 10, ("y", "x", FIRST): 3, ("y", "z", FIRST): 4}
    assert "ties have no place in it" in said(found) and "17 times" in said(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "policy_a,policy_b,wins,n\nx,y,10,20\ny,z,3,20\n",
            "wins, losses and ties of n comparisons .* found 10 of 20",
        ),
        (
            "policy_a,policy_b,wins_a,x,ties\nx,y,5,9,2\ny,z,2,3,1\n",
            "how often the second was better: a column wins_b",
        ),
        ("policy_a,policy_b,wins\nx,y,5\ny,z,2\n", "wins_second=NAME\\), or a row for each order of a pair"),
        ("policy_a,policy_b,winner,n\nx,y,x,10.5\n", "n of row 1: expected a whole number"),
        ("policy_a,policy_b,a_better\nx,y,yes\nx,y,no\n", "who was better: a column winner or preference"),
        ("policy,A,B,C\nA,-,1,0\nB,0,-,0\nC,1,1,-\n", "one row for each pair: policy_a,policy_b,wins"),
        ("policy,A,B,C\nA,-,.7,.6\nB,.3,-,.5\nC,.4,.5,-\n", "rows and columns of the same names: A, B, C"),
        (",A,B\nA,,10\nB,3,\n", "rows and columns of the same names"),
    ],
)
def test_what_says_not_who_won_is_an_error(tmp_path: Path, text: str, words: str):
    with pytest.raises(BadData, match=words):
        read(tmp_path, a=text)


def test_preferences_say_how_strong_they_are(tmp_path: Path):
    text = "policy_a,policy_b,preference\nx,y,strongly prefer A\nx,y,slightly prefer B\nx,y,prefers the left\n"
    assert wins(read(tmp_path, a=text)) == {("x", "y", FIRST): 2, ("x", "y", SECOND): 1}


def cell(won: int, tried: int = 10) -> dict[str, int]:
    return {"successes": won, "trials": tried}


TWO = {("A", "cup"): (5, 10), ("A", "drawer"): (6, 10), ("B", "cup"): (2, 10), ("B", "drawer"): (1, 10)}
TREE = {"A": {"cup": cell(5), "drawer": cell(6)}, "B": {"cup": cell(2), "drawer": cell(1)}}
LEVELS = {"policy": "level 1", "task": "level 2"}


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (TREE, LEVELS),
        ({"results": TREE}, LEVELS),
        ({"policies": TREE}, {}),
        ({"policies": {name: {"tasks": tasks} for name, tasks in TREE.items()}, "config": {"lr": 1}}, {}),
        ({"per_task": {t: {p: TREE[p][t] for p in "AB"} for t in ("cup", "drawer")}, "date": "today"}, {}),
        ({"by_model": {p: {t: f"{c['successes']}/10" for t, c in ts.items()} for p, ts in TREE.items()}}, {}),
        ({"models": [{"name": p, "tasks": [{"name": t, **c} for t, c in ts.items()]} for p, ts in TREE.items()]}, {}),
        (
            {
                p: {t: [1] * c["successes"] + [0] * (10 - c["successes"]) for t, c in ts.items()}
                for p, ts in TREE.items()
            },
            LEVELS,
        ),
    ],
)
def test_objects_in_objects(tmp_path: Path, data: Any, columns: dict[str, str]):
    if "per_task" in data:  # a key that LeRobot's files have, too
        data = {"by_task": data["per_task"], "date": data["date"]}
    found = document(tmp_path, data, columns)
    assert counts(found) == TWO
    assert ("not read: 'config'" in said(found)) == ("config" in data)


def test_levels_that_may_be_policies_or_tasks_are_asked_for(tmp_path: Path):
    with pytest.raises(BadData, match='--column policy="level 1" --column task="level 2".*A > cup; A > drawer'):
        document(tmp_path, TREE)
    assert counts(document(tmp_path, TREE["A"], whose="A")) == {k: v for k, v in TWO.items() if k[0] == "A"}
    assert counts(document(tmp_path, {"policy": "A", "results": TREE["A"]})) == {
        k: v for k, v in TWO.items() if k[0] == "A"
    }
    with pytest.raises(BadData, match="objects that are all equally deep, found A > cup; B"):
        document(tmp_path, {"A": {"cup": cell(5)}, "B": cell(2)})


def test_lists_in_objects_keep_their_seeds(tmp_path: Path):
    data = {"per_policy": {p: {"cup": {"seeds": [7, 8], "successes": [True, p == "A"]}} for p in "AB"}}
    found = document(tmp_path, data)
    assert found.paired and counts(found) == {("A", "cup"): (2, 2), ("B", "cup"): (1, 2)}
    unequal = document(tmp_path, {"A": [1, 0, 1, 1], "B": [0, 0, 1]}, {"policy": "level 1"})
    assert counts(unequal) == {("A", "all"): (3, 4), ("B", "all"): (1, 3)}


def test_a_task_is_an_object_with_a_name(tmp_path: Path):
    rows = [
        {"policy": p, "task": {"name": "cup"}, "seed": s, "result": {"success": s > 1}} for p in "AB" for s in (1, 2)
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert counts(read_results(path)) == {("A", "cup"): (1, 2), ("B", "cup"): (1, 2)}


def test_files_below_one_another_have_one_header(tmp_path: Path):
    text = "policy,seed,success\nA,1,1\nB,1,0\n"
    found = read(tmp_path, a=text + "policy,seed,success\nA,2,1\nB,2,0\n")
    assert counts(found) == {("A", "all"): (2, 2), ("B", "all"): (0, 2)} and "the header again" in said(found)


@pytest.mark.parametrize(
    "text",
    [
        "Task: cup\npolicy,success\nA,1\nB,1\n\nTask: drawer\npolicy,success\nA,1\nB,0\n",
        "policy,trials,successes\nTask: cup,,\nA,10,5\nB,10,6\nTask: drawer,,\nA,10,1\nB,10,2\n",
        "policy,trials,successes\nCup,,\nA,10,5\nB,10,6\nDrawer,,\nA,10,1\nB,10,2\n",
        "policy,seed,success\nA,,\n,1,1\n,2,0\nB,,\n,1,0\n",
    ],
)
def test_headings_between_rows_are_no_policies(tmp_path: Path, text: str):
    with pytest.raises(BadData, match="one table, with a column for what headings between its rows say"):
        read(tmp_path, a=text)


def test_a_line_below_a_table_is_left_out(tmp_path: Path):
    found = read(tmp_path, a="policy,task,successes,trials\nA,t,12,20\nB,t,17,20\n* tried by hand\n")
    assert counts(found) == {("A", "t"): (12, 20), ("B", "t"): (17, 20)}
    assert "1 row left out: only their first cell is filled" in said(found)
    untried = read(tmp_path, b="policy,lift,can\nA,5/10,3/10\nB,,\nC,5/10,1/10\n")
    assert set(untried.columns.policies) == {"A", "C"}
    assert counts(read(tmp_path, c="policy,success\nA,1\nB,\nB,1\n"))["B", "all"] == (1, 1)
    broken = read(tmp_path, d="policy,success\nA,1\nB,\nA,1\nB,\nC,\nA,0\n")
    assert len(broken.columns) == 6 and "3 of 6 trials are void" in said(broken)


@pytest.mark.parametrize(
    ("encoding", "head", "name"),
    [
        ("shift_jis", "方策,タスク,成功回数,試行回数", "Shift-JIS"),
        ("gb18030", "策略,任务,成功次数,试验次数", "GB 18030"),
        ("cp949", "정책,작업,성공 횟수,시도 횟수", "EUC-KR"),
        ("cp1251", "модель,задача,успехи,попыток", "Windows-1251"),
        ("mac-roman", "modèle,tâche,réussites,essais", "Mac Roman"),
        ("cp1252", "modèle,tâche,réussites,essais", "Windows-1252"),
    ],
)
def test_encodings_are_proven_by_names_of_columns(tmp_path: Path, encoding: str, head: str, name: str):
    path = tmp_path / "a.csv"
    path.write_bytes(f"{head}\nA,t,17,20\nB,t,5,20\n".encode(encoding))
    found = read_results(path)
    assert counts(found) == {("A", "t"): (17, 20), ("B", "t"): (5, 20)}
    assert f"read as {name}, in which names of columns are known" in said(found)


@pytest.mark.parametrize(("encoding", "task"), [("cp1251", "чашка"), ("gb18030", "杯子"), ("cp949", "컵컵")])
def test_an_encoding_that_nothing_proves_is_no_western_one(tmp_path: Path, encoding: str, task: str):
    path = tmp_path / "a.csv"
    path.write_bytes(f"policy,task,successes,trials\nA,{task},17,20\n".encode(encoding))
    with pytest.raises(BadData, match="text in UTF-8"):
        read_results(path)


def test_names_that_are_nearly_the_same_are_said(tmp_path: Path):
    rows = "ACT,Pick Cup,1,1\nact,pick_cup,2,0\nACT ,Pick Cup,3,1\n"
    found = read(tmp_path, a=f"policy,task,seed,success\n{rows}")
    assert found.columns.policies == ("ACT", "act")
    assert "policies 'ACT' and 'act' differ in capitals, blanks or signs alone" in said(found)
    assert "tasks 'Pick Cup' and 'pick_cup' differ in" in said(found)
    assert "differ in capitals" not in said(read(tmp_path, b="policy,task,seed,success\nv1.0,cup,1,1\nv10,cups,1,0\n"))
    pairs = read(tmp_path, c="policy_a,policy_b,winner\nPi0,ACT,pi0\nACT,pi-0,ACT\n")
    assert "policies 'Pi0' and 'pi-0' differ" in said(pairs)


def test_other_measures_are_no_tasks_and_no_policies(tmp_path: Path):
    found = read(tmp_path, a="Method,Lift,Can,time_s\nA,5/10,6/10,.3\nB,2/10,3/10,.4\n")
    assert {task for _, task in counts(found)} == {"Lift", "Can"}
    assert "'time_s' (its name says another measure than success)" in said(found)
    for text in ("policy,seed,reward\nA,1,.3\nB,1,.4\n", "policy,loss,latency\nA,.3,.1\nB,.4,.2\n"):
        with pytest.raises(BadData, match="other measures"):
            read(tmp_path, b=text)


def test_a_seed_beside_a_number_may_be_one_of_the_training(tmp_path: Path):
    rows = "".join(f"{p},{s},{t},{(s + t) % 2}\n" for p in "AB" for s in range(3) for t in range(4))
    text = f"policy,seed,trial,success\n{rows}"
    assert "--column run=seed if it is the seed of the training" in said(read(tmp_path, a=text))
    found = read(tmp_path, AS(columns={"run": "seed"}), a=text)
    assert len(found.columns.runs) == 6 and "--column run=seed" not in said(found)


def test_a_name_with_a_hash_is_a_name_wherever_its_odd_row_stands(tmp_path: Path):
    """A longer row of `#1` above its other rows was left out as a remark; below them it was an error."""
    head, odd, rest = "policy,task,successes,trials\n", "#1,cup,16,20,surplus\n", "#1,drawer,12,20\n#2,drawer,9,20\n"
    for text in (head + odd + rest, head + rest + odd, head + rest + odd.replace("#1", "#3")):
        with pytest.raises(BadData, match="4 cells, as the header has"):
            read(tmp_path, a=text)
    found = read(tmp_path, a=f"{head}#act,drawer,1,20\n# a remark, of three, parts\nact,drawer,12,20\nb,drawer,9,20\n")
    assert "2 rows left out: begin with #" in said(found)


def test_lists_beside_counts_multiply_nothing_and_hide_nothing(tmp_path: Path):
    """Three seeds beside `successes` made three rows of the same counts; an empty list made the row vanish."""
    beside = {"seeds": [0, 1, 2], "errors": []}
    cells = {p: {t: {"successes": n, "trials": 3} | beside for t in ("cup", "bin")} for p, n in (("a", 2), ("b", 1))}
    found = document(tmp_path, {"policies": cells})
    both = {("a", "bin"): (2, 3), ("a", "cup"): (2, 3), ("b", "bin"): (1, 3), ("b", "cup"): (1, 3)}
    assert counts(found) == both and "'seeds' (no known role)" in said(found)
    laid_out = {p: {"cup": {"success": [1, 0, n], "seeds": [0, 1, 2], "errors": []}} for p, n in (("a", 1), ("b", 0))}
    assert counts(document(tmp_path, {"policies": laid_out})) == {("a", "cup"): (2, 3), ("b", "cup"): (1, 3)}


@pytest.mark.parametrize("nothing", [[], {}])
def test_an_empty_count_is_no_count(tmp_path: Path, nothing: object):
    for key in ("successes", "trials"):
        cells = {p: {"cup": cell(3), "bin": cell(4)} for p in ("a", "b")}
        cells["a"]["cup"] = {**cell(3), key: nothing}
        with pytest.raises(BadData, match=f"{key} of row 1: expected a whole number"):
            document(tmp_path, {"policies": cells})


@pytest.mark.parametrize("name", ["trials_per_task", "Episodes per suite", "n_rollouts_per_env"])
def test_how_many_were_made_of_each_is_no_condition(tmp_path: Path, name: str):
    """It kept apart what was tried more often from what was tried less often, and then nothing was compared."""
    rows = "a,cup,10,1,3\na,cup,20,2,8\nb,cup,10,1,2\nb,cup,20,2,5\n"
    found = read(tmp_path, a=f"policy,task,trials,{name},successes\n{rows}")
    assert counts(found) == {("a", "cup"): (11, 30), ("b", "cup"): (7, 30)} and f"ignored {name!r}" in said(found)


@pytest.mark.parametrize("head", ["trial,ACT,DP", "task,ACT,DP"])
def test_a_row_of_success_and_fail_is_no_header(tmp_path: Path, head: str):
    """`success` is a name and a value: the first row was taken for the header, and the policies were lost."""
    found = read(tmp_path, a=f"{head}\n1,success,fail\n2,fail,success\n3,success,success\n")
    assert found.columns.policies == ("ACT", "DP") and sum(t for _, t in counts(found).values()) == 6
    long = read(tmp_path, a="policy,success\nA,success\nB,fail\nA,fail\n")
    assert counts(long) == {("A", "all"): (1, 2), ("B", "all"): (0, 1)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy,grasped,lifted,placed\nA,1,1,0\nA,1,0,0\nB,1,1,1\n", "what may be stages: grasped, lifted, placed"),
        (
            "Step,act - sr,act - sr__MIN,act - sr__MAX,dp - sr,dp - sr__MIN,dp - sr__MAX\n1,.2,.2,.2,.3,.3,.3\n",
            "curves over training steps: act - sr, dp - sr",
        ),
    ],
)
def test_what_looks_wide_and_is_not(tmp_path: Path, text: str, words: str):
    with pytest.raises(BadData, match=words):
        read(tmp_path, a=text)


def test_rows_that_end_early_are_named(tmp_path: Path):
    found = read(tmp_path, a="policy,task,success\nA,cup,1\nA,cup\nB,cup,0\nB,cup,1\n")
    assert "fewer cells than the header has, the rest taken as empty: row 2" in said(found)


def test_a_sheet_of_two_sides_and_the_better_one(tmp_path: Path):
    text = "date,A,B,Which is better?,comment\nmay,act,dp,A,fast\nmay,act,dp,tie,\njune,dp,act,B,smooth\n"
    assert wins(read(tmp_path, a=text)) == {("act", "dp", FIRST): 1, ("act", "dp", TIE): 1, ("dp", "act", SECOND): 1}


def test_a_flag_that_is_named_can_be_typed(tmp_path: Path):
    """A name with blanks stood there without quotes."""
    with pytest.raises(BadData) as error:
        read(tmp_path, a="policy,success rate (%)\nA,60\nB,75\n")
    typed = shlex.split(str(error.value).partition("--column trials=NAME; ")[2].partition(" takes ")[0])
    assert typed == ["--column", "rate=success rate (%)"]


@pytest.mark.parametrize("rows", ["#1,#2,1,9\n#2,#3,4,2,surplus\n", "#2,#3,4,2,surplus\n#1,#2,1,9\n"])
def test_a_row_with_a_cell_too_many_is_no_remark_where_names_begin_with_a_hash(tmp_path: Path, rows: str):
    with pytest.raises(BadData, match="expected 4 cells, as the header has, found 5"):
        read(tmp_path, a=f"policy_a,policy_b,wins_a,wins_b\n{rows}")


def test_a_name_for_a_file_holds_whatever_its_column_says(tmp_path: Path):
    """`v1=a.csv v2=b.csv`, both of a policy called act, were one policy; a name for a file of two was not used."""
    text = "policy,task,seed,success\nact,cup,1,1\nact,cup,2,0\n"
    (tmp_path / "a.csv").write_text(text)
    found = read_results(tmp_path / "a.csv", "v1")
    assert counts(found) == {("v1", "cup"): (1, 2)} and "'policy' says 'act'; named 'v1' as asked" in said(found)
    (tmp_path / "a.csv").write_text(text + "dp,cup,1,1\n")
    both = read_results(tmp_path / "a.csv", "v1")
    assert set(both.columns.policies) == {"act", "dp"}
    assert "'policy' names 2 policies: the name 'v1' is not used" in said(both)


def test_the_number_of_trials_is_no_amount_of_data(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("checkpoint,step,success,episodes\na,10,12,20\nb,20,15,20\n")
    with pytest.raises(BadData, match="amount=NAME.* found episodes, which says how many trials"):
        trained_table(path)
