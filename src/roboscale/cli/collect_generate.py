"""`roboscale collect generate`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_generate import GenerateEpisodes, generate_episodes

__all__ = ["command"]


def run(request: GenerateEpisodes, terminal: Terminal) -> None:
    """Multiply demonstrations: move their segments to new scenes, replay in physics, keep the successes."""
    if terminal.dry_run:
        plan = {"out": str(request.out), "tasks": request.tasks, "episodes_per_task": request.episodes}
        text = f"would save {request.episodes} successful episodes generated from {request.sources} per task"
        return terminal.show(plan, f"{text} into {request.out}: {request.tasks}")
    done = generate_episodes(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(GenerateEpisodes, run, dry_run=True)
