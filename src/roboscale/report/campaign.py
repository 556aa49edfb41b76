"""A campaign as one offline page: what comes next and why, every round as it was foretold and measured, costs.

Takes finished numbers and sentences. Where people have to do something, that stands on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Card,
    Cards,
    Drawing,
    Heading,
    Inline,
    Listing,
    NamedValues,
    Paragraph,
    Phrase,
    Rows,
    num,
)
from roboscale.report.canvas import (
    LEGEND_LINE,
    MUTED,
    PALETTE,
    RATE_TICKS,
    add_axes,
    add_legend,
    draw,
    is_wide,
    marker,
    new_canvas,
)
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.tables import ESTIMATE_COLUMNS, Cell, Table, estimate_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["CampaignData", "OrderLine", "RoundData", "WorkOrderData", "campaign_figure", "campaign_page", "order_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine(Plain):
    """What a round collects of one source for one task.

    Args:
        came: episodes; `None` while they are awaited.
        scenes: which, in words.
    """

    task: str
    source: str
    episodes: int
    came: int | None
    scenes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundData(Plain):
    """One round.

    Args:
        foretold, measured: task -> estimate; the second judging, which makes certain, as `task, certain`.
        hours: paid so far, all rounds up to this one.
        options: task -> (source, episodes, hours for it, expected hours to the target, chance to reach, success) of
            the best order of every source, the chosen one first.
        said: what was learned, barred or left out, a sentence each.
    """

    number: int
    orders: tuple[OrderLine, ...]
    foretold: Mapping[str, Estimate]
    measured: Mapping[str, Estimate]
    hours: float
    options: Mapping[str, Sequence[tuple[str, str, float, float, float, float]]] = field(default_factory=dict)
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignData(Plain):
    """Everything the page shows.

    Args:
        state: `running`, `waiting`, or why it ended, in a word or two; `good` where the target was reached.
        sentence: what is so, and what comes next.
        costs: what for -> hours, money, minutes of resetting, minutes of labelling.
        held, scored: predictions whose interval held what was measured, of all that were measured.
        made_up: where nothing was collected or tried; empty otherwise.
    """

    title: str
    state: str
    good: bool
    sentence: str
    target: str
    tasks: tuple[str, ...]
    rounds: tuple[RoundData, ...]
    goal: float
    budget_hours: float
    costs: Mapping[str, tuple[float, float, float, float]]
    held: int
    scored: int
    width: float | None
    waiting: tuple[str, ...] = ()
    made_up: str = ""
    method: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    command: str | None = None
    versions: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrderData(Plain):
    """What people are asked to do.

    Args:
        what: in one sentence.
        instruction: the task's own sentence.
        how: what to type or do, a line each.
        scenes: which scenes, the most wanted first; `failures` are (reason, how often) of the last judging.
        came: episodes that are there already.
    """

    title: str
    what: str
    instruction: str
    place: str
    episodes: int
    came: int
    how: tuple[str, ...]
    scenes_why: str
    scenes: tuple[str, ...]
    failures: tuple[tuple[str, int], ...]
    after: str
    minutes: float
    versions: Mapping[str, Scalar] = field(default_factory=dict)


def campaign_page(data: CampaignData) -> str:
    """One HTML document that makes no request; strings may hold anything, they are escaped."""
    spent = sum(hours for hours, *_ in data.costs.values())
    page = Page(
        title=data.title,
        kind="campaign",
        headline=Headline(
            tag=data.state,
            kind="good" if data.good else "open",
            sentence=text.full_stop(data.sentence),
            doubts=(data.made_up,) if data.made_up else (),
            details=(
                f"target: {data.target}",
                text.plural(len(data.rounds), "round"),
                f"{spent:.2f} of {data.budget_hours:g} h spent",
                _held(data),
            ),
        ),
        sections=(
            Section(anchor="waiting", title="Waiting for", blocks=(Listing(data.waiting),) if data.waiting else ()),
            _next(data),
            _course(data),
            _rounds(data),
            _costs(data),
        ),
        data=data.to_json(),
        command=data.command,
        versions=data.versions,
        notes=data.notes,
        method=tuple(Paragraph(line, "what") for line in data.method),
    )
    return render_page(page)


def _held(data: CampaignData) -> str:
    if not data.scored:
        return "no prediction was measured yet"
    return f"{data.held} of {data.scored} predicted 90 % intervals held"


def _next(data: CampaignData) -> Section:
    """The newest order beside what was not ordered."""
    if not data.rounds:
        return Section(anchor="next", title="The next order", blocks=())
    newest = data.rounds[-1]
    return Section(
        anchor="next",
        title=f"The order of round {newest.number}, and why not the alternatives",
        nav="The order",
        lead="Hours to the target are what is expected with this order and the best one after it, judging included.",
        blocks=tuple(_options(newest)),
    )


def _options(one: RoundData) -> list[Block]:
    columns = (
        "best order of each source",
        num("its hours"),
        num("hours to the target"),
        num("chance to reach it"),
        num("expected success"),
    )
    blocks: list[Block] = []
    for task, options in one.options.items():
        rows: list[tuple[Inline, ...]] = [
            (
                Phrase(text=what, small=("ordered",)) if place == 0 else what,
                f"{hours:.2f}",
                f"{to_go:.2f}",
                f"{reached:.2f}",
                text.percent(rate),
            )
            for place, (_, what, hours, to_go, reached, rate) in enumerate(options)
        ]
        blocks += [Heading(task), Rows(caption=f"Orders for {task}", columns=columns, rows=tuple(rows), kind="stack")]
    return blocks


def _course(data: CampaignData) -> Section:
    if not any(one.measured for one in data.rounds):
        return Section(anchor="course", title="Foretold, then measured", blocks=())
    blocks: list[Block] = []
    for number, task in enumerate(data.tasks):
        drawn = draw_at_widths(f"course-{number}", partial(campaign_figure, data, task))
        blocks += [Heading(task), Drawing(drawn, _CAPTION)]
    width = "" if data.width is None else f" Their mean width is {data.width:.2f}."
    lead = f"{_held(data)[0].upper()}{_held(data)[1:]}.{width} Each was written down before its round was collected."
    return Section(anchor="course", title="Foretold, then measured", lead=lead, blocks=tuple(blocks))


_CAPTION = (
    "Band: 90 % interval that was foretold of the mean over training runs. Dot: then measured. Dashed: the target. "
    "Hollow: the second judging, which makes certain."
)


def campaign_figure(data: CampaignData, task: str, width: int = 860) -> Figure:
    """Foretold bands and measured rates of one task by hours spent."""
    points = [
        (one.hours, one.number, stage, one.foretold.get(key), one.measured.get(key))
        for one in data.rounds
        for stage, key in (("first", task), ("sure", f"{task}, certain"))
        if key in one.foretold or key in one.measured
    ]
    svg = draw(f"campaign-{task}", width, lambda: _course_canvas(points, data.goal, width))
    rows: list[tuple[Cell, ...]] = []
    for hours, number, stage, foretold, measured in points:
        for kind, estimate in (("foretold", foretold), ("measured", measured)):
            if estimate is not None:
                rows.append((number, stage, kind, hours, *estimate_cells(estimate)))
    columns = ("round", "judging", "kind", "hours spent", *ESTIMATE_COLUMNS)
    said = ", ".join(text.percent(m.value) for *_, m in points if m is not None)
    return Figure(svg, Table(columns, tuple(rows)), f"Success on {task} by round: {said or 'not measured yet'}.")


_Course = Sequence[tuple[float, int, str, Estimate | None, Estimate | None]]


def _course_canvas(points: _Course, goal: float, width: int) -> Canvas:
    band: dict[str, Any] = {"color": PALETTE[1], "linewidth": 9, "alpha": 0.45}
    head = 2 * LEGEND_LINE + 18
    canvas = new_canvas(width, head + (260 if is_wide(width) else 210) + 50)
    add_legend(canvas, [("foretold", band), ("measured", {**marker(0), "linewidth": 2.0})])
    axes = add_axes(canvas, 52, head, 16, 50, "y")
    most = max([hours for hours, *_ in points], default=1.0) or 1.0
    axes.set(ylim=(-0.03, 1.03), xlim=(-0.06 * most, 1.08 * most), xlabel="hours spent")
    axes.set_yticks(*RATE_TICKS)
    axes.axhline(goal, color=MUTED, linewidth=1.2, linestyle=(0, (4, 2.5)))
    step = 0.02 * most
    for hours, _, stage, foretold, measured in points:
        x = hours + (step if stage == "sure" else -step)
        if foretold is not None and foretold.low is not None and foretold.high is not None:
            axes.plot([x, x], [foretold.low, foretold.high], solid_capstyle="butt", **band)
        if measured is not None and measured.value is not None:
            style = marker(0, hollow=stage == "sure")
            axes.plot([x], [measured.value], linestyle="none", zorder=5, clip_on=False, **style)
    return canvas


def _rounds(data: CampaignData) -> Section:
    cards = tuple(
        Card(title=f"Round {one.number}", blocks=tuple(_round(one)), anchor=f"round-{one.number}")
        for one in reversed(data.rounds)
    )
    return Section(anchor="rounds", title="Every round", blocks=(Cards(cards, "list"),) if cards else ())


def _round(one: RoundData) -> list[Block]:
    columns = ("collected", num("ordered"), num("came"), "scenes")
    rows: list[tuple[Inline, ...]] = [
        (
            f"{order.task} by {order.source}",
            text.count(order.episodes),
            "awaited" if order.came is None else text.count(order.came),
            order.scenes or "any",
        )
        for order in one.orders
    ]
    blocks: list[Block] = [
        Rows(caption=f"Order of round {one.number}", columns=columns, rows=tuple(rows), kind="stack")
    ]
    judged: list[tuple[Inline, ...]] = []
    for key in dict.fromkeys((*one.foretold, *one.measured)):
        foretold, measured = one.foretold.get(key), one.measured.get(key)
        judged.append((key, _shown(foretold), _shown(measured, "not yet")))
    if judged:
        heads = ("judged", "foretold", "measured")
        blocks.append(Rows(caption=f"Judging of round {one.number}", columns=heads, rows=tuple(judged), kind="stack"))
    blocks += [Listing(tuple(map(text.full_stop, one.said)))] if one.said else []
    blocks.append(Paragraph(f"Spent by then: {one.hours:.2f} h.", "fine"))
    return blocks


def _shown(estimate: Estimate | None, none: str = "nothing") -> Phrase:
    if estimate is None or estimate.value is None:
        return Phrase(text=none, kind="none")
    small = [text.interval(estimate.low, estimate.high)] if estimate.low is not None else []
    return Phrase(text=text.percent(estimate.value), small=(*small, f"n = {text.count(estimate.n)}"))


def _costs(data: CampaignData) -> Section:
    columns = ("for", num("hours"), num("money"), num("resetting, min"), num("labelling, min"))
    rows: list[tuple[Inline, ...]] = [
        (name, f"{hours:.2f}", text.number(money), text.number(reset), text.number(label))
        for name, (hours, money, reset, label) in data.costs.items()
    ]
    total = [sum(cost[k] for cost in data.costs.values()) for k in range(4)]
    rows.append(("together", f"{total[0]:.2f}", *(text.number(value) for value in total[1:])))
    block = Rows(caption="Cost so far", columns=columns, rows=tuple(rows), kind="stack")
    lead = "As the campaign's file declares them; nobody measured how long people took."
    return Section(anchor="costs", title="Cost so far", lead=lead, blocks=(block,))


def order_page(data: WorkOrderData) -> str:
    """A work order as one HTML document, to be read beside a robot."""
    scenes = tuple(Phrase(text=scene, code=True) for scene in data.scenes)
    failures: tuple[Block, ...] = ()
    if data.failures:
        rows: tuple[tuple[Inline, ...], ...] = tuple((reason, text.count(count)) for reason, count in data.failures)
        failures = (Rows(caption="Failures", columns=("reason", num("trials")), rows=rows, kind="stack"),)
    there = f"{data.came} are there." if data.came else "None is there yet."
    page = Page(
        title=data.title,
        kind="order",
        headline=Headline(
            tag="work order",
            sentence=text.full_stop(data.what),
            small=f"{there} About {data.minutes:.0f} minutes, by what the campaign's file declares.",
            details=(data.instruction,),
        ),
        sections=(
            Section(
                anchor="what",
                title="What and where",
                blocks=(
                    NamedValues(
                        (
                            ("the robot is told", data.instruction),
                            ("episodes", text.count(data.episodes)),
                            ("into this folder", Phrase(text=data.place, code=True)),
                        ),
                        roomy=True,
                    ),
                ),
            ),
            Section(anchor="how", title="How", blocks=(Listing(tuple(Phrase(text=h, code=True) for h in data.how)),)),
            Section(
                anchor="scenes",
                title="Which scenes",
                lead=text.full_stop(data.scenes_why) if data.scenes_why else "Any.",
                blocks=(*failures, *((Listing(scenes),) if scenes else ())),
            ),
            Section(anchor="after", title="Afterwards", blocks=(Paragraph(data.after),)),
        ),
        data=data.to_json(),
        command=None,
        versions=data.versions,
    )
    return render_page(page)
