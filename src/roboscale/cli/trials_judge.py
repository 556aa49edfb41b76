"""`roboscale trials judge`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_judge import JudgeTrial, judge_trial

__all__ = ["command"]


def run(request: JudgeTrial, terminal: Terminal) -> None:
    """Say how a trial went; what was said before stays. Without --trial: what waits to be judged."""
    done = judge_trial(request)
    terminal.show(done.to_json(), done.text)


command = Command(JudgeTrial, run)
