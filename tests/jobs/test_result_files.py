"""Results for a job: others' files, our own store, several of them as one."""

from pathlib import Path

import pytest

from roboscale.core import BadData, Case, Design, Judgement, RolloutSettings, Trial, combine
from roboscale.jobs.result_files import load_results, trials_by_policy
from roboscale.trials.log import Run, open_log


def store(path: Path, design: Design | None) -> Path:
    ours, toy = combine("ours", 1), combine("toy", 2)
    settings, case = RolloutSettings(horizon=5, rate_hz=10), Case("cup", 1)
    trial = Trial(policy=ours, world=toy, case=case, settings=settings, end="decided", steps=3)
    said = Judgement(trial=trial.id, referee="success (first)", time_ns=1, state="decided", success=True)
    run = Run(
        id="run",
        policies=(ours, combine("other", 3)),
        world=toy,
        settings=settings,
        created_ns=1,
        cases=(case.id,),
        design=design,
    )
    with open_log(path) as log:
        log.begin_run(run)
        log.save(trial, [said])
    return path


@pytest.mark.parametrize(
    ("design", "adaptive"), [(None, False), (Design(budget=1, sequential=False), False), (Design(budget=1), True)]
)
def test_our_store_says_whether_results_chose_the_trials(tmp_path: Path, design: Design | None, adaptive: bool):
    path = store(tmp_path / "run" / "trials.db", design)
    for source in (path, path.parent):
        results = load_results([str(source)])
        assert results.adaptive is adaptive and [t.policy.name for t in results.trials] == ["ours"]
        assert list(results.columns.cases) == ["1"], "a seed is called by its number"


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
    assert load_results([str(path)]).trials[0].policy.name == "a"


def test_nothing_is_an_error(tmp_path: Path):
    (tmp_path / "t.csv").write_text("policy,case,success\n")
    for sources in ([], [str(tmp_path / "t.csv")]):
        with pytest.raises(BadData, match="at least one trial or comparison"):
            load_results(sources)
    with pytest.raises(BadData, match=r"trials\.db: results: expected a file or folder, found nothing"):
        load_results([str(tmp_path / "trials.db")])
