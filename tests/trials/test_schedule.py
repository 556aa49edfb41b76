"""The schedule: pairing, order of evidence, void trials, resuming, rounds, dead processes, scenes side by side."""

import importlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    Case,
    Identity,
    InfrastructureError,
    Judgement,
    PolicyError,
    RoboscaleError,
    RolloutSettings,
    Spec,
    SpecMismatch,
    SuccessRule,
    cases,
    combine,
)
from roboscale.referees import Person, SuccessReferee
from roboscale.trials import Schedule, TrialRunner, interleave, make_slots
from roboscale.trials.log import open_log
from roboscale.trials.slots import Job, run_in_order
from tests.toy_world import HANG_MARKS, ToyExpert, ToyWorld, break_down

CASES = interleave([cases("near", 4, 0, "eval"), cases("far", 4, 0, "eval")])


class Stay:
    """Never moves; remembers its sessions."""

    observation_spec = None
    action_spec = None
    history = 1

    def __init__(self, name: str = "stay", answer=None) -> None:
        self.name, self.identity = name, combine(name, "stay", name)
        self.started: list[int] = []
        self.answer = answer or (lambda seen: ActionChunk(np.zeros((20, 1), np.float32)))

    def start(self, instruction: str, seed: int):
        self.started.append(seed)
        return self.answer


class Batched(Stay):
    """The expert, asked for several sessions at once."""

    def __init__(self) -> None:
        super().__init__("batched")
        self.sizes: list[int] = []

    def act_many(self, sessions, observations):
        self.sizes.append(len(sessions))
        return [self.answer(o) for o in observations]


class Stop:
    """Stops after `limit` cases and keeps what it was told."""

    def __init__(self, limit: int, drop: str = "") -> None:
        self.limit, self.drop, self.rows = limit, drop, []

    def update(self, case: Case, outcomes):
        self.rows.append((case, dict(outcomes)))
        if len(self.rows) >= self.limit:
            return ()
        return tuple(name for name in outcomes if name != self.drop)


def runner(
    path: Path, policies: Sequence, workers: int = 0, worlds: int = 1, faults=None, judged: bool = True, **more
) -> TrialRunner:
    factory = more.pop("factory", None) or partial(ToyWorld, faults or {}, judged=judged)
    info = ToyWorld(judged=judged).info
    referee = SuccessReferee(SuccessRule()) if judged else Person()
    clock = {"now_s": more.pop("now_s")} if "now_s" in more else {}
    return TrialRunner(
        info=info,
        world=info.identity,
        policies={p.identity: p for p in policies},
        settings=RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch=referee.name),
        referee=referee,
        slots=make_slots(
            factory,
            workers=workers,
            worlds=worlds,
            timeout_s=more.pop("timeout_s", 60.0),
            start_timeout_s=more.pop("start_timeout_s", 120.0),
            **clock,
        ),
        log=open_log(path / "t.db"),
        **more,
    )


def close(run: TrialRunner) -> None:
    for slot in run.slots:
        slot.close()
    run.log.close()


def schedule(*policies, of=CASES, **more) -> Schedule:
    return Schedule(policies=tuple(p.identity for p in policies), cases=tuple(of), **more)


@pytest.mark.parametrize(("workers", "worlds"), [(0, 1), (0, 3), (2, 1), (1, 3)])
def test_pairs_come_in_schedule_order_whoever_finishes_first(tmp_path: Path, workers: int, worlds: int):
    expert, stay = ToyExpert(), Stay()
    run = runner(tmp_path, [expert, stay], workers, worlds)
    plan = schedule(expert, stay)
    counted = run.run(plan)
    close(run)
    assert [(c.case, c.policy) for c in counted] == list(plan.pairs())
    assert all(c.outcome.success is (c.policy == expert.identity) for c in counted)
    first = [p.name for c, p in plan.pairs()][::2]
    assert first == ["expert", "stay"] * 4, "no policy always goes first"


def test_interleaving_balances_every_prefix():
    assert [c.task for c in CASES[:4]] == ["near", "far", "near", "far"]
    assert len(interleave([cases("a", 1, 0, "eval"), cases("b", 3, 0, "eval")])) == 4


def test_a_policy_that_takes_batches_gets_what_waits_in_one_process(tmp_path: Path):
    batched = Batched()
    run = runner(tmp_path, [batched], worlds=4)
    run.run(schedule(batched))
    close(run)
    assert max(batched.sizes) == 4


def test_evidence_stops_the_run_and_what_was_under_way_is_kept(tmp_path: Path):
    rule, expert, stay = Stop(3), ToyExpert(), Stay()
    run = runner(tmp_path, [expert, stay], worlds=4, rule=rule)
    run.run(schedule(expert, stay))
    assert [case.task for case, _ in rule.rows] == ["near", "far", "near"]
    assert all(outcomes == {"expert": 1.0, "stay": 0.0} for _, outcomes in rule.rows)
    assert 6 <= run.log.count() < 16
    close(run)


@pytest.mark.parametrize(("workers", "worlds"), [(0, 4), (2, 1), (1, 4)])
def test_what_was_under_way_when_a_run_stopped_leaves_its_slot_idle(tmp_path: Path, workers: int, worlds: int):
    """The slots go on to replay trials into a dataset; an event of a rollout that nobody waits for is not theirs."""
    expert, stay = ToyExpert(), Stay()
    run = runner(tmp_path, [expert, stay], workers, worlds, rule=Stop(3))
    counted = [c.trial for c in run.run(schedule(expert, stay)) if c.trial is not None]
    jobs = [Job(trial=t, referee=run.referee, actions=t.actions) for t in counted]
    again = [finished.trial for finished in run_in_order(run.slots, jobs)]
    close(run)
    assert len(again) >= 6
    assert [(t.id, t.end, t.steps) for t in again] == [(t.id, t.end, t.steps) for t in counted]


def test_a_policy_out_of_play_is_not_tried_further(tmp_path: Path):
    rule, expert, stay, third = Stop(99, drop="third"), ToyExpert(), Stay(), Stay("third")
    run = runner(tmp_path, [expert, stay, third], rule=rule)
    counted = run.run(schedule(expert, stay, third))
    close(run)
    assert len([c for c in counted if c.policy.name == "third"]) <= 2
    assert len([c for c in counted if c.policy.name == "stay"]) == len(CASES)
    assert [set(o) for _, o in rule.rows[1:]] == [{"expert", "stay"}] * (len(CASES) - 1)


def test_finished_trials_are_found_and_said(tmp_path: Path):
    stay, reused = Stay(), []
    first = runner(tmp_path, [stay])
    before = first.run(schedule(stay, of=CASES[:5]))
    close(first)
    again = runner(tmp_path, [stay], on_reuse=reused.extend)
    counted = again.run(schedule(stay))
    close(again)
    assert len(stay.started) == len(CASES) and [c.case for c in counted[:5]] == [c.case for c in before]
    assert len(reused) == 5


def test_another_round_tries_all_again_and_counts(tmp_path: Path):
    stay = Stay()
    for number in (0, 1):
        run = runner(tmp_path, [stay])
        counted = run.run(schedule(stay, round=number))
        close(run)
    assert len(stay.started) == 2 * len(CASES) and {c.rounds for c in counted} == {2}


def test_results_belong_to_content_not_to_names(tmp_path: Path):
    first, second = Stay("policy"), Stay("policy")
    second.identity = Identity("policy", combine("other weights").digest)
    for policy in (first, second):
        run = runner(tmp_path, [policy])
        run.run(schedule(policy))
        close(run)
    assert len(first.started) == len(second.started) == len(CASES)


def test_a_killed_run_finishes_with_the_same_results(tmp_path: Path):
    def run_of(path, **more):
        return runner(tmp_path / path, [ToyExpert(), stay], **more)

    stay = Stay()
    plan = schedule(ToyExpert(), stay)
    whole = run_of("whole")
    expected = [(c.case, c.policy, c.outcome) for c in whole.run(plan)]
    close(whole)
    finished = []

    def interrupt(trial, judgement) -> None:
        finished.append(trial)
        if len(finished) == 5:
            raise KeyboardInterrupt

    killed = run_of("killed", on_trial=interrupt)
    with pytest.raises(KeyboardInterrupt):
        killed.run(plan)
    assert killed.log.count() == 5
    close(killed)
    resumed = run_of("killed")
    assert [(c.case, c.policy, c.outcome) for c in resumed.run(plan)] == expected
    close(resumed)


def test_void_trials_are_retried_and_then_stay_void(tmp_path: Path):
    seed = CASES[0].seed
    assert seed is not None
    stay = Stay()
    run = runner(tmp_path, [stay], faults={seed: "void"})
    counted = run.run(schedule(stay, retries=2))
    close(run)
    assert counted[0].outcome.status == "void" and counted[0].attempt == 2
    assert [c.outcome.status for c in counted[1:]] == ["failure"] * (len(CASES) - 1)


def test_voids_of_an_earlier_run_are_tried_again(tmp_path: Path):
    stay = Stay()
    broken = runner(tmp_path, [stay], faults={c.seed: "void" for c in CASES if c.seed is not None})
    assert all(c.outcome.status == "void" for c in broken.run(schedule(stay)))
    close(broken)
    mended = runner(tmp_path, [stay])
    counted = mended.run(schedule(stay))
    close(mended)
    assert all(c.outcome.status == "failure" and c.attempt == 2 for c in counted)


@pytest.mark.parametrize("worlds", [1, 2])
@pytest.mark.parametrize(("fault", "reason"), [("die", "exit code 7"), ("hang", "did not answer"), ("raise", "Zero")])
def test_a_world_that_dies_or_hangs_takes_one_trial_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault, reason: str, worlds: int
):
    marks = tmp_path / "marks"
    marks.touch()
    monkeypatch.setenv(HANG_MARKS, str(marks))

    def now_s() -> float:
        return 1e6 * marks.stat().st_size + time.monotonic()  # an hour is over as soon as a world hangs

    seed = CASES[2].seed
    assert seed is not None
    stay = Stay(answer=lambda seen: ActionChunk(np.zeros((4, 1), np.float32)))
    run = runner(tmp_path, [stay], workers=1, worlds=worlds, faults={seed: fault}, timeout_s=3600.0, now_s=now_s)
    counted = run.run(schedule(stay, retries=1))
    close(run)
    void = [c for c in counted if c.outcome.success is None]
    assert [c.case.seed for c in void] == [seed] and reason in void[0].outcome.reason
    assert len(counted) == len(CASES)
    assert marks.stat().st_size == (2 if fault == "hang" else 0), "it was tried twice"


class NeverThere:
    """A factory that hangs where a process unpickles it: that process never greets."""

    def __call__(self) -> ToyWorld:
        raise AssertionError("nobody has it")

    def __reduce__(self):
        return break_down, ("hang",)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (partial(ToyWorld, start_faults={c.seed: "hang" for c in CASES}), "world did not answer within 3600 s"),
        (NeverThere(), "world process did not start within 7200 s"),
    ],
    ids=["start", "process"],
)
def test_a_world_that_hangs_before_its_first_step_is_void_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory, reason: str
):
    marks = tmp_path / "marks"
    marks.touch()
    monkeypatch.setenv(HANG_MARKS, str(marks))
    looks = itertools.count()

    def now_s() -> float:
        """Once a world hangs, every look at the clock is days later: the hang may precede the greeting's arrival."""
        return 1e6 * next(looks) if marks.stat().st_size else 0.0

    limits = {"timeout_s": 3600.0, "start_timeout_s": 7200.0, "now_s": now_s}
    stay = Stay()
    run = runner(tmp_path, [stay], workers=1, factory=factory, **limits)
    (counted,) = run.run(schedule(stay, of=CASES[:1], retries=0))
    close(run)
    assert counted.outcome.status == "void" and counted.outcome.reason == reason


def test_a_mistake_is_a_failure_and_a_broken_carrier_is_void(tmp_path: Path):
    calls = iter(range(1000))

    def answer(seen):
        number = next(calls)
        if number == 2:
            raise PolicyError("nonsense")
        if number == 4:
            raise InfrastructureError("server gone")
        return ActionChunk(np.zeros((20, 1), np.float32))

    stay = Stay(answer=answer)
    run = runner(tmp_path, [stay])
    counted = run.run(schedule(stay, retries=0))
    close(run)
    assert [c.outcome.status for c in counted] == [*["failure"] * 4, "void", *["failure"] * 3]
    assert counted[2].trial is not None and counted[2].trial.end == "policy error"
    assert (counted[2].outcome.reason, counted[4].outcome.reason) == ("nonsense", "server gone")


def test_a_policy_that_never_acts_stops_the_run_with_the_reason(tmp_path: Path):
    wrong = Stay(answer=lambda seen: PolicyError("returned a tuple"))
    run = runner(tmp_path, [wrong, ToyExpert()])
    with pytest.raises(RoboscaleError, match=r"stay never acted: .* first 3 .*returned a tuple"):
        run.run(schedule(wrong, ToyExpert()))
    again = runner(tmp_path, [wrong])
    with pytest.raises(RoboscaleError, match="never acted"):
        again.run(schedule(wrong))
    close(run)
    close(again)


def test_trials_that_wait_for_a_person_do_not_hold_up_the_run(tmp_path: Path):
    stay = Stay()
    run = runner(tmp_path, [stay], judged=False)
    counted = run.run(schedule(stay))
    close(run)
    assert all(c.pending for c in counted) and len(counted) == len(CASES)


def verdict(trial, success: bool = True) -> Judgement:
    return Judgement(trial=trial.id, referee="person", time_ns=9 * 10**18, state="decided", success=success, by="Ann")


def test_the_bench_is_asked_for_what_waits_as_soon_as_it_is_kept(tmp_path: Path):
    """One trial at a time: it is in the log when somebody is asked, and the next has not begun."""
    stay, asked = Stay(), []

    def decide(trial):
        asked.append(trial.case)
        assert run.log.trial(trial.id).case == trial.case and len(stay.started) == len(asked)
        return verdict(trial, trial.case.task == "near") if len(asked) <= 6 else None

    run = runner(tmp_path, [stay], judged=False, decide=decide)
    counted = run.run(schedule(stay))
    assert asked == list(CASES)
    assert [c.outcome.status for c in counted[:6]] == ["success", "failure"] * 3
    assert [c.pending for c in counted] == [False] * 6 + [True] * 2
    assert sum(len(said) > 1 for said in run.log.judgements().values()) == 6
    close(run)
    later: list[Case] = []
    again = runner(tmp_path, [stay], judged=False, decide=lambda trial: later.append(trial.case) or verdict(trial))
    counted = again.run(schedule(stay))
    close(again)
    assert later == list(CASES[6:]) and len(stay.started) == len(CASES), "those that still wait, and no other"
    assert not any(c.pending for c in counted) and {c.outcome.status for c in counted[6:]} == {"success"}


def test_the_bench_is_asked_for_what_broke_or_was_a_mistake_and_not_for_what_was_judged(tmp_path: Path):
    answers = {2: PolicyError("nonsense"), 4: InfrastructureError("server gone")}
    numbers, asked = itertools.count(), []

    def answer(seen):
        if (error := answers.get(next(numbers))) is not None:
            raise error
        return ActionChunk(np.zeros((20, 1), np.float32))

    stay = Stay(answer=answer)
    run = runner(tmp_path, [stay], decide=lambda trial: asked.append((trial.case, trial.end)))
    run.run(schedule(stay, retries=0))
    close(run)
    assert asked == [(CASES[2], "policy error"), (CASES[4], "void")]


def test_policies_that_do_not_fit_are_refused_before_the_first_trial(tmp_path: Path):
    info = ToyWorld().info

    class Sees(ToyExpert):
        observation_spec = info.action_spec

    class Acts(ToyExpert):
        action_spec = Spec((replace(info.action_spec["action"], unit="mm"),), info.rate_hz)

    for wrong, said in ((Sees(), "action"), (Acts(), "unit.*mm")):
        run = runner(tmp_path, [wrong])
        with pytest.raises(SpecMismatch, match=rf"(?s)policy expert.*world toy.*{said}|{said}.*policy expert"):
            run.run(schedule(wrong))
        assert run.log.count() == 0
        close(run)


def test_a_policy_that_takes_one_session_is_asked_for_one_at_a_time(tmp_path: Path):
    busy, most = [0], [0]

    class Single(Stay):
        sessions = 1

        def start(self, instruction: str, seed: int):
            steps = iter(range(5))

            def act(seen):
                step = next(steps)
                if step == 0:
                    busy[0] += 1
                    most[0] = max(most[0], busy[0])
                if step == 4:
                    busy[0] -= 1
                return ActionChunk(np.zeros((4, 1), np.float32))

            return act

    single = Single("single")
    run = runner(tmp_path, [single], worlds=4)
    assert len(run.run(schedule(single))) == len(CASES)
    close(run)
    assert most[0] == 1


def test_the_same_content_twice_is_refused():
    stay = Stay()
    with pytest.raises(RoboscaleError, match="takes part twice"):
        schedule(stay, stay)


def test_two_runs_on_one_log_share_the_work(tmp_path: Path):
    import threading

    policies = [Stay("stay"), Stay("stay")]  # one for each process, the same content
    results = []

    def work(policy: Stay) -> None:
        run = runner(tmp_path, [policy])
        results.append(run.run(schedule(policy)))
        close(run)

    threads = [threading.Thread(target=work, args=(p,)) for p in policies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(r) for r in results] == [len(CASES)] * 2
    assert sum(len(p.started) for p in policies) == len(CASES), "no trial was made twice"


def ended() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("host", "process", "freed"),
    [
        (socket.gethostname(), ended, True),
        (socket.gethostname(), os.getpid, False),
        ("another-machine", ended, False),
        (socket.gethostname(), lambda: "no number", False),
    ],
    ids=["dead", "alive", "elsewhere", "strange"],
)
def test_what_a_dead_process_of_this_machine_was_about_to_try_is_anybodys_at_once(
    tmp_path: Path, host: str, process, freed: bool
):
    """Others may live: their trials wait until their leases run out."""

    class Waited(Exception):
        pass

    def wait(count: int) -> None:
        raise Waited(count)

    stay = Stay()
    run = runner(tmp_path, [stay], on_wait=wait)
    plan = schedule(stay, of=CASES[:3])
    for case in CASES[:2]:
        key = run._planned(case, stay.identity, 0, plan).key
        assert run.log.lease(key, f"{host}/{process()}/abc", 3600.0)
    if freed:
        assert len(run.run(plan)) == 3 and len(stay.started) == 3
    else:
        with pytest.raises(Waited, match="2"):
            run.run(plan)
        assert len(stay.started) == 1 and len(run.log.leases()) == 2
    close(run)


def test_an_interrupt_while_a_process_imports_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Ctrl-C reaches every process of a terminal, and one that is importing a simulator has no word for it yet."""
    (tmp_path / "interrupted_world.py").write_text(
        "import multiprocessing, os, signal\nfrom tests.toy_world import ToyWorld\n"
        "if hasattr(multiprocessing.current_process(), '_inheriting'):\n    os.kill(os.getpid(), signal.SIGINT)\n\n"
        "def make():\n    return ToyWorld()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    make = importlib.import_module("interrupted_world").make
    (slot,) = make_slots(make, workers=1)
    try:
        slot.worker.receive(60)
        assert slot.worker.process.is_alive()
    finally:
        slot.close()
    assert "Traceback" not in capfd.readouterr().err


def test_closing_the_slots_ends_their_processes():
    slots = make_slots(ToyWorld, workers=2, worlds=2)
    processes = {slot.worker.process for slot in slots}
    assert len(processes) == 2 and all(process.is_alive() for process in processes)
    for slot in slots:
        slot.close()
    assert not any(process.is_alive() for process in processes)


def test_a_world_that_cannot_be_reached_is_void_and_the_next_trial_asks_again(tmp_path: Path):
    opened = []

    def unreachable_once() -> ToyWorld:
        opened.append(len(opened))
        if len(opened) == 1:
            raise InfrastructureError("the bench is switched off")
        return ToyWorld()

    expert = ToyExpert()
    run = runner(tmp_path, [expert], factory=unreachable_once)
    counted = run.run(schedule(expert, of=CASES[:2]))
    ends = {trial.end: trial.reason for trial in run.log.trials()}
    close(run)
    assert opened == [0, 1] and all(c.outcome.success for c in counted)
    assert ends["void"] == "the bench is switched off"
