"""`roboscale fuse`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.fuse import Fused, FuseResults, fuse_results

__all__ = ["command"]


def run(request: FuseResults, terminal: Terminal) -> None:
    """Combine few real and many cheap trials into one interval, and say how many real trials that saved."""
    done = fuse_results(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: Fused) -> Iterator[str]:
    for name, fusion in done.policies.items():
        yield f"{name}: {fusion.estimate}"
        yield f"  real trials alone: {fusion.real_only}"
        yield f"  {fusion.sentence.removesuffix(f' {fusion.estimate}')}"


command = Command(FuseResults, run, methods=True)
