"""Failures beside the training episodes: where the nearest are, and whether the policy repeats them."""

from pathlib import Path

import pytest

import roboscale as rs


@pytest.fixture
def tried(place: Path) -> Path:
    """Demonstrations of the good policy, and trials of one that stands still."""
    asked = {"world": "point.toml", "workers": 0}
    rs.evaluate("policies.py:good", trials=8, seed=11, store="demos.trials", record=Path("demos"), **asked)
    rs.compare(
        "policies.py:good", "policies.py:still", budget=4, sequential=False, store="x", record=Path("tried"), **asked
    )
    return place


def test_the_nearest_training_episodes_and_the_error_without_the_loop(tried: Path):
    asked = rs.ExplainFailures(
        store="x",
        recorded=Path("tried"),
        trained=(Path("demos"),),
        policy=("policies.py:still", "policies.py:good", "policies.py:bad"),
    )
    done = rs.explain_failures(asked)
    (row,) = done.data.training
    assert (row.policy, row.trials) == ("policies.py:still", 4) and len(row.nearest) == 3
    assert all(name.startswith("demos ") for name in row.nearest) and len(set(row.nearest)) == 3
    assert row.open_loop is not None and row.open_loop > 0.5, "it does nothing of what was demonstrated"
    assert "they are not learnt" in row.reading or "far from all" in row.reading
    assert any("policies.py:bad is not asked: none of the run has its content" in note for note in done.data.notes)
    page = Path(done.page).read_text()
    assert "Beside the training episodes" in page and row.nearest[0] in page
    assert done.to_json()["training"][0]["nearest"] == list(row.nearest)
    assert any(f"nearest {row.nearest[0]}" in line for line in done.text)


def test_a_policy_repeats_what_it_demonstrated_itself(tried: Path):
    from roboscale.jobs.why_training import TrainingStarts, open_loop_errors
    from roboscale.policies.resolve import resolve_policy

    starts = TrainingStarts((Path("demos"),), Path("tried"))
    good, still = (resolve_policy(f"policies.py:{name}", world=None) for name in ("good", "still"))
    errors = open_loop_errors(good, starts, [0, 1, 2])
    assert max(errors.values()) < 1e-3 < 0.5 < min(open_loop_errors(still, starts, [0, 1, 2]).values())


def test_what_is_missing_is_said(tried: Path):
    with pytest.raises(rs.RoboscaleError, match="--trained needs --recorded"):
        rs.explain_failures(rs.ExplainFailures(store="x", trained=(Path("demos"),)))
    done = rs.explain_failures(rs.ExplainFailures(store="x", policy=("policies.py:still",)))
    assert any("--policy is not used without --trained" in note for note in done.data.notes)
    done = rs.explain_failures(rs.ExplainFailures(store="x", recorded=Path("demos"), trained=(Path("demos"),)))
    assert not done.data.training and any("none is laid beside training" in note for note in done.data.notes)
    few = rs.evaluate("policies.py:good", world="point.toml", workers=0, trials=2, store="f", record=Path("few"))
    assert few is not None
    with pytest.raises(rs.RoboscaleError, match="three training episodes"):
        rs.explain_failures(rs.ExplainFailures(store="x", recorded=Path("tried"), trained=(Path("few"),)))


def test_a_funnel_is_not_made_of_successes_alone(tried: Path):
    """This world knows progress of successes only: that all of those got there says nothing."""
    done = rs.explain_failures(rs.ExplainFailures(store="x"))
    assert not done.data.stages and any("no funnel of stages" in note for note in done.data.notes)
    with rs_log("x") as log:
        trials = [t for group in log.attempts(*asked_of(log)).values() for t in group]
    still = [t for t in trials if t.policy.name == "policies.py:still"]
    rs.judge_trial(rs.JudgeTrial(store="x", trial=still[0].id, failure=True, progress=0.5))
    done = rs.explain_failures(rs.ExplainFailures(store="x", recorded=Path("tried")))
    assert {s.stage for s in done.data.stages} == {"progress 0.5", "progress 1"}
    assert any("policies.py:still: nobody said how far 3 of 4 trials got" in note for note in done.data.notes)
    assert any("no films: tried has no camera" in note for note in done.data.notes)


def rs_log(store: str):
    from roboscale.trials.log import open_log

    return open_log(store, read_only=True)


def asked_of(log):
    run = log.runs()[0]
    return run.policies, run.world, run.settings, run.round
