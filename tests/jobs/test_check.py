"""`check` on folders as people have them."""

import json
import os
import re
import shlex
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale import CheckResults, RoboscaleError, UnknownName, check_results
from roboscale.core import BadData
from roboscale.results import read_results


def table(path: Path, policy: str, tasks: dict[str, int], n: int = 20, extra: str = "", column: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{policy},{task},{k},{int(k < won)}{extra}" for task, won in tasks.items() for k in range(n)]
    path.write_text("\n".join([f"policy,task,case,success{column}", *rows]) + "\n")
    return path


def eval_info(path: Path, tasks: dict[str, int], n: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {"task": task, "metrics": {"successes": [k < won for k in range(n)], "seeds": list(range(n))}}
        for task, won in tasks.items()
    ]
    path.write_text(json.dumps({"per_task": entries}))
    return path


def aged(path: Path, hours: float) -> Path:
    os.utime(path, (1.7e9 + 3600 * hours,) * 2)
    return path


def test_files_of_several_forms_are_one_question(tmp_path: Path):
    aged(table(tmp_path / "a" / "results.csv", "first", {"lift": 18, "pour": 9}), 0)
    aged(eval_info(tmp_path / "second" / "eval_info.json", {"lift": 5, "pour": 9, "new": 3}), 1)
    notes: list[str] = []
    done = check_results(tmp_path, on_event=lambda e: notes.append(getattr(e, "text", "")))
    assert done.checks.candidate == "second" and done.files == 2
    assert {c.stratum.task: c.verdict for c in done.checks.checks} == {"lift": "worse", "pour": "held"}
    assert any("candidate: second, the newest policy" in note and "file was changed" in note for note in notes)
    assert any("Tasks without an earlier policy: new" in said for said in done.unseen)


def test_a_time_in_the_files_wins_over_when_they_changed(tmp_path: Path):
    aged(table(tmp_path / "old.csv", "old", {"lift": 10}, extra=",2026-11-01", column=",date"), 9)
    aged(table(tmp_path / "new.csv", "new", {"lift": 10}, extra=",2026-11-02", column=",date"), 0)
    done = check_results(tmp_path)
    assert done.order == ("old", "new") and done.ages["new"].origin == "file"


def test_times_are_found_in_every_form(tmp_path: Path):
    for k, name in enumerate(("third.jsonl", "second.parquet", "first.csv")):
        rows = [
            {
                "policy": name[0],
                "task": "lift",
                "case": n,
                "success": n % 2,
                "started_at": f"2026-11-0{3 - k}T10:00:00",
            }
            for n in range(10)
        ]
        path = tmp_path / name
        if name.endswith(".jsonl"):
            path.write_text("\n".join(map(json.dumps, rows)))
        elif name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), path)
        else:
            path.write_text(
                "\n".join(";".join(map(str, r)) for r in [list(rows[0]), *(list(r.values()) for r in rows)])
            )
        aged(path, k)
    done = check_results(tmp_path)
    assert done.order == ("f", "s", "t") and {age.origin for age in done.ages.values()} == {"file"}


def test_a_date_in_the_path_wins_over_when_they_changed(tmp_path: Path):
    aged(eval_info(tmp_path / "2026-11-02" / "10-00-00_b" / "eval_info.json", {"lift": 5}), 0)
    aged(eval_info(tmp_path / "2026-11-01" / "23-00-00_a" / "eval_info.json", {"lift": 9}), 5)
    done = check_results(tmp_path)
    assert done.order[-1] == "10-00-00_b" and {age.origin for age in done.ages.values()} == {"path"}


def test_equal_times_leave_the_natural_order_of_names_and_say_so(tmp_path: Path):
    for name in ("step-9", "step-10"):
        aged(table(tmp_path / f"{name}.csv", name, {"lift": 10}), 0)
    done = check_results(tmp_path)
    assert done.order == ("step-9", "step-10") and any("took the last by number" in note for note in done.notes)
    assert check_results(CheckResults(folder=tmp_path, candidate="step-9")).checks.candidate == "step-9"
    with pytest.raises(UnknownName, match="did you mean step-10"):
        check_results(tmp_path, candidate="step-11")


def test_policies_of_one_table_are_as_new_and_the_last_row_is_the_candidate(tmp_path: Path):
    (tmp_path / "a.csv").write_text("policy,successes,trials\nold,5,20\nnew,18,20\n")
    done = check_results(tmp_path)
    assert done.order == ("old", "new") and any("took the last in order" in note for note in done.notes)


def test_few_training_runs_on_the_same_cases_are_averaged_and_said(tmp_path: Path):
    keys = [(policy, run, case) for policy in ("old", "new") for run in "ab" for case in range(9)]
    rows = [f"{p},{run},{case},{int(p == 'new' and (run, case) != ('b', 0))}" for p, run, case in keys]
    (tmp_path / "a.csv").write_text("\n".join(["policy,training_seed,seed,success", *rows]))
    done = check_results(tmp_path)
    (check,) = done.checks.checks
    assert check.design == "paired" and check.difference.n == 9 and "means over training runs" in check.method
    assert any("that takes 3 training runs of each, and old has 2" in line for line in done.unseen)


def test_with_training_runs_the_power_of_trials_is_not_promised(tmp_path: Path):
    won = {"old": (9, 10, 11), "new": (9, 11, 12)}
    rows = [f"{p},{p}-{r},{c},{int(c < k)}" for p, runs in won.items() for r, k in enumerate(runs) for c in range(20)]
    (tmp_path / "runs.csv").write_text("\n".join(["policy,run,case,success", *rows]) + "\n")
    done = check_results(tmp_path)
    (check,) = done.checks.checks
    assert check.design == "training runs" and check.difference.n == 3 and check.fall is None
    assert any("training runs are counted" in line for line in done.unseen)
    assert not any("seldom show" in line or "Any fall" in line for line in done.unseen)


def test_what_is_no_evaluation_is_named_and_datasets_are_not_opened(tmp_path: Path):
    table(tmp_path / "a.csv", "a", {"lift": 10})
    table(tmp_path / "b.csv", "b", {"lift": 10})
    (tmp_path / "shopping.csv").write_text("milk,eggs\n1,2\n")
    (tmp_path / "set" / "meta").mkdir(parents=True)
    (tmp_path / "set" / "meta" / "info.json").write_text("{}")
    (tmp_path / "set" / "episodes.csv").write_text("not,read\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.csv").write_text("not,read\n")
    done = check_results(tmp_path)
    assert [path.name for path in done.refused] == ["shopping.csv"]
    assert any("1 files that are no evaluation or could not be read: shopping.csv" in said for said in done.unseen)


def test_a_table_without_a_policy_is_called_after_its_file_or_folder(tmp_path: Path):
    for name in ("one.csv", "two/results.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("task,case,success\n" + "".join(f"lift,{k},{k % 2}\n" for k in range(10)))
    assert set(check_results(tmp_path).order) == {"one", "two"}


def test_every_form_of_a_table_is_read(tmp_path: Path):
    def rows(policy: str, won: int) -> list[dict]:
        return [{"policy": policy, "task": "lift", "case": k, "success": int(k < won)} for k in range(20)]

    pq.write_table(pa.Table.from_pylist(rows("parquet", 5)), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows("lines", 9))))
    (tmp_path / "c.json").write_text(json.dumps(rows("json", 12)))
    lines = [";".join(map(str, row.values())) for row in rows("semicolons", 15)]
    (tmp_path / "d.csv").write_text("\n".join(["policy;task;case;success", *lines]))
    lines = ["\t".join(map(str, row.values())) for row in rows("wide letters", 16)]
    (tmp_path / "e.csv").write_bytes("\n".join(["policy\ttask\tcase\tsuccess", *lines]).encode("utf-16"))
    (tmp_path / "f.csv").write_text("policy,task,successes,n\ncounts,lift,17,20\n")
    (tmp_path / "g.csv").write_text("policy,task,result\ncells,lift,18/20\n")
    for k, path in enumerate(sorted(tmp_path.iterdir())):
        aged(path, k)
    done = check_results(tmp_path)
    assert done.order == ("parquet", "lines", "json", "semicolons", "wide letters", "counts", "cells")
    assert not done.refused and done.trials == 140
    assert [(c.old.value, c.new.value, c.design) for c in done.checks.checks] == [(0.85, 0.9, "independent")]


def test_equal_cases_that_may_differ_are_compared_as_independent(tmp_path: Path):
    """Two days whose trials are both numbered from 1 may be the same cases or not."""
    for k, name in enumerate(("old", "new")):
        lines = [f"{name},lift,{n},{int(n < 8 + k)}" for n in range(1, 21)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["policy,task,trial,success", *lines]))
        aged(tmp_path / f"{name}.csv", k)
    notes: list[str] = []
    done = check_results(tmp_path, on_event=lambda e: notes.append(getattr(e, "text", "")))
    assert done.checks.checks[0].design == "independent"
    assert any("it is not clear which cases are the same" in note for note in notes)
    assert check_results(tmp_path, case_across_files=True).checks.checks[0].design == "paired"


def test_folders_of_one_name_in_different_places_are_different_policies(tmp_path: Path):
    for k, seed in enumerate(("seed0", "seed1")):
        aged(eval_info(tmp_path / seed / "pi0" / "eval_info.json", {"lift": 5 + 9 * k}), k)
    aged(eval_info(tmp_path / "act" / "eval_info.json", {"lift": 5}), 2)
    assert check_results(tmp_path).order == ("seed0/pi0", "seed1/pi0", "act")


def test_files_of_another_scale_are_left_out_and_named(tmp_path: Path):
    table = "policy,task,seed,success\n" + "".join(
        f"{p},t,{100 + s},{int(s < k)}\n" for p, k in (("a", 9), ("b", 3)) for s in range(10)
    )
    (tmp_path / "won.csv").write_text(table)
    (tmp_path / "far.csv").write_text("policy,progress\na,0.5\nb,0.25\n")
    done = check_results(CheckResults(folder=tmp_path))
    assert any("far.csv (says only how far each came" in line for line in done.unseen), done.unseen


def test_nothing_to_check_is_one_clear_error(tmp_path: Path):
    with pytest.raises(RoboscaleError, match="no evaluation was found; no table"):
        check_results(tmp_path)
    with pytest.raises(RoboscaleError, match="there is no such folder"):
        check_results(tmp_path / "missing")
    table(tmp_path / "a.csv", "a", {"lift": 10})
    with pytest.raises(RoboscaleError, match="one policy only"):
        check_results(tmp_path)


def test_the_page_and_the_json_say_the_same(tmp_path: Path):
    table(tmp_path / "a.csv", "a", {"lift": 18, "pour": 9})
    table(tmp_path / "b.csv", "b", {"lift": 5, "pour": 9})
    done = check_results(tmp_path, html=tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    for word in (done.sentence, "What this could not see", "Task by task", "worse", *done.checks.candidate):
        assert word in page, word
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    told = json.loads(json.dumps(done.to_json(), allow_nan=False))
    assert [task["verdict"] for task in told["tasks"]] == ["worse", "held"] and told["not_seen"] == list(done.unseen)


def test_a_thousand_files_take_seconds(tmp_path: Path):
    for k in range(40):
        for t in range(25):
            aged(table(tmp_path / f"p{k}" / f"t{t}.csv", f"p{k}", {f"t{t}": 5 + (k + t) % 10}), k)
    begin = time.process_time()
    done = check_results(tmp_path)
    assert done.files == 1000 and len(done.checks.checks) == 25
    assert time.process_time() - begin < 10


def test_a_folder_of_tables_is_for_another_command(tmp_path: Path):
    """And that command, as it is named, reads it."""
    folder = tmp_path / "our results"
    folder.mkdir()
    (folder / "may.csv").write_text("policy,task,successes,trials\na,cup,12,20\nb,cup,17,20\n")
    with pytest.raises(BadData, match=r"found may\.csv") as error:
        read_results(folder)
    typed = shlex.split(str(error.value).partition("in a folder: ")[2].partition("), found")[0])
    assert typed == ["roboscale", "check", str(folder)]
    assert "b against a" in check_results(Path(typed[2])).sentence
