"""`roboscale arena offer`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_offer import OfferPolicy, offer_policy
from roboscale.jobs.events import Note

__all__ = ["command"]


def run(request: OfferPolicy, terminal: Terminal) -> None:
    """Offer a policy to an arena from where it is, by outbound requests alone. Ctrl-C ends it."""
    offering = offer_policy(request, terminal.event)
    say(f"offering {offering.name}; Ctrl-C ends it")
    try:
        offering.serve(on_line=lambda line: terminal.event(Note(line)))
    except KeyboardInterrupt:
        say(f"answered {offering.answered} observations")


command = Command(OfferPolicy, run, json=False)
