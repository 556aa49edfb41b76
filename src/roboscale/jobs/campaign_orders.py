"""Work orders: what people are asked to do for a campaign, as a page and as JSON beside it."""

from __future__ import annotations

import shlex
from pathlib import Path

from roboscale.jobs.campaign_collectors import instruction_of
from roboscale.jobs.campaign_file import Campaign
from roboscale.jobs.campaign_loop import CollectOrder
from roboscale.jobs.files import write_json, write_text
from roboscale.jobs.versions import versions
from roboscale.report.campaign import WorkOrderData, order_page

__all__ = ["order_data", "write_work_order"]


def write_work_order(campaign: Campaign, folder: Path, order: CollectOrder, place: Path, came: int) -> Path:
    """Writes the page of an order into `folder/orders` and returns where; `came` episodes are there already."""
    data = order_data(campaign, order, place, came)
    page = folder / "orders" / f"{order.round:02d}-{order.item:02d}-{order.line.name}-{order.task}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, order_page(data))
    write_json(page.with_suffix(".json"), data.to_json())
    return page


def order_data(campaign: Campaign, order: CollectOrder, place: Path, came: int) -> WorkOrderData:
    """Everything that an order says."""
    line, count = order.line, order.episodes
    words = {"{out}": shlex.quote(str(place)), "{task}": order.task, "{episodes}": str(count)}
    how = line.how or "record {episodes} successful episodes of {task} with whatever you record with, into {out}"
    for key, value in words.items():
        how = how.replace(key, value)
    return WorkOrderData(
        title=f"Work order {order.round}.{order.item + 1}: {line.name}",
        what=f"Record {count} successful episodes of {order.task}",
        instruction=instruction_of(campaign, order.task),
        place=str(place),
        episodes=count,
        came=came,
        how=tuple(part.strip() for part in how.splitlines() if part.strip()),
        scenes_why=order.scenes.why,
        scenes=order.scenes.cases,
        failures=tuple(sorted(order.failures.items(), key=lambda item: -item[1])),
        after=(
            "When the dataset is there, run the campaign's command again: it counts episodes that did not fail and "
            "goes on. With fewer than were ordered it waits, unless it is told to --accept them."
        ),
        minutes=campaign.scalar(line.each) * count / 60,
        versions=versions(),
    )
