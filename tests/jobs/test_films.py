"""Films show the trial they stand under, or nothing: a replay that ends differently is left out and said."""

from pathlib import Path

import pytest

import roboscale as rs


@pytest.fixture
def filmed(place: Path) -> Path:
    text = (place / "point.toml").read_text()
    (place / "point.toml").write_text(
        text.replace("[[field]]", '[arguments]\nrender_mode = "rgb_array"\n\n[[field]]', 1)
    )
    return place


def test_a_world_that_repeats_itself_is_filmed_by_replay(filmed: Path):
    rs.evaluate("policies.py:good", world="point.toml", trials=2, workers=0, store="x")
    data = rs.write_report(rs.WriteReport(store="x"))
    films = [film for case in data.films for film in case.films]
    assert [f.origin for f in films] == ["replayed, same outcome"] * 2 and all(f.mp4 for f in films)


def test_a_film_has_the_outcome_of_its_trial(filmed: Path):
    """Of each policy its own; what was corrected is as it was corrected, and so on the page."""
    policies = ("policies.py:good", "policies.py:bad")
    done = rs.compare(*policies, world="point.toml", budget=2, sequential=False, workers=0, store="x")
    wrong = done.judged.counted[0]
    assert wrong.trial is not None and wrong.outcome.success
    rs.judge_trial(rs.JudgeTrial(store="x", trial=wrong.trial.id, failure=True, reason="it cheated", by="ada"))
    data = rs.write_report(rs.WriteReport(store="x"))
    said = {(case.case, film.policy): (film.status, film.reason) for case in data.films for film in case.films}
    expected = {(c.case.id, c.policy.name): (c.outcome.status, c.outcome.reason) for c in done.judged.counted}
    expected[wrong.case.id, wrong.policy.name] = ("failure", "it cheated")
    assert said == expected and sorted(status for status, _ in said.values()) == ["failure"] * 3 + ["success"]
    page = Path("x/report.html").read_text()
    for (case, policy), (status, _) in said.items():
        assert f"{policy} on case {case}: {status}" in page


def test_a_world_that_does_not_is_not_filmed_as_if_it_did(filmed: Path):
    env = filmed / "my_env.py"
    env.write_text(
        env.read_text().replace("self.speed * np.asarray(action)", "np.random.default_rng().normal(0, 1, 2)")
    )
    rs.evaluate("policies.py:still", world="point.toml", trials=3, workers=0, store="x")
    data = rs.write_report(rs.WriteReport(store="x"))
    films = [film for case in data.films for film in case.films]
    assert films and all(f.origin == "left out: the replay ended differently" and not f.mp4 for f in films)
    page = Path("x/report.html").read_text()
    assert "data:video/mp4" not in page and "replay ended differently" in page


def test_episodes_are_recorded_from_trials_that_were_made_before(filmed: Path):
    asked = {"world": "point.toml", "trials": 3, "workers": 0, "store": "x"}
    rs.evaluate("policies.py:good", **asked)
    later = rs.evaluate("policies.py:good", record=Path("set"), **asked)
    assert any("found 3 of 3" in note for note in later.notes)
    from roboscale.dataset import Dataset

    episodes = Dataset(Path("set")).episodes
    assert len(episodes) == 3 and all(e.outcome is not None and e.outcome.success for e in episodes)


def test_a_comparison_that_stops_early_records_what_it_tried(filmed: Path):
    done = rs.compare(
        "policies.py:good", "policies.py:still", world="point.toml", budget=60, workers=2, record=Path("set")
    )
    from roboscale.dataset import Dataset

    ran = [c for c in done.judged.counted if c.trial is not None and c.trial.steps]
    assert len(done.judged.counted) < 120, "the evidence decided, however far one of the two workers ran ahead"
    assert len(Dataset(Path("set")).episodes) == len(ran)


def test_an_exported_rollout_has_the_outcome_that_counts(filmed: Path):
    done = rs.evaluate("policies.py:good", world="point.toml", trials=2, workers=0, store="x")
    trial = done.judged.counted[0].trial
    assert trial is not None
    rs.judge_trial(rs.JudgeTrial(store="x", trial=trial.id, failure=True, reason="it cheated", by="ada"))
    rs.export_trials(rs.ExportTrials(store="x", dataset=Path("set")))
    from roboscale.dataset import Dataset

    outcomes = [e.outcome.status for e in Dataset(Path("set")).episodes if e.outcome is not None]
    assert sorted(outcomes) == ["failure", "success"]
    again = rs.list_trials(rs.ListTrials(store="x"))
    assert again.judged.rate(again.judged.used).value == 0.5


def test_what_only_a_person_can_film_says_where_films_come_from(place: Path):
    rs.evaluate("policies.py:good", world="point.toml", trials=1, workers=0, store="x")
    notes = []
    rs.write_report(rs.WriteReport(store="x"), lambda event: notes.append(getattr(event, "text", "")))
    assert any("shows no pictures" in note for note in notes)
