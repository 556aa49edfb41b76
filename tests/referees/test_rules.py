"""What a referee says of a trial follows from the trial's facts, and its name is enough to have it again."""

import time
from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Case, InfrastructureError, RolloutSettings, SuccessRule, Trial, UnknownName, combine
from roboscale.referees import Person, Settled, SuccessReferee, referee_for, referee_named
from toy_world import ToyWorld

RULES = (SuccessRule(), SuccessRule("end"), SuccessRule("hold", 1), SuccessRule("hold", 25))


def trial(success=(0.0,), end="truncated", progress=None, **more) -> Trial:
    series = {"success": np.array(success, np.float32)}
    if progress is not None:
        series["progress"] = np.array(progress, np.float32)
    settings = RolloutSettings(horizon=5, rate_hz=10, watch="success (first)")
    return Trial(
        policy=combine("A", 1),
        world=combine("world", 2),
        case=Case("t", 0),
        settings=settings,
        series=series,
        end=end,
        steps=len(success),
        **more,
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_referee_is_made_again_from_its_name(rule: SuccessRule):
    again = referee_named(SuccessReferee(rule).name)
    assert isinstance(again, SuccessReferee) and again.rule == rule
    assert isinstance(referee_named("person"), Person)


@pytest.mark.parametrize("name", ["success (hold)", "success (hold many)", "success (keep 3)", "somebody", ""])
def test_a_name_that_no_referee_has_is_refused(name: str):
    with pytest.raises(UnknownName, match="referee"):
        referee_named(name)


def test_a_rule_where_success_is_measured_and_else_a_person():
    measured = ToyWorld().info
    ours = referee_for(measured)
    assert isinstance(ours, SuccessReferee) and ours.rule == measured.rule
    asked = referee_for(measured, SuccessRule("hold", 3))
    assert isinstance(asked, SuccessReferee) and asked.rule == SuccessRule("hold", 3)
    assert isinstance(referee_for(ToyWorld(judged=False).info, SuccessRule("hold", 3)), Person)


def test_the_streak_begins_again_after_a_step_without_success():
    watch = SuccessReferee(SuccessRule("hold", 2)).watch()
    assert [watch.update({"success": value}) for value in (1.0, 0.0, 1.0, 1.0, 1.0)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert watch.satisfied()
    assert not watch.update({"success": 0.0}) and not watch.satisfied()


def test_a_world_that_stops_measuring_success_is_no_failure_of_the_policy():
    watch = SuccessReferee(SuccessRule()).watch()
    for measures in ({}, {"success": None}):
        with pytest.raises(InfrastructureError, match="did not measure success"):
            watch.update(measures)


def test_a_failure_says_why():
    judge = SuccessReferee(SuccessRule()).judge
    assert judge(trial((0, 0), "truncated")).reason == "no success within 2 steps"
    assert judge(trial((0, 0), "terminated")).reason == "ended without success"
    assert judge(trial((0, 0), "truncated", reason="dropped the cup")).reason == "dropped the cup"


def test_progress_lies_between_nothing_and_all():
    judge = SuccessReferee(SuccessRule()).judge
    assert judge(trial(progress=[-0.5])).progress == 0.0
    assert judge(trial(progress=[7.0])).progress == 1.0
    assert judge(trial(progress=[np.nan])).progress is None
    assert judge(trial((1.0,), "policy error", progress=[0.25], reason="NaN")).progress == 0.25


@pytest.mark.parametrize("referee", [SuccessReferee(SuccessRule()), Person()], ids=lambda r: r.name)
def test_of_a_void_trial_nothing_is_said(referee):
    said = referee.judge(trial((1.0,), "void", progress=[0.5], reason="motor off"))
    assert (said.state, said.success, said.progress) == ("cannot say", None, None)


def test_a_person_is_asked_unless_the_policy_erred():
    person, one = Person(), trial()
    before = time.time_ns()
    asked = person.judge(one)
    assert (asked.trial, asked.referee, asked.state, asked.success) == (one.id, "person", "pending", None)
    assert before <= asked.time_ns <= time.time_ns()
    erred = person.judge(replace(one, end="policy error", reason="NaN"))
    assert (erred.state, erred.success, erred.reason) == ("decided", False, "NaN")
    assert person.watch() is None


def test_what_was_judged_before_is_said_again_of_the_trial_that_is_asked_about():
    rule, one = SuccessReferee(SuccessRule()), trial((1.0,))
    other = replace(one, attempt=1, series={"success": np.zeros(1, np.float32)})
    settled = Settled(rule, rule.judge(one))
    assert settled.name == rule.name and settled.watch() is not None
    said = settled.judge(other)
    assert said.trial == other.id and said.success is True
    assert Settled(Person(), rule.judge(one)).watch() is None
