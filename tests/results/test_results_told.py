"""What a reading says and what it rests on: digits of a rate, gaps in a task, both rows of a clash, sums of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roboscale.core import BadData, RoboscaleError, Stratum
from roboscale.results import ReadOptions, TableReading, join_results, read_results
from roboscale.results.nouns import TablePart
from tests.results.test_cases_of_tables import AS, counts, read, said, wins


def joined(*rows: str) -> str:
    return "\n".join([*rows, ""])


@pytest.mark.parametrize(
    ("cells", "scale", "won"),
    [
        (("33.3%", "66.7%"), 100, (1, 2)),  # cells with a sign are percent, whatever the column is divided by
        (("33.3%", "66.7%"), 1, (1, 2)),
        (("33.3", "66.7"), 100, (1, 2)),
        (("3.33", "6.67"), 10, (1, 2)),
        (("333", "667"), 1000, (1, 2)),
        (("0.333", "0.667"), 1, (1, 2)),
    ],
)
def test_a_rate_on_any_scale_is_a_share_of_whole_trials(tmp_path: Path, cells, scale: int, won: tuple[int, int]):
    asked = AS(columns={"rate": f"r/{scale}"})
    found = read(tmp_path, asked, a=joined("policy,r,trials", f"A,{cells[0]},3", f"B,{cells[1]},3"))
    assert counts(found) == {("A", "all"): (won[0], 3), ("B", "all"): (won[1], 3)}
    with pytest.raises(BadData, match=r"r of row 2: expected a share of 20 whole trials, to the digits printed"):
        read(tmp_path, asked, b=joined("policy,r,trials", f"A,{cells[0]},3", f"B,{cells[1]},20"))


@pytest.mark.parametrize("zero", ["0", "0.0"])
def test_nothing_but_zeros_in_percent_is_said_to_be_percent(tmp_path: Path, zero: str):
    found = read(tmp_path, a=joined("policy,success rate (%),trials", f"A,{zero},10", "B,0,20"))
    assert counts(found) == {("A", "all"): (0, 10), ("B", "all"): (0, 20)} and "in percent" in said(found)


@pytest.mark.parametrize("second", ["suite", "variation"])
@pytest.mark.parametrize("first", [True, False])
def test_a_gap_beside_a_task_does_not_lose_the_task(tmp_path: Path, second: str, first: bool):
    """The second column says the first wherever it says anything; where it says nothing the first still holds."""
    tried = (("pick", "x"), ("push", "y"), ("push", ""))
    pairs = [(p, *(pair if first else pair[::-1])) for p in "AB" for pair in tried for _ in range(3)]
    rows = [f"{p},{one},{other},{k % 2}" for k, (p, one, other) in enumerate(pairs)]
    head = f"policy,task,{second},success" if first else f"policy,{second},task,success"
    found = read(tmp_path, a=joined(head, *rows))
    strata = {stratum for _, stratum in counts(found)}
    assert len(strata) == 3 and "all" not in strata
    assert sorted(text for text in strata if "push" in text) == ["push", "push, y"]


def test_a_second_column_without_gaps_says_the_task_alone(tmp_path: Path):
    rows = [f"{p},{t},{s},1" for p in "AB" for t, s in (("pick", "x"), ("push", "y"), ("push", "z"))]
    found = read(tmp_path, a=joined("policy,task,suite,success", *rows))
    assert len({stratum for _, stratum in counts(found)}) == 3


@pytest.mark.parametrize("data", [b"PAR1", b"PK\x03\x04"])
def test_what_a_file_is_shows_in_its_first_bytes_where_its_name_does_not(tmp_path: Path, data: bytes):
    """A result that was downloaded under a bare name."""
    path = tmp_path / "results"
    if data == b"PAR1":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        table = arrow.table({"policy": ["A", "A", "B"], "success": [1, 0, 1]})
        parquet.write_table(table, path)
    else:
        from tests.results.test_forms import workbook

        workbook(path, {"one": [["policy", "success"], ["A", "1"], ["A", "0"], ["B", "1"]]})
    assert path.read_bytes()[:4] == data
    assert counts(read_results(path)) == {("A", "all"): (1, 2), ("B", "all"): (1, 1)}


def test_a_column_of_which_no_value_is_shared_is_not_offered_as_the_case(tmp_path: Path):
    """Every policy has each value once: of poses that is a case, of a clock it is not."""
    rows = [(p, f"{7 * k + 3 * (p == 'B')}", f"pose {k}") for p in "AB" for k in range(8)]
    found = read(tmp_path, a=joined("policy,clock,pose,success", *(",".join((*row, "1")) for row in rows)))
    assert "--case pose" in said(found) and "--case clock" not in said(found)


@pytest.mark.parametrize(("step", "paired"), [(1, False), (2, False), (3, True)])
def test_numbers_that_count_through_a_file_with_gaps_begin_again_in_the_next(tmp_path: Path, step: int, paired: bool):
    """Trials that were thrown away leave gaps; numbers that are spread over more than twice as many are names."""

    def table(flip: int) -> str:
        rows = [f"{p},{1 + step * (k + 6 * (p == 'B'))},{(k + flip) % 2}" for p in "AB" for k in range(6)]
        return joined("policy,trial,success", *rows)

    files = {"a": table(0), "b": table(1)}
    if not paired:
        assert counts(read(tmp_path, **files))["A", "all"] == (6, 12)
        return
    with pytest.raises(BadData, match="one trial of each policy and case"):
        read(tmp_path, **files)


@pytest.mark.parametrize("skipped", [0, 2])
def test_numbers_that_may_be_one_case_are_shown_where_they_stand_in_both_files(tmp_path: Path, skipped: int):
    files = {
        name: joined("policy,trial,success", *(f"{name},{k},{k % 2}" for k in range(first, 10)))
        for name, first in (("A", 1), ("B", 1 - (skipped > 0)))
    }
    row = 2 if skipped else 1
    with pytest.raises(BadData, match=rf"trial 1 in A\.csv row 1 \(A\) and in B\.csv row {row} \(B\)"):
        read(tmp_path, **files)


def test_a_part_without_trials_has_no_rows():
    part = TablePart(reading=TableReading(source="none", form="", columns=(), rows=0))
    assert len(part.row) == len(part.columns) == 0


@pytest.mark.parametrize("before", [0, 5, 17, 18, 400])
@pytest.mark.parametrize("after", [0, 9, 400])
def test_a_document_is_shown_where_it_breaks_off(tmp_path: Path, before: int, after: int):
    """Thirty signs before the place and twenty after it, or as many as there are."""
    text = '{"' + "k" * before + '": 1, x: 2' + "0" * after + "}"
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadData) as caught:
        read_results(tmp_path / "a.json")
    at = text.index("x")
    shown = repr(text[max(at - 30, 0) : at + 20])
    assert f"found {shown} at line 1, column {at + 1} (" in str(caught.value)


@pytest.mark.parametrize("rows", [3, 40])
@pytest.mark.parametrize("space", ["", "  \n\n"])
def test_a_document_of_any_length_that_was_cut_off_is_called_so(tmp_path: Path, rows: int, space: str):
    text = json.dumps([{"policy": "a", "success": 1}] * rows)
    (tmp_path / "a.json").write_text(text[:-1] + space)
    with pytest.raises(BadData, match="the end of the file at line .*: it was cut off"):
        read_results(tmp_path / "a.json")


def test_a_sum_needs_two_policies_or_one_task_that_it_adds_up(tmp_path: Path):
    """`all` beside one policy is a policy of that name; `total` beside one task is that task again."""
    tasks = [f"{p},{t},{k},10" for p, k in (("A", 3), ("B", 4)) for t in ("pick", "total")]
    found = read(tmp_path, a=joined("policy,task,successes,trials", *tasks))
    assert counts(found) == {("A", "pick"): (3, 10), ("B", "pick"): (4, 10)}
    two = read(tmp_path, b=joined("policy,successes,trials", "A,3,10", "all,7,20"))
    assert counts(two) == {("A", "all"): (3, 10), ("all", "all"): (7, 20)}
    three = read(tmp_path, c=joined("policy,successes,trials", "A,3,10", "B,4,10", "all,7,20"))
    assert counts(three) == {("A", "all"): (3, 10), ("B", "all"): (4, 10)} and "1 row left out" in said(three)


@pytest.mark.parametrize("empty", [0, 1, 3])
def test_the_rows_of_preferences_are_those_of_the_file(tmp_path: Path, empty: int):
    rows = ["A,B,A,1", "A,B,B,2", "A,B,tie,3", *[",,,"] * empty]
    found = read(tmp_path, a=joined("policy_a,policy_b,winner,seed", *rows))
    assert wins(found) == {"A": 1, "B": 1, "tie": 1} and f"preferences, {3 + empty} rows read" in said(found)


def test_bytes_that_no_western_text_has_are_refused(tmp_path: Path):
    """Of the bytes between the ASCII and the accents only quotes, dashes and the like are Windows-1252."""
    known = b"\x80\x82\x84\x85\x8c\x91\x92\x93\x94\x95\x96\x97\x99\x9c"
    path = tmp_path / "a.csv"
    for byte in range(0x80, 0xA0):
        path.write_bytes(b"policy,seed,success\nA\xe9" + bytes([byte]) + b" x,1,1\nB,1,0\n")
        try:
            found = join_results([read_results(path)], ReadOptions())
        except BadData as error:
            assert "UTF-8" in str(error) and byte not in known
        else:
            assert byte in known or "Windows-1252" not in said(found)


def test_a_row_below_groups_may_end_early(tmp_path: Path):
    """As an editor saves it that drops empty cells at the end: what is not there was not tried."""
    head = (",pick,,push,", "policy,successes,trials,successes,trials")
    found = read(tmp_path, a=joined(*head, "A,3,10,4,10", "B,1,10"))
    assert counts(found) == {("A", "pick"): (3, 10), ("A", "push"): (4, 10), ("B", "pick"): (1, 10)}
    assert "(B, push)" in said(found)


@pytest.mark.parametrize("tasks", [1, 2, 3])
def test_an_average_beside_any_number_of_tasks_is_no_task(tmp_path: Path, tasks: int):
    names = ["pick", "push", "pour"][:tasks]
    rows = [",".join((p, *[f"{k}/10"] * tasks, f"{k * tasks}/{10 * tasks}")) for p, k in (("A", 8), ("B", 5))]
    found = read(tmp_path, a=joined(",".join(("policy", *names, "average")), *rows))
    assert counts(found) == {(p, name): (k, 10) for p, k in (("A", 8), ("B", 5)) for name in names}
    assert ("it adds others up" in said(found)) is (tasks > 1), "one column beside it is no table of tasks by itself"


@pytest.mark.parametrize("weak", ["name", "group", "config"])
@pytest.mark.parametrize("first", [True, False])
def test_a_weak_name_beside_a_policy_is_not_the_policy(tmp_path: Path, weak: str, first: bool):
    pairs = [(p, n, k) for p in "AB" for k, n in enumerate("xy")]
    rows = [f"{p},{n},{k},1" if first else f"{n},{p},{k},1" for p, n, k in pairs]
    head = f"policy,{weak},seed,success" if first else f"{weak},policy,seed,success"
    found = read(tmp_path, a=joined(head, *rows))
    assert counts(found) == {("A", "all"): (2, 2), ("B", "all"): (2, 2)}


@pytest.mark.parametrize("name", ["aaa", "act", "zzz"])
def test_a_name_that_was_asked_for_is_said_beside_the_one_in_the_file(tmp_path: Path, name: str):
    (tmp_path / "a.csv").write_text("policy,seed,success\nact,1,1\nact,2,0\n")
    found = read_results(tmp_path / "a.csv", name)
    assert counts(found) == {(name, "all"): (1, 2)}
    assert (f"'policy' says 'act'; named '{name}' as asked" in said(found)) is (name != "act")


@pytest.mark.parametrize("trials", [3, 4, 5])
def test_numbered_trials_of_one_policy_that_was_named(tmp_path: Path, trials: int):
    (tmp_path / "a.csv").write_text(
        joined(",".join(f"Trial {k}" for k in range(1, trials + 1)), "1" + ",0" * (trials - 1))
    )
    found = read_results(tmp_path / "a.csv", "ours")
    assert counts(found) == {("ours", "all"): (1, trials)}


@pytest.mark.parametrize(
    ("columns", "strata"),
    [
        ((), [Stratum("", "all")]),
        (("task",), [Stratum("", "a"), Stratum("", "b")]),
        (("world",), [Stratum("a", "all"), Stratum("b", "all")]),
        (("world", "task"), [Stratum("a", "a"), Stratum("b", "b")]),
        (("world", "robot"), [Stratum("a · a", "all"), Stratum("b · b", "all")]),
    ],
)
def test_preferences_without_a_world_or_a_task_are_of_the_same_ones_as_trials(tmp_path: Path, columns, strata):
    head = ",".join(("policy_a", "policy_b", "winner", *columns))
    found = read(tmp_path, a=joined(head, *(",".join(("A", "B", w, *[x] * len(columns))) for w, x in ("Aa", "Bb"))))
    assert list(found.preferences.strata) == strata
    if columns != ("world", "robot"):
        trials = joined(
            ",".join(("policy", "success", *columns)), *(",".join(("A", "1", *[x] * len(columns))) for x in "ab")
        )
        assert list(read(tmp_path, b=trials).columns.strata) == strata


@pytest.mark.parametrize("names", [("pick", "place"), ("turn", "wipe"), ("abc", "zzz")])
@pytest.mark.parametrize(
    "form", ["success_{}", "{}_success", "{} success rate", "Success rate: {}", "{}_success_rate", "SR {}", "{}"]
)
def test_a_word_that_all_columns_share_is_no_part_of_the_task(tmp_path: Path, names: tuple[str, str], form: str):
    head = ",".join(("policy", *(form.format(name) for name in names)))
    found = read(tmp_path, a=joined(head, "A,3/10,4/10", "B,1/10,2/10"))
    assert {stratum for _, stratum in counts(found)} == set(names)


@pytest.mark.parametrize("first", [("0", "1"), ("0.5", "0.25"), ("1", "0.75")])
def test_shares_beside_ones_and_noughts_are_all_progress(tmp_path: Path, first: tuple[str, str]):
    found = read(tmp_path, a=joined("policy,pick,push", f"A,{first[0]},0.5", f"B,{first[1]},0.25"))
    assert "progress" in said(found) or "rate" in said(found)
    with pytest.raises(RoboscaleError, match="success"):
        found.outcomes("success")


@pytest.mark.parametrize("word", ["seed", "run", "Seed", "Run"])
def test_numbered_columns_of_shares_that_may_be_runs_are_asked_for(tmp_path: Path, word: str):
    with pytest.raises(BadData, match="may be either"):
        read(tmp_path, a=joined(f"policy,{word} 1,{word} 2", "A,0.5,0.25", "B,0.75,0.5"))


def test_numbered_columns_of_shares_that_are_no_runs_are_asked_for_nothing(tmp_path: Path):
    found = read(tmp_path, a=joined("policy,stage 1,stage 2", "A,0.5,0.25", "B,0.75,0.5"))
    assert len(found.columns) == 4
