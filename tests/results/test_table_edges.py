"""The edges of reading tables: joined columns, rows that errors name, what an ending or a width decides, limits."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roboscale.core import BadData, Stratum
from roboscale.results import ReadOptions, Results, read_results
from roboscale.results.nouns import TrialColumns
from roboscale.results.values import digits_of
from tests.results.test_cases_of_tables import AS, counts, read, said, wins
from tests.results.test_forms import ROWS, workbook


def outcomes(results: Results) -> list[tuple[str, str, float, float]]:
    """Policy, case, success and progress of each row, as they stand."""
    c = results.columns
    rows = zip(c.policy, c.case, c.success, c.progress, strict=True)
    return [(c.policies[p], c.cases[k], float(s), float(g)) for p, k, s, g in rows]


def test_tables_that_are_joined_keep_each_value_beside_its_case(tmp_path: Path):
    found = read(
        tmp_path, a="policy,seed,progress\nA,7,0.25\nA,8,0.5\n", b="policy,seed,progress\nB,7,0.75\nB,8,0.125\n"
    )
    kept = [(policy, case, progress) for policy, case, _, progress in outcomes(found)]
    assert kept == [("A", "7", 0.25), ("A", "8", 0.5), ("B", "7", 0.75), ("B", "8", 0.125)]
    both = read(tmp_path, c="policy,seed,success\nA,7,1\nB,8,0\n", d="policy,seed,success\nC,8,1\nC,9,0\n")
    assert [(p, k, s) for p, k, s, _ in outcomes(both)] == [("A", "7", 1), ("B", "8", 0), ("C", "8", 1), ("C", "9", 0)]


def test_joined_columns_have_one_length():
    one = TrialColumns(
        policies=("A",),
        strata=(Stratum("", "all"),),
        runs=("A",),
        cases=["7"],
        policy=np.zeros(1, np.int32),
        stratum=np.zeros(1, np.int32),
        run=np.zeros(1, np.int32),
        case=np.zeros(1, np.int64),
        success=np.ones(1),
        progress=np.full(1, 0.5),
        weight=np.ones(1, np.int64),
        kinds=("success", "progress"),
    )
    whole = TrialColumns.joined([one, one, one])
    sizes = {f.name: len(getattr(whole, f.name)) for f in dataclasses.fields(whole) if f.name not in ("kinds",)}
    rows = {n: sizes[n] for n in ("policy", "stratum", "run", "case", "success", "progress", "weight")}
    assert set(rows.values()) == {3} and whole.progress.tolist() == [0.5] * 3


def test_an_empty_side_is_named_by_its_row(tmp_path: Path):
    with pytest.raises(BadData, match=r"second of row 3: expected a policy, found an empty cell"):
        read(tmp_path, a="first,second,preference\nx,y,A\ny,x,B\nx,,A\n")


def test_a_number_that_is_a_name_and_a_side_is_said(tmp_path: Path):
    """Policies are called 1 and 2, and stand on the other sides."""
    found = read(tmp_path, a="first,second,preference\n2,1,2\n2,1,2\n2,1,1\n")
    assert wins(found) == {"2": 2, "1": 1}
    assert "names the policy that won, not the side" in said(found)
    alone = read(tmp_path, a="first,second,preference\n2,1,2\n2,1,2\n")
    assert wins(alone) == {"2": 2} and "names the policy that won, not the side" in said(alone)
    straight = read(tmp_path, a="first,second,preference\n1,2,2\n1,2,1\n")
    assert wins(straight) == {"2": 1, "1": 1} and "not the side" not in said(straight)


@pytest.mark.parametrize(("pairing", "fine"), [("auto", False), ("paired", False), ("independent", True)])
def test_rows_of_counts_that_are_equal_count_twice_only_when_asked(tmp_path: Path, pairing: str, fine: bool):
    text = "policy,successes,trials\nA,3,10\nA,3,10\nB,5,10\n"
    if fine:
        assert counts(read(tmp_path, AS(pairing=pairing), a=text))["A", "all"] == (6, 20)
        return
    with pytest.raises(
        BadData, match=r"rows of counts that differ \(--independent if both count\), found equal row 1 "
    ):
        read(tmp_path, AS(pairing=pairing), a=text)


def test_trials_with_a_success_and_a_tally_beside_it_are_trials(tmp_path: Path):
    """Each row has its own outcome; the other columns count what happened within it."""
    found = read(tmp_path, a="policy,seed,success,trials\nA,1,1,1\nA,2,0,1\nB,1,1,1\nB,2,1,1\n")
    assert counts(found) == {("A", "all"): (1, 2), ("B", "all"): (2, 2)}
    tallied = read(tmp_path, a="policy,seed,success,successes,trials\nA,1,1,1,1\nA,2,0,0,1\nB,1,1,1,1\n")
    assert counts(tallied) == {("A", "all"): (1, 2), ("B", "all"): (1, 1)}


LINES = '{"policy": "A", "seed": 1, "success": 1}\n{"policy": "B", "seed": 1, "success": 0}\n'


@pytest.mark.parametrize("name", ["a.txt", "a.log", "a", "a.jsonl", "a.ndjson"])
def test_lines_of_json_are_read_whatever_their_ending(tmp_path: Path, name: str):
    (tmp_path / name).write_text(f"\n  {LINES}")
    assert counts(read_results(tmp_path / name)) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}


@pytest.mark.parametrize("name", ["a.txt", "a.dat"])
def test_one_document_of_json_is_read_whatever_its_ending(tmp_path: Path, name: str):
    rows = [json.loads(line) for line in LINES.splitlines()]
    (tmp_path / name).write_text(json.dumps(rows, indent=1))
    assert counts(read_results(tmp_path / name)) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}
    (tmp_path / f"columns-{name}").write_text(json.dumps({k: [row[k] for row in rows] for k in rows[0]}, indent=1))
    assert counts(read_results(tmp_path / f"columns-{name}")) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}


def test_a_table_that_begins_like_json_and_is_called_csv_is_a_table(tmp_path: Path):
    found = read(tmp_path, a="policy,seed,success,note\nA,1,1,{x}\nB,1,0,[y]\n")
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}


def test_a_column_of_a_spreadsheet_without_a_name_gets_its_number(tmp_path: Path):
    pytest.importorskip("python_calamine")
    rows = [[*ROWS[0], ""], *([*row, "x"] for row in ROWS[1:])]
    found = read_results(workbook(tmp_path / "a.xlsx", {"s": rows}))
    (table,) = found.reading.tables
    assert [one.name for one in table.columns] == [*ROWS[0], f"column {len(ROWS[0]) + 1}"]


def test_a_column_without_a_name_gets_its_number(tmp_path: Path):
    (table,) = read(tmp_path, a="policy,,seed,success\nA,x,1,1\nB,y,1,0\n").reading.tables
    assert [one.name for one in table.columns] == ["policy", "column 2", "seed", "success"]


def test_epochs_of_a_scene_are_numbered_from_one(tmp_path: Path):
    samples = [{"scene_id": "left", "epochs": [{"success": 1.0}, {"success": 0.0}]}]
    data = {"version": 1, "eval": {"task": "cup", "policy": "pi0", "embodiment": "yam"}, "samples": samples}
    (tmp_path / "log.json").write_text(json.dumps(data))
    found = read_results(tmp_path / "log.json", "mine")
    assert sorted(case.split(", ")[-1] for case in found.columns.cases) == ["1", "2"]


@pytest.mark.parametrize(
    ("rows", "runs"),
    [(3, True), (2, False), (1, False)],  # fewer than three rows each: it numbers trials
)
def test_a_run_has_three_rows_at_least(tmp_path: Path, rows: int, runs: bool):
    lines = [f"{p},{run},{run}{k},{k % 2}" for p in "AB" for run in (1, 2) for k in range(rows)]
    found = read(tmp_path, a="\n".join(["policy,run,scene,success", *lines]) + "\n")
    assert ("says the training run" in said(found) or "of the training" in said(found)) is runs
    assert (len(found.columns.runs) == 4) is runs


@pytest.mark.parametrize(
    ("last", "running"),
    [(4, True), (9, True), (10, False), (40, False)],  # 4 trials: numbers that spread over at most 2 * 4 + 1
)
def test_numbers_that_count_within_a_policy_are_no_cases(tmp_path: Path, last: int, running: bool):
    text, other = ("".join(f"A,{n},{(n + k) % 2}\n" for n in (1, 2, 3, last)) for k in (0, 1))
    files = {"a": f"policy,trial,success\n{text}", "b": f"policy,trial,success\n{other}"}
    if running:
        assert counts(read(tmp_path, **files))["A", "all"][1] == 8, "the numbers of two files are other trials"
        return
    with pytest.raises(BadData, match="one trial of each policy and case"):
        read(tmp_path, **files)


@pytest.mark.parametrize(("bare", "rate"), [("1", (1.0, 0.5)), ("2", (0.02, 0.5))])
def test_a_bare_number_beside_percents_is_percent_above_one(tmp_path: Path, bare: str, rate: tuple[float, float]):
    found = read(tmp_path, a=f"policy,seed,progress\nA,1,{bare}\nA,2,50%\nB,1,40%\nB,2,30%\n")
    assert [progress for policy, _, _, progress in outcomes(found) if policy == "A"] == pytest.approx(rate)


def test_what_is_missing_is_named_with_what_it_may_be_called(tmp_path: Path):
    with pytest.raises(BadData) as rate:
        read(tmp_path, a="policy,success_rate\nA,0.5\nB,0.4\n")
    assert "a number of trials beside success_rate (trials, " in str(rate.value)
    assert "--column trials=NAME" in str(rate.value) and "found policy, success_rate" in str(rate.value)
    with pytest.raises(BadData) as nothing:
        read(tmp_path, a="policy,seed,colour\nA,1,red\nB,1,blue\n")
    assert "an outcome: success, " in str(nothing.value) and "; progress: progress, " in str(nothing.value)


def test_how_a_table_was_read_cannot_be_changed(tmp_path: Path):
    (table,) = read(tmp_path, a="policy,seed,success\nA,1,1\nB,1,0\n").reading.tables
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.rows = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.columns[0].name = "other"


def test_options_are_asked_once():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ReadOptions().pairing = "paired"


def test_names_of_the_row_are_known_in_any_case(tmp_path: Path):
    found = read(tmp_path, a="first,second,preference\nPi0,Act,pi0\nPi0,Act,ACT\nAct,Pi0,PI0\n")
    assert wins(found) == {"Pi0": 2, "Act": 1}


def test_names_that_differ_in_their_case_alone_are_not_guessed(tmp_path: Path):
    with pytest.raises(BadData, match="expected"):
        read(tmp_path, a="first,second,preference\nact,Act,ACT\n")


@pytest.mark.parametrize("side", ["far_a", "far_b"])
def test_a_progress_of_a_side_that_is_none_names_its_column(tmp_path: Path, side: str):
    row = {"far_a": "0.5", "far_b": "0.25"} | {side: "lots"}
    text = f"first,second,preference,far_a,far_b\nx,y,A,0.5,0.5\nx,y,B,{row['far_a']},{row['far_b']}\n"
    with pytest.raises(BadData, match=rf"{side} of row 2: expected a number .*found 'lots'"):
        read(tmp_path, AS(columns={"progress_first": "far_a", "progress_second": "far_b"}), a=text)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_two_trials_of_one_case_are_named_by_file_and_row(tmp_path: Path, place: int):
    files = {n: f"policy,seed,success\nA,{10 * k},1\nB,{10 * k},0\nA,{10 * k + 1},1\n" for k, n in enumerate("abc")}
    name = "abc"[place]
    files[name] += f"B,{10 * place},1\n"
    with pytest.raises(BadData) as error:
        read(tmp_path, **files)
    assert f"found row 2 of {name}.csv and row 4 of {name}.csv: B, all, {10 * place}" in str(error.value)


def test_standard_input_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.results.files._LIMIT", 40)
    text = "policy,seed,success\nA,1,1\nB,1,0\n"
    for more, fine in ((40 - len(text), True), (41 - len(text), False)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((text + "\n" * more).encode())))
        if fine:
            assert counts(read_results(Path("-"))) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)}
            continue
        with pytest.raises(BadData, match="standard input: size: expected at most 40 bytes"):
            read_results(Path("-"))


def test_progress_may_round_above_its_scale(tmp_path: Path):
    found = read(tmp_path, a="policy,seed,progress\nA,1,1.000000000001\nB,1,0\n")
    assert outcomes(found)[0][3] == pytest.approx(1.0)
    with pytest.raises(BadData, match=r"expected a number in 0\.\.1 "):
        read(tmp_path, a="policy,seed,progress\nA,1,1.00001\nB,1,0\n")


@pytest.mark.parametrize("missing", ["", "nan", "NA", "-"])
def test_a_progress_that_is_missing_is_void(tmp_path: Path, missing: str):
    found = read(tmp_path, a=f"policy,seed,progress\nA,1,{missing}\nA,2,0.5\nB,1,0.25\n")
    (first, *others) = [progress for *_, progress in outcomes(found)]
    assert np.isnan(first) and others == [0.5, 0.25]


def test_a_second_name_of_the_policy_says_which_is_the_first(tmp_path: Path):
    found = read(tmp_path, a="policy,model,seed,success\nA,m,1,1\nB,n,1,0\n")
    assert "'policy' says who it is" in said(found)
    three = read(tmp_path, a="policy,method,model,seed,success\nA,a,m,1,1\nB,b,n,1,0\n")
    assert said(three).count("'policy' says who it is") == 2 and "'model' says" not in said(three)


@pytest.mark.parametrize(("rates", "kept"), [("0.5,0.25", (0.5, 0.25)), ("50,25", (0.5, 0.25)), ("1,0.5", (1.0, 0.5))])
def test_rates_without_trials_are_shares_or_percent(tmp_path: Path, rates: str, kept: tuple[float, float]):
    a, b = rates.split(",")
    found = read(tmp_path, AS(columns={"rate": "r"}), a=f"policy,r\nA,{a}\nB,{b}\n")
    assert tuple(found.columns.progress.tolist()) == kept


@pytest.mark.parametrize(
    ("text", "digits"), [("0.5", 1), ("0,25", 2), ("33%", 2), ("33.3%", 3), ("33,33 %", 4), ("1", 0)]
)
def test_a_percent_has_two_digits_more(text: str, digits: int):
    assert digits_of(text) == digits


def test_progress_in_percent_is_known_by_its_name(tmp_path: Path):
    asked = AS(columns={"progress": "far_percent"})
    found = read(tmp_path, asked, a="policy,seed,far_percent\nA,1,50\nA,2,100\nB,1,0.5\n")
    assert [progress for *_, progress in outcomes(found)] == [0.5, 1.0, 0.005]
    assert "percent, as its name says" in said(found)
    plain = read(tmp_path, a="policy,seed,progress\nA,1,0.5\nB,1,1\n")
    assert "as asked" not in said(plain)


def test_columns_of_two_sides_have_one_length(tmp_path: Path):
    columns = {"progress_first": "far_a", "progress_second": "far_b"}
    text = "first,second,preference,far_a,far_b\nx,y,first,0.5,0.25\nx,z,tie,0.125,1\ny,z,second,0.125,1\n"
    rows = read(tmp_path, AS(columns=columns), a=text).columns
    sizes = {n: len(getattr(rows, n)) for n in ("policy", "stratum", "run", "case", "success", "progress", "weight")}
    assert set(sizes.values()) == {6} and np.isnan(rows.success).all()


def test_attempts_are_numbered_with_the_rows_that_stay(tmp_path: Path):
    """Copies go first, and then of each case the attempts before the last."""
    lines = ["A,x,1,0", "A,x,2,1", "A,x,2,1", "A,y,1,1", "B,x,1,0", "B,y,1,0", "B,y,3,1", "B,y,2,0"]
    found = read(tmp_path, a="\n".join(["policy,scene,attempt,success", *lines]) + "\n")
    assert counts(found) == {("A", "all"): (2, 2), ("B", "all"): (1, 2)}
