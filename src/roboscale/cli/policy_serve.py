"""`roboscale policy serve`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.policy_serve import ServeAnyPolicy, ServedPolicy, serve_any_policy

__all__ = ["command"]


def run(request: ServeAnyPolicy, terminal: Terminal) -> None:
    """Serve a policy to openpi clients. `--world` names the world where the policy needs one (expert)."""

    def on_ready(served: ServedPolicy) -> None:
        terminal.show(served.to_json(), served.text) if terminal.as_json else say(served.text)

    served = serve_any_policy(request, terminal.event, on_ready=on_ready, dry_run=terminal.dry_run)
    if terminal.dry_run:
        terminal.show(served.to_json(), served.text)


command = Command(ServeAnyPolicy, run, dry_run=True)
