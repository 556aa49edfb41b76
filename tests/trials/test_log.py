"""The log, on both databases: nothing finished is lost or counted twice, and nothing said is ever changed."""

import itertools
import json
import math
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from roboscale.core import BadData, Case, Identity, RoboscaleError, RolloutSettings, Trial, combine, derive_id
from roboscale.trials.log import LogEntry, MergeCounts, TrialLog, open_log, world_facts
from tests.trials.log_samples import ANNA, BERT, INFO, SETTINGS, WORLD, assert_same, judgement, run, trial
from tests.trials.postgres import log_address, postgres  # noqa: F401


@pytest.fixture
def log(log_address: str) -> Iterator[TrialLog]:  # noqa: F811
    with open_log(log_address) as opened:
        yield opened


def execute(log: TrialLog, on_sqlite: str, on_postgresql: str) -> None:
    """A statement behind the log's back."""
    with log._engine.connect() as connection:
        connection.exec_driver_sql(on_sqlite if connection.dialect.name == "sqlite" else on_postgresql)
        connection.commit()


# --- trials --------------------------------------------------------------------------------------------------------

PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.none() | st.floats() | st.integers() | st.integers(2**63, 2**80)
FLOATS = arrays(np.float32, array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=5))


ATTEMPTS = itertools.count()
"""So that no two trials have one key."""


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    start = draw(st.integers() | PLAIN.map(lambda s: f"picture:{s}"))
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 3)))
    return trial(
        policy=Identity(draw(PLAIN), derive_id(draw(st.text())), tuple(draw(st.lists(PLAIN, max_size=2)))),
        case=Case(draw(PLAIN), start, draw(PLAIN)),
        settings=replace(SETTINGS, execute=draw(st.none() | st.integers(1, 9)), rate_hz=draw(st.floats(0.1, 1e3))),
        round=draw(st.integers(0, 9)),
        attempt=next(ATTEMPTS),
        end=draw(st.sampled_from(["terminated", "truncated", "decided", "policy error", "void"])),
        reason=draw(PLAIN),
        actions=draw(st.none() | arrays(np.float32, shape)),
        series=draw(st.dictionaries(st.text(), FLOATS, max_size=3)),
        measures=draw(st.dictionaries(st.text(), NUMBERS, max_size=3)),
        details=draw(st.dictionaries(st.text(), JSON, max_size=3)),
        versions={"$float": "nan", "$": "$$", "nan": [float("inf")]},
        seconds=draw(st.floats(0, 1e6)),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=trials())
def test_a_trial_comes_back_as_it_was_saved(log: TrialLog, one: Trial):
    before = log.count()
    assert log.save(one) is True
    assert_same(log.trial(one.id), one)
    assert log.save(one) is False and log.count() == before + 1


def test_a_trial_is_there_for_others_when_save_returns(log: TrialLog, log_address: str):  # noqa: F811
    log.save(trial(), [judgement(trial())])
    with open_log(log_address, read_only=True) as other:
        assert_same(other.trial(trial().id), trial())
        assert other.judgements() == {trial().id: (judgement(trial()),)}


@pytest.mark.parametrize(
    ("changes", "known", "new"),
    [
        ({"end": "terminated"}, "end 'decided'", "end 'terminated'"),
        ({"end": "void"}, "end 'decided'", "end 'void'"),
        ({"steps": 4}, "steps 3", "steps 4"),
        ({"clipped": 0}, "clipped 1", "clipped 0"),
        ({"measures": {"success": 0.0, "peak_force": None}}, "success 1.0", "success 0.0"),
        ({"measures": {"success": float("nan"), "peak_force": None}}, "success 1.0", "success nan"),
        ({"measures": {}}, "measures success, peak_force", "measures none"),
        ({"actions": None}, "actions", "no actions"),
        ({"actions": np.zeros((2, 2), np.float32)}, "actions of shape (3, 2)", "actions of shape (2, 2)"),
        ({"series": {}}, "series of success, reward", "series of nothing"),
    ],
)
def test_other_facts_under_the_same_key_name_both_sides(log: TrialLog, changes: dict, known: str, new: str):
    log.save(trial())
    with pytest.raises(BadData) as caught:
        log.save(trial(**changes))
    message = str(caught.value)
    assert message.endswith(f"expected {known}, found {new}")
    assert f"trial reach/nominal/0 of anna@{ANNA.short} in toy@{WORLD.short}" in message and log.where in message
    assert_same(log.trial(trial().id), trial())


def test_one_other_number_in_actions_or_series_is_found(log: TrialLog):
    log.save(trial())
    actions = trial().actions.copy()
    actions[2, 1] += 1
    with pytest.raises(BadData, match="actions at 2, 1"):
        log.save(trial(actions=actions))
    series = {**trial().series, "reward": np.array([np.nan, 0, 0], np.float32)}
    with pytest.raises(BadData, match="series of reward at 0: .*, found series of reward at 0: nan"):
        log.save(trial(series=series))


def test_when_and_why_are_no_facts_and_the_first_stay(log: TrialLog):
    log.save(trial())
    again = trial(reason="x", seconds=9.0, started_ns=1, run="r2", versions={}, details={}, held=0, late=0)
    assert log.save(again) is False
    assert_same(log.trial(trial().id), trial())


def test_two_void_attempts_do_not_contradict_each_other(log: TrialLog):
    log.save(trial(end="void", reason="refused", steps=0, actions=None))
    assert log.save(trial(end="void", reason="timed out", steps=2)) is False
    assert log.trial(trial().id).reason == "refused"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"details": {"policy": object()}}, "a value of type object"),
        ({"details": {1: "x"}}, "a key that is no text: 1"),
        ({"measures": {"success": "yes"}}, "measure success of type str"),
        ({"series": {"success": np.zeros((2, 2))}}, r"series success of shape \(2, 2\)"),
        ({"case": Case("a\0b", 1)}, "a zero byte or a lone surrogate"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"started_ns": 2**70}, "out of range|too large"),
    ],
)
def test_what_a_log_cannot_hold_is_named_and_nothing_is_saved(log: TrialLog, changes: dict, what: str):
    with pytest.raises(BadData, match=what):
        log.save(trial(**changes), [])
    assert log.count() == 0


def test_numbers_and_arrays_of_numpy_in_details_are_kept(log: TrialLog):
    log.save(
        trial(details={"a": np.float32(0.5), "b": np.arange(3), "c": np.bool_(True)}, measures={"m": np.int64(3)})
    )
    assert log.trial(trial().id).details == {"a": 0.5, "b": [0, 1, 2], "c": True}
    assert log.trial(trial().id).measures == {"m": 3}


def test_words_of_any_kind_come_back(log: TrialLog, tmp_path):
    named = replace(ANNA, name="Ännchen von Tharau 🤖")
    log.save(trial(policy=named, reason="über\0Null \ud800", case=Case("löffel 匙", "picture:ä/b")))
    back = log.trial(trial(case=Case("löffel 匙", "picture:ä/b")).id)
    assert back.policy.name == named.name and back.case == Case("löffel 匙", "picture:ä/b")
    assert back.reason == "über\\x00Null \\ud800"


def test_questions_match_every_part_of_the_key(log: TrialLog):
    other = replace(SETTINGS, horizon=9)
    saved = [
        trial(0),
        trial(1),
        trial(0, policy=BERT),
        trial(0, world=BERT),
        trial(0, settings=other),
        trial(0, round=1),
        trial(0, attempt=1),
    ]
    for one in saved:
        log.save(one)
    assert [t.key for t in log.trials()] == sorted(t.key for t in saved)

    def ids(*args: object, **kwargs: object) -> set[str]:
        return {t.id for t in log.trials(*args, **kwargs)}

    assert ids(ANNA) == ids(ANNA.digest) == {t.id for t in saved if t.policy == ANNA}
    assert ids(world=BERT) == {saved[3].id}
    assert ids(case=Case("reach", 1)) == ids(case="reach/nominal/1") == {saved[1].id}
    assert ids(settings=other) == ids(settings=other.text) == {saved[4].id}
    assert ids(round=1) == {saved[5].id}
    assert ids(ANNA, WORLD, saved[0].case, SETTINGS, 0) == {saved[0].id, saved[6].id}
    assert ids(combine("nobody", 1)) == set()
    assert log.newest_round() == 1 and log.newest_round(BERT) == 0 and log.newest_round(case="x/y/0") is None


def test_light_trials_have_everything_but_the_bulk(log: TrialLog):
    log.save(trial())
    (light,) = log.trials(light=True)
    assert_same(light, trial(actions=None, series={}))


def test_saving_goes_on_while_trials_are_read(log: TrialLog):
    for seed in range(3):
        log.save(trial(seed))
    stream = log.trials()
    next(stream)
    log.save(trial(7))
    assert len(list(stream)) == 2, "as they were when the first was asked for"


def test_what_is_done_of_a_schedule_takes_a_few_questions(log: TrialLog):
    from sqlalchemy import Engine, event

    policies = (ANNA, BERT, combine("carl", 3))
    for case in range(100):
        for policy in policies:
            log.save(trial(case, policy=policy))
    log.save(trial(5, attempt=1))
    log.save(trial(5, round=1))
    log.save(trial(5, world=BERT))
    asked = []

    def note(connection, cursor, statement, *rest):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        done = log.attempts(policies, WORLD, SETTINGS)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) <= 4
    assert done.keys() == {(p.digest, f"reach/nominal/{c}") for p in policies for c in range(100)}
    assert [(t.round, t.attempt) for t in done[ANNA.digest, "reach/nominal/5"]] == [(0, 0), (0, 1), (1, 0)]
    assert log.attempts(policies, WORLD, SETTINGS, round=1).keys() == {(ANNA.digest, "reach/nominal/5")}
    assert log.attempts((), WORLD, SETTINGS) == {}
    some = log.attempts(policies, WORLD, SETTINGS, cases=["reach/nominal/5", "reach/nominal/5", "reach/nominal/199"])
    assert some == {key: tried for key, tried in done.items() if key[1] == "reach/nominal/5"} and some
    assert log.attempts(policies, WORLD, SETTINGS, cases=[]) == {}


def test_the_beginning_of_an_id_is_enough_when_only_one_begins_so(log: TrialLog):
    ids: dict[str, list[Trial]] = {}
    for seed in range(2000):
        ids.setdefault(trial(seed).id[:4], []).append(trial(seed))
    twins = next(some for some in ids.values() if len(some) == 2)
    for one in twins:
        log.save(one)
    assert log.trial(twins[0].id[:8]).case == twins[0].case
    with pytest.raises(BadData) as caught:
        log.trial(twins[0].id[:4])
    assert all(one.id in str(caught.value) for one in twins)
    with pytest.raises(BadData, match="found it in none"):
        log.trial("0" * 8)
    for wrong in ("", "abc", "xyz12345", "'; drop table trials"):
        with pytest.raises(BadData, match="32 hex digits"):
            log.trial(wrong)


def test_one_content_may_have_several_names(log: TrialLog):
    log.save(trial(0))
    log.save(trial(1, policy=replace(ANNA, name="anna again", unverified=("a server that does not say",))))
    assert [t.policy.name for t in log.trials(ANNA)] == ["anna", "anna again"]
    assert [(i.name, i.verified) for i in log.identities()["policy"]] == [("anna", True), ("anna again", False)]
    assert log.identities()["world"] == (WORLD,)


# --- judgements ----------------------------------------------------------------------------------------------------


def test_judgements_are_added_and_ordered_by_time(log: TrialLog):
    log.save(trial(0), [judgement(trial(0), 5)])
    log.save(trial(1))
    said = [
        judgement(trial(0), 7, None, referee="person"),
        judgement(trial(0), 6, None, referee="vlm", progress=None),
        judgement(trial(0), 9, False, referee="person", progress=1.0),
        judgement(trial(1), 8, referee="b"),
        judgement(trial(1), 8, referee="a"),
    ]
    for one in said:
        log.judge(one)
        log.judge(one)
    assert log.judgements() == {
        trial(0).id: (judgement(trial(0), 5), said[1], said[0], said[2]),
        trial(1).id: (said[4], said[3]),
    }
    assert log.judgements(until_ns=6) == {trial(0).id: (judgement(trial(0), 5), said[1])}
    assert log.judgements([trial(1).id]).keys() == {trial(1).id}
    assert log.judgements([]) == {} and log.judgements(["0" * 32]) == {}


def test_a_judgement_is_never_overwritten(log: TrialLog):
    log.save(trial(), [judgement(trial())])
    with pytest.raises(BadData, match="expected decided, success True.*found decided, success False"):
        log.judge(judgement(trial(), success=False))
    with pytest.raises(BadData, match="by Ann, it holds"):
        log.judge(judgement(trial(), reason="it does not hold"))
    assert log.judgements() == {trial().id: (judgement(trial()),)}


def test_a_judgement_needs_its_trial(log: TrialLog):
    with pytest.raises(BadData, match=trial().id):
        log.judge(judgement(trial()))
    with pytest.raises(BadData, match=trial(1).id):
        log.save(trial(0), [judgement(trial(1))])
    assert log.count() == 0


def test_progress_is_a_share_or_not_known(log: TrialLog):
    for wrong in (-0.5, -1e-9, 1.0 + 1e-9, 2.0, float("nan"), float("-inf")):
        with pytest.raises(BadData, match=r"progress in 0\.\.1"):
            log.save(trial(0), [judgement(trial(0), progress=wrong)])
    assert log.count() == 0
    log.save(trial(0), [judgement(trial(0), n, progress=p) for n, p in enumerate((0.0, 0.25, 1.0, None))])
    assert [j.progress for j in log.judgements()[trial(0).id]] == [0.0, 0.25, 1.0, None]


def test_a_row_lacks_nothing_but_what_may_be_unknown(log: TrialLog):
    """The database itself refuses a row of another program that leaves out what every reader counts on."""
    from sqlalchemy import inspect

    unknown = {
        "trials": {"actions", "actions_shape"},
        "judgements": {"success", "progress"},
        "runs": {"command", "design", "finished_ns", "stopped_ns"},
    }
    tables = inspect(log._engine)
    schema = None if log._engine.dialect.name == "sqlite" else "roboscale"
    for table in ("header", "identities", "trials", "judgements", "runs", "leases"):
        nullable = {column["name"] for column in tables.get_columns(table, schema) if column["nullable"]}
        assert nullable == unknown.get(table, set()), table


# --- runs ----------------------------------------------------------------------------------------------------------


def test_runs_are_remembered_with_everything_that_was_asked(log: TrialLog):
    facts = world_facts(INFO)
    assert json.loads(json.dumps(facts)) == facts
    asked = run(world_info=facts)
    log.begin_run(asked)
    log.begin_run(run("r0", created_ns=3, command=None, design=None, policies=(), cases=()))
    assert log.runs() == (run("r0", created_ns=3, command=None, design=None, policies=(), cases=()), asked)
    assert log.runs()[1].world_info["rate_hz"] == 20.0
    assert [p.name for p in log.runs()[1].policies] == ["anna", "bert"]


def test_the_first_record_of_a_run_stays_and_another_question_is_refused(log: TrialLog):
    log.begin_run(run())
    log.begin_run(run(created_ns=9, versions={}, command="x"))
    assert log.runs() == (run(),)
    with pytest.raises(BadData, match="run r1: cases"):
        log.begin_run(run(cases=("reach/nominal/0",)))


def test_a_run_is_finished_once_and_stopped_any_number_of_times(log: TrialLog):
    others = (run("r0", created_ns=3), run("r3", created_ns=7))
    for one in (run(), *others):
        log.begin_run(one)
    log.stop_run("r1", 6)
    log.stop_run("r1", 7)
    log.finish_run("r1", 8)
    log.finish_run("r1", 9)
    assert log.runs() == (others[0], run(stopped_ns=7, finished_ns=8), others[1]), "and of the others nothing is said"
    with pytest.raises(BadData, match="found r2"):
        log.finish_run("r2", 1)


# --- leases --------------------------------------------------------------------------------------------------------


def test_one_worker_at_a_time_has_a_trial(log: TrialLog):
    assert log.lease(trial().key, "a", 60) and log.lease(trial().key, "a", 60)
    assert not log.lease(trial().key, "b", 60) and log.lease(trial(1).key, "b", 60)
    log.release(trial().key, "b")
    assert not log.lease(trial().key, "b", 60), "nobody gives back what another has"
    log.release(trial().key, "a")
    assert log.lease(trial().key, "b", 60)
    (first, second) = sorted(log.leases(), key=lambda lease: lease.key)
    assert {first.key, second.key} == {trial(0).key, trial(1).key} and first.worker == "b"
    assert 50 < first.left_s <= 60 and log.expired() == ()


def test_a_trial_that_is_saved_cannot_be_leased_and_is_nobodys_any_more(log: TrialLog):
    assert log.lease(trial().key, "a", 60)
    log.save(trial())
    assert log.leases() == () and not log.lease(trial().key, "b", 60) and log.leases() == ()


def test_an_expired_lease_is_anybodys_until_its_owner_speaks(log: TrialLog):
    assert log.lease(trial().key, "dead", -1)
    (expired,) = log.expired()
    assert (expired.key, expired.worker) == (trial().key, "dead") and expired.left_s < -0.9
    assert log.heartbeat("dead", 60) == (trial().key,) and log.expired() == ()
    assert not log.lease(trial().key, "b", 60)
    log.heartbeat("dead", -1)
    assert log.lease(trial().key, "b", 60)
    assert log.heartbeat("dead", 60) == () and log.leases()[0].worker == "b"


def test_of_many_threads_that_ask_at_once_exactly_one_gets_it(log: TrialLog):
    barrier, won = threading.Barrier(8), []

    def ask(worker: str) -> None:
        for round_ in range(20):
            barrier.wait(60)
            if log.lease(trial(round=round_).key, worker, 60):
                won.append(round_)

    threads = [threading.Thread(target=ask, args=(f"w{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(won) == list(range(20))


# --- merging -------------------------------------------------------------------------------------------------------


def shard(where, seeds, **changes) -> str:
    with open_log(where) as log:
        for seed in seeds:
            log.save(trial(seed, **changes), [judgement(trial(seed, **changes), seed)])
        log.begin_run(run(f"run of {seed}"))
    return str(where)


def test_merge_is_a_union_of_everything(log: TrialLog, tmp_path):
    a, b = shard(tmp_path / "a ä.db", [1, 2]), shard(tmp_path / "b", [2, 3], policy=BERT)
    c = shard(tmp_path / "c.db", [2, 3])
    assert log.merge([a, b, c]) == MergeCounts(trials=5, judgements=5, runs=2, identities=3, known=1)
    assert {t.id for t in log.trials()} == {trial(s).id for s in (1, 2, 3)} | {
        trial(s, policy=BERT).id for s in (2, 3)
    }
    assert_same(log.trial(trial(3).id), trial(3))
    assert log.judgements()[trial(3).id] == (judgement(trial(3), 3),)
    assert {r.id for r in log.runs()} == {"run of 2", "run of 3"}
    assert log.merge([a, b]) == MergeCounts(known=4)
    assert log.merge([]) == MergeCounts()


def test_a_merge_goes_from_any_database_to_any(log: TrialLog, log_address: str, tmp_path):  # noqa: F811
    log.save(trial(), [judgement(trial())])
    with open_log(tmp_path / "other.db") as other:
        assert other.merge([log_address]).trials == 1
        assert_same(other.trial(trial().id), trial())
        other.judge(judgement(trial(), 99, False))
    assert log.merge([str(tmp_path / "other.db")]) == MergeCounts(judgements=1, known=1)
    assert len(log.judgements()[trial().id]) == 2


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda log: log.save(trial(3, end="truncated")), "trial reach/nominal/3 .* expected end 'decided'"),
        (lambda log: log.save(trial(3), [judgement(trial(3), 3, False)]), "judgement of trial .* success True"),
        (lambda log: log.begin_run(run("run of 3", round=7)), "run run of 3: round"),
    ],
)
def test_a_merge_that_contradicts_adds_nothing_and_names_the_other_log(log: TrialLog, tmp_path, spoil, what):
    a = shard(tmp_path / "a.db", [2, 3])
    with open_log(tmp_path / "b.db") as other:
        other.save(trial(8))
        spoil(other)
    log.merge([a])
    with pytest.raises(BadData, match=f"b.db: {what}"):
        log.merge([a, str(tmp_path / "b.db")])
    assert log.count() == 2 and BERT not in log.identities()["policy"][2:]
    with pytest.raises(BadData, match=r"no\.db"):
        log.merge([a, str(tmp_path / "no.db")])


def test_a_merge_learns_that_a_run_was_finished(log: TrialLog, tmp_path):
    log.begin_run(run())
    with open_log(tmp_path / "b.db") as other:
        other.begin_run(run())
        other.finish_run("r1", 9)
    log.merge([str(tmp_path / "b.db")])
    assert log.runs() == (run(finished_ns=9),)


def test_what_was_said_of_a_run_is_kept_in_its_order_and_once(log: TrialLog):
    log.begin_run(run())
    log.note("r1", ["b is guessed", "a is assumed"], 7)
    log.note("r1", ["a is assumed", "c\0 is reused"], 9)
    assert log.notes("r1") == {"b is guessed": 7, "a is assumed": 8, "c\\x00 is reused": 10}
    assert log.notes("another") == {}
    with pytest.raises(BadData, match="notes on run r9"):
        log.note("r9", ["said of nothing"], 1)


def test_a_merge_takes_over_what_was_said_of_runs(log: TrialLog, tmp_path):
    log.begin_run(run())
    log.note("r1", ["a is assumed"], 3)
    with open_log(tmp_path / "b.db") as other:
        other.begin_run(run())
        other.note("r1", ["a is assumed", "b is guessed"], 1)
    for _ in range(2):
        log.merge([str(tmp_path / "b.db")])
        assert log.notes("r1") == {"b is guessed": 2, "a is assumed": 3}


def test_a_log_without_a_place_for_notes_is_read_and_gets_one_when_written(log_address: str):  # noqa: F811
    with open_log(log_address) as log:
        log.begin_run(run())
        log.save(trial())
        for table in ("notes", "entries"):
            execute(log, f"drop table {table}", f"drop table roboscale.{table}")
        execute(log, "pragma user_version=2", "update roboscale.header set value='2' where name='schema'")
    with open_log(log_address, read_only=True) as reading:
        assert reading.count() == 1 and reading.runs() == (run(),) and reading.notes("r1") == {}
    for _ in range(2):
        with open_log(log_address) as log:
            log.note("r1", ["a is assumed"], 3)
            assert log.count() == 1 and log.runs() == (run(),) and log.notes("r1") == {"a is assumed": 3}


def test_a_log_without_a_place_for_entries_is_read_and_gets_one_when_written(log_address: str):  # noqa: F811
    with open_log(log_address) as log:
        log.save(trial())
        execute(log, "drop table entries", "drop table roboscale.entries")
        execute(log, "pragma user_version=3", "update roboscale.header set value='3' where name='schema'")
    with open_log(log_address, read_only=True) as reading:
        assert reading.count() == 1 and reading.entries() == ()
    entry = LogEntry(id="e1", kind="joined", body={"name": "ada", "share": math.nan}, time_ns=5, monotonic_ns=2)
    with open_log(log_address) as log:
        assert log.append((entry,)) == 1 and log.count() == 1
        (kept,) = log.entries()
        assert kept.number == 1 and kept.kind == "joined" and math.isnan(kept.body["share"])


# --- opening -------------------------------------------------------------------------------------------------------


def test_a_log_opened_for_reading_refuses_to_write(log: TrialLog, log_address: str):  # noqa: F811
    log.save(trial())
    with open_log(log_address, read_only=True) as reading:
        assert reading.read_only and reading.count() == 1
        for write in (
            lambda: reading.save(trial(1)),
            lambda: reading.judge(judgement(trial())),
            lambda: reading.begin_run(run()),
            lambda: reading.note("r1", ["said"], 1),
            lambda: reading.lease(trial(1).key, "a", 1),
            lambda: reading.merge([log_address]),
        ):
            with pytest.raises(RoboscaleError, match="open for reading only"):
                write()
        log.save(trial(1))
        assert reading.count() == 2, "it sees what others write"


def test_there_must_be_something_to_read(log_address: str):  # noqa: F811
    with pytest.raises(BadData, match="a log of trials"):
        open_log(log_address, read_only=True)


def test_a_log_of_a_newer_version_is_refused(log_address: str):  # noqa: F811
    with open_log(log_address) as log:
        execute(log, "pragma user_version=99", "update roboscale.header set value='99' where name='schema'")
    for read_only in (False, True):
        with pytest.raises(BadData, match="at most 4, found 99, written by a newer version of roboscale"):
            open_log(log_address, read_only=read_only)


def test_a_row_that_lies_is_named(log: TrialLog):
    log.save(trial())
    for lie in ("series=actions", "actions_shape='[9,9]'", "measures='{'", "details='3 4'"):
        execute(log, f"update trials set {lie}", f"update roboscale.trials set {lie}")
        with pytest.raises(BadData, match=f"trial {trial().id[:8]}: expected a readable row"):
            list(log.trials())


def test_a_closed_log_says_so(log: TrialLog):
    log.close()
    for use in (log.count, lambda: log.save(trial()), lambda: list(log.trials())):
        with pytest.raises(RoboscaleError, match="closed"):
            use()
    log.close()


def test_settings_come_back_whole(log: TrialLog):
    whole = RolloutSettings(horizon=7, rate_hz=1 / 3, pace="wall", execute=4, watch="rule", latency=True)
    log.save(trial(settings=whole))
    assert log.trial(trial(settings=whole).id).settings == whole
