"""A validity card as one offline page: may the cheap world judge policies in place of the real one?

Takes the finished card and the rates it was made from; the claims are the card's own words. Knows no statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.model import Scalar
from roboscale.report.pages import draw_at_widths, full_stop, many, render_page, show_bounds, show_signed
from roboscale.report.validity_figures import agreement_figure, residual_figure, scatter_figure
from roboscale.stats.proportions import wilson
from roboscale.stats.validity import Score, ValidityCard

__all__ = ["ValidityData", "validity_page"]


@dataclass(frozen=True, slots=True)
class ValidityData:
    """Everything a validity page shows.

    Args:
        card: the measures and the claims.
        real, cheap: policy -> success rate in each world; policies in one world only are listed as left out.
        real_name, cheap_name: of the two worlds.
        sources: names of what was read.
        command: the command line that makes this page.
    """

    card: ValidityCard
    real: Mapping[str, Estimate]
    cheap: Mapping[str, Estimate]
    real_name: str = "real world"
    cheap_name: str = "cheap world"
    sources: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    title: str = "Validity card"

    @classmethod
    def of(
        cls, card: ValidityCard, real: Mapping[str, Score], cheap: Mapping[str, Score], **rest: Any
    ) -> ValidityData:
        """From the scores that the card was made from: counts get Wilson's interval, mean scores none."""
        level = card.pearson.level
        return cls(card, _estimates(real, level), _estimates(cheap, level), **rest)

    def to_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "title": self.title,
            "card": self.card.to_json(),
            "real": {name: rate.to_json() for name, rate in self.real.items()},
            "cheap": {name: rate.to_json() for name, rate in self.cheap.items()},
            "real_name": self.real_name,
            "cheap_name": self.cheap_name,
            "sources": list(self.sources),
            "command": self.command,
            "versions": dict(self.versions),
        }


def validity_page(data: ValidityData) -> str:
    """The card as one HTML document that makes no request; strings may hold anything, they are escaped."""
    card = data.card
    names = [name for name in card.policies if _known(data.real.get(name)) and _known(data.cheap.get(name))]
    figures = {}
    if names:
        figures["scatter"] = draw_at_widths("scatter", lambda w: scatter_figure(names, data.real, data.cheap, w))
    if any(_known(gap) for gap in card.calibration.values()):
        figures["residuals"] = draw_at_widths("residuals", lambda w: residual_figure(card.calibration, w))
    if _known(card.pearson) or _known(card.spearman):
        figures["agreement"] = draw_at_widths("agreement", lambda w: agreement_figure(card, w))
    claims = [full_stop(claim) for claim in card.claims]
    sections = (
        ("said", "What may be said", len(claims) > 1),
        ("measures", "Measures", True),
        ("figures", "Policy by policy", bool(figures)),
        ("method", "How it was done", True),
    )
    return render_page(
        "validity.html",
        data.to_json(),
        title=data.title,
        kind="validity",
        sections=[(anchor, name) for anchor, name, present in sections if present],
        tag=f"k = {many(len(card.policies), 'policy')}",
        worlds=(f"cheap: {data.cheap_name}", f"real: {data.real_name}"),
        sentence=claims[0] if claims else "The data cannot say.",
        claims=claims[1:],
        measures=_measures(card),
        figures=figures,
        captions=_captions(data),
        policies=[(n, data.real.get(n), data.cheap.get(n), card.calibration.get(n)) for n in card.policies],
        left_out=card.left_out,
        method=_methods(data),
        sources=data.sources,
        command=data.command,
        versions=data.versions,
    )


def _estimates(scores: Mapping[str, Score], level: float) -> dict[str, Estimate]:
    found = {}
    for name, score in scores.items():
        if isinstance(score, tuple):
            found[name] = wilson(round(score[0]), score[1], level)
        else:
            found[name] = Estimate(float(score), None, None, level, 0, "a mean score, number of trials unknown")
    return found


def _known(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value is not None


_Measure = tuple[str, str, str, str]
"""Name, value, interval, and what it means."""

_MEANINGS = {
    "mmrv": "each wrong order costs the real difference: mmrv(real, cheap), the paper's orientation; 0 is best",
    "swapped": "each wrong order costs the cheap difference: mmrv(cheap, real); not the paper's; for comparison",
    "regret": "real success lost by deploying the cheap world's favourite",
    "noise": "correlation that a perfect cheap world would reach with so many trials",
    "needed": "policies at which a correlation like this would be shown to exceed 0.7",
}


def _measures(card: ValidityCard) -> list[_Measure]:
    p = card.permutation
    orders = f"share of {'all orders' if p.exact else 'shuffles'} of the policies that agree at least as well"
    sides = (
        f"mean of cheap minus real; {card.optimistic} of {many(len(card.policies), 'policy')} score higher in cheap"
    )
    return [
        ("Pearson correlation", *_estimated(card.pearson), _dropped(card.pearson_drop_one)),
        ("Spearman correlation", *_estimated(card.spearman), _dropped(card.spearman_drop_one)),
        ("chance agrees as well", _probability(p.p_value), f"at best {_probability(p.floor)}", orders),
        ("MMRV, weighed by real", _plain(card.mmrv), "", _MEANINGS["mmrv"]),
        ("MMRV, weighed by cheap", _plain(card.mmrv_swapped), "", _MEANINGS["swapped"]),
        ("top-1 regret", _plain(card.top_one_regret), "", _MEANINGS["regret"]),
        ("optimism", *_estimated(card.optimism), sides),
        ("noise ceiling", _plain(card.noise_ceiling), "", _MEANINGS["noise"]),
        ("policies needed", _plain(card.policies_needed), "", _MEANINGS["needed"]),
    ]


def _estimated(estimate: Estimate) -> tuple[str, str]:
    """Value and interval."""
    if estimate.value is None:
        return "no value", ""
    return show_signed(estimate.value), show_bounds(estimate.low, estimate.high)


def _plain(value: float | None) -> str:
    return "no value" if value is None else text.number(value)


def _probability(p: float | None) -> str:
    if p is None:
        return "no value"
    return text.number(p, 2) if p >= 0.0001 else "below 0.0001"


def _dropped(found: tuple[float, float] | None) -> str:
    if found is None:
        return "too few policies to leave one out"
    return f"{show_signed(found[0])} to {show_signed(found[1])} when one policy is left out"


def _captions(data: ValidityData) -> dict[str, str]:
    card = data.card
    diagonal = "On the dashed line both worlds agree; below it the cheap world is optimistic."
    correlations = f"{card.pearson.method}; {card.spearman.method}"
    bars = _bars((*data.real.values(), *data.cheap.values()))
    return {
        "scatter": f"Success of each policy in both worlds. {bars} {diagonal}",
        "residuals": f"Right of 0 the cheap world is optimistic about a policy. {_bars(card.calibration.values())}",
        "agreement": f"Intervals at {text.number(100 * card.pearson.level)} %: {correlations}.",
    }


def _bars(estimates: Iterable[Estimate]) -> str:
    """What the bars of a figure are."""
    found = next((e for e in estimates if e.low is not None), None)
    if found is None:
        return "No intervals: the numbers of trials are not known."
    return f"Bars: {text.number(100 * found.level)} % intervals ({found.method})."


def _methods(data: ValidityData) -> list[str]:
    card = data.card
    found = (
        card.pearson.method,
        card.spearman.method,
        "MMRV: Li et al., SIMPLER (2024), equation 1",
        card.optimism.method,
    )
    return ["; ".join(dict.fromkeys(found)) + "."]
