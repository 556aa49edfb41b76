"""The log between processes, on both databases: made at once, written at once, killed at any time."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from roboscale.trials.log import open_log
from tests.trials.log_samples import assert_same, judgement, trial
from tests.trials.postgres import log_address, postgres  # noqa: F401

SPAWN = multiprocessing.get_context("spawn")
WAIT_S = 120
COUNT = 4


class Workers:
    """Processes that run one function at once; they start once, as that takes longer than anything they do."""

    def __init__(self) -> None:
        self._barriers = {n: SPAWN.Barrier(n) for n in range(2, COUNT + 1)}
        ends = [SPAWN.Pipe() for _ in range(COUNT)]
        self._pipes = [ours for ours, _ in ends]
        self._processes = [SPAWN.Process(target=_work, args=(theirs, self._barriers)) for _, theirs in ends]
        for process in self._processes:
            process.start()

    def run(self, target: Callable, count: int, *args: object) -> list:
        """What `target(number, barrier, *args)` returned in each of `count` processes, or the error it ended with."""
        pipes = self._pipes[:count]
        for number, pipe in enumerate(pipes):
            pipe.send((target, number, count, args))
        for pipe in pipes:
            assert pipe.poll(WAIT_S)
        return [pipe.recv() for pipe in pipes]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join(WAIT_S)


def _work(pipe: Connection, barriers: dict[int, Barrier]) -> None:
    while True:
        target, number, count, args = pipe.recv()
        try:
            pipe.send(target(number, barriers[count], *args))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            pipe.send(repr(error))


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    processes = Workers()
    yield processes
    processes.close()


def open_and_save(number: int, barrier: Barrier, address: str) -> str:
    barrier.wait(WAIT_S)
    with open_log(address) as log:
        log.save(trial(number))
    return "fine"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_four_processes_make_one_log_at_once(
    workers: Workers, database: str, request: pytest.FixtureRequest, tmp_path: Path
):
    for round_ in range(30):
        if database == "sqlite":
            address = str(tmp_path / f"new {round_}")
        else:
            address = request.getfixturevalue("postgres").empty_database()
        assert workers.run(open_and_save, 4, address) == ["fine"] * 4
        with open_log(address, read_only=True) as log:
            assert log.count() == 4


def save_many(number: int, barrier: Barrier, address: str) -> str:
    barrier.wait(WAIT_S)
    with open_log(address) as log:
        for seed in range(100):
            one = trial(seed, attempt=number % 2)
            log.save(one, [judgement(one, number)])
    return "fine"


def test_writers_at_once_lose_and_double_nothing(workers: Workers, log_address: str):  # noqa: F811
    assert workers.run(save_many, 3, log_address) == ["fine"] * 3
    with open_log(log_address, read_only=True) as log:
        assert log.count() == 200, "processes 0 and 2 save the same trials"
        said = log.judgements()
        assert sum(map(len, said.values())) == 300
        assert [j.time_ns for j in said[trial(7).id]] == [0, 2]


def take_all(number: int, barrier: Barrier, address: str) -> list[int]:
    barrier.wait(WAIT_S)
    with open_log(address) as log:
        return [seed for seed in range(60) if log.lease(trial(seed).key, f"worker {number}", 600)]


def test_every_trial_is_leased_to_exactly_one_process(workers: Workers, log_address: str):  # noqa: F811
    taken = workers.run(take_all, 4, log_address)
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


def test_two_processes_never_try_the_same_trial(workers: Workers, log_address: str):  # noqa: F811
    tried = workers.run(lease_and_try, 4, log_address)
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


def test_judgements_are_added_while_another_process_reads(workers: Workers, log_address: str):  # noqa: F811
    with open_log(log_address) as log:
        log.save(trial())
    seen = workers.run(judge_on, 2, log_address)[1]
    assert seen == sorted(seen) and seen[-1] == 200
