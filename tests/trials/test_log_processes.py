"""The log between processes, on both databases: made at once, written at once, killed at any time."""

import multiprocessing
import signal
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from tests.trials.log_samples import assert_same, judgement, trial
from tests.trials.postgres import Cluster, log_address, postgres  # noqa: F401

from roboscale.trials.log import open_log

SPAWN = multiprocessing.get_context("spawn")
WAIT_S = 120


def run_at_once(target, count: int, *args: object) -> list:
    """What `target(number, barrier, *args)` returned in each of `count` processes, or the error it ended with."""
    barrier, queue = SPAWN.Barrier(count), SPAWN.Queue()
    processes = [SPAWN.Process(target=_report, args=(queue, target, n, barrier, *args)) for n in range(count)]
    for process in processes:
        process.start()
    try:
        answers = dict(queue.get(timeout=WAIT_S) for _ in processes)
    finally:
        for process in processes:
            process.join(WAIT_S)
            process.kill()
    return [answers[n] for n in range(count)]


def _report(queue: Queue, target, number: int, barrier: Barrier, *args: object) -> None:
    try:
        queue.put((number, target(number, barrier, *args)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
        queue.put((number, repr(error)))


def open_and_save(number: int, barrier: Barrier, addresses: list[str]) -> str:
    for address in addresses:
        barrier.wait(WAIT_S)
        with open_log(address) as log:
            log.save(trial(number))
    return "fine"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_four_processes_make_one_log_at_once(database: str, request: pytest.FixtureRequest, tmp_path: Path):
    if database == "sqlite":
        addresses = [str(tmp_path / f"new {n}") for n in range(30)]
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        addresses = [cluster.new_database() for _ in range(30)]
    assert run_at_once(open_and_save, 4, addresses) == ["fine"] * 4
    for address in addresses:
        with open_log(address, read_only=True) as log:
            assert log.count() == 4


def save_many(number: int, barrier: Barrier, address: str) -> str:
    barrier.wait(WAIT_S)
    with open_log(address) as log:
        for seed in range(100):
            one = trial(seed, attempt=number % 2)
            log.save(one, [judgement(one, number)])
    return "fine"


def test_writers_at_once_lose_and_double_nothing(log_address: str):  # noqa: F811
    assert run_at_once(save_many, 3, log_address) == ["fine"] * 3
    with open_log(log_address, read_only=True) as log:
        assert log.count() == 200, "processes 0 and 2 save the same trials"
        said = log.judgements()
        assert sum(map(len, said.values())) == 300
        assert [j.time_ns for j in said[trial(7).id]] == [0, 2]


def take_all(number: int, barrier: Barrier, address: str) -> list[int]:
    barrier.wait(WAIT_S)
    with open_log(address) as log:
        return [seed for seed in range(60) if log.lease(trial(seed).key, f"worker {number}", 600)]


def test_every_trial_is_leased_to_exactly_one_process(log_address: str):  # noqa: F811
    taken = run_at_once(take_all, 4, log_address)
    assert sorted(seed for some in taken for seed in some) == list(range(60))


def lease_and_try(number: int, barrier: Barrier, address: str) -> list[int]:
    """Like a run: what is leased is tried and saved, with another outcome every time it is tried."""
    barrier.wait(WAIT_S)
    tried = []
    with open_log(address) as log:
        for seed in range(60):
            if log.lease(trial(seed).key, f"worker {number}", 600):
                tried.append(seed)
                log.save(trial(seed, clipped=number))
    return tried


def test_two_processes_never_try_the_same_trial(log_address: str):  # noqa: F811
    tried = run_at_once(lease_and_try, 4, log_address)
    assert sorted(seed for some in tried for seed in some) == list(range(60))
    with open_log(log_address) as log:
        assert log.count() == 60 and log.leases() == ()


def save_until_killed(address: str, pipe: Connection) -> None:
    log = open_log(address)
    for seed in range(100_000):
        log.save(trial(seed), [judgement(trial(seed))])
        pipe.send(seed)


def test_a_killed_process_loses_nothing_that_was_saved(log_address: str):  # noqa: F811
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=save_until_killed, args=(log_address, theirs))
    process.start()
    theirs.close()
    said = []
    while len(said) < 50:
        assert ours.poll(WAIT_S)
        said.append(ours.recv())
    process.kill()
    process.join(WAIT_S)
    assert process.exitcode == -signal.SIGKILL
    while ours.poll():
        try:
            said.append(ours.recv())
        except EOFError:
            break
    for read_only in (True, False):
        with open_log(log_address, read_only=read_only) as log:
            saved = {t.case.seed: t for t in log.trials()}
            assert len(said) <= len(saved) <= len(said) + 1 and set(said) <= set(saved)
            for seed, one in saved.items():
                assert_same(one, trial(seed))
                assert log.judgements([one.id]) == {one.id: (judgement(one),)}
    if "://" not in log_address:
        assert [p.name for p in Path(log_address).parent.iterdir()] == ["trials.db"]


def judge_on(number: int, barrier: Barrier, address: str) -> list[int]:
    """Process 0 judges on and on; process 1 reads until it has seen everything."""
    seen = []
    with open_log(address, read_only=number == 1) as log:
        barrier.wait(WAIT_S)
        if number == 0:
            for time_ns in range(200):
                log.judge(judgement(trial(), time_ns))
            return []
        while not seen or seen[-1] < 200:
            said = log.judgements([trial().id]).get(trial().id, ())
            assert [j.time_ns for j in said] == list(range(len(said)))
            seen.append(len(said))
    return seen


def test_judgements_are_added_while_another_process_reads(log_address: str):  # noqa: F811
    with open_log(log_address) as log:
        log.save(trial())
    seen = run_at_once(judge_on, 2, log_address)[1]
    assert seen == sorted(seen) and seen[-1] == 200
