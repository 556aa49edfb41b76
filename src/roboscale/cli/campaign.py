"""`roboscale campaign`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.campaign import CampaignRun, RunCampaign, foresee_campaign, run_campaign

__all__ = ["command"]


def run(request: RunCampaign, terminal: Terminal) -> None:
    """Close the loop: order, collect, train, judge until the target is reached, money ends or data cannot help."""
    if terminal.dry_run:
        foreseen = foresee_campaign(request, terminal.event)
        return terminal.show(foreseen.to_json(), [*lines(foreseen), *alternatives(foreseen)])
    done = run_campaign(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: CampaignRun) -> list[str]:
    return done.lines


def alternatives(done: CampaignRun) -> Iterator[str]:
    """The newest order with what it costs, and what was not ordered."""
    from roboscale.jobs.campaign_page import order_words

    if not done.standing.rounds:
        return
    order = done.standing.rounds[-1].order
    for task, options in order["options"].items():
        for place, option in enumerate(options):
            what = "would be ordered" if place == 0 else "instead of"
            yield (
                f"{task}, {what}: {order_words(option['amounts'])} for {option['cost'] / 3600:.2f} h; expected until "
                f"the target is reached {option['to_go'] / 3600:.2f} h, chance to reach it {option['reached']:.2f}"
            )


command = Command(RunCampaign, run, dry_run=True)
