"""What counts of a trial: the newest round, its last attempt, the newest judgement that decided."""

from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Case, Judgement, RolloutSettings, SuccessRule, Trial, combine
from roboscale.referees import Person, SuccessReferee
from roboscale.trials import count_trials, evidence_of, outcome_of, waits

A, B, WORLD = combine("A", 1), combine("B", 2), combine("world", 3)
SETTINGS = RolloutSettings(horizon=5, rate_hz=10, watch="success (first)")
CASES = tuple(Case("t", seed) for seed in range(3))


def trial(policy=A, case=CASES[0], success=(0.0, 1.0), end="decided", **more) -> Trial:
    series = {"success": np.array(success, np.float32)}
    return Trial(
        policy=policy, world=WORLD, case=case, settings=SETTINGS, series=series, end=end, steps=len(success), **more
    )


def said(of: Trial, success: bool | None, time_ns: int, state="decided", referee="person") -> Judgement:
    return Judgement(trial=of.id, referee=referee, time_ns=time_ns, state=state, success=success)


def test_the_newest_decision_counts_and_nothing_said_before_is_lost():
    one = trial()
    judgements = [said(one, True, 1), said(one, False, 3), said(one, None, 4, "cannot say"), said(one, True, 2)]
    outcome = outcome_of(one, judgements)
    assert outcome is not None and outcome.status == "failure"
    counted = count_trials([one], {one.id: judgements}, [A], CASES)
    assert [j.time_ns for j in counted[0].judgements] == [1, 2, 3, 4]


def test_pending_is_neither_void_nor_failure():
    one = trial()
    pending = [Person().judge(one)]
    assert waits(one, pending) and outcome_of(one, pending) is None
    counted = count_trials([one], {one.id: pending}, [A], CASES)
    assert counted[0].pending and evidence_of(counted, [A], CASES).rows[0].outcomes == {}
    assert evidence_of(counted, [A], CASES).waiting == 1
    assert not waits(one, [*pending, said(one, True, 2**62)])


def test_nobody_can_make_a_void_trial_count():
    one = trial(end="void", reason="motor off", success=())
    outcome = outcome_of(one, [said(one, True, 1)])
    assert outcome is not None and outcome.status == "void" and outcome.reason == "motor off"
    assert SuccessReferee(SuccessRule()).judge(one).state == "cannot say"


def test_the_newest_round_and_the_last_attempt_count():
    first = trial(success=(0.0,), end="truncated")
    again = replace(first, round=1, attempt=1, series={"success": np.ones(1, np.float32)}, end="decided")
    broke = replace(first, round=1, attempt=0, end="void")
    judgements = {t.id: [SuccessReferee(SuccessRule()).judge(t)] for t in (first, again, broke)}
    counted = count_trials([again, first, broke], judgements, [A], CASES)
    assert len(counted) == 1 and counted[0].outcome.success and counted[0].rounds == 2


def test_rows_stand_in_schedule_order_and_what_was_not_tried_is_absent():
    trials = [trial(B, CASES[2]), trial(A, CASES[0]), trial(B, CASES[0])]
    judgements = {t.id: [said(t, t.policy == A, 1)] for t in trials}
    rows = evidence_of(count_trials(trials, judgements, [A, B], CASES), [A, B], CASES).rows
    assert [dict(r.outcomes) for r in rows] == [{"A": 1.0, "B": 0.0}, {}, {"B": 0.0}]
    assert [r.case for r in rows] == list(CASES)


@pytest.mark.parametrize(
    ("rule", "series", "success"),
    [
        (SuccessRule(), (0, 0, 1), True),
        (SuccessRule(), (0, 1, 0), False),  # an episode that went on past a success and lost it
        (SuccessRule("end"), (1, 0, 1), True),
        (SuccessRule("hold", 3), (1, 1, 1), True),
        (SuccessRule("hold", 3), (0, 1, 1), False),
        (SuccessRule("hold", 3), (1, 0, 1, 1), False),
        (SuccessRule(), (), False),
    ],
)
def test_a_rule_judges_from_the_series_alone(rule: SuccessRule, series, success: bool):
    judgement = SuccessReferee(rule).judge(trial(success=series, end="truncated"))
    assert judgement.success is success and (judgement.reason == "") is success
    watch = SuccessReferee(rule).watch()
    ended = [watch.update({"success": float(value)}) for value in series]
    assert watch.satisfied() is success and (not any(ended) or rule.kind != "end")


def test_progress_is_the_best_of_the_episode_and_one_at_success():
    one = replace(trial(success=(0, 0), end="truncated"))
    series = {**one.series, "progress": np.array([0.2, np.nan, 0.7, 0.1], np.float32)}
    assert SuccessReferee(SuccessRule()).judge(replace(one, series=series)).progress == pytest.approx(0.7)
    assert SuccessReferee(SuccessRule()).judge(one).progress is None
    assert SuccessReferee(SuccessRule()).judge(trial()).progress == 1.0


def test_a_mistake_of_the_policy_is_a_failure_with_its_reason_whoever_judges():
    one = trial(success=(1.0,), end="policy error", reason="NaN")
    for referee in (SuccessReferee(SuccessRule()), Person()):
        judgement = referee.judge(one)
        assert judgement.success is False and judgement.reason == "NaN"
