"""A validity card as one offline page: may the cheap world judge policies in place of the real one?

Takes the finished card and the rates it was made from; the claims are the card's own words. Knows no statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Drawing,
    Head,
    Heading,
    Inline,
    Listing,
    Paragraph,
    Phrase,
    Rows,
    estimate_phrase,
    num,
    rate_phrase,
)
from roboscale.report.model import Doubts, Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.validity_figures import agreement_figure, residual_figure, scatter_figure
from roboscale.stats.proportions import wilson
from roboscale.stats.validity import Score, ValidityCard

__all__ = ["ValidityData", "validity_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityData(Plain):
    """Everything a validity page shows.

    Args:
        card: the measures and the claims.
        real, cheap: policy -> success rate in each world; policies in one world only are listed as left out.
        real_name, cheap_name: of the two worlds.
        cells: "policy, task" -> mean in the real and in the cheap world, drawn as points of their own; may be empty.
        basis: what the scores are, a sentence.
        unverified: policy -> why its numbers may be somebody else's; absent where it is known by content.
        sources: names of what was read.
        command: the command line that makes this page; `None` where it was made from Python.
        notes: what was dropped, guessed, reused or assumed.
    """

    card: ValidityCard
    real: Mapping[str, Estimate]
    cheap: Mapping[str, Estimate]
    real_name: str = "real world"
    cheap_name: str = "cheap world"
    cells: Mapping[str, tuple[Estimate, Estimate]] = field(default_factory=dict)
    basis: str = ""
    unverified: Doubts = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    command: str | None = None
    notes: tuple[str, ...] = ()
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    title: str = "Validity card"

    @classmethod
    def of(
        cls, card: ValidityCard, real: Mapping[str, Score], cheap: Mapping[str, Score], **rest: Any
    ) -> ValidityData:
        """From the scores that the card was made from: counts get Wilson's interval, mean scores none."""
        level = card.pearson.level
        return cls(card=card, real=_estimates(real, level), cheap=_estimates(cheap, level), **rest)


def validity_page(data: ValidityData) -> str:
    """The card as one HTML document that makes no request; strings may hold anything, they are escaped."""
    card = data.card
    claims = [text.full_stop(claim) for claim in card.claims]
    doubts = [f"{name} is {text.mark(reasons)}." for name, reasons in data.unverified.items() if reasons]
    page = Page(
        title=data.title,
        kind="validity",
        headline=Headline(
            tag=f"k = {text.plural(len(card.policies), 'policy')}",
            sentence=claims[0] if claims else "The data cannot say.",
            doubts=tuple(doubts),
            details=(f"cheap: {data.cheap_name}", f"real: {data.real_name}", *([data.basis] if data.basis else [])),
        ),
        sections=(
            _criteria_section(card),
            Section(
                anchor="said", title="What may be said", blocks=(Listing(tuple(claims[1:])),) if claims[1:] else ()
            ),
            _measure_section(card),
            _policies(data),
        ),
        data=data.to_json(),
        command=data.command,
        created=data.created,
        versions=data.versions,
        sources=data.sources,
        notes=data.notes,
        method=tuple(Paragraph(line, "what") for line in _methods(data)),
    )
    return render_page(page)


def _criteria_section(card: ValidityCard) -> Section:
    """What must hold before the cheap world may be said to rank policies."""
    rows: list[tuple[Inline, ...]] = []
    for criterion in card.criteria:
        value = criterion.value
        held = {True: Phrase(text="yes", kind="good"), False: Phrase(text="no", kind="bad")}
        row = (text.number(value.value), text.bounds(value.low, value.high), criterion.asked)
        rows.append((criterion.name, *row, held.get(criterion.held is True, held[False])))
    columns = ("criterion", num("value"), Head("interval", "keep"), Head("asked", "prose"), "holds")
    caption = "Criteria for saying that a world ranks policies"
    table = Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")
    return Section(anchor="criteria", title="Does it rank?", blocks=(table,) if rows else ())


def _measure_section(card: ValidityCard) -> Section:
    rows: list[tuple[Inline, ...]] = [
        (name, Phrase(text=value, kind="none" if value.startswith("no ") or value == text.MISSING else ""), ends, what)
        for name, value, ends, what in _measures(card)
    ]
    columns = ("measure", num("value"), Head("interval", "keep"), Head("what it is", "prose"))
    caption = "Every measure of agreement with its meaning"
    table = Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")
    return Section(anchor="measures", title="Measures", blocks=(table,))


def _policies(data: ValidityData) -> Section:
    """Figures, and both rates of every policy."""
    card, captions = data.card, _captions(data)
    names = [name for name in card.policies if _known(data.real.get(name)) and _known(data.cheap.get(name))]
    drawn = {}
    if names:
        scatter = partial(scatter_figure, names, data.real, data.cheap, unverified=data.unverified)
        drawn["scatter"] = draw_at_widths("scatter", scatter)
    if any(_known(gap) for gap in card.calibration.values()):
        residuals = partial(residual_figure, card.calibration, unverified=data.unverified)
        drawn["residuals"] = draw_at_widths("residuals", residuals)
    if any(_known(r) for r in (card.pearson, card.spearman)):
        drawn["agreement"] = draw_at_widths("agreement", lambda width: agreement_figure(card, width))
    if data.cells:
        real, cheap = ({name: pair[side] for name, pair in data.cells.items()} for side in (0, 1))
        drawn["cells"] = draw_at_widths("cells", partial(scatter_figure, list(data.cells), real, cheap))
    blocks: list[Block] = [Drawing(figure, captions[name]) for name, figure in drawn.items()]
    if not drawn:
        return Section(anchor="figures", title="Policy by policy", blocks=())
    rows: list[tuple[Inline, ...]] = []
    for name in card.policies:
        marks = data.unverified.get(name, ())
        rates = (rate_phrase(rates.get(name), marks) for rates in (data.real, data.cheap))
        rows.append((name, *rates, estimate_phrase(card.calibration.get(name), marks)))
    caption = "Success of every policy in both worlds"
    columns = ("policy", "real", "cheap", "cheap minus real")
    blocks += [Heading("All policies"), Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")]
    if card.left_out:
        blocks.append(Paragraph(f"Left out, no score in both worlds: {', '.join(card.left_out)}.", "fine"))
    return Section(anchor="figures", title="Policy by policy", blocks=tuple(blocks))


def _estimates(scores: Mapping[str, Score], level: float) -> dict[str, Estimate]:
    rates = {}
    for name, score in scores.items():
        if isinstance(score, Estimate):
            rates[name] = score
        elif isinstance(score, tuple):
            rates[name] = wilson(round(score[0]), score[1], level)
        else:
            rates[name] = Estimate(
                value=float(score),
                low=None,
                high=None,
                level=level,
                n=0,
                method="a mean score, number of trials unknown",
            )
    return rates


def _known(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value is not None


_Measure = tuple[str, str, str, str]
"""Name, value, interval, and what it means."""

_MEANINGS = {
    "mmrv": "each wrong order costs the real difference: mmrv(real, cheap), the paper's orientation; 0 is best",
    "swapped": "each wrong order costs the cheap difference: mmrv(cheap, real); not the paper's; for comparison",
    "regret": "real success lost by deploying the cheap world's favourite",
    "noise": "correlation that a perfect cheap world would reach with so many trials",
    "corrected": "Pearson over its noise ceiling: what unlimited trials would show",
    "needed": "policies at which a correlation like this would be shown to exceed 0.7",
}


def _measures(card: ValidityCard) -> list[_Measure]:
    p = card.permutation
    orders = f"share of {'all orders' if p.exact else 'shuffles'} of the policies that agree at least as well"
    k = text.plural(len(card.policies), "policy")
    sides = f"mean of cheap minus real; {card.optimistic} of {k} score higher in cheap"
    return [
        ("Pearson correlation", *_estimated(card.pearson), _dropped(card.pearson_drop_one)),
        ("Spearman correlation", *_estimated(card.spearman), _dropped(card.spearman_drop_one)),
        ("chance agrees as well", _probability(p.p_value), f"at best {_probability(p.floor)}", orders),
        ("MMRV, weighed by real", _plain(card.mmrv), "", _MEANINGS["mmrv"]),
        ("MMRV, weighed by cheap", _plain(card.mmrv_swapped), "", _MEANINGS["swapped"]),
        ("top-1 regret", _plain(card.top_one_regret), "", _MEANINGS["regret"]),
        ("optimism", *_estimated(card.optimism), sides),
        ("noise ceiling", _plain(card.noise_ceiling), "", _MEANINGS["noise"]),
        ("Pearson without noise", _plain(card.disattenuated), "", _MEANINGS["corrected"]),
        ("policies needed", _plain(card.policies_needed), "", _MEANINGS["needed"]),
    ]


def _estimated(estimate: Estimate) -> tuple[str, str]:
    """Value and interval."""
    if estimate.value is None:
        return "no value", ""
    return text.signed(estimate.value), text.bounds(estimate.low, estimate.high)


def _plain(value: float | None) -> str:
    return "no value" if value is None else text.number(value)


def _probability(p: float | None) -> str:
    if p is None:
        return "no value"
    return text.number(p, 2) if p >= 0.0001 else "below 0.0001"


def _dropped(span: tuple[float, float] | None) -> str:
    if span is None:
        return "too few policies to leave one out"
    return f"{text.signed(span[0])} to {text.signed(span[1])} when one policy is left out"


def _captions(data: ValidityData) -> dict[str, str]:
    card = data.card
    diagonal = "On the dashed line both worlds agree; below it the cheap world is optimistic."
    correlations = f"{card.pearson.method}; {card.spearman.method}"
    bars = _bars((*data.real.values(), *data.cheap.values()))
    return {
        "scatter": f"Success of each policy in both worlds. {bars} {diagonal}",
        "cells": f"Every policy on every task; tasks that are easy in both worlds agree by themselves. {diagonal}",
        "residuals": f"Right of 0 the cheap world is optimistic about a policy. {_bars(card.calibration.values())}",
        "agreement": f"Intervals at {text.number(100 * card.pearson.level)} %: {correlations}.",
    }


def _bars(estimates: Iterable[Estimate]) -> str:
    """What the bars of a figure are."""
    example = next((e for e in estimates if e.low is not None), None)
    if example is None:
        return "No intervals: the numbers of trials are not known."
    return f"Bars: {text.number(100 * example.level)} % intervals ({example.method})."


def _methods(data: ValidityData) -> list[str]:
    card = data.card
    methods = (
        card.pearson.method,
        card.spearman.method,
        "MMRV: Li et al., SIMPLER (2024), equation 1; its interval and that of regret by resampling trials",
        card.optimism.method,
    )
    return ["; ".join(dict.fromkeys(methods)) + "."]
