"""Who says how a trial went: the rule counts a streak, a person is waited for, and what was said stays said."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import InfrastructureError, Judgement, Measure, RoboscaleError, SuccessRule, UnknownName
from roboscale.referees import Person, Settled, SuccessReferee, referee_for, referee_named
from tests.trials.log_samples import INFO, trial

NAN = float("nan")
RULES = [SuccessRule("first"), SuccessRule("end"), *(SuccessRule("hold", k) for k in (1, 2, 3, 5))]


def longest_end(flags: list[bool]) -> int:
    streak = 0
    for flag in flags:
        streak = streak + 1 if flag else 0
    return streak


def of_series(success, progress=None, **facts):
    series = {"success": np.array(success, np.float32)}
    if progress is not None:
        series["progress"] = np.array(progress, np.float32)
    return trial(series=series, steps=len(success), **facts)


@given(flags=st.lists(st.booleans(), min_size=1, max_size=12), rule=st.sampled_from(RULES))
def test_watching_and_judging_agree(flags: list[bool], rule: SuccessRule):
    """The rollout stops where the rule is met; whoever reads its series later says the same."""
    watch = SuccessReferee(rule).watch()
    seen = []
    for flag in flags:
        seen.append(flag)
        ends = watch.update({"success": float(flag)})
        assert ends == (rule.kind != "end" and longest_end(seen) >= rule.needs)
        if ends:
            break
    assert watch.satisfied() == (longest_end(seen) >= rule.needs)
    judged = SuccessReferee(rule).judge(of_series([float(f) for f in seen]))
    assert judged.success == watch.satisfied() and judged.state == "decided"


@pytest.mark.parametrize(
    ("rule", "series", "success"),
    [
        (SuccessRule("first"), [], False),
        (SuccessRule("first"), [0, 1], True),
        (SuccessRule("end"), [1, 0], False),
        (SuccessRule("hold", 2), [1, 1, 0], False),
        (SuccessRule("hold", 2), [0, 1, 1], True),
        (SuccessRule("hold", 2), [0, 0, 1], False),
        (SuccessRule("hold", 3), [1, 1, 1], True),
        (SuccessRule("first"), [0, NAN], False),  # not measured is no success
        (SuccessRule("hold", 2), [1, NAN, 1], False),
    ],
)
def test_the_last_streak_decides(rule: SuccessRule, series: list[float], success: bool):
    assert SuccessReferee(rule).judge(of_series(series)).success is success


def test_a_watch_starts_from_nothing_and_every_episode_has_its_own():
    referee = SuccessReferee(SuccessRule("hold", 2))
    first, second = referee.watch(), referee.watch()
    assert not first.satisfied()
    assert not first.update({"success": 1.0}) and first.update({"success": 1.0})
    assert not second.satisfied() and not second.update({"success": 1.0})
    assert not first.update({"success": 0.0}) and not first.satisfied()


@pytest.mark.parametrize("measures", [{}, {"success": None}, {"progress": 1.0}])
def test_a_rule_cannot_do_without_success(measures):
    with pytest.raises(InfrastructureError, match="did not measure success"):
        SuccessReferee(SuccessRule()).watch().update(measures)


@pytest.mark.parametrize(
    ("success", "progress", "expected"),
    [
        ([0, 0, 0], [0.2, 0.7, 0.5], 0.7),  # the best of the episode, not the last
        ([0, 0], [NAN, 0.25], 0.25),
        ([0, 0], [NAN, NAN], None),
        ([0, 0], None, None),
        ([0, 1], [0.1, 0.4], 1.0),
        ([0], [1.5], 1.0),
        ([0], [-0.5], 0.0),
    ],
)
def test_progress_is_the_best_of_the_episode(success, progress, expected):
    judged = SuccessReferee(SuccessRule()).judge(of_series(success, progress))
    assert judged.progress == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("facts", "success", "reason"),
    [
        ({"end": "truncated"}, [0, 0, 0], "no success within 3 steps"),
        ({"end": "terminated"}, [0, 0], "ended without success"),
        ({"end": "policy error", "reason": "returned None"}, [0], "returned None"),
        ({"end": "policy error", "reason": "returned None"}, [1], "returned None"),
        ({"end": "decided"}, [0, 1], ""),
    ],
)
def test_why_a_trial_is_no_success(facts, success, reason):
    judged = SuccessReferee(SuccessRule()).judge(of_series(success, **facts))
    assert judged.reason == reason and judged.success is (reason == "")
    assert judged.referee == "success (first)"


def test_a_trial_without_its_series_is_no_failure():
    judged = SuccessReferee(SuccessRule()).judge(trial(end="truncated", steps=3, series={}))
    assert (judged.state, judged.success) == ("cannot say", None) and "nothing kept" in judged.reason


def test_a_void_trial_nobody_can_judge():
    for referee in (SuccessReferee(SuccessRule()), Person()):
        judged = referee.judge(of_series([1, 1], [1.0, 1.0], end="void", reason="the motor is off"))
        assert (judged.state, judged.success, judged.progress) == ("cannot say", None, None)
        assert judged.reason == "the motor is off"


def test_a_person_is_waited_for_except_for_mistakes():
    seen = trial(end="truncated")
    judged = Person().judge(seen)
    assert (judged.state, judged.success, judged.referee, judged.trial) == ("pending", None, "person", seen.id)
    wrong = Person().judge(replace(seen, end="policy error", reason="returned None"))
    assert (wrong.state, wrong.success, wrong.referee) == ("decided", False, "policy error")
    assert wrong.reason == "returned None" and Person().watch() is None
    for end in ("decided", "terminated"):
        assert Person().judge(replace(seen, end=end)).state == "pending"


def test_judgements_are_dated_and_belong_to_their_trial():
    before = time.time_ns()
    for referee in (SuccessReferee(SuccessRule()), Person()):
        for facts in ({"end": "truncated"}, {"end": "policy error"}, {"end": "void"}):
            seen = of_series([0], **facts)
            judged = referee.judge(seen)
            assert judged.trial == seen.id and before <= judged.time_ns <= time.time_ns()


def test_what_is_settled_stays_and_is_watched_as_before():
    said = Judgement(trial="another", referee="person", time_ns=1, state="decided", success=True, by="ada")
    settled = Settled(SuccessReferee(SuccessRule("hold", 2)), said)
    seen = of_series([0, 0])
    assert settled.judge(seen) == replace(said, trial=seen.id)
    assert settled.name == "success (hold 2)" and not settled.watch().update({"success": 1.0})
    assert Settled(Person(), said).watch() is None


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_referee_is_found_by_its_name(rule: SuccessRule):
    named = referee_named(SuccessReferee(rule).name)
    assert isinstance(named, SuccessReferee) and named.rule == rule
    assert isinstance(referee_named("person"), Person)


@pytest.mark.parametrize(
    "name",
    ["", "success (hold)", "success (hold x)", "success (last)", "first 3", "persn", "first", "success (hold 03)"],
)
def test_names_that_are_none(name: str):
    with pytest.raises(UnknownName, match=r"referee|success \(first\)"):
        referee_named(name)


def test_who_judges_in_a_world():
    assert referee_for(INFO).name == f"success ({INFO.rule})"
    assert referee_for(INFO, SuccessRule("hold", 4)).name == "success (hold 4)"
    unjudged = replace(INFO, measures=(Measure(name="progress"),))
    assert isinstance(referee_for(unjudged), Person) and isinstance(referee_for(unjudged, SuccessRule()), Person)
    for name in ("progress", "twist", "successes", "a"):  # before and behind it in the alphabet
        assert isinstance(referee_for(replace(INFO, measures=(Measure(name=name),))), Person)


@pytest.mark.parametrize(
    ("rule", "needs", "text"), [(RULES[0], 1, "first"), (RULES[1], 1, "end"), (RULES[5], 5, "hold 5")]
)
def test_rules_say_what_they_need(rule: SuccessRule, needs: int, text: str):
    assert (rule.needs, str(rule)) == (needs, text)
    assert not rule.succeeded(needs - 1) and rule.succeeded(needs) and rule.succeeded(needs + 1)
    assert rule.finishes(needs) == (rule.kind != "end") and not rule.finishes(needs - 1)


@pytest.mark.parametrize("value", [NAN, 0.5, 2, -1, "True", [1.0]])
def test_a_success_is_a_truth_value(value: object):
    with pytest.raises(RoboscaleError, match="measure success: expected true, false, 0 or 1, found ") as error:
        SuccessReferee(SuccessRule()).watch().update({"success": value})
    assert not isinstance(error.value, InfrastructureError), "it ends the run, and is no void trial"


@pytest.mark.parametrize("value", [True, False, 0, 1, 0.0, 1.0, np.bool_(True), np.float32(1), np.int64(0)])
def test_a_truth_value_may_be_of_any_kind(value: object):
    assert SuccessReferee(SuccessRule()).watch().update({"success": value}) is bool(value)


def test_a_rule_without_a_number_wants_one_step_and_never_none():
    for rule in (SuccessRule(), SuccessRule("end"), SuccessRule("hold"), SuccessRule("hold", 1)):
        assert not rule.succeeded(0) and rule.succeeded(1) and not rule.finishes(0), rule
    assert [str(SuccessRule(kind)) for kind in ("first", "end", "hold")] == ["first", "end", "hold 1"]
