"""Work begins in this process, and others are started only for what is worth their start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from roboscale.dataset import engine


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], int]]:
    """(items, workers) of every start of processes; their work is done here instead."""
    starts: list[tuple[list[Any], int]] = []

    def instead(function: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
        starts.append((list(items), workers))
        return map(function, items)

    monkeypatch.setattr(engine, "_in_processes", instead)
    monkeypatch.setattr(engine, "default_workers", lambda: 4)
    return starts


def took(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Lets every item seem to take so long."""
    now = iter(x * seconds for n in range(10_000) for x in (n, n + 1))
    monkeypatch.setattr(engine.time, "perf_counter", lambda: next(now))


def test_a_small_set_starts_no_process(started: list[Any], monkeypatch: pytest.MonkeyPatch):
    took(monkeypatch, 0.02)
    assert list(engine.run(abs, range(-50, 0), try_here=True)) == list(range(50, 0, -1))
    assert not started


@pytest.mark.parametrize(("seconds", "here", "workers"), [(0.2, 2, 4), (3.0, 1, 4), (1.0, 2, 4), (0.11, 2, 3)])
def test_what_is_left_of_a_large_one_goes_to_as_many_as_it_is_worth(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, seconds: float, here: int, workers: int
):
    took(monkeypatch, seconds)
    assert list(engine.run(abs, range(-50, 0), try_here=True)) == list(range(50, 0, -1))
    assert started == [(list(range(here - 50, 0)), workers)]


def test_who_says_how_many_gets_them_at_once(started: list[Any]):
    assert list(engine.run(abs, [-1, -2, -3], workers=2, try_here=True)) == [1, 2, 3]
    assert started == [([-1, -2, -3], 2)]
    assert list(engine.run(abs, [-1, -2, -3], try_here=False)) == [1, 2, 3]
    assert started[1:] == [([-1, -2, -3], 3)]
