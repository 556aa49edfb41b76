"""Results for a job: others' files, our own store, several of them as one."""

from pathlib import Path

import pytest

from roboscale.core import BadData, Case, Outcome, Trial
from roboscale.jobs.result_files import load_results, trials_by_policy
from roboscale.trials import TrialStore


def store(path: Path, stopping: dict | None) -> Path:
    with TrialStore(path) as opened:
        opened.record_run("run", {"stopping": stopping}, {})
        opened.save(Trial("ours", "toy", Case("cup", 1), Outcome("success")))
    return path


@pytest.mark.parametrize(
    ("stopping", "adaptive"), [(None, False), ({"sequential": False}, False), ({"sequential": True}, True)]
)
def test_our_store_says_whether_results_chose_the_trials(tmp_path: Path, stopping: dict | None, adaptive: bool):
    path = store(tmp_path / "run" / "trials.db", stopping)
    for source in (path, path.parent):
        results = load_results([str(source)])
        assert results.adaptive is adaptive and [t.policy for t in results.trials] == ["ours"]


def test_several_sources_are_one(tmp_path: Path):
    (tmp_path / "t.csv").write_text("policy,task,case,success\ntheirs,cup,1,0\n")
    (tmp_path / "unnamed.csv").write_text("task,case,success\ncup,1,1\n")
    paths = [str(tmp_path / "t.csv"), f"named={tmp_path / 'unnamed.csv'}"]
    results = load_results([*paths, str(store(tmp_path / "trials.db", None))])
    assert list(trials_by_policy(results)) == ["named", "ours", "theirs"]
    assert results.source == "t.csv, unnamed.csv, trials.db"


def test_a_sign_in_a_path_is_no_name(tmp_path: Path):
    path = tmp_path / "alpha=0.1.csv"
    path.write_text("policy,case,success\na,1,1\n")
    assert load_results([str(path)]).trials[0].policy == "a"


def test_nothing_is_an_error(tmp_path: Path):
    (tmp_path / "t.csv").write_text("policy,case,success\n")
    for sources in ([], [str(tmp_path / "t.csv")]):
        with pytest.raises(BadData, match="at least one trial or comparison"):
            load_results(sources)
    with pytest.raises(BadData, match=r"trials\.db: results: expected a file or folder, found nothing"):
        load_results([str(tmp_path / "trials.db")])
