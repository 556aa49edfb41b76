"""`roboscale guest clean`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.guest_clean import CleanGuests, clean_guests

__all__ = ["command"]


def run(request: CleanGuests, terminal: Terminal) -> None:
    """Remove environments that are half made, of an older lock, or of no guest."""
    done = clean_guests(request, terminal.event, dry_run=terminal.dry_run)
    terminal.show(done.to_json(), done.lines)


command = Command(CleanGuests, run, dry_run=True)
