"""What a reader of tables relies on: which rows an error shows, which trials are no copies, what is not pooled."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from roboscale.core import BadData
from roboscale.results import ReadOptions, read_results, trained_table
from tests.results.test_cases_of_tables import counts, read, said, wins
from tests.results.test_forms import workbook


def joined(*rows: str) -> str:
    return "\n".join([*rows, ""])


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("a", "c"), ("b", "c")])
def test_two_trials_of_one_case_in_two_files_are_named_by_both(tmp_path: Path, first: str, second: str):
    files = {n: joined("policy,seed,success", f"A,{10 * k},1", f"B,{10 * k},0") for k, n in enumerate("abc", 1)}
    files[first] += "A,77,1\n"
    files[second] += "B,78,0\nA,77,0\n"
    with pytest.raises(BadData) as error:
        read(tmp_path, **files)
    assert f"found row 3 of {first}.csv and row 4 of {second}.csv: A, all, 77" in str(error.value)
    assert "--case-per-file if they are different trials" in str(error.value)


@pytest.mark.parametrize("row", [1, 2, 4])
@pytest.mark.parametrize("odd", ["7", "-0.5"])
def test_a_progress_outside_of_its_scale_is_named_by_its_row(tmp_path: Path, row: int, odd: str):
    cells = ["0.5", "0.25", "0.5", "0.75"]
    cells[row - 1] = odd
    with pytest.raises(BadData, match=rf"progress of row {row}\b.*found '{odd}'"):
        read(tmp_path, a=joined("policy,seed,progress", *(f"A,{k},{cell}" for k, cell in enumerate(cells))))


def test_trials_that_look_alike_all_count_where_nothing_tells_them_apart(tmp_path: Path):
    """Two hands, two outcomes: a column of as many values as there are different rows is no clock."""
    found = read(tmp_path, a=joined("policy,hand,success", "A,left,1", "A,left,1", "B,right,0", "B,right,0"))
    assert counts(found) == {("A", "all"): (2, 2), ("B", "all"): (0, 2)} and "copies" not in said(found)


@pytest.mark.parametrize("number", [0, 7, 40, 2**53 - 1])
def test_a_number_is_the_same_name_in_json_and_in_text(tmp_path: Path, number: int):
    """Programs write a column of numbers with a gap in it as 7.0; a task of that name is still task 7."""
    (tmp_path / "a.json").write_text(
        json.dumps([{"policy": "A", "task": float(number), "successes": 3, "trials": 10}])
    )
    text = read(tmp_path, b=joined("policy,task,successes,trials", f"A,{number},3,10"))
    assert counts(read_results(tmp_path / "a.json")) == counts(text) == {("A", str(number)): (3, 10)}


def test_rows_that_all_end_at_their_last_filled_cell_are_not_called_short(tmp_path: Path):
    """As a spreadsheet saves a table whose last column is empty; one row that ends early is named."""
    rows = [f"A,{k},1" for k in range(6)]
    found = read(tmp_path, a=joined("policy,seed,success,remark", *rows))
    assert counts(found) == {("A", "all"): (6, 6)} and "fewer cells" not in said(found)
    one = read(tmp_path, b=joined("policy,seed,success,remark", *(f"{row},fine" for row in rows[:5]), rows[5]))
    assert "fewer cells than the header has, the rest taken as empty: row 6" in said(one)


@pytest.mark.parametrize("other", ["0.5", "45%"])
def test_columns_of_counts_and_of_shares_are_not_one_table(tmp_path: Path, other: str):
    with pytest.raises(BadData, match=r"expected cells of one kind .*found pick counts, push share"):
        read(tmp_path, a=joined("policy,pick,push", f"A,12/20,{other}", f"B,3/20,{other}"))


def test_two_rows_are_enough_to_show_that_seeds_may_be_runs(tmp_path: Path):
    rows = [f"{p},{s},{30 + s},50" for p in "AB" for s in range(5)]
    with pytest.raises(BadData, match="counts of several") as error:
        read(tmp_path, a=joined("policy,seed,n_success,n_episodes", *rows))
    assert re.findall(r"row (\d+)", str(error.value)) == ["1", "2"]


@pytest.mark.parametrize(("trials", "said_so"), [(8, False), (12, True)])
def test_what_has_three_rows_of_each_value_may_be_what_was_tried(tmp_path: Path, trials: int, said_so: bool):
    """Six values in sixteen rows are times or remarks; in twenty-four they are said to differ between policies."""
    rows = [f"{p},{k % 4 + 2 * (p == 'B')},{k % 2}" for p in "AB" for k in range(trials)]
    found = read(tmp_path, a=joined("policy,pose_code,success", *rows))
    assert ("it differs between policies" in said(found)) == said_so
    assert counts(found)["A", "all"] == (trials // 2, trials)


def test_what_differs_from_file_to_file_is_not_pooled(tmp_path: Path):
    """A file for each rig, both policies in each: within a file the rig is the same in every row."""
    trials = {"easy": {"ours": (45, 50), "base": (10, 10)}, "hard": {"ours": (2, 10), "base": (20, 50)}}
    files = {
        rig: joined(
            "policy,rig,success",
            *(f"{p},{rig},{int(i < k)}" for p, (k, n) in of.items() for i in range(n)),
        )
        for rig, of in trials.items()
    }
    found = read(tmp_path, **files)
    assert counts(found) == {(p, rig): kn for rig, of in trials.items() for p, kn in of.items()}
    assert "not pooled over 'rig'" in said(found)


def test_two_files_that_count_their_trials_are_said_to_be_kept_apart(tmp_path: Path):
    rows = [f"{p},{k},{k % 2}" for p in "AB" for k in range(4)]
    other = [f"{p},{k},{(k + 1) % 2}" for p in "AB" for k in range(4)]
    found = read(tmp_path, a=joined("policy,trial,success", *rows), b=joined("policy,trial,success", *other))
    assert len(found.columns) == 16 and "within its world, task and file are the same case" in said(found)


def test_a_third_outcome_names_both_columns(tmp_path: Path):
    with pytest.raises(BadData, match=r"all trials in successes and failures .*found 'timeouts'"):
        read(tmp_path, a=joined("policy,successes,failures,timeouts", "A,5,3,2", "B,1,7,2"))


def test_one_object_is_one_row(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps({"policy": "A", "successes": 3, "trials": 10}))
    assert counts(read_results(tmp_path / "a.json")) == {("A", "all"): (3, 10)}
    (tmp_path / "b.json").write_text(json.dumps({"policy": "A", "trials": 10}))
    with pytest.raises(BadData, match="b.json"):
        read_results(tmp_path / "b.json")


def test_a_dash_in_a_table_of_counts_by_task_was_not_tried(tmp_path: Path):
    """The headers say how many trials each count is of; a policy that skipped a task has none of it."""
    found = read(tmp_path, a=joined("Method,Pick (n=20),Place (n=10)", "A,17,-", "B,5,3"))
    assert counts(found) == {("A", "Pick"): (17, 20), ("B", "Pick"): (5, 20), ("B", "Place"): (3, 10)}


def test_a_column_that_is_to_be_ignored_is_no_task(tmp_path: Path):
    text = joined("policy,pick,push,lab", "A,12/20,3/10,1/10", "B,3/20,5/10,2/10")
    assert {task for _, task in counts(read(tmp_path, a=text))} == {"pick", "push", "lab"}
    ignored = counts(read(tmp_path, ReadOptions(columns={"ignore": "lab"}), a=text))
    assert ignored == {("A", "pick"): (12, 20), ("A", "push"): (3, 10), ("B", "pick"): (3, 20), ("B", "push"): (5, 10)}


def test_a_column_that_is_there_twice_is_one_task(tmp_path: Path):
    found = read(tmp_path, a=joined("policy,pick,lab,lab", "A,12/20,1/10,1/10", "B,3/20,2/10,2/10"))
    assert {task for _, task in counts(found)} == {"pick", "lab"} and "says the same as 'lab'" in said(found)


@pytest.mark.parametrize("name", ["policy", "task", "seed", "trials", "successes"])
def test_two_columns_of_one_name_that_differ_are_not_guessed(tmp_path: Path, name: str):
    """Neither the first nor both together: the error shows where they differ, and how to say which counts."""
    rows = [
        {"policy": p, "task": "t", "seed": f"{s}", "successes": f"{s}", "trials": "9"} for p in "AB" for s in (1, 2)
    ]
    head = joined(",".join([*rows[0], name]))
    twice = head + joined(*(",".join([*row.values(), row[name]]) for row in rows))
    other = head + joined(*(",".join([*row.values(), f"{row[name]}7"]) for row in rows))
    with pytest.raises(BadData, match=rf"--column \w+={name}.*'{name}' or '{name} \(2\)': row 1"):
        read(tmp_path, a=other)
    asked = ReadOptions(columns={"run": "seed"})
    assert counts(read(tmp_path, asked, a=twice)) == {("A", "t"): (3, 18), ("B", "t"): (3, 18)}


@pytest.mark.parametrize("name", ["sheet.xlsx.csv", "eval.parquet.csv", "log.jsonl.txt", "log.json.tsv"])
def test_only_the_last_ending_says_how_a_file_is_written(tmp_path: Path, name: str):
    """Programs call the export of `sheet.xlsx` `sheet.xlsx.csv`."""
    (tmp_path / name).write_text(joined("policy,seed,success", "A,1,1", "B,1,0"))
    assert counts(read_results(tmp_path / name)) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}


@pytest.mark.parametrize("ref", ["C2:D2", "C2:E2", "B2:C2"])
def test_cells_that_are_merged_across_a_row_move_no_other(tmp_path: Path, ref: str):
    pytest.importorskip("python_calamine")
    row = {"C2:D2": ["7", "", "", ""], "C2:E2": ["7", "x", "", ""], "B2:C2": ["7", "", "x", "x"]}[ref]
    rows = [["policy", "seed", "remark", "room", "day", "success"], ["A", *row, "1"], ["B", "7", "x", "x", "x", "0"]]
    merged = f'<mergeCells count="1"><mergeCell ref="{ref}"/></mergeCells>'
    found = read_results(workbook(tmp_path / "a.xlsx", {"s": rows}, merged))
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)} and found.paired


@pytest.mark.parametrize("tasks", [2, 3, 4])
def test_a_header_of_two_rows_may_have_any_number_of_groups(tmp_path: Path, tasks: int):
    names = ["Pick", "Place", "Push", "Pull"][:tasks]
    above = "," + ",".join(f"{name}," for name in names)
    head = "Method," + ",".join(["success,trials"] * tasks)
    found = read(tmp_path, a=joined(above, head, *(f"{p}" + f",{k},20" * tasks for p, k in (("A", 12), ("B", 8)))))
    assert counts(found) == {(p, name): (k, 20) for p, k in (("A", 12), ("B", 8)) for name in names}


def test_the_reading_of_a_preference_names_its_column(tmp_path: Path):
    found = read(tmp_path, a=joined("policy_a,policy_b,preference", "p,q,1", "p,q,0.5", "q,p,0"))
    assert "'preference': 1 is the first, 0.5 a tie" in said(found)


def test_a_remark_may_have_more_commas_than_the_table(tmp_path: Path):
    found = read(tmp_path, a=joined("policy,seed,success", "A,1,1", "# lamp, door, and table, were moved", "B,1,0"))
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}
    assert "1 row left out: begin with #" in said(found)


@pytest.mark.parametrize(
    ("policies", "kept", "word"),
    [
        ("AAAA", {""}, "as policy (one recipe)"),
        ("ABCD", {""}, "taken as checkpoints of one recipe"),
        ("AABB", {"A", "B"}, "2 policies in column policy, planned one by one"),
        ("AABC", {"A", "B", "C"}, "3 policies in column policy, planned one by one"),
    ],
)
def test_whose_recipe_the_amounts_of_data_are(tmp_path: Path, policies: str, kept: set[str], word: str):
    """A name that stands at one amount only is a checkpoint, unless another name stands at several."""
    rows = [f"{p},{10 * k},{k},10" for k, p in enumerate(policies, 1)]
    (tmp_path / "a.csv").write_text(joined("policy,n_demos,successes,rollouts", *rows))
    table = trained_table(tmp_path / "a.csv")
    assert {point.policy for point in table.points} == kept and word in "\n".join(table.notes)
    assert [(p.amount, p.successes) for p in sorted(table.points, key=lambda p: p.amount)] == [
        (10.0 * k, k) for k in range(1, 5)
    ]


def test_amounts_without_a_policy_are_of_one_recipe(tmp_path: Path):
    (tmp_path / "a.csv").write_text(joined("n_demos,successes,rollouts", "10,1,10", "20,5,10"))
    table = trained_table(tmp_path / "a.csv")
    assert [(p.policy, p.task, p.amount) for p in table.points] == [("", "all", 10.0), ("", "all", 20.0)]
    assert "recipe" not in "\n".join(table.notes) and "policies in column" not in "\n".join(table.notes)


def test_a_level_too_many_is_asked_for_where_the_policy_is_said(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps({"kitchen": {"cup": {"successes": 3, "trials": 10}}}))
    with pytest.raises(BadData, match="to know whether its keys are policies or tasks"):
        read_results(tmp_path / "a.json", "act")


def test_preferences_may_be_asked_for_as_independent(tmp_path: Path):
    found = read(
        tmp_path, ReadOptions(pairing="independent"), a=joined("policy_a,policy_b,preference", "p,q,A", "p,q,B")
    )
    assert wins(found) == {"p": 1, "q": 1} and not len(found.columns)


def test_columns_of_unknown_names_are_still_told_apart_by_their_sign(tmp_path: Path):
    asked = ReadOptions(columns={"policy": "wer", "success": "wie"})
    found = read(tmp_path, asked, a=joined("wer;wie", "act;1", "act;0", "pi;1"))
    assert counts(found) == {("act", "all"): (1, 2), ("pi", "all"): (1, 1)}


def test_a_share_may_be_nothing_and_is_never_less(tmp_path: Path):
    found = read(tmp_path, a=joined("policy,pick,push", "A,0,0.5", "B,0.25,0.75"))
    assert found.columns.progress.tolist() == [0.0, 0.5, 0.25, 0.75]
    with pytest.raises(BadData, match=r"push: expected columns a task each.*found -0\.5"):
        read(tmp_path, a=joined("policy,pick,push", "A,0,-0.5", "B,0.25,0.75"))


@pytest.mark.parametrize("tasks", [("Pick", "Place"), ("pick", "place"), ("7", "8")])
def test_a_condition_is_added_to_the_task_and_does_not_replace_it(tmp_path: Path, tasks: tuple[str, str]):
    cells = {"A": {"left": (4, 10), "right": (6, 10)}, "B": {"left": (5, 10), "right": (3, 10)}}
    rows = [f"{p},{t},{v},{k},{n}" for t in tasks for p, of in cells.items() for v, (k, n) in of.items()]
    found = read(tmp_path, a=joined("policy,task,rig,successes,trials", *rows))
    assert counts(found) == {(p, f"{t}, {v}"): kn for t in tasks for p, of in cells.items() for v, kn in of.items()}


@pytest.mark.parametrize("place", [1, 2, 3])
def test_equal_rows_of_counts_are_shown_with_their_numbers(tmp_path: Path, place: int):
    rows = ["A,3,10", "B,5,10", "C,7,10"]
    with pytest.raises(BadData, match=rf"equal row {place} \(.*\) and row 4 \("):
        read(tmp_path, a=joined("policy,successes,trials", *rows, rows[place - 1]))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Num Demos", "demonstrations"),
        ("n_demos", "demonstrations"),
        ("hours", "hours"),
        ("Episodes", "demonstrations"),
    ],
)
def test_the_unit_of_an_amount_is_its_name_and_demonstrations_have_many(tmp_path: Path, name: str, unit: str):
    (tmp_path / "a.csv").write_text(joined(f"{name},successes,rollouts", "10,1,10", "20,5,10"))
    assert {point.unit for point in trained_table(tmp_path / "a.csv").points} == {unit}


def test_a_few_rows_name_no_cases(tmp_path: Path):
    few = joined("policy,pose_of_cup,success", "A,70,1", "A,80,0", "B,70,1", "B,80,1")
    assert "--case pose_of_cup" not in said(read(tmp_path, a=few))


def test_names_that_differ_in_their_case_alone_are_those_that_are_written(tmp_path: Path):
    found = read(tmp_path, a=joined("policy_a,policy_b,winner", "act,Act,Act", "act,Act,Act", "act,Act,act"))
    assert wins(found) == {"Act": 2, "act": 1}


def test_the_cases_of_one_file_need_no_word_of_files(tmp_path: Path):
    rows = [f"{p},{k},{k % 2}" for p in "AB" for k in range(4)]
    found = read(tmp_path, a=joined("policy,trial,success", *rows))
    assert found.paired and "within its world and task are the same case" in said(found)


def test_of_two_columns_that_may_say_how_often_the_plainer_counts(tmp_path: Path):
    found = read(tmp_path, a=joined("n,policy_a,policy_b,preference,count", "9,p,q,A,3", "9,p,q,B,2"))
    assert found.preferences.weight.tolist() == [3, 2] and "'count' as times" in said(found)


def test_trials_are_trials_whatever_a_weaker_result_says(tmp_path: Path):
    """`success` says each trial; a result in words and the size of the session beside it change nothing."""
    rows = [f"{p},{k},{k % 2},{'left bin' if k % 3 else 'floor'},50" for p in "AB" for k in (11, 12, 13)]
    found = read(tmp_path, a=joined("policy,seed,success,result,n_episodes", *rows))
    assert counts(found) == {("A", "all"): (2, 3), ("B", "all"): (2, 3)} and found.paired


def test_a_preference_may_be_less_than_nothing(tmp_path: Path):
    found = read(tmp_path, a=joined("policy_a,policy_b,preference", "p,q,1", "p,q,0", "p,q,-1", "q,p,-1"))
    assert wins(found) == {"p": 2, "q": 1, "tie": 1} and "1 is the first, 0 a tie" in said(found)


def test_lines_above_a_header_are_counted_in_words(tmp_path: Path):
    table = ["policy,seed,success", "A,1,1", "B,1,0"]
    assert "1 line above the header not read: May" in said(read(tmp_path, a=joined("May", *table)))
    assert "2 lines above the header not read: May; lab 3" in said(read(tmp_path, b=joined("May", "lab 3", *table)))
