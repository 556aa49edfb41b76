"""The arena on its log: assignment, blindness, idempotence, and nothing known that no entry says."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event

from roboscale.arena.arena import Arena, ArenaRules
from roboscale.arena.assign import draw_sides
from roboscale.arena.people import Refused, hashed
from roboscale.core import BadData, combine
from roboscale.core.plain import to_plain
from roboscale.stats.bradley_terry import count_comparisons
from roboscale.trials.log import LogEntry, TrialLog, open_log
from tests.arena.players import RULES, account, crew, facts, score
from tests.trials.postgres import log_address, postgres  # noqa: F401


@pytest.fixture
def log(log_address: str) -> Iterator[TrialLog]:  # noqa: F811
    with open_log(log_address) as opened:
        yield opened


@pytest.fixture
def sqlite_log(tmp_path) -> Iterator[TrialLog]:
    with open_log(tmp_path / "arena.db") as opened:
        yield opened


def told(arena: Arena) -> object:
    state = arena.state
    parts = (state.accounts, state.robots, state.policies, state.matches, state.finished, state.invitations)
    return to_plain([dict(p) if isinstance(p, dict) else p for p in parts])


def test_a_match_is_kept_whole_and_read_again_alike(log: TrialLog):
    made = crew(log)
    match = made.draw()
    made.play(match, {made.policies[0]: 80.0})
    made.vote(match, "A")
    again = Arena(log, RULES)
    assert told(again) == told(made.arena)
    kept = again.state.matches[match.id]
    assert (kept.phase, kept.preference, len(kept.rollouts)) == ("voted", "A", 2)
    said = log.judgements()
    for side in kept.sides:
        rollout = kept.counted(side.letter)
        trial = log.trial(rollout.trial)
        assert trial.policy.digest == side.policy and trial.case == kept.case
        assert [j.progress for j in said[trial.id]] == [kept.scores[side.letter].progress / 100]
        assert said[trial.id][0].reason == "[dropped]"


def test_asking_again_changes_nothing_and_asking_otherwise_is_refused(log: TrialLog):
    made = crew(log)
    by = made.evaluators[0]
    match = made.draw(key="one", start=7)
    assert made.draw(key="one", start=7).id == match.id
    made.arena.finish(by, match.id, "A", 0, facts())
    made.arena.finish(by, match.id, "A", 0, facts())
    with pytest.raises(Refused, match="went otherwise"):
        made.arena.finish(by, match.id, "A", 0, facts(steps=4))
    made.arena.score(by, match.id, "A", score(30))
    made.arena.score(by, match.id, "A", score(30))
    with pytest.raises(Refused, match="has its score"):
        made.arena.score(by, match.id, "A", score(31))
    with pytest.raises(Refused, match="B is due before the vote"):
        made.arena.vote(by, match.id, "A", "", True)
    made.arena.finish(by, match.id, "B", 0, facts())
    made.arena.score(by, match.id, "B", score(60))
    for _ in range(2):
        made.arena.vote(by, match.id, "B", "further", True)
    with pytest.raises(Refused, match="has its vote"):
        made.arena.vote(by, match.id, "A", "further", True)
    assert log.count() == 2 and sum(len(j) for j in log.judgements().values()) == 2
    assert Counter(e.kind for e in log.entries())["vote"] == 1


def test_void_rollouts_are_kept_and_tried_again(log: TrialLog):
    made = crew(log)
    by, match = made.evaluators[0], made.draw()
    made.arena.finish(by, match.id, "A", 0, facts(end="void"))
    assert match.next_letter == "A" and match.attempts("A") == 1
    with pytest.raises(Refused, match="no rollout that counts"):
        made.arena.score(by, match.id, "A", score(10))
    made.arena.finish(by, match.id, "A", 1, facts())
    assert [(r.attempt, r.end) for r in match.rollouts] == [(0, "void"), (1, "truncated")]
    assert log.count() == 2


def test_two_servers_on_one_log_never_write_past_each_other(log: TrialLog):
    made = crew(log)
    other = Arena(log, RULES)
    match, by = made.draw(), made.evaluators[0]
    for letter, server in (("A", made.arena), ("B", other)):
        server.finish(by, match.id, letter, 0, facts())
        server.score(by, match.id, letter, score(40))
    assert made.arena.state.matches[match.id].next_letter == "B", "it has not heard of the other's yet"
    made.arena.vote(by, match.id, "A", "", True)
    match = made.draw()
    made.play(match, {})
    other.vote(made.evaluators[0], match.id, "tie", "", True)
    with pytest.raises(Refused, match="has its vote"):
        made.arena.vote(made.evaluators[0], match.id, "A", "", True)
    numbers = [entry.number for entry in log.entries()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_entry_is_appended_once_and_only_after_what_its_writer_knows(log: TrialLog):
    one, two = (LogEntry(id=i, kind="k", body={"i": i}, time_ns=1, monotonic_ns=1) for i in "ab")
    assert log.append((one,)) == 1
    assert log.append((one,), after=0) is None, "it is newer than what the writer knows"
    assert log.append((one,), after=1) == 1, "it is there already"
    assert log.append((two,), after=0) is None and len(log.entries()) == 1
    assert log.append((two,), after=1) == 2
    with pytest.raises(BadData, match="entry a"):
        log.append((LogEntry(id="a", kind="k", body={"i": "other"}, time_ns=1, monotonic_ns=1),))


def test_what_is_written_is_one_transaction_of_few_statements(log: TrialLog):
    made = crew(log)
    match, by = made.draw(), made.evaluators[0]
    made.arena.finish(by, match.id, "A", 0, facts())
    calls = {
        "score": lambda: made.arena.score(by, match.id, "A", score(40)),
        "rollout": lambda: made.arena.finish(by, match.id, "B", 0, facts()),
        "film": lambda: made.arena.add_film(by, match.id, "B", 0, "f" * 32),
    }
    asked: dict[str, list[str]] = {}
    for name, call in calls.items():
        seen = asked[name] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any, seen: list[str] = seen) -> None:
            seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            call()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    assert {name: len(seen) for name, seen in asked.items()} == {"score": 5, "rollout": 5, "film": 3}
    assert all([s.startswith("begin") for s in seen].count(True) == 1 for seen in asked.values())


def test_entries_are_merged(log: TrialLog, tmp_path):
    with open_log(tmp_path / "other.db") as other:
        crew(other, policies=1)
        count = len(other.entries())
    assert log.merge([str(tmp_path / "other.db")]).entries == count
    assert log.merge([str(tmp_path / "other.db")]).entries == 0


def test_the_draw_is_kept_with_its_probability_and_can_be_drawn_again(sqlite_log: TrialLog):
    made = crew(sqlite_log, policies=4)
    for _ in range(12):
        match = made.draw()
        names = sorted(s.policy for s in match.sides)
        chance, _ = match.drawn["candidates"]["|".join(names)]
        assert match.probability == pytest.approx(chance / 2, abs=1e-8)
        assert sum(p for p, _ in match.drawn["candidates"].values()) == pytest.approx(1)
        again = draw_sides(
            made.arena.state.compared(), [p for one in match.drawn["candidates"] for p in one.split("|")], match.seed
        )
        if len(match.drawn["candidates"]) == 6:
            assert list(again.policies) == [s.policy for s in match.sides]
        made.play(match, {})
        made.vote(match, "tie")


def test_settled_pairs_meet_less_often_and_every_pair_may_meet():
    known = count_comparisons(["a"] * 30, ["b"] * 30, ["first"] * 30, policies=("a", "b", "c"))
    drawn = [draw_sides(known, "abc", seed) for seed in range(300)]
    met = Counter(tuple(sorted(one.policies)) for one in drawn)
    assert 0 < met["a", "b"] < min(met["a", "c"], met["b", "c"])
    first = Counter(one.policies[0] < one.policies[1] for one in drawn)
    assert abs(first[True] - 150) < 40, "the order is a coin's"
    more = count_comparisons(["a", "b"] * 30, ["b", "c"] * 30, ["first"] * 60, policies=("a", "b", "c"))
    mixed = [draw_sides(one, "abc", 7) for one in (known, more, known, more)]  # what is kept is kept by content
    assert mixed[0] == mixed[2] and mixed[1] == mixed[3] and mixed[0].gains != mixed[1].gains


@pytest.mark.parametrize("sides", [3, 5])
def test_more_than_two_meet_in_one_scene(sqlite_log: TrialLog, sides: int):
    made = crew(sqlite_log, policies=5)
    match = made.draw(sides=sides)
    progress = {policy: 10.0 * k for k, policy in enumerate(made.policies)}
    made.play(match, progress)
    made.arena.vote(made.evaluators[0], match.id, "", "", True)
    pairs = match.comparisons()
    assert len(pairs) == sides * (sides - 1) // 2
    for a, b, outcome in pairs:
        better = progress[match.policy_of(a)] > progress[match.policy_of(b)]
        assert outcome == ("first" if better else "second")


def test_nobody_evaluates_their_own_and_nobody_goes_on_without_credit(sqlite_log: TrialLog):
    # the draw is seeded: where one pair meets twice, its credits are gone and there is no third match
    rules = ArenaRules(checks=False, credits=1.0)
    made = crew(sqlite_log, policies=3, rules=rules, draw_seed=itertools.count().__next__)
    own = account(made.arena, "owner", "lab 0")
    mine = made.arena.add_policy(own, "mine", combine("mine", "mine"), False).id
    made.policies.append(mine)
    for _ in range(3):
        match = made.draw()
        assert mine not in {s.policy for s in match.sides}
        assert match.drawn["left_out"][mine] == "of the evaluator's own group"
        made.play(match, {})
        made.vote(match, "A")
    with pytest.raises(Refused, match="no credit left"):
        made.draw()


def test_a_match_that_nobody_goes_on_with_expires(sqlite_log: TrialLog):
    made = crew(sqlite_log, rules=ArenaRules(checks=False, expire_s=0.0))
    first = made.draw()
    second = made.draw()
    assert first.phase == "expired" and second.phase == "open"
    with pytest.raises(Refused, match="this match is over: expired"):
        made.arena.finish(made.evaluators[0], first.id, "A", 0, facts())


def test_secrets_are_kept_as_hashes_and_tokens_do_what_their_role_allows(sqlite_log: TrialLog):
    arena = Arena(sqlite_log, RULES)
    code = arena.invite(None, "organiser", "us")
    organiser, token = arena.join(code, "ada")
    with pytest.raises(Refused, match="unknown, used or expired"):
        arena.join(code, "eve")
    written = json.dumps([dict(e.body) for e in sqlite_log.entries()])
    assert token not in written and code not in written and hashed(token) in written
    owner = account(arena, "owner", "team")
    with pytest.raises(Refused, match="only organisers"):
        arena.invite(owner, "organiser", "team")
    with pytest.raises(Refused, match="this is for evaluators"):
        arena.draw(owner, {}, ())
    assert arena.who(token) == organiser
    arena.revoke(organiser, organiser.id)
    assert arena.who(token) is None and arena.who("") is None


def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(log: TrialLog):
    """The server dies before or after a commit, before anybody heard of it; whoever asked asks another one again."""
    rng = np.random.default_rng(3)
    made = crew(log)
    by, deaths, acknowledged = made.evaluators[0], 0, []

    class Died(Exception):
        pass

    append = log.append

    def dying(*args, **kwargs):
        nonlocal deaths
        when = rng.choice(["not", "before", "after"], p=[0.7, 0.15, 0.15])
        if when == "before":
            deaths += 1
            raise Died
        done = append(*args, **kwargs)
        if when == "after":
            deaths += 1
            raise Died
        return done

    log.append = dying

    def surely(ask):
        while True:
            try:
                return ask()
            except Died:
                made.arena = Arena(log, RULES)

    for k in range(8):
        key = f"match {k}"
        match = surely(lambda key=key, k=k: made.draw(key=key, start=k))
        for letter in "AB":
            surely(lambda match=match, letter=letter: made.arena.finish(by, match.id, letter, 0, facts()))
            surely(lambda match=match, letter=letter: made.arena.score(by, match.id, letter, score(40)))
        surely(lambda match=match: made.arena.vote(by, match.id, "tie", "", True))
        acknowledged.append(match.id)
    log.append = append
    state = Arena(log, RULES).state
    assert deaths >= 10
    assert state.finished == acknowledged
    assert log.count() == 16 and all(len(m.rollouts) == 2 for m in state.matches.values())
    assert sum(len(said) for said in log.judgements().values()) == 16
