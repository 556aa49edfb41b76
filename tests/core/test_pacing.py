"""Whoever paces a loop goes first."""

import gc
import multiprocessing
import os
import sys

from roboscale.core.pacing import give_way, paced


def test_threads_hand_over_soon_and_what_is_there_is_not_collected_while_it_lasts():
    before = sys.getswitchinterval()
    with paced():
        assert sys.getswitchinterval() < before and gc.get_freeze_count() > 0
    assert sys.getswitchinterval() == before and gc.get_freeze_count() == 0


def _niceness(connection) -> None:
    before = os.nice(0)
    give_way()
    connection.send((before, os.nice(0)))


def test_a_helping_process_gives_way():
    mine, other = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_niceness, args=(other,))
    process.start()
    before, after = mine.recv()
    process.join()
    assert after > before or after == 19
