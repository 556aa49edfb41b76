"""The same function over many items: in this process, in worker processes, or on a Ray cluster.

Worker processes cost about a processor second each before they do anything, so whoever does not say how many there
shall be can have the first items done here, and processes only for what is left and worth them.

Results come in the order of the items whatever the engine, so what is made from them is the same byte for byte.
Knows nothing of episodes.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Literal, TypeVar

from roboscale.core.errors import InfrastructureError, RoboscaleError
from roboscale.core.processes import end_with_parent, require_main

__all__ = ["Engine", "default_workers", "run"]

Engine = Literal["processes", "ray"]
Item = TypeVar("Item")
Result = TypeVar("Result")

_WORTH_S = 2.0  # of work for each process that is started


def default_workers() -> int:
    """One a core that this process may use."""
    return len(os.sched_getaffinity(0))


def run(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    engine: Engine = "processes",
    try_here: bool = False,
) -> Iterator[Result]:
    """`map(function, items)`, in order, by several workers.

    Args:
        function: importable by name and without state; items and results are pickled between our own processes.
        workers: 0 runs everything in this process; default: the cores.
        engine: `ray` distributes over the Ray cluster that is running, or starts a local one.
        try_here: where `workers` is left out, begin in this process and start others only for work of some seconds.

    Raises:
        InfrastructureError: a worker was killed, or Ray is not installed.
    """
    count = default_workers() if workers is None else workers
    if engine == "ray":
        return _on_ray(function, items, count)
    if count <= 0 or len(items) <= 1:
        return map(function, items)
    if workers is None and try_here:
        return _begun_here(function, items, count)
    return _in_processes(function, items, min(count, len(items)))


def _begun_here(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """The first items in this process, until what is left would take it so long that others are worth their start."""
    spent: list[float] = []
    for done, item in enumerate(items, 1):
        begin = time.perf_counter()
        result = function(item)
        spent.append(time.perf_counter() - begin)
        yield result
        left_s = (len(items) - done) * statistics.median(spent)
        known = done > 1 or spent[0] > _WORTH_S  # the first one also imports what it needs
        if known and left_s > 2 * _WORTH_S:
            break
    left = items[len(spent) :]
    if left:
        yield from _in_processes(function, left, min(workers, len(left), math.ceil(left_s / _WORTH_S)))


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    require_main()
    # spawn: decoders and locks do not survive a fork; a bounded window: results must not pile up in memory.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InfrastructureError("a worker process was killed (out of memory?); run it again to go on") from error
        finally:
            for future in waiting:
                future.cancel()


def _on_ray(function: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise InfrastructureError(f"--engine ray needs {error.name}: pip install 'roboscale[ray]'") from error
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        local: dict[str, Any] = {} if address else {"num_cpus": max(workers, 1), "include_dashboard": False}
        ray.init(address=address, logging_level="ERROR", log_to_driver=False, **local)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    shared = ray.put(list(items))

    def one(row: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": [function(ray.get(shared)[row["id"]])], "error": [None]}
        except RoboscaleError as error:  # by value: Ray would wrap it into an exception of its own
            return {"result": [None], "error": [error]}

    try:
        rows = ray.data.range(len(items), override_num_blocks=max(1, min(len(items), 4 * max(workers, 1))))
        for row in rows.map(one).iter_rows():
            if row["error"][0] is not None:
                raise row["error"][0]
            yield row["result"][0]
    finally:
        if started:
            ray.shutdown()
