"""The schedule: pairing, order of evidence, void trials, resuming, dead processes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    Case,
    InfrastructureError,
    PairedOutcome,
    RoboscaleError,
    SpecMismatch,
    Verdict,
    cases,
)
from roboscale.testing.toy_world import ToyWorld
from roboscale.trials import Schedule, TrialRunner, TrialStore, interleave, make_slots

CASES = interleave([cases("near", 4, 0, "eval"), cases("far", 4, 0, "eval")])


class Stay:
    """Never moves; remembers its sessions."""

    name = "stay"
    observation_spec = None
    action_spec = None

    def __init__(self) -> None:
        self.started: list[int] = []

    def start(self, instruction: str, seed: int):
        self.started.append(seed)
        return lambda seen: ActionChunk(np.zeros((20, 1), np.float32))


class Stop:
    """Stops after `limit` pairs and keeps what it was told."""

    def __init__(self, limit: int) -> None:
        self.limit, self.pairs = limit, []

    def update(self, pair: PairedOutcome) -> bool:
        self.pairs.append(pair)
        return len(self.pairs) >= self.limit

    def finish(self) -> None: ...

    def verdict(self) -> Verdict: ...


def runner(path: Path, policies: Sequence, workers: int = 0, faults=None, per_process: int = 1, **more):
    factory = partial(ToyWorld, faults or {})
    slots = make_slots(factory, workers, per_process)
    store = TrialStore(path / "t.db")
    return TrialRunner(ToyWorld(), "toy", {p.name: p for p in policies}, slots, store, **more)


def close(run: TrialRunner) -> None:
    for slot in run.slots:
        slot.close()
    run.store.close()


@pytest.mark.parametrize(("workers", "per_process"), [(0, 1), (0, 3), (2, 1)])
def test_pairs_come_in_schedule_order_whoever_finishes_first(tmp_path: Path, workers: int, per_process: int):
    run = runner(tmp_path, [ToyWorld().expert(), Stay()], workers, per_process=per_process)
    schedule = Schedule(("expert", "stay"), CASES)
    trials = run.run(schedule)
    close(run)
    assert [(t.case, t.policy) for t in trials] == list(schedule.pairs())
    assert all(t.outcome.success is (t.policy == "expert") for t in trials)
    first = [p for c, p in schedule.pairs()][::2]
    assert first == ["expert", "stay"] * 4, "no policy always goes first"


def test_interleaving_balances_every_prefix():
    assert [c.task for c in CASES[:4]] == ["near", "far", "near", "far"]
    assert len(interleave([cases("a", 1, 0, "eval"), cases("b", 3, 0, "eval")])) == 4


def test_evidence_stops_the_run_and_what_was_under_way_does_not_count(tmp_path: Path):
    rule = Stop(3)
    run = runner(tmp_path, [ToyWorld().expert(), Stay()], per_process=4, rule=rule)
    trials = run.run(Schedule(("expert", "stay"), CASES))
    assert len(trials) == 6 and [p.stratum for p in rule.pairs] == ["near", "far", "near"]
    assert all(p.first is True and p.second is False for p in rule.pairs)
    assert len(run.store) > 6, "trials under way are kept on disk"
    close(run)


def test_finished_trials_are_not_run_again(tmp_path: Path):
    stay = Stay()
    first = runner(tmp_path, [stay])
    before = first.run(Schedule(("stay",), CASES[:5]))
    close(first)
    again = runner(tmp_path, [stay])
    trials = again.run(Schedule(("stay",), CASES))
    close(again)
    assert len(stay.started) == len(CASES) and [t.case for t in trials[:5]] == [t.case for t in before]


def test_a_killed_run_finishes_with_the_same_results(tmp_path: Path):
    whole = runner(tmp_path / "whole", [ToyWorld().expert(), Stay()])
    expected = [(t.case, t.policy, t.outcome) for t in whole.run(Schedule(("expert", "stay"), CASES))]
    close(whole)

    def interrupt(trial) -> None:
        if len(killed.store) == 5:
            raise KeyboardInterrupt

    killed = runner(tmp_path / "killed", [ToyWorld().expert(), Stay()], on_trial=interrupt)
    with pytest.raises(KeyboardInterrupt):
        killed.run(Schedule(("expert", "stay"), CASES))
    assert len(killed.store) == 5
    close(killed)
    resumed = runner(tmp_path / "killed", [ToyWorld().expert(), Stay()])
    assert [(t.case, t.policy, t.outcome) for t in resumed.run(Schedule(("expert", "stay"), CASES))] == expected
    close(resumed)


@pytest.mark.parametrize(
    ("fault", "workers", "reason"),
    [
        ("void", 0, "motor is off"),
        ("raise", 0, "ZeroDivisionError"),
        ("void", 1, "motor is off"),
        ("raise", 1, "ZeroDivisionError"),
        ("die", 1, "exit code 7"),
        ("hang", 1, "did not answer within 1"),
    ],
)
def test_a_broken_world_is_void_retried_and_costs_no_other_trial(tmp_path: Path, fault, workers: int, reason: str):
    broken = CASES[1]
    run = runner(tmp_path, [Stay()], workers, {broken.seed: fault})
    for slot in run.slots:
        if fault == "hang":
            slot._timeout_s = 1.0
    trials = run.run(Schedule(("stay",), CASES[:4], retries=2))
    attempts = run.store.find("stay", "toy", broken)
    close(run)
    assert [t.outcome.status for t in trials] == ["failure", "void", "failure", "failure"]
    assert len(attempts) == 3 and all(reason in t.outcome.reason for t in attempts)


def test_a_case_that_stays_void_leaves_the_comparison_for_both(tmp_path: Path):
    rule = Stop(99)
    run = runner(tmp_path, [ToyWorld().expert(), Stay()], faults={CASES[0].seed: "void"}, rule=rule)
    run.run(Schedule(("expert", "stay"), CASES, retries=0))
    close(run)
    assert (rule.pairs[0].first, rule.pairs[0].second) == (None, None) and len(rule.pairs) == len(CASES)


def test_a_policy_that_cannot_start_is_void(tmp_path: Path):
    class Gone(Stay):
        name = "gone"

        def start(self, instruction: str, seed: int):
            raise InfrastructureError("connection refused")

    run = runner(tmp_path, [Gone()])
    (trial,) = run.run(Schedule(("gone",), CASES[:1]))
    close(run)
    assert trial.outcome.status == "void" and trial.attempt == 1


def test_batches_are_used_where_a_policy_has_them(tmp_path: Path):
    class Batched(Stay):
        name = "batched"
        sizes: list[int] = []

        def act_many(self, sessions, observations):
            self.sizes.append(len(sessions))
            return [s(o) for s, o in zip(sessions, observations, strict=True)]

    run = runner(tmp_path, [Batched()], per_process=3)
    run.run(Schedule(("batched",), CASES))
    close(run)
    assert max(Batched.sizes) == 3


def test_one_policy_error_in_a_batch_fails_only_its_own_trial(tmp_path: Path):
    class Picky(Stay):
        name = "picky"

        def start(self, instruction: str, seed: int):
            return lambda seen: ActionChunk(np.full((20, 1), np.nan if "far" in instruction else 0.0))

        def act_many(self, sessions, observations):
            raise InfrastructureError("one of you is bad")

    run = runner(tmp_path, [Picky()], per_process=2)
    trials = run.run(Schedule(("picky",), CASES))
    close(run)
    assert all(("finite" in t.outcome.reason) is (t.case.task == "far") for t in trials)


def test_recorded_trials_become_episodes_once(tmp_path: Path):
    from roboscale.dataset import Dataset, DatasetWriter
    from roboscale.trials import recording_spec

    for _ in range(2):
        with DatasetWriter(tmp_path / "d", recording_spec(ToyWorld())) as writer:
            run = runner(tmp_path / str(len(writer.episode_ids)), [ToyWorld().expert()], sink=writer)
            run.record = lambda case, policy: case.task == "near"
            trials = run.run(Schedule(("expert",), CASES))
            close(run)
    dataset = Dataset(tmp_path / "d")
    assert [e.id for e in dataset.episodes] == [t.episode for t in trials if t.case.task == "near"]
    assert dataset.episodes[0].outcome == trials[0].outcome and dataset.episodes[0].provenance.source == "eval"


def test_impossible_requests_are_refused_before_the_first_trial(tmp_path: Path):
    with pytest.raises(RoboscaleError, match="named twice"):
        Schedule(("stay", "stay"), CASES)
    with pytest.raises(RoboscaleError, match="expected i/n"):
        Schedule(("stay",), CASES, shard=(2, 2))
    run = runner(tmp_path, [ToyWorld().expert(), Stay()], rule=Stop(1))
    with pytest.raises(RoboscaleError, match="--shard"):
        run.run(Schedule(("expert", "stay"), CASES, shard=(0, 2)))
    stay = Stay()
    stay.action_spec = ToyWorld().observation_spec
    run = runner(tmp_path / "x", [stay])
    with pytest.raises(SpecMismatch, match="policy stay does not fit world toy"):
        run.run(Schedule(("stay",), CASES))
    assert len(run.store) == 0


def test_an_unknown_task_is_an_error_and_no_void_trial(tmp_path: Path):
    for workers in (0, 1):
        run = runner(tmp_path / str(workers), [Stay()], workers)
        with pytest.raises(RoboscaleError, match="unknown task"):
            run.run(Schedule(("stay",), (Case("nera", 1),)))
        assert len(run.store) == 0
        close(run)


def test_shards_are_a_partition():
    parts = [Schedule(("p",), CASES, shard=(i, 3)).own_cases() for i in range(3)]
    assert sorted(c for part in parts for c in part) == sorted(CASES)
