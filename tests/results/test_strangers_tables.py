"""What strangers bring: tables that contradict themselves, count twice or hide rows, and files that are no tables."""

import json
from pathlib import Path

import pytest

from roboscale.core import BadData, UsageError
from roboscale.jobs.count import parse_counts
from roboscale.jobs.events import Note
from roboscale.jobs.fuse import FuseResults, fuse_results
from roboscale.jobs.result_files import load_results
from roboscale.results import ReadOptions, Results, read_results
from roboscale.results.hints import hint_of_cell, hint_of_text
from roboscale.results.trained import trained_table
from roboscale.stats.next_trial import CaseRecord, Venue, knowledge_from_counts, next_trials


def read(tmp_path: Path, text: str, name: str = "a.csv", **options: object) -> Results:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read_results(path, "", ReadOptions(**options))  # type: ignore[arg-type]


def read_json(tmp_path: Path, data: object, policy: str = "", **options: object) -> Results:
    path = tmp_path / "a.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return read_results(path, policy, ReadOptions(**options))  # type: ignore[arg-type]


def counts(results: Results) -> dict[tuple[str, str], tuple[int, int]]:
    """(policy, task) -> successes and trials."""
    c = results.columns
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in range(len(c)):
        key = c.policies[c.policy[row]], c.strata[c.stratum[row]].task
        won, tried = found.get(key, (0, 0))
        found[key] = won + int(c.success[row] * c.weight[row]), tried + int(c.weight[row])
    return found


def lines(results: Results) -> str:
    return "\n".join(results.reading.lines())


def of(won: int, tried: int = 20) -> dict[str, int]:
    return {"successes": won, "trials": tried}


BOTH = {("act", "pick"): (12, 20), ("act", "stack"): (6, 20), ("dp", "pick"): (17, 20), ("dp", "stack"): (11, 20)}


@pytest.mark.parametrize(
    "data",
    [
        [{"policy": "act", "pick": of(12), "stack": of(6)}, {"policy": "dp", "pick": of(17), "stack": of(11)}],
        {
            "policies": [
                {"name": "act", "successes": 18, "trials": 40, "results": {"pick": of(12), "stack": of(6)}},
                {"name": "dp", "results": {"pick": of(17), "stack": of(11)}},
            ]
        },
        [
            {"policy": "act", "results": [{"task": "pick", **of(12)}, {"task": "stack", **of(6)}]},
            {"policy": "dp", "results": [{"task": "pick", **of(17)}, {"task": "stack", **of(11)}]},
        ],
        [
            {"policy": "act", "per_task": {"pick": of(12), "stack": of(6)}, "overall": of(18, 40)},
            {"policy": "dp", "per_task": {"pick": of(17), "stack": of(11)}, "overall": of(28, 40)},
        ],
    ],
)
def test_objects_and_lists_inside_rows_of_json_are_all_read(tmp_path: Path, data: object):
    """All but the first object of a row were dropped: they were columns of one role, and the first had it."""
    found = read_json(tmp_path, data)
    assert counts(found) == BOTH
    if "overall" in str(data):
        assert "not read: 'overall'" in lines(found)


def test_rates_inside_rows_take_the_trials_beside_them(tmp_path: Path):
    rows = [
        {"policy": p, "n_trials": 20, "success_rate": 0.5, "pick": {"success_rate": a}, "stack": {"success_rate": b}}
        for p, a, b in (("act", 0.6, 0.3), ("dp", 0.85, 0.55))
    ]
    found = read_json(tmp_path, rows)
    assert counts(found) == BOTH
    assert "each of these keys is a task: pick, stack" in lines(found)


def test_a_number_of_trials_above_a_list_of_trials_does_not_multiply_them(tmp_path: Path):
    rows = [{"model": m, "count": 3, "episodes": [{"id": k, "success": k > 0} for k in range(3)]} for m in "ab"]
    assert counts(read_json(tmp_path, rows)) == {("a", "all"): (2, 3), ("b", "all"): (2, 3)}


def test_a_trial_of_its_own_keeps_its_stages_apart(tmp_path: Path):
    rows = [
        {"policy": p, "seed": 1, "success": 0, "stages": {"grasp": {"success": 1}, "place": {"success": 0}}}
        for p in "ab"
    ]
    assert counts(read_json(tmp_path, rows)) == {("a", "all"): (0, 1), ("b", "all"): (0, 1)}


def test_two_lists_of_results_are_not_guessed_between(tmp_path: Path):
    rows = [{"policy": "a", "success": 1}]
    with pytest.raises(BadData, match=r"content: expected one list of results, .* found several: 'ours', 'theirs'"):
        read_json(tmp_path, {"ours": rows, "theirs": [{"policy": "b", "success": 0}]})
    assert "not read: 'baseline'" in lines(read_json(tmp_path, {"results": rows, "baseline": rows}))


def test_objects_beside_neither_policy_nor_task_are_an_error(tmp_path: Path):
    rows = [{"policy": "a", "task": "t", "day1": of(1), "day2": of(2)}]
    with pytest.raises(BadData, match="'day1', 'day2' beside policy and task"):
        read_json(tmp_path, rows)


def test_tasks_below_policies_below_a_word_are_read_with_a_flag(tmp_path: Path):
    one = {"num_trials": 20, "per_task": {"pick": {"success_rate": 0.7, "num_trials": 10}}}
    data = {"evaluation_results": {"act": one, "dp": one}}
    with pytest.raises(BadData, match=r'--column policy="level 2"\), found evaluation_results > act > pick'):
        read_json(tmp_path, data)
    found = read_json(tmp_path, data, columns={"policy": "level 2"})
    assert counts(found) == {("act", "pick"): (7, 10), ("dp", "pick"): (7, 10)}


@pytest.mark.parametrize("text", ['{"act": 1, "act": 2}', '[{"policy": "a", "success": 1, "success": 0}]'])
def test_a_key_that_stands_twice_is_an_error(tmp_path: Path, text: str):
    with pytest.raises(BadData, match=r"expected each key of an object once, found it twice"):
        read_json(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"policy": "a", "success": 1}, {"pol', "the end of the file at line 1, before all was closed"),
        ("{'a': 1}", "at line 1, column 2"),
        ("42", "found 42"),
        ("{}", "found nothing in it"),
    ],
)
def test_broken_documents_are_said_in_words(tmp_path: Path, text: str, words: str):
    with pytest.raises(BadData, match=words):
        read_json(tmp_path, text)


def test_lines_of_json_called_json_are_read(tmp_path: Path):
    text = '{"policy":"a","success":true}\n{"policy":"b","success":false}\n'
    assert counts(read_json(tmp_path, text)) == {("a", "all"): (1, 1), ("b", "all"): (0, 1)}


HEAD = "policy,task,case,success,notes\n"


def test_a_quote_that_nobody_closed_swallows_no_rows(tmp_path: Path):
    """The rest of the file became a remark of row 2, and a policy vanished."""
    with pytest.raises(BadData, match=r'line 3: expected each quoted cell closed with " before the next row'):
        read(tmp_path, HEAD + 'a,t,1,1,ok\na,t,2,0,"slipped\nb,t,1,1,ok\nb,t,2,1,ok\n')
    with pytest.raises(BadData, match="line 2: .* runs on over 1 more line, to line 3"):
        read(tmp_path, HEAD + 'a,t,1,1,"ok\na,t,2,0,"slipped"\nb,t,1,1,ok\n')
    good = read(tmp_path, HEAD + 'a,t,1,1,"two\nlines, and ""quotes"""\na,t,2,0,a "word" inside\nb,t,1,1,\n')
    assert counts(good) == {("a", "t"): (1, 2), ("b", "t"): (1, 1)}


WINS = "policy_a,policy_b,wins_a,wins_b,ties\n"


def test_comparisons_from_both_sides_count_once(tmp_path: Path):
    """A square of wins that was laid out has every comparison twice: intervals were too narrow."""
    both = "a,b,15,5,0\nb,a,5,15,0\na,c,8,12,1\nc,a,12,8,1\n"
    with pytest.raises(BadData, match=r"--independent if both count\), found the same comparisons from both"):
        read(tmp_path, WINS + both)
    assert int(read(tmp_path, WINS + both, pairing="independent").preferences.weight.sum()) == 82
    one = read(tmp_path, WINS + "a,b,15,5,0\nb,a,5,15,0\na,c,8,12,1\n")  # one mirrored pair among others may be chance
    assert int(one.preferences.weight.sum()) == 61


def test_equal_rows_of_counted_comparisons_are_an_error(tmp_path: Path):
    with pytest.raises(BadData, match="equal row 1 .* and row 3"):
        read(tmp_path, WINS + "a,b,5,3,2\nb,c,5,3,2\na,b,5,3,2\n")
    with pytest.raises(BadData, match="equal row 1 .* and row 2"):
        read(tmp_path, "policy_a,policy_b,winner,times\na,b,a,5\na,b,a,5\n")


COUNTS = "policy,task,successes,trials\n"


def test_rows_of_no_trials_are_said_with_whose_they_are(tmp_path: Path):
    assert "1 row left out: 0 trials (a, t)" in lines(read(tmp_path, COUNTS + "a,t,0,0\nb,t,12,20\n"))
    wide = read(tmp_path, "policy,t,u\na,0/0,10/20\nb,12/20,5/20\n")
    assert "1 row left out: 0 trials (a, t)" in lines(wide)


@pytest.mark.parametrize("trials", ["99999999999999999999", "1e18"])
def test_a_count_that_no_number_holds_is_an_error(tmp_path: Path, trials: str):
    """It was cast to another one: 12 of 99999999999999999999 were read as 12 of 12."""
    with pytest.raises(BadData, match="trials of row 1: expected a count of at most"):
        read(tmp_path, COUNTS + f"a,t,12,{trials}\nb,t,1,2\n")
    with pytest.raises(BadData, match="wins_a of row 1: expected a count of at most"):
        read(tmp_path, WINS + f"a,b,{trials},3,2\n")
    if trials.isdigit():
        with pytest.raises(BadData, match="expected a count of at most"):
            read(tmp_path, f"policy,t\na,12/{trials}\nb,1/2\n")
        with pytest.raises(UsageError, match="at most 1,000,000,000,000 trials"):
            parse_counts((f"12/{trials}", "3/4"))


def test_a_success_that_failed_is_an_error(tmp_path: Path):
    with pytest.raises(BadData, match=r"failure of row 1: expected the opposite of 'success' .*found '1' beside '1'"):
        read(tmp_path, "policy,success,failure\na,1,1\nb,0,1\n")
    how = read(tmp_path, "policy,success,failure\na,1,\na,0,dropped\nb,0,late\n")  # how it failed is no contradiction
    assert counts(how) == {("a", "all"): (1, 2), ("b", "all"): (0, 1)}


def test_failures_beside_successes_and_trials(tmp_path: Path):
    head = "policy,successes,failures,trials\n"
    with pytest.raises(BadData, match="row 1: expected successes and failures of at most all trials .*12 and 9 of 20"):
        read(tmp_path, head + "a,12,9,20\nb,17,3,20\n")
    found = lines(read(tmp_path, head + "a,12,5,20\nb,17,3,20\n"))
    assert "neither success nor failures count as failed, in 1 row: 20 trials with 12 successes and 5" in found


def test_a_percentage_beside_counts_has_to_be_theirs(tmp_path: Path):
    with pytest.raises(BadData, match=r"percentage that is the share of the counts beside it, found '12/20 \(70%\)'"):
        read(tmp_path, "policy,lift\na,12/20 (70%)\nb,17/20 (85%)\n")
    good = read(tmp_path, "policy,lift\na,2/3 (66%)\nb,2/3 (66.7%)\nc,60% (12/20)\n")  # cut off, rounded, turned round
    assert counts(good)["c", "lift"] == (12, 20)


def test_a_share_among_percents_is_not_guessed(tmp_path: Path):
    """.5 beside 65 of 200 trials is 1 success or 100."""
    head = "policy,success_rate,trials\n"
    with pytest.raises(BadData, match=r"row 1: .*--column rate=success_rate/100.*found '0.5', and '65'"):
        read(tmp_path, head + "a,0.5,200\nb,65,200\n")
    asked = read(tmp_path, head + "a,0.5,200\nb,65,200\n", columns={"rate": "success_rate/100"})
    assert counts(asked)["a", "all"] == (1, 200)
    assert counts(read(tmp_path, head + "a,0.5,200\nb,12.5,200\n"))["a", "all"] == (1, 200)
    with pytest.raises(BadData, match="percent as in other rows"):
        read(tmp_path, head + "a,0.5,20\nb,65,20\n")
    mixed = read(tmp_path, head + "a,0.25,20\nb,60%,20\n")
    assert "percent where a cell says %, as a share of 1 where none does (such as 0.25)" in lines(mixed)


def test_files_of_one_name_are_told_apart(tmp_path: Path):
    """`run1/results.csv` and `run2/results.csv` were both `results.csv`: their trial numbers were taken for one."""
    text = "policy,case,success\na,1,1\na,2,0\nb,1,1\nb,2,1\n"
    paths = [tmp_path / run / "results.csv" for run in ("run1", "run2")]
    for k, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(text if k else text.replace("a,2,0", "a,2,1"))
    found = load_results([str(path) for path in paths])
    assert counts(found) == {("a", "all"): (3, 4), ("b", "all"): (4, 4)}
    assert "run1/results.csv: used" in lines(found) and "run2/results.csv: used" in lines(found)
    with pytest.raises(BadData, match=r"row 1 of run1/results\.csv and row 1 of run2/results\.csv"):
        load_results([str(path) for path in paths], ReadOptions(case_scope="across"))


def test_the_same_file_twice_is_an_error(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"task": "t", **of(12)}))
    with pytest.raises(BadData, match="expected each file once, found the same file twice"):
        load_results([f"act={path}", f"dp={path}"])
    with pytest.raises(BadData, match="download it first"):
        load_results(["https://example.org/a.csv"])


def test_a_table_compared_with_itself_is_said(tmp_path: Path):
    text = "policy,case,success\n" + "".join(f"a,s{k},{k % 2}\n" for k in range(20))
    for name in ("real.csv", "copy.csv"):
        (tmp_path / name).write_text(text)
    told: list[str] = []
    fuse_results(
        FuseResults(real=str(tmp_path / "real.csv"), cheap=str(tmp_path / "copy.csv")),
        lambda event: told.append(event.text) if isinstance(event, Note) else None,
    )
    assert any("hold the same rows: what follows compares a table with itself" in line for line in told)


def test_a_sheet_of_what_is_no_spreadsheet_is_said(tmp_path: Path):
    assert "--sheet May is for spreadsheets" in lines(read(tmp_path, "policy,success\na,1\nb,0\n", sheet="May"))


def test_a_folder_of_folders_says_how_to_check_them(tmp_path: Path):
    path = tmp_path / "eval" / "2026" / "eval_info.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(BadData, match=r"roboscale check .*, or name each\), found eval/2026/eval_info\.json"):
        read_results(tmp_path)


def test_a_policy_that_is_called_after_a_folder_is_said(tmp_path: Path):
    path = tmp_path / "runA" / "eval_info.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"per_episode": [{"success": True, "seed": 1}]}))
    assert "it is called runA, after its folder (NAME=PATH names it)" in lines(read_results(path))
    assert "after its folder" not in lines(read_results(path, "mine"))


def test_checkpoints_without_a_policy_are_not_added_up(tmp_path: Path):
    text = "step,success_rate,n_episodes\n1000,0.32,50\n2000,0.48,50\n"
    assert counts(read(tmp_path, text)) == {("step 1000", "all"): (16, 50), ("step 2000", "all"): (24, 50)}
    named = read_results(tmp_path / "a.csv", "act")
    assert set(counts(named)) == {("act, step 1000", "all"), ("act, step 2000", "all")}
    wide = read(tmp_path, "epoch,a,b\n1,0,1\n2,1,1\n")
    assert set(wide.columns.policies) == {"a, epoch 1", "a, epoch 2", "b, epoch 1", "b, epoch 2"}


def test_plan_does_not_add_equal_rows_up(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("hours,demonstrations,successes,rollouts\n1,10,5,20\n1,10,5,20\n2,20,9,20\n")
    with pytest.raises(BadData, match="a column run with a number each"):
        trained_table(path)
    path.write_text("hours,demonstrations,successes,rollouts\n1,10,5,20\n1,10,6,20\n2,20,9,20\n")
    found = trained_table(path)
    assert [(p.amount, p.successes, p.trials) for p in found.points] == [(10, 11, 40), (20, 9, 20)]
    assert "3 rows of counts for 2 amounts" in "\n".join(found.notes)
    assert "'demonstrations' is the stronger name for the amount" in "\n".join(found.notes)


def test_scenes_are_named_in_the_order_of_their_numbers():
    cases = [CaseRecord(f"t, new scene {k}", 1, 2) for k in range(1, 12)]
    plan = next_trials(knowledge_from_counts({"a": (5, 10), "b": (6, 10)}), [Venue("real", cost=1)], cases, 3)
    assert [pick.case for pick in plan.picks] == ["t, new scene 1", "t, new scene 2", "t, new scene 3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n", "git lfs pull"),
        ("\\begin{tabular}{lc}\nMethod & Lift \\\\\nACT & 12/20 \\\\\n\\end{tabular}\n", "found LaTeX"),
        ("<!DOCTYPE html><html></html>", "found a web page"),
        ("ACT: 12/20 (60%)\nDP: 17/20 (85%)\n", "roboscale count ACT=12/20 DP=17/20"),
        ("policy   task   success\na   t   1\nb   t   0\n", "cells separated by blanks"),
        ("act:\n  successes: 12\n  trials: 20\n", "what looks like YAML"),
        ("Task suite: libero\nSuccess: True\n# successes: 1 (100.0%)\n", "a program's log"),
        ("policy,lift\na,12-Nov\nb,9-Oct\n", "lift '12-Nov' is a date, which a spreadsheet makes"),
        ("policy,lift\na,60 ± 5\nb,85 ± 3\n", "lift '60 ± 5' is a mean with its spread"),
        ("policy,lift\na,=12/20\nb,=17/20\n", "lift '=12/20' is a formula"),
        ("policy,lift\na,12/20*\nb,17/20\n", "counts with a mark behind them"),
        ("policy,task,success\na,t,2026-11-12\n", "success of row 1: .* found '2026-11-12', a date"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(tmp_path: Path, text: str, words: str):
    with pytest.raises(BadData, match=words.replace("*", r"\*") if "*" in words and ".*" not in words else words):
        read(tmp_path, text)


def test_hints_do_not_take_tables_for_logs():
    assert hint_of_cell("12/20") == hint_of_cell("0.5") == hint_of_cell("may") == ""
    assert hint_of_text("policy\na\n") == "'policy'"


def test_columns_that_may_be_stages_hold_the_claim_back(tmp_path: Path):
    """They were three tasks, with a note: each trial counted thrice."""
    rows = [f"{p},{i},{int(i < 9)},{int(i < 7)},{int(i < k)}" for p, k in (("a", 3), ("b", 6)) for i in range(10)]
    for names in ("grasp,lift,place", "cube,mug,drawer"):  # in either it is the order of the cells, in one the names
        last = names.rpartition(",")[2]
        text = f"policy,trial,{names}\n" + "\n".join(rows) + "\n"
        words = rf"success=.*{last}\), or tasks of their own \(--column task={names.replace(',', '.')}\).* no row has"
        with pytest.raises(BadData, match=words):
            read(tmp_path, text)
        alone = read(tmp_path, text, columns={"success": last})
        assert counts(alone) == {("a", "all"): (3, 10), ("b", "all"): (6, 10)}
        tasks = counts(read(tmp_path, text, columns={"task": names.replace(",", "+")}))
        assert len(tasks) == 6 and tasks["b", last] == (6, 10)
        assert len(counts(read(tmp_path, text.replace("a,9,0,0,0", "a,9,0,0,1")))) == 6


def test_sums_of_one_policy_do_not_count(tmp_path: Path):
    text = "Policy,Trial,Cup,Bin\nACT (50),1,1,0\nACT (50),2,1,1\nDP,1,1,1\nDP,2,0,1\n,,,\n"
    text += "TOTAL ACT,,2/2,1/2\nSum: DP,,1/2,2/2\n"
    found = read(tmp_path, text)
    assert set(found.columns.policies) == {"ACT (50)", "DP"}
    assert "2 rows left out: they add the others up" in lines(found)


def test_names_of_loggers_are_known_behind_a_stroke(tmp_path: Path):
    text = "Name,State,eval/pc_success,eval/n_episodes\na,done,52,50\nb,done,66,50\nc,crashed,,\n"
    found = read(tmp_path, text)
    assert counts(found) == {("a", "all"): (26, 50), ("b", "all"): (33, 50)}
    assert "1 row left out: no counts in them (c)" in lines(found)
    assert "1 row left out: only their first cell is filled (d)" in lines(read(tmp_path, text + "d,,,\n"))


def test_a_column_that_another_one_displaced_is_said_so(tmp_path: Path):
    text = "name,policy_type,method,success\nx,1,a,1\ny,2,b,0\n"
    found = read(tmp_path, text, columns={"policy": "method"})
    assert "'name' ('method' is the policy)" in lines(found)


def test_a_policy_called_nan_is_said(tmp_path: Path):
    assert "a policy is called 'nan': fill 'policy' in" in lines(read(tmp_path, "policy,success\nnan,1\nb,0\n"))


def test_percents_without_a_sign_say_how_to_write_them(tmp_path: Path):
    with pytest.raises(BadData, match=r"percent with a sign in its cells or its name, e\.g\. 'lift \(%\)'"):
        read(tmp_path, "policy,lift\na,60\nb,85\n")


def test_a_task_called_after_a_place_is_one_where_nothing_can_be_called_so(tmp_path: Path):
    with pytest.raises(BadData, match="cells of one kind.*found pick counts, place share"):
        read(tmp_path, "policy,pick,place\na,12/20,0.5\nb,10/20,.4\n")
    found = read(tmp_path, "policy,pick,place\na,12/20,8/20\nb,10/20,5/20\n")
    assert counts(found)["b", "place"] == (5, 20)
    rooms = read(tmp_path, "policy,place,lift\na,1,12/20\nb,2,10/20\n")
    assert counts(rooms) == {("a", "lift"): (12, 20), ("b", "lift"): (10, 20)}, (
        "a number may be what a place is called"
    )
