"""`roboscale collect tags`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_tags import PrintTags, print_tags

__all__ = ["command"]


def run(request: PrintTags, terminal: Terminal) -> None:
    """Print the tags that a handheld capture is measured by: a PDF in true size, and its layout."""
    done = print_tags(request, terminal.event)
    lines = [
        f"{sheet.name}: {', '.join(f'{tag.number} ({tag.size_mm:.4g} mm)' for tag in sheet.tags)}"
        for sheet in done.sheets
    ]
    return terminal.show(done.to_json(), [f"{done.out} and {done.layout}", *lines])


command = Command(PrintTags, run)
