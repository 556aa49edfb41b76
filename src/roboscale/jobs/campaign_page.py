"""A campaign's journal as a page: fills the report's data, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from roboscale.jobs.campaign_deciding import certainty
from roboscale.jobs.campaign_file import ROLLOUTS, Campaign, Spent
from roboscale.jobs.campaign_standing import CampaignRound, CampaignStanding, Foretold
from roboscale.jobs.files import write_text
from roboscale.jobs.versions import versions
from roboscale.report.campaign import CampaignData, OrderLine, RoundData, campaign_page
from roboscale.stats.recipes import recipe_bounds

__all__ = ["campaign_data", "order_words", "write_campaign_page"]

_HOUR = 3600.0


def write_campaign_page(page: Path, data: CampaignData) -> None:
    """Writes the page in one step."""
    write_text(page, campaign_page(data))


def campaign_data(
    campaign: Campaign,
    standing: CampaignStanding,
    *,
    sentence: str,
    waiting: Sequence[str] = (),
    made_up: str = "",
    notes: Sequence[str] = (),
    command: str | None = None,
) -> CampaignData:
    """Everything that a campaign's page shows.

    Args:
        sentence: what is so, and what comes next.
        waiting: people's steps that are not done.
        made_up: said where nothing was collected or tried.
    """
    scored = [one for one in standing.foretold if one.held is not None]
    widths = [(one.predicted.high or 0.0) - (one.predicted.low or 0.0) for one in scored]
    ended = standing.ended
    target = campaign.target
    paid, rounds = Spent(), []
    for one in standing.rounds:
        paid = paid + one.spent
        rounds.append(_round(campaign, standing, one, campaign.scalar(paid) / _HOUR))
    return CampaignData(
        title=campaign.title,
        state="waiting" if waiting else "running" if ended is None else str(ended["why"]),
        good=ended is not None and ended["why"] == "reached",
        sentence=sentence,
        target=f"{target.success:g} on {' and '.join(campaign.tasks)}, lower bound above {target.at_least:g}",
        tasks=campaign.tasks,
        rounds=tuple(rounds),
        goal=target.success,
        budget_hours=campaign.budget.hours,
        costs={
            **{name: _cost(campaign, spent) for name, spent in standing.by_source.items()},
            "judging": _cost(campaign, standing.judging),
        },
        held=sum(one.held is True for one in scored),
        scored=len(scored),
        width=sum(widths) / len(widths) if widths else None,
        waiting=tuple(waiting),
        made_up=made_up,
        method=_METHOD,
        notes=tuple(notes),
        command=command,
        versions=versions(),
    )


_METHOD = (
    "What is believed of each source: a ceiling of its own and an amount that covers half of it, sources covering "
    "scenes beside each other; posterior draws. Each order is the one with the lowest cost that is expected until the "
    "target is reached, with the best further order for whatever the judging will show.",
    "Measured rates are means over training runs; their bounds are Student's over the runs, no narrower than the "
    "exact interval of all trials. Every round is judged on cases that no other round had. The target counts as "
    "reached on the second judging of a round alone, and each attempt has half of the error that is left.",
)


def _cost(campaign: Campaign, spent: Spent) -> tuple[float, float, float, float]:
    """Hours (resetting and labelling included), money, minutes of resetting, minutes of labelling."""
    time_s = spent.seconds + spent.reset_s + spent.label_s
    return time_s / _HOUR, spent.money, spent.reset_s / 60, spent.label_s / 60


def _round(campaign: Campaign, standing: CampaignStanding, one: CampaignRound, hours: float) -> RoundData:
    orders = tuple(
        OrderLine(
            task=item["task"],
            source=item["source"],
            episodes=item["episodes"],
            came=one.came[place] if place < len(one.came) else None,
            scenes=item.get("scenes", {}).get("why", ""),
        )
        for place, item in enumerate(one.items)
    )
    mine = [f for f in standing.foretold if f.round == one.number]
    level = 0.9
    measured = {task: recipe_bounds(runs, level) for task, runs in one.first.items()}
    for task, runs in one.sure.items():
        measured[f"{task}, certain"] = recipe_bounds(runs, certainty(campaign, max(1, standing.attempts)))
    return RoundData(
        number=one.number,
        orders=orders,
        foretold={_key(f): f.predicted for f in mine},
        measured=measured,
        hours=hours,
        options={task: _options(campaign, options) for task, options in one.order["options"].items()},
        said=tuple(_said(one)),
    )


def _key(foretold: Foretold) -> str:
    return foretold.task if foretold.stage == "first" else f"{foretold.task}, certain"


def _options(
    campaign: Campaign, options: Sequence[Mapping[str, object]]
) -> list[tuple[str, str, float, float, float, float]]:
    return [
        (
            str(option["source"]),
            order_words(option["amounts"]),  # type: ignore[arg-type]
            float(option["cost"]) / _HOUR,  # type: ignore[arg-type]
            float(option["to_go"]) / _HOUR,  # type: ignore[arg-type]
            float(option["reached"]),  # type: ignore[arg-type]
            float(option["rate"]),  # type: ignore[arg-type]
        )
        for option in options
    ]


def order_words(amounts: Mapping[str, int]) -> str:
    """An order in words: `5 by person and 45 by generated`."""
    return " and ".join(f"{count} by {source}" for source, count in amounts.items())


def _said(one: CampaignRound) -> list[str]:
    """What the order of this round rests on, and what happened in it."""
    said = list(one.order["learned"])
    said += [why for by_source in one.order["barred"].values() for why in by_source.values()]
    for task, why in one.failures.items():
        listed = ", ".join(f"{reason}: {count}" for reason, count in sorted(why.items(), key=lambda x: -x[1])[:4])
        said.append(f"{task} failed: {listed}")
    for task, kept in one.amounts.items():
        if kept.get(ROLLOUTS):
            said.append(f"{task}: {kept[ROLLOUTS]:.0f} trials of earlier rounds that succeeded are trained on")
    if one.curated is not None:
        said += list(one.curated["left_out"])
    if one.more is not None:
        said.append(
            f"judged on with {one.more['trials']} further trials: a chance of {one.more['chance']:.2f} to pass"
        )
    return said
