"""`roboscale data contribute`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_contribute import ContributeDataset, ContributedDataset, contribute_dataset

__all__ = ["command"]


def run(request: ContributeDataset, terminal: Terminal) -> int:
    """Look at a dataset before it is given to others, and with --upload give it. A dry run by default."""
    done = contribute_dataset(request, terminal.event)
    terminal.show(done.to_json(), lines(request, done))
    return 2 if done.blocked else 0


def lines(request: ContributeDataset, done: ContributedDataset) -> Iterator[str]:
    """For a terminal: one line a gate, what blocks with its reasons, and what to do."""
    size = sum(done.files.values()) / 1e6
    sent = f"sent to {done.sent}" if done.sent else "nothing has left this machine"
    yield f"{request.dataset}: {len(done.files)} files, {size:.3g} MB, for {done.to}; {sent}"
    for gate in done.gates:
        reason = f" ({gate.reason})" if gate.reason else ""
        yield f"  {gate.state:10} {gate.name}: {gate.text}{reason}"
        if gate.state != "passes":
            yield from (f"             {line}" for line in gate.lines)
        if gate.repair and gate.state in ("blocks", "advises"):
            yield f"             with: {gate.repair}"
    if done.stay:
        more = ", ..." if len(done.stay) > 4 else ""
        yield f"  {len(done.stay)} files stay behind: {', '.join(done.stay[:4])}{more}"
    if not done.sent and not done.blocked:
        yield "nothing blocks; --upload sends it"


command = Command(ContributeDataset, run)
