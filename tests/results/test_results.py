"""Results that others wrote: every form is read, and what is not understood is an error, never a failure."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData, UnknownName
from roboscale.results import ReadOptions, read_results, read_trained, trained_table

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tables"
real = pytest.mark.skipif(not DATA.exists(), reason=f"no tables at {DATA}; set ROBOSCALE_TEST_DATA")
ROWS = [
    {"policy": "a", "task": "cup", "seed": 1, "outcome": "success"},
    {"policy": "a", "task": "cup", "seed": 2, "outcome": "void"},
    {"policy": "b", "task": "cup", "seed": 1, "outcome": "failure"},
]


def write(folder: Path, kind: str) -> Path:
    path = folder / f"r.{kind}"
    if kind == "csv":
        path.write_text("policy,task,seed,outcome\n" + "".join(",".join(map(str, r.values())) + "\n" for r in ROWS))
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
def test_every_kind_of_table_says_the_same(tmp_path: Path, kind: str):
    found = read_results(write(tmp_path, kind))
    assert [(t.policy.name, t.case.task, t.case.start, t.outcome.status) for t in found.trials] == [
        ("a", "cup", 1, "success"),
        ("a", "cup", 2, "void"),
        ("b", "cup", 1, "failure"),
    ]
    assert found.paired


@pytest.mark.parametrize("text, said", [("maybe", "row 1"), ("2", "row 1")])
def test_an_outcome_that_is_not_understood_is_an_error(tmp_path: Path, text: str, said: str):
    path = tmp_path / "r.csv"
    path.write_text(f"policy,outcome\na,{text}\n")
    with pytest.raises(BadData, match=said):
        read_results(path)


def test_a_table_without_outcome_lists_the_names_that_would_do(tmp_path: Path):
    path = tmp_path / "r.csv"
    path.write_text("policy,colour\na,red\n")
    with pytest.raises(BadData, match="is_success"):
        read_results(path)


def test_lerobots_eval_info_keeps_its_seeds(tmp_path: Path):
    info = {
        "per_task": [{"task_group": "libero", "task_id": 3, "metrics": {"successes": [True, False], "seeds": [7, 8]}}]
    }
    (tmp_path / "eval_info.json").write_text(json.dumps(info))
    found = read_results(tmp_path, "pi0")
    assert [(t.policy.name, t.case.task, t.case.seed, t.outcome.success) for t in found.trials] == [
        ("pi0", "libero/3", 7, True),
        ("pi0", "libero/3", 8, False),
    ]


def test_sessions_of_more_than_two_policies(tmp_path: Path):
    session = tmp_path / "evaluation_sessions" / "0001"
    session.mkdir(parents=True)
    policies = {k: {"policy_name": f"p{k}", "binary_success": k == "A", "partial_success": 0.5} for k in "ABC"}
    data = {"evaluation_location": "lab", "language_instruction": "wipe", "policies": policies, "preference": "B"}
    (session / "metadata.yaml").write_text(json.dumps(data))
    found = read_results(tmp_path)
    assert len(found.trials) == 3 and found.comparisons[0].outcome == "second"
    assert found.trials[0].outcome.progress == 0.5


@real
def test_published_tables_are_read():
    pairs = read_results(DATA / "roboarena_pairs_110.csv")
    assert len(pairs.comparisons) == 110 and len(pairs.trials) == 220
    counts = read_results(DATA / "lbm_success_counts_cld.csv")
    assert not counts.paired and len(counts.trials) == sum(
        int(line.split(",")[6]) for line in (DATA / "lbm_success_counts_cld.csv").read_text().splitlines()[1:]
    )
    food = read_results(DATA / "evalica_food.csv")
    assert {c.outcome for c in food.comparisons} == {"first", "second", "tie"}


def test_amounts_are_added_up_and_checked(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("task,source,n_demos,outcome\ncup,x,10,1\ncup,x,10,0\ncup,x,10,void\ncup,y,20,1\n")
    assert [(p.source, p.amount, p.successes, p.trials) for p in read_trained(path)] == [
        ("x", 10, 1, 2),
        ("y", 20, 1, 1),
    ]
    path.write_text("source,n_demos,successes,rollouts\nx,-1,1,2\n")
    with pytest.raises(BadData, match="above 0"):
        read_trained(path)


def test_checkpoints_and_recipes_are_told_apart_by_their_amounts(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("policy,n_demos,successes,rollouts\nc10,10,1,2\nc20,20,2,2\n")
    table = trained_table(path)
    assert [(p.policy, p.amount) for p in table.points] == [("", 10), ("", 20)]
    assert "checkpoints of one recipe" in "\n".join(table.notes)
    path.write_text("policy,n_demos,successes,rollouts\na,10,1,2\na,20,2,2\nb,10,0,2\n")
    assert [(p.policy, p.amount) for p in read_trained(path)] == [("a", 10), ("a", 20), ("b", 10)]


def test_the_first_column_of_amounts_counts(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("n_demos,hours,successes,rollouts\n10,7,1,2\n20,9,2,2\n")
    assert [p.amount for p in read_trained(path)] == [10, 20]


def test_a_mixture_is_what_each_source_gave(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("demos_teleop,demos_sim,comment,successes,rollouts\n10,5,first,1,2\n20,0,,2,2\n")
    assert [(p.source, p.amount, p.mixture) for p in read_trained(path)] == [
        ("sim + teleop", 15.0, (("sim", 5.0), ("teleop", 10.0))),
        ("teleop", 20.0, ()),
    ]


def test_success_against_data_of_one_task(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text("task,source,n_demos,successes,rollouts\ncup,x,10,1,2\npan,x,10,2,2\n")
    one = trained_table(path, ReadOptions(task="cup")).points
    assert [(p.task, p.successes) for p in one] == [("cup", 1)] and len(trained_table(path).points) == 2
    with pytest.raises(UnknownName, match="did you mean pan"):
        trained_table(path, ReadOptions(task="pen"))
