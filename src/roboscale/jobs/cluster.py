"""Workers of one run elsewhere: jobs of Slurm, actors of Ray, or processes of this machine.

Each is `roboscale trials work` on the same store; leases are all that they share. Whoever starts them schedules
nothing: it waits, tells how far the run is, and says how each worker ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import InfrastructureError, RoboscaleError
from roboscale.jobs.events import Event, Note, OnEvent, Progress

if TYPE_CHECKING:
    from roboscale.jobs.trials_work import WorkTrials
    from roboscale.trials.log import Run, TrialLog

__all__ = ["RemoteWorker", "run_on_cluster", "work_as_told"]

LOOK_S = 1.0  # between two looks at the store and the workers
STARTS = 3  # times that a worker which was killed or preempted is started again


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWorker:
    """What one job does, wherever it runs: a call that takes trials of a run until none is left.

    The trials run in a process of their own. Engines end a job by an exception at any place in it, and one in the
    middle of a policy would be filed as the policy's failure; a process that is killed leaves its trial to others.

    Args:
        folder: in which the run was asked for; files and declarations are named relative to it.
        fields: of the request `trials work`, in JSON types.
    """

    folder: str
    fields: dict[str, Any]

    def __call__(self) -> str:
        """Works until nothing is left; why not, in one line that names the machine, else the empty text."""
        code, said = 0, ""
        for _ in range(STARTS):
            code, said = self._work()
            if code >= 0:
                break
        if code < 0:
            said = f"killed {STARTS} times, at last by {signal.Signals(-code).name}"
        return f"{socket.gethostname()}: {said or f'ended with {code}'}" if code else ""

    def _work(self) -> tuple[int, str]:
        """Exit code and last word of one process, which ends with this one however that ends."""
        if not Path(self.folder).is_dir():
            return 1, f"{self.folder} is not there: the machines must share the folder"
        code = f"from {__name__} import work_as_told; work_as_told()"
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None and process.stdout is not None, "they are pipes"
            try:
                with contextlib.suppress(BrokenPipeError):  # it died before it could read
                    process.stdin.write(json.dumps(self.fields) + "\n")  # not as words: a store may hold a password
                    process.stdin.flush()
                said = process.stdout.read()
                return process.wait(), " ".join(said.split())
            finally:
                process.kill()

    def checkpoint(self) -> Any:
        """What submitit queues when a job was preempted or its time is over: the same, as the log has the rest."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def work_as_told() -> None:
    """A process that a `RemoteWorker` started: reads what to do from stdin, and ends when that is closed."""
    from roboscale.jobs.trials_work import WorkTrials, work_trials

    fields = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work_trials(WorkTrials(**fields), _say)
    except (RoboscaleError, OSError) as error:
        print(error)
        sys.exit(1)


def _end_with_parent() -> None:
    sys.stdin.read()  # nobody writes any more: it returns when whoever started this process is gone
    os._exit(1)


def _say(event: Event) -> None:
    if isinstance(event, Note):
        print(event.text, file=sys.stderr, flush=True)


Look = Callable[[], "str | None"]
"""How a worker ended: `None` while it runs, the empty text when nothing was left, else what went wrong."""


def run_on_cluster(request: WorkTrials, run: Run, log: TrialLog, on_event: OnEvent) -> None:
    """Starts `request.jobs` workers and waits for the last of them.

    Args:
        run: that they go on with. log: of its trials, for reading.

    Raises:
        RoboscaleError: the run cannot be shared, or the store not between machines.
        InfrastructureError: the engine is not installed or not there; or every worker failed and trials are left.
    """
    require_shareable(request, run)
    if run.finished_ns is not None and not _left(run, log):
        on_event(Note(f"all {len(run.cases) * len(run.policies)} trials are tried: no worker is started"))
        return
    record = None if request.record is None else str(request.record)
    fields = {"store": request.store, "run": run.id, "workers": request.workers, "record": record}
    worker = RemoteWorker(folder=str(Path.cwd()), fields=fields)
    engine = _on_ray if request.engine == "ray" else _on_submitit
    with engine(request, run, worker, on_event) as looks:
        ended = _wait(looks, run, log, on_event)
    for number, said in enumerate(ended, start=1):
        if said:
            on_event(Note(f"worker {number} of {len(ended)}: {said}"))
    left = _left(run, log)
    if left and all(ended):
        many = f"all {len(ended)} workers" if len(ended) > 1 else "the worker"
        raise InfrastructureError(f"--engine {request.engine}: {many} failed, {left} trials are left: {ended[0]}")
    if left and any(ended):
        on_event(Note(f"{left} trials are left: the same command goes on"))


def require_shareable(request: WorkTrials, run: Run) -> None:
    """RoboscaleError for what only one machine can do."""
    if run.world_info.get("pace") == "wall":
        raise RoboscaleError(f"--engine {request.engine}: {run.world.name} is a robot, which stands at one machine")
    if request.record is not None and request.jobs > 1:
        raise RoboscaleError(f"--record {request.record}: {request.jobs} workers would write one dataset")
    if "postgres" not in request.store.partition("://")[0] and (
        request.engine == "slurm" or (request.engine == "ray" and os.environ.get("RAY_ADDRESS"))
    ):
        raise RoboscaleError(
            f"--engine {request.engine}: {request.store} is SQLite, which is safe between processes of one machine "
            "alone; expected a postgresql:// store"
        )


def _wait(looks: Sequence[Look], run: Run, log: TrialLog, on_event: OnEvent) -> list[str]:
    """How every worker ended; tells meanwhile how many trials are done."""
    total, told = len(run.cases) * len(run.policies), -1
    while True:
        ended = [look() for look in looks]
        done = total - _left(run, log)
        if done != told:
            on_event(Progress("trials", done, total, f"{ended.count(None)} of {len(looks)} workers at work"))
            told = done
        if None not in ended:
            return [said for said in ended if said is not None]
        time.sleep(LOOK_S)


def _left(run: Run, log: TrialLog) -> int:
    """Trials of a run that nobody has finished."""
    tried = log.attempts(run.policies, run.world, run.settings, run.round)
    return sum((policy.digest, case) not in tried for policy in run.policies for case in run.cases)


@contextlib.contextmanager
def _on_submitit(request: WorkTrials, run: Run, worker: RemoteWorker, on_event: OnEvent) -> Iterator[list[Look]]:
    """Jobs of Slurm, or of submitit's executor for this machine."""
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise InfrastructureError(
            f"--engine {request.engine} needs submitit: pip install 'roboscale[slurm]'"
        ) from error
    folder = Path("runs") / "jobs" / run.id[:8]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is handed over names the store, password included
    folder.chmod(0o700)
    try:
        executor = submitit.AutoExecutor(folder, cluster=request.engine, slurm_max_num_timeout=STARTS)
        executor.update_parameters(name="roboscale", timeout_min=request.minutes, **slurm_settings(request.slurm))
        with executor.batch():
            jobs = [executor.submit(worker) for _ in range(request.jobs)]
    except (RuntimeError, NameError, ValueError) as error:  # no Slurm here, or a setting that it does not have
        raise InfrastructureError(f"--engine {request.engine}: {' '.join(str(error).split())}") from error
    on_event(Note(f"{len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}; what they print is in {folder}"))
    try:
        yield [partial(_ended, job) for job in jobs]
    except BaseException:
        if request.engine == "local":
            for job in jobs:
                job.cancel(check=False)
        else:
            on_event(Note(f"the jobs go on; scancel {' '.join(job.job_id for job in jobs)} ends them"))
        raise


def _ended(job: Any) -> str | None:
    """How one of submitit's jobs ended; `None` while it waits or runs."""
    if not job.done():
        return None
    try:
        said: str = job.result()
    except Exception as error:  # noqa: BLE001 - a killed job, a lost file: whatever submitit makes of it
        return f"job {job.job_id} ({job.state}): {_last_line(error)}"
    return said


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return lines[-1] if lines else repr(error)


def slurm_settings(given: Sequence[str]) -> dict[str, Any]:
    """`partition=gpu` as submitit's `slurm_partition`; RoboscaleError for what is no KEY=VALUE.

    >>> slurm_settings(("partition=gpu", "gpus_per_node=1"))
    {'slurm_partition': 'gpu', 'slurm_gpus_per_node': 1}
    """
    settings: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier() and value):
            raise RoboscaleError(f"--slurm {text}: expected KEY=VALUE such as partition=gpu")
        settings[f"slurm_{name.removeprefix('slurm_')}"] = int(value) if value.isdigit() else value
    return settings


@contextlib.contextmanager
def _on_ray(request: WorkTrials, run: Run, worker: RemoteWorker, on_event: OnEvent) -> Iterator[list[Look]]:
    """Actors on the Ray cluster that `RAY_ADDRESS` names, or on one that is started here."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InfrastructureError(f"--engine ray needs {error.name}: pip install 'roboscale[ray]'") from error
    started, address = not ray.is_initialized(), os.environ.get("RAY_ADDRESS")
    if started:
        local: dict[str, Any] = {} if address else {"num_cpus": request.jobs, "include_dashboard": False}
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InfrastructureError(f"--engine ray: {_last_line(error)}") from error
    actor = ray.remote(num_cpus=1, max_restarts=STARTS, max_task_retries=STARTS)(_Actor)
    try:
        actors = [actor.remote() for _ in range(request.jobs)]
        asked = [one.work.remote(worker) for one in actors]
        yield [partial(_answered, waits) for waits in asked]
    finally:
        if started:
            ray.shutdown()


class _Actor:
    """A worker on a Ray cluster."""

    def work(self, worker: RemoteWorker) -> str:
        return worker()


def _answered(waits: Any) -> str | None:
    """How an actor ended; `None` while it works."""
    import ray

    if not ray.wait([waits], timeout=0)[0]:
        return None
    try:
        said: str = ray.get(waits)
    except ray.exceptions.RayError as error:
        return f"actor: {_last_line(error)}"
    return said
