"""`roboscale collect record`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_record import RecordEpisodes, record_episodes

__all__ = ["command"]


def run(request: RecordEpisodes, terminal: Terminal) -> None:
    """Record successful episodes of a policy, with all cameras."""
    if terminal.dry_run:
        plan = {"out": str(request.out), "tasks": request.tasks, "episodes_per_task": request.episodes}
        text = f"would save {request.episodes} successful episodes of {request.policy} per task into {request.out}"
        return terminal.show(plan, f"{text}: {request.tasks}")
    done = record_episodes(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(RecordEpisodes, run, dry_run=True)
