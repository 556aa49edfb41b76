"""Tables that people have, each with its only right answer, or one error that names the flag which decides."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError, Stratum, UnknownName
from roboscale.results import PREFERENCE_OUTCOMES, ReadOptions, Results, join_results, read_results

AS = ReadOptions


def read(folder: Path, options: ReadOptions | None = None, **files: str) -> Results:
    """Files by their names without an ending, which is .csv, joined as a command joins them."""
    asked = options or ReadOptions()
    parts = []
    for name, text in files.items():
        path = folder / f"{name}.csv"
        path.write_text(text)
        parts.append(read_results(path, "", asked))
    return join_results(parts, asked)


def counts(results: Results) -> dict[tuple[str, str], tuple[int, int]]:
    """(policy, stratum) -> (successes, counted trials)."""
    o = results.outcomes("success")
    won, tried, _ = o.counts()
    return {
        (p, s.text): (int(won[i, k]), int(tried[i, k]))
        for i, p in enumerate(o.policies)
        for k, s in enumerate(o.strata)
        if tried[i, k]
    }


def wins(results: Results) -> dict[str, int]:
    """Policy -> how often it was preferred; `tie` besides."""
    p = results.preferences
    total: dict[str, int] = {}
    for first, second, outcome in zip(p.first, p.second, p.outcome, strict=True):
        word = PREFERENCE_OUTCOMES[outcome]
        name = {"first": p.policies[first], "second": p.policies[second]}.get(word, word)
        total[name] = total.get(name, 0) + 1
    return total


def said(results: Results) -> str:
    return "\n".join(results.reading.lines())


# S1


def test_counts_have_no_cases(tmp_path: Path):
    found = read(tmp_path, a="policy,task,successes,trials\nA,t,20,40\nB,t,25,200\n")
    assert not found.paired and counts(found) == {("A", "t"): (20, 40), ("B", "t"): (25, 200)}
    assert len(found.columns) == 4, "counts are not unrolled"
    assert "independent: a.csv has counts" in said(found)


def test_rows_without_a_case_are_independent(tmp_path: Path):
    found = read(tmp_path, a="policy,success\nA,1\nA,0\nB,1\nB,1\n")
    assert not found.paired and "no column of a.csv says which case" in said(found)
    with pytest.raises(RoboscaleError, match="--case NAME"):
        read(tmp_path, AS(pairing="paired"), a="policy,success\nA,1\nB,1\n")


def test_two_million_trials_are_four_rows(tmp_path: Path):
    found = read(tmp_path, a="policy,k,n\nA,510000,1000000\nB,500000,1000000\n")
    assert len(found.columns) == 4 and counts(found)["A", "all"] == (510_000, 1_000_000)
    with pytest.raises(RoboscaleError, match="at most|too many"):
        _ = read(tmp_path, a="policy,k,n\nA,5100000,10000000\n").trials


# S2 and S3: strata

WORLDS = "policy,world,task,seed,success\nA,real,t,1,1\nA,sim,t,1,0\nB,real,t,1,0\nB,sim,t,1,0\n"


def test_tasks_worlds_places_and_robots_are_strata(tmp_path: Path):
    found = read(tmp_path, a=WORLDS)
    assert set(found.columns.strata) == {Stratum("real", "t"), Stratum("sim", "t")} and found.paired
    text = WORLDS.replace("world", "location").replace("task", "robot")
    assert set(read(tmp_path, a=text).columns.strata) == {Stratum("real · t", "all"), Stratum("sim · t", "all")}


def test_a_suite_and_a_number_of_the_task_are_one_task(tmp_path: Path):
    rows = "".join(f"A,{suite},{task},1\n" for suite in ("goal", "spatial") for task in (0, 1))
    found = read(tmp_path, a=f"policy,task_suite,task_id,success\n{rows}")
    assert {s.task for s in found.columns.strata} == {"goal, 0", "goal, 1", "spatial, 0", "spatial, 1"}


def test_a_task_and_its_number_are_one_column(tmp_path: Path):
    found = read(tmp_path, a="policy,task_id,task,success\nA,0,cup,1\nA,1,pan,0\n")
    assert len(found.columns.strata) == 2 and "ignored" in said(found)


def test_only_some_tasks_or_worlds(tmp_path: Path):
    found = read(tmp_path, AS(world="sim"), a=WORLDS)
    assert counts(found) == {("A", "t (sim)"): (0, 1), ("B", "t (sim)"): (0, 1)}
    assert "2 rows left out: not of world sim" in said(found)
    with pytest.raises(UnknownName, match="real, sim"):
        read(tmp_path, AS(world="mars"), a=WORLDS)


def test_an_ignored_column_that_differs_between_policies_is_named(tmp_path: Path):
    rows = "".join(f"A,red,{k % 2}\n" for k in range(9)) + "".join(f"B,blue,{k % 2}\nC,red,1\n" for k in range(9))
    assert "'mug' (but it differs between policies" in said(read(tmp_path, a=f"policy,mug,success\n{rows}"))


# S4: preferences


@pytest.mark.parametrize(("a", "b"), [("A", "B"), ("1", "2"), ("left", "right"), ("0", "1"), ("b", "a")])
def test_a_name_of_the_row_goes_before_a_word(tmp_path: Path, a: str, b: str):
    rows = f"{a},{b},{a}\n{b},{a},{a}\n" * 10
    found = read(tmp_path, x=f"policy_a,policy_b,winner\n{rows}")
    assert wins(found) == {a: 20}, said(found)
    assert "names the policy that won, not the side" in said(found) and found.reading.pairing == "preferences"


def test_sides_by_words(tmp_path: Path):
    found = read(tmp_path, x="model_a,model_b,winner\np,q,model_a\nq,p,model_b\np,q,tie (bothbad)\np,q,\n")
    assert wins(found) == {"p": 2, "tie": 1, "void": 1}


def test_a_word_that_is_a_name_of_some_rows_is_an_error(tmp_path: Path):
    rows = "A,B,A\nB,A,A\nA,C,B\n"  # in the third row B can only be the side, in the second A is either
    with pytest.raises(BadData, match=r"may be either.*found row 2: A, B, A"):
        read(tmp_path, x=f"policy_a,policy_b,winner\n{rows}")


def test_codings_of_preferences(tmp_path: Path):
    head = "policy_a,policy_b,preference\n"
    found = read(tmp_path, x=f"{head}p,q,1\np,q,0.5\np,q,0\nq,p,1.0\n")
    assert wins(found) == {"p": 1, "q": 2, "tie": 1} and "1 is the first, 0.5 a tie" in said(found)
    turned = read(tmp_path, AS(higher_is_better=False), x=f"{head}p,q,1\np,q,0,5\n".replace("0,5", "0.5"))
    assert wins(turned) == {"q": 1, "tie": 1}
    with pytest.raises(BadData, match="--lower-is-better if 1 is the second"):
        read(tmp_path, x=f"{head}p,q,1\np,q,0\n")
    assert wins(read(tmp_path, AS(higher_is_better=True), x=f"{head}p,q,1\np,q,0\n")) == {"p": 1, "q": 1}
    assert wins(read(tmp_path, x=f"{head}p,q,1\np,q,2\np,q,0\n")) == {"p": 1, "q": 1, "tie": 1}
    with pytest.raises(BadData, match="may be either"):
        read(tmp_path, x=f"{head}0,1,1\n1,0,0\n0,1,0.5\n")
    with pytest.raises(BadData, match="preference of row 1.*'maybe'"):
        read(tmp_path, x=f"{head}p,q,maybe\n")


def test_preferred_and_not(tmp_path: Path):
    assert wins(read(tmp_path, x="preferred,non_preferred\np,q\np,q\nq,p\n")) == {"p": 2, "q": 1}
    assert wins(read(tmp_path, x="winner,loser\np,q\n")) == {"p": 1}


def test_a_policy_compared_with_itself_is_an_error(tmp_path: Path):  # C2
    with pytest.raises(BadData, match="row 2: expected two policies, found p compared with itself"):
        read(tmp_path, x="policy_a,policy_b,winner\np,q,left\np,p,left\n")


def test_a_preference_without_a_policy_is_an_error(tmp_path: Path):
    with pytest.raises(BadData, match="policy_b of row 1: expected a policy, found an empty cell"):
        read(tmp_path, x="policy_a,policy_b,winner\np,,left\n")


# S5: files


def day(name: str, wins_of_a: str, wins_of_b: str) -> str:
    rows = "".join(f"A,{k},{w}\n" for k, w in enumerate(wins_of_a, 1))
    return f"policy,{name},success\n{rows}" + "".join(f"B,{k},{w}\n" for k, w in enumerate(wins_of_b, 1))


@pytest.mark.parametrize("name", ["trial", "episode", "rollout", "trial #", "Trial ID", "idx", "#", "case", "no."])
def test_running_numbers_begin_again_in_every_file(tmp_path: Path, name: str):
    found = read(tmp_path, day1=day(name, "1100", "0011"), day2=day(name, "0011", "1100"))
    assert counts(found) == {("A", "all"): (4, 8), ("B", "all"): (4, 8)}
    assert found.paired and "and file are the same case" in said(found)
    assert len(found.outcomes("success").by_case()[0]) == 8


def test_seeds_of_two_files_are_the_same_cases(tmp_path: Path):
    a, b = ("policy,seed,success\n" + "".join(f"{p},{k},1\n" for k in range(9)) for p in "AB")
    found = read(tmp_path, a=a, b=b)
    assert found.paired and len(found.outcomes("success").by_case()[0]) == 9


def test_seeds_that_come_twice_are_an_error_that_shows_both_rows(tmp_path: Path):
    with pytest.raises(BadData, match=r"--case-per-file.*row 1 of day1\.csv and row 1 of day2\.csv: A"):
        read(tmp_path, day1=day("seed", "1100", "0011"), day2=day("seed", "0011", "1100"))
    found = read(tmp_path, AS(case_scope="file"), day1=day("seed", "1100", "0011"), day2=day("seed", "0011", "1100"))
    assert counts(found)["A", "all"] == (4, 8)


def test_numbers_of_two_files_of_one_policy_each_may_be_either(tmp_path: Path):
    files = {p: "policy,trial,success\n" + "".join(f"{p},{k},{k % 2}\n" for k in range(1, 10)) for p in "AB"}
    with pytest.raises(BadData, match=r"--case-across-files or --case-per-file, found trial 1 in A\.csv row 1"):
        read(tmp_path, **files)
    assert read(tmp_path, AS(case_scope="across"), **files).paired
    assert not read(tmp_path, AS(case_scope="file"), **files).paired


def test_scenes_with_names_are_the_same_in_all_files(tmp_path: Path):
    files = {p: f"policy,episode_id,success\n{p},left-cup,1\n{p},right-cup,0\n" for p in "AB"}
    assert read(tmp_path, **files).paired


def test_splitting_a_file_changes_nothing(tmp_path: Path):
    whole = read(tmp_path, all="policy,seed,success\nA,7,1\nB,7,0\nA,9,0\nB,9,0\n")
    split = read(tmp_path, one="policy,seed,success\nA,7,1\nB,9,0\n", two="policy,seed,success\nB,7,0\nA,9,0\n")
    assert counts(whole) == counts(split) and whole.paired == split.paired


# S7: progress


def test_progress_is_no_success(tmp_path: Path):
    found = read(tmp_path, a="policy,case,progress\nA,1,.25\nA,2,.75\nB,1,0\nB,2,.5\n")
    assert found.kinds == ("progress",) and found.outcomes().kind == "progress"
    assert np.allclose(found.outcomes().value, [0.25, 0.75, 0, 0.5])
    with pytest.raises(RoboscaleError, match="asked for success, and the rows say progress only"):
        found.outcomes("success")


def test_progress_of_whole_numbers_is_success_as_well(tmp_path: Path):
    found = read(tmp_path, a="policy,score\nA,1\nA,0\nB,1\n")
    assert found.kinds == ("success", "progress") and "every progress is 0 or 1" in said(found)


def test_another_scale_needs_to_be_said(tmp_path: Path):
    text = "policy,score\nA,7\nB,3\n"
    with pytest.raises(BadData, match="score of row 1"):
        read(tmp_path, a=text)
    found = read(tmp_path, AS(columns={"progress": "score/10"}), a=text)
    assert found.outcomes().value.tolist() == [0.7, 0.3]
    turned = read(tmp_path, AS(columns={"progress": "score/10"}, higher_is_better=False), a=text)
    assert np.allclose(turned.outcomes().value, [0.3, 0.7])


def test_two_scales_are_not_one(tmp_path: Path):
    with pytest.raises(RoboscaleError, match="not one scale"):
        read(tmp_path, a="policy,success\nA,1\n", b="policy,progress\nB,.5\n")


# S8: cases that only look like some


def test_numbers_of_their_own_are_no_pairs(tmp_path: Path):
    rows = "".join(f"{p},e{p}{k},{int(k < n)}\n" for p, n in (("A", 45), ("B", 10)) for k in range(50))
    found = read(tmp_path, a=f"policy,episode_id,success\n{rows}")
    assert not found.paired and counts(found) == {("A", "all"): (45, 50), ("B", "all"): (10, 50)}
    assert "no case was tried under two policies" in said(found)


def test_numbers_through_the_file_are_no_pairs(tmp_path: Path):
    rows = "".join(f"{k},{'AB'[k > 50]},1\n" for k in range(1, 101))
    assert not read(tmp_path, a=f"Trial,policy,success\n{rows}").paired


def test_few_shared_cases_are_no_pairs_unless_asked(tmp_path: Path):
    rows = "".join(f"A,a{k},1\nB,{'a' if k < 3 else 'b'}{k},0\n" for k in range(20))
    text = f"policy,scene,success\n{rows}"
    found = read(tmp_path, a=text)
    assert not found.paired and "only 15% of the trials share theirs" in said(found)
    assert read(tmp_path, AS(pairing="paired"), a=text).paired
    assert not read(tmp_path, AS(pairing="independent"), a=text).paired


@pytest.mark.parametrize("name", ["trial #", "Trial ID", "rollout", "idx", "Episode Number", "test", "trialIndex"])
def test_names_of_trials_are_known(tmp_path: Path, name: str):
    assert read(tmp_path, a=day(name, "1101", "0101")).paired


def test_a_column_can_be_said_to_be_the_case(tmp_path: Path):
    found = read(tmp_path, AS(columns={"case": "Mug"}), a=day("Mug", "1101", "0101"))
    assert found.paired and "'Mug' as case (as asked)" in said(found)


# S12: the strongest name


def test_an_explicit_success_goes_before_k_and_n(tmp_path: Path):
    rows = "".join(f"{p},{k},5,{int(p == 'A')}\n" for p in "AB" for k in range(5))
    found = read(tmp_path, a=f"policy,k,n,success\n{rows}")
    assert counts(found) == {("A", "all"): (5, 5), ("B", "all"): (0, 5)}
    assert "ignored" in said(found) and "'k'" in said(found)


def test_two_outcomes_of_equal_strength_are_an_error(tmp_path: Path):
    text = "policy,success_once,success_at_end\nA,1,0\nA,1,1\nB,0,0\n"
    with pytest.raises(BadData, match=r"--column success=success_once.*row 1 \(success_once 1, success_at_end 0\)"):
        read(tmp_path, a=text)
    assert counts(read(tmp_path, AS(columns={"success": "success_at_end"}), a=text))["A", "all"] == (1, 2)


def test_two_columns_for_the_policy_are_an_error(tmp_path: Path):
    with pytest.raises(BadData, match=r"one for policy \(--column policy=method\)"):
        read(tmp_path, a="method,model,success\nbc,resnet,1\nbc,vit,0\n")


def test_checkpoints_are_policies(tmp_path: Path):
    found = read(tmp_path, a="policy,epoch,successes,total\nA,10,5,10\nA,20,9,10\nB,10,1,10\n")
    assert set(found.columns.policies) == {"A, epoch 10", "A, epoch 20", "B, epoch 10"}


# S13 and forms of CSV


def test_comments_and_empty_lines_are_said(tmp_path: Path):
    text = "# my lab\npolicy,case,success\nA,1,1\n#A,2,0\n,,\nB,1,0\n\nB,2,1\n"
    found = read(tmp_path, a=text)
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (1, 2)} and "" not in found.columns.policies
    assert "1 row left out: begin with #" in said(found) and "2 rows left out: nothing in them" in said(found)
    assert "above the header not read: # my lab" in said(found)


def test_a_policy_whose_name_begins_with_a_sign_counts(tmp_path: Path):
    assert counts(read(tmp_path, a="policy,success\n#1,1\n#2,0\n")) == {("#1", "all"): (1, 1), ("#2", "all"): (0, 1)}


def test_copies_do_not_count(tmp_path: Path):
    found = read(tmp_path, a="policy,case,success\n" + "A,1,1\nB,2,0\n" * 3)
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}
    assert "4 rows left out: exact copies of earlier rows" in said(found)
    alike = read(tmp_path, a="policy,success\n" + "A,1\nB,0\n" * 3)
    assert counts(alike)["A", "all"] == (3, 3), "without a case two trials may look alike"


def test_copies_of_timed_rows_do_not_count(tmp_path: Path):
    rows = "".join(f"{p},{w},10:{k:02}\n" for k, (p, w) in enumerate([("A", 1), ("A", 1), ("B", 0), ("B", 1)]))
    found = read(tmp_path, a=f"policy,success,time\n{rows}{rows}")
    assert counts(found)["A", "all"] == (2, 2) and "exact copies" in said(found)


def test_a_file_given_twice_is_an_error(tmp_path: Path):
    with pytest.raises(BadData, match="same rows"):
        read(tmp_path, a="policy,success\nA,1\nB,0\n", b="policy,success\nA,1\nB,0\n")


def test_two_trials_of_one_case_are_an_error(tmp_path: Path):
    text = "policy,scene,success\nA,x,1\nA,x,0\nB,y,1\n"
    with pytest.raises(
        BadData, match=r"--independent if each row.*found row 1 of a\.csv and row 2 of a\.csv: A, all, x"
    ):
        read(tmp_path, a=text)
    assert counts(read(tmp_path, AS(pairing="independent"), a=text))["A", "all"] == (1, 2)


def test_a_seed_that_is_the_same_everywhere_is_no_case(tmp_path: Path):
    found = read(tmp_path, a="policy,seed,success\nA,7,1\nA,7,0\nB,7,1\nB,7,0\n")
    assert not found.paired and "'seed' (the same in every row)" in said(found)


def test_the_last_attempt_counts(tmp_path: Path):
    found = read(tmp_path, a="policy,scene,attempt,success\nA,x,1,\nA,x,2,1\nB,x,1,0\nB,y,1,0\n")
    assert counts(found)["A", "all"] == (1, 1) and "1 row left out: earlier attempts" in said(found)


def test_two_columns_may_say_the_case_together(tmp_path: Path):
    rows = "".join(f"{p},{s},{t},1\n" for p in "AB" for s in "xy" for t in (1, 2, 3))
    found = read(tmp_path, a=f"policy,scene,trial,success\n{rows}")
    assert found.paired and len(found.outcomes("success").by_case()[0]) == 6


def test_rows_of_sums_do_not_count(tmp_path: Path):
    found = read(tmp_path, a="policy,task,successes,trials\nA,x,1,2\nA,y,1,2\nA,Total,2,4\n")
    assert counts(found) == {("A", "x"): (1, 2), ("A", "y"): (1, 2)} and "they add the others up" in said(found)


def test_a_title_above_the_header(tmp_path: Path):  # C1
    for title in ("Results of May\n", "Results of May,,\n\n"):
        found = read(tmp_path, a=f"{title}policy,case,success\nA,1,1\nB,1,0\n")
        assert found.paired and "above the header not read: Results of May" in said(found)


@pytest.mark.parametrize("text", ["", "\n\n", ",,,\n", "policy\nA\n", "a,b\n1,2\n"])
def test_what_is_no_table_is_one_error(tmp_path: Path, text: str):
    with pytest.raises(RoboscaleError, match="a.csv"):
        read(tmp_path, a=text)


def test_a_merged_cell_is_an_error_in_text(tmp_path: Path):
    with pytest.raises(BadData, match=r"policy of row 2: expected a policy \(merged cells\? fill them\)"):
        read(tmp_path, a="policy,case,success\nA,1,1\n,2,1\nB,1,0\n")


def test_a_row_of_too_many_cells_is_an_error(tmp_path: Path):
    with pytest.raises(BadData, match="row 1: expected 2 cells, as the header has, found 3"):
        read(tmp_path, a="policy,success\nA,1,x\n")


def test_nothing_filled_in_is_an_error(tmp_path: Path):
    with pytest.raises(BadData, match="at least one that says how it went"):
        read(tmp_path, a="policy,case,success\nA,1,\nB,1,\n")


@pytest.mark.parametrize("cell", ["maybe", "2", "0.5", "inf"])
def test_a_cell_that_is_no_outcome_names_its_row(tmp_path: Path, cell: str):  # C3, in a table
    with pytest.raises(BadData, match=rf"success of row 2: .*found '{re.escape(cell)}'"):
        read(tmp_path, a=f"policy,success\nA,1\nA,{cell}\n")


# forms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("policy,success_rate,n\nA,0.45,20\nB,0.85,20\n", (9, 17)),
        ("policy,success_rate (%),n_episodes\nA,45,20\nB,85.0,20\n", (9, 17)),
        ("Method;Success Rate;N\nA;45 %;20\nB;85 %;20\n", (9, 17)),
        ("Method;Rate;Trials\nA;0,45;20\nB;0,85;20\n", (9, 17)),
        ("policy,success\nA,9/20\nB,17/20\n", (9, 17)),
        ("policy,result\nA,9 of 20\nB,17 of 20\n", (9, 17)),
        ("policy,Num_Successes,num_trials\nA,9.0,20.0\nB,17.0,20\n", (9, 17)),
        ("policy,success,trials\nA,9,20\nB,17,20\n", (9, 17)),
        ("policy,successes,failures\nA,9,11\nB,17,3\n", (9, 17)),
        ("A,B\n9/20,17/20\n", (9, 17)),
        ("| policy | successes | trials |\n|---|---|---|\n| A | 9 | 20 |\n| B | 17 | 20 |\n", (9, 17)),
        ("policy\tsuccesses\ttrials\nA\t9\t20\nB\t17\t20\n", (9, 17)),
        ("model,successes,trials,success_rate\nA,9,20,0.45\nB,17,20,0.85\n", (9, 17)),
    ],
)
def test_counts_in_any_dress(tmp_path: Path, text: str, expected: tuple[int, int]):
    found = read(tmp_path, a=text)
    assert {p: v for (p, _), v in counts(found).items()} == {"A": (expected[0], 20), "B": (expected[1], 20)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy,success_rate,n\nA,0.43,20\n", "a share of 20 whole trials"),
        ("policy,successes,trials\nA,21,20\n", "0 <= successes <= trials, found 21 of 20"),
        ("policy,successes,trials\nA,-1,20\n", "successes of row 1: expected a whole number"),
        ("policy,successes,trials\nA,1.5,20\n", "successes of row 1: expected a whole number"),
        ("policy,successes\nA,5\n", "a number of trials beside successes"),
        ("policy,successes,trials,success_rate\nA,9,20,0.85\n", "0.85 beside 9 of 20"),
        ("policy,success\nA,9/20\nB,good\n", "12/20, as in the other rows, found 'good'"),
        ("policy,success_rate (%),n\nA,1,100\nB,0,100\n", "both fit"),
    ],
)
def test_counts_that_cannot_be(tmp_path: Path, text: str, message: str):
    with pytest.raises(BadData, match=message):
        read(tmp_path, a=text)


def test_equal_rows_of_counts_are_an_error(tmp_path: Path):
    text = "policy,task,successes,trials\nA,t,9,20\nA,t,9,20\nB,t,5,20\n"
    with pytest.raises(BadData, match="--independent"):
        read(tmp_path, a=text)
    assert counts(read(tmp_path, AS(pairing="independent"), a=text))["A", "t"] == (18, 40)
    other = text.replace("A,t,9,20\nB", "A,t,8,20\nB")
    assert counts(read(tmp_path, a=other))["A", "t"] == (17, 40)


def test_wide_tables(tmp_path: Path):
    found = read(tmp_path, a="trial,ACT,pi0\n1,1,0\n2,0,1\n3,1,\n")
    assert found.paired and counts(found) == {("ACT", "all"): (2, 3), ("pi0", "all"): (1, 2)}
    assert "each of these columns is a policy: ACT, pi0" in said(found)
    tasks = read(tmp_path, a="Method,Lift,Can\nBC,9/10,5/10\nDP,10/10,8/10\n")
    assert counts(tasks)["DP", "Can"] == (8, 10) and not tasks.paired


def test_wide_shares_are_progress(tmp_path: Path):
    found = read(tmp_path, a="task,ACT,pi0\nx,0.5,0.75\ny,0.25,1.0\n")
    assert found.kinds == ("progress",) and "no number of trials" in said(found)


def test_real_and_simulated_in_two_columns(tmp_path: Path):
    found = read(tmp_path, a="task,policy,real,sim\nx,p,.9,.8\nx,q,.3,.2\n")
    assert {s.world for s in found.columns.strata} == {"real", "sim"} and found.kinds == ("progress",)


@pytest.mark.parametrize(
    "text",
    [
        "trial,reached,grasped,placed\n1,1,1,0\n2,1,0,0\n",
        "Deg,Baseline,Optimized\n0,99,100\n90,101,100\n",
        "task,a_W,b_W\nx,104.2,146.1\ny,101,197\n",
        "A,B,gap\n1,0,12.5\n0,1,13.25\n",
    ],
)
def test_columns_that_may_be_no_policies_are_an_error(tmp_path: Path, text: str):
    with pytest.raises(BadData, match="--column"):
        read(tmp_path, a=text)


def test_failures_are_turned_round(tmp_path: Path):
    assert counts(read(tmp_path, a="policy,failure\nA,1\nA,0\n"))["A", "all"] == (1, 2)


def test_training_runs(tmp_path: Path):
    rows = "".join(f"{p},{r},{s},1\n" for p in "AB" for r in (0, 1, 2) for s in range(5))
    found = read(tmp_path, a=f"policy,run,seed,success\n{rows}")
    assert len(found.columns.runs) == 6 and "'run' as run" in said(found)
    numbered = read(tmp_path, a="policy,run,success\nA,1,1\nA,2,0\nB,1,1\nB,2,1\n")
    assert numbered.paired and len(numbered.columns.runs) == 2, "a number of its own for every row counts trials"


def test_duplicated_headers(tmp_path: Path):
    same = read(tmp_path, a="policy,success,success\nA,1,1\nB,0,0\n")
    assert counts(same)["A", "all"] == (1, 1)
    with pytest.raises(BadData, match=r"success \(2\)"):
        read(tmp_path, a="policy,success,success\nA,1,0\nB,0,0\n")


# What a word or a number beside others means


def test_a_status_that_says_the_run_finished_is_not_its_outcome(tmp_path: Path):
    found = read(tmp_path, a="policy,status,successes,trials\nA,success,3,10\nB,success,5,10\n")
    assert counts(found) == {("A", "all"): (3, 10), ("B", "all"): (5, 10)}


def test_rates_up_to_100_are_percent(tmp_path: Path):
    found = read(tmp_path, a="policy,success_rate,trials\nA,100,10\nB,50,10\n")
    assert counts(found) == {("A", "all"): (10, 10), ("B", "all"): (5, 10)}
    assert "'success_rate' is in percent" in said(found)


def test_numbers_that_name_a_policy_or_a_side(tmp_path: Path):
    found = read(tmp_path, a="first,second,preference\n2,1,1\n2,1,2\n")
    assert wins(found) == {"1": 1, "2": 1} and "names the policy that won, not the side" in said(found)
    with pytest.raises(BadData, match="here it may be either: rename the policies or write left, right and tie"):
        read(tmp_path, a="first,second,preference\n0.5,1,1\n0.5,1,0.5\n")


def test_how_far_both_sides_came_is_kept_beside_the_preference(tmp_path: Path):
    columns = {"progress_first": "far_a", "progress_second": "far_b"}
    text = "first,second,preference,far_a,far_b\nx,y,first,0.5,0.25\nx,z,first,0.125,1\n"
    found = read(tmp_path, AS(columns=columns), a=text)
    assert wins(found) == {"x": 2}
    came = [(t.policy.name, t.outcome.progress) for t in found.trials]
    assert came == [("x", 0.5), ("y", 0.25), ("x", 0.125), ("z", 1.0)]


def test_a_number_that_is_none_is_named_with_its_row(tmp_path: Path):
    with pytest.raises(BadData, match=r"progress of row 3: expected a number in 0\.\.1 or in percent, found 'lots'"):
        read(tmp_path, a="policy,seed,progress\nA,1,0.5\nA,2,0.7\nB,1,lots\n")


def test_a_column_that_another_says_already_is_named_with_it(tmp_path: Path):
    rows = "".join(f"{p},{w},{w}-room,1,1\n" for p in "AB" for w in ("lab", "shop"))
    assert "ignored 'place' ('world' says it already)" in said(
        read(tmp_path, a=f"policy,world,place,seed,success\n{rows}")
    )


@pytest.mark.parametrize(("kinds", "differs"), [(3, True), (25, False), (1, False)])
def test_a_column_of_few_values_that_differs_between_policies_is_called_out(tmp_path: Path, kinds: int, differs: bool):
    """Lighting or table height may have changed what was tried; the names of 25 people are no condition."""
    rows = "".join(f"{'AB'[k // 60]},{k % 60},{k % 2},v{k % kinds if k < 60 else 0}\n" for k in range(120))
    found = read(tmp_path, a=f"policy,seed,success,colour\n{rows}")
    assert ("it differs between policies" in said(found)) == differs


def test_numbers_that_count_through_two_files_may_be_other_cases(tmp_path: Path):
    one, two = (
        "policy,trial,success\n" + "".join(f"{a if k <= 5 else b},{k},1\n" for k in range(1, 11))
        for a, b in ("AB", "CD")
    )
    with pytest.raises(BadData, match=r"--case-across-files or --case-per-file, found trial 1 in a.csv row 1 \(A\)"):
        read(tmp_path, a=one, b=two)


def test_a_rate_is_a_share_of_whole_trials_to_the_digits_printed(tmp_path: Path):
    assert counts(read(tmp_path, a="policy,success_rate,trials\nA,0.67,3\nB,1,3\n"))["A", "all"] == (2, 3)
    with pytest.raises(BadData, match="row 1: expected a share of 10 whole trials, to the digits printed, found '55'"):
        read(tmp_path, a="policy,success_rate,trials\nA,55,10\nB,90,10\n")


def test_a_header_may_begin_with_a_hash_or_be_one(tmp_path: Path):
    found = read(tmp_path, a="#n,k,policy\n10,3,A\n10,5,B\n")
    assert counts(found) == {("A", "all"): (3, 10), ("B", "all"): (5, 10)}
    assert "'#' as case" in said(read(tmp_path, a="#,policy,success\n1,A,1\n1,B,0\n"))


def test_the_file_is_part_of_a_case_only_where_cases_are_counted(tmp_path: Path):
    rows = {name: f"policy,seed,success\n{name.upper()},1,1\n{name.upper()},2,0\n" for name in "ab"}
    assert said(read(tmp_path, **rows)).endswith("the same 'seed' within its world and task are the same case")
    both = {name: f"policy,seed,success\nA,1,{k}\nB,1,0\n" for k, name in enumerate("ab")}
    assert "within its world, task and file" in said(read(tmp_path, AS(case_scope="file"), **both))


def test_what_is_left_out_for_a_task_is_counted(tmp_path: Path):
    found = read(tmp_path, AS(task="cup"), a="first,second,task,preference\nx,y,cup,A\nx,y,pan,B\nx,z,cup,tie\n")
    assert wins(found) == {"x": 1, "tie": 1} and re.search(r"\b1 row left out: not of task cup", said(found))


def test_a_success_beside_counts_has_to_be_said(tmp_path: Path):
    """Where each row is one trial both say the same; where it is not, they do not."""
    ones = "policy,seed,success,successes,trials\nA,1,1,1,1\nA,2,0,0,1\nB,1,1,1,1\nB,2,1,1,1\n"
    assert counts(read(tmp_path, a=ones)) == {("A", "all"): (1, 2), ("B", "all"): (2, 2)}
    with pytest.raises(BadData, match="--column success=success.*found 'success' or 'successes'"):
        read(tmp_path, a="policy,success,successes,trials\nA,1,3,10\nB,0,5,10\n")
    assert counts(read(tmp_path, a="policy,success,trials\nA,2,3\nB,1,3\n"))["A", "all"] == (2, 3)


def test_a_checkpoint_of_a_policy_is_another_policy(tmp_path: Path):
    found = read(tmp_path, a="policy,checkpoint,seed,success\nA,m1,1,1\nA,m2,1,0\nB,m1,1,1\n")
    assert counts(found) == {("A, m1", "all"): (1, 1), ("A, m2", "all"): (0, 1), ("B, m1", "all"): (1, 1)}
    assert "used 'policy' as policy, 'checkpoint' as policy (a policy is a checkpoint)" in said(found)


def test_copies_of_preferences_are_left_out_and_counted(tmp_path: Path):
    found = read(tmp_path, a="first,second,seed,preference\nx,y,1,A\nx,y,1,A\nx,y,2,B\nx,z,2,tie\n")
    assert wins(found) == {"x": 1, "y": 1, "tie": 1} and "1 rows left out: exact copies" in said(found)
    assert "copies" not in said(read(tmp_path, a="first,second,seed,preference\nx,y,1,A\nx,y,2,B\n"))


def test_preferences_are_tallied_by_pair_and_outcome(tmp_path: Path):
    found = read(tmp_path, a="first,second,preference\nx,y,A\nz,y,B\nz,y,B\nx,z,tie\ny,x,A\n")
    said_of: Counter[tuple[str, str, str]] = Counter()
    rows, names = found.preferences, found.preferences.policies
    for i, j, o, weight in zip(rows.first, rows.second, rows.outcome, rows.weight, strict=True):
        said_of[names[i], names[j], PREFERENCE_OUTCOMES[o]] += int(weight)
    assert said_of == {
        ("x", "y", "first"): 1, ("z", "y", "second"): 2, ("x", "z", "tie"): 1, ("y", "x", "first"): 1,
    }  # fmt: skip
    assert said(found).endswith("who was preferred, 5 times")


def test_rates_without_trials_and_scales(tmp_path: Path):
    found = read(tmp_path, AS(columns={"rate": "r"}), a="policy,r\nA,100\nB,50\n")
    assert [t.outcome.progress for t in found.trials] == [1.0, 0.5]
    with pytest.raises(RoboscaleError, match="--column progress: expected a scale above 0, found 0"):
        read(tmp_path, AS(columns={"progress": "p/0"}), a="policy,p\nA,1\nB,0\n")


def test_a_column_of_equal_shares_does_not_differ_between_policies(tmp_path: Path):
    rows = "".join(f"{p},{k},1,c{k % 2}\n" for p, n in (("A", 60), ("B", 30)) for k in range(n))
    assert "differs between policies" not in said(read(tmp_path, a=f"policy,seed,success,colour\n{rows}"))
