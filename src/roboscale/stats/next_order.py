"""What to collect next on the way to a target: the order with the lowest cost that is expected until it is reached.

Every order on offer (so many episodes of one source, with what it has to be made from) is followed in thought: it is
paid, the policy that comes of it is judged, and whoever sees the judgement gives the best further order for what is
then believed. An order that teaches something is therefore worth more than what it reaches, and a cheap source is
tried before a dear one where that is worth a judgement. What comes after two orders costs twice what it would if
the curve were known.

Source: preposterior analysis, Raiffa and Schlaifer, Applied Statistical Decision Theory (1961), chapters 4 and 5.

Knows one task, costs as one number, and `covering.CoverFit`. Knows no calendar, no people and no scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.stats.covering import CoverFit

__all__ = [
    "AMOUNTS",
    "SURE_ENOUGH",
    "UNKNOWING",
    "WORTH_ORDERING",
    "OrderOption",
    "SourceOffer",
    "Weighed",
    "needed_for",
    "weigh_orders",
]

AMOUNTS = (2, 4, 6, 9, 13, 20, 30, 45, 65, 100, 150, 220, 320, 480)
"""Episodes that an order may have: half as many again from one to the next."""

WORTH_ORDERING = 0.02
"""Rise of success that an order has to be expected to bring, where any of them does."""

SURE_ENOUGH = 0.5
"""Probability of reaching the aim from which an order may cost less than the judging that follows it: otherwise most
of the budget would go into looking."""
UNKNOWING = 2.0
"""How much dearer the rest becomes where two orders did not suffice, against whoever knows the curve: what doubling an
amount until it suffices costs in the end."""

_EDGES = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.78, 0.84, 0.9, 0.95, 1.01])
"""Shown rates that are told apart when the further order is chosen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOffer:
    """What one source costs.

    Args:
        cost: of an episode.
        most: episodes of it that its own budget still allows.
        made_from, needs: the source whose episodes it is made from, and how many of them it takes; empty, 0 otherwise.
    """

    source: str
    cost: float
    most: int
    made_from: str = ""
    needs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOption:
    """One order, followed in thought.

    Args:
        amounts: episodes to add, by source: the order, and what it has to be made from.
        cost: of these.
        to_go: cost that is expected until the target is reached, this order and every judgement included; a curve on
            which it is never reached counts with the whole budget.
        reached: probability that the recipe then reaches the target.
        rate: success that is then expected (the mean over the curves).
    """

    source: str
    amounts: Mapping[str, int]
    cost: float
    to_go: float
    reached: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """All orders, the best first, and whether any of them can lead there.

    Args:
        options: by expected cost to go.
        reachable: probability that some order within the budget reaches the target.
        ever: the same without a budget, as far as four times the largest order of every source.
        best_rate: success of the most that is affordable of all sources, by curve.
    """

    options: tuple[OrderOption, ...]
    reachable: float
    ever: float
    best_rate: Floats

    @property
    def best(self) -> OrderOption | None:
        return self.options[0] if self.options else None

    def by_source(self) -> dict[str, OrderOption]:
        """The best order of every source, the best source first."""
        first: dict[str, OrderOption] = {}
        for option in self.options:
            first.setdefault(option.source, option)
        return first


def needed_for(offer: SourceOffer, amount: int, have: Mapping[str, float]) -> dict[str, int]:
    """Episodes to add for an order of `amount`: itself, and what it is made from as far as that is missing."""
    missing = max(0, offer.needs - int(have.get(offer.made_from, 0))) if offer.made_from else 0
    return {**({offer.made_from: missing} if missing else {}), offer.source: amount}


def weigh_orders(
    fit: CoverFit,
    have: Mapping[str, float],
    offers: Sequence[SourceOffer],
    *,
    aim: float,
    goal: float,
    judgement: float,
    budget: float,
    shown: int,
    seed: int = 0,
) -> Weighed:
    """Every order that the budget allows, by the cost that is expected until the target is reached.

    Args:
        have: episodes by source that there are.
        aim: success that is collected for; `goal`, at most as high, is what has to be reachable.
        judgement: cost of trying a recipe once.
        budget: what is left to spend on this task, judgements included.
        shown: trials of a judgement, which blur what it shows.
        seed: of that blur.

    Raises:
        ValueError: a cost that is not positive.
    """
    if any(offer.cost <= 0 for offer in offers) or judgement <= 0:
        raise ValueError("episodes and judgements cost something")
    orders = _orders(have, offers, budget - judgement)
    top, ever = (_most(fit, have, offers, limit) for limit in (budget - judgement, None))
    if not orders:
        return Weighed(options=(), reachable=0.0, ever=float(np.mean(ever >= goal)), best_rate=top)
    costs = np.array([order.cost for order in orders])
    once = fit.success([_more(have, order.added) for order in orders])
    clear = _clairvoyant(once >= aim, costs, judgement, budget)
    noise = np.random.default_rng(seed).normal(size=once.shape[1])
    blurred = once + noise * np.sqrt(np.maximum(once * (1 - once), 0.01) / shown)
    groups = np.clip(np.digitize(blurred, _EDGES), 1, len(_EDGES) - 1)
    to_go = [
        order.cost
        + judgement
        + _rest(fit, _more(have, order.added), orders, once[i] < aim, groups[i], clear, (aim, judgement, budget))
        for i, order in enumerate(orders)
    ]
    now = float(fit.success([have])[0].mean()) if any(have.values()) else 0.0
    options = [
        OrderOption(
            source=order.offer.source,
            amounts=order.added,
            cost=order.cost,
            to_go=float(to_go[i]),
            reached=float(np.mean(once[i] >= aim)),
            rate=float(once[i].mean()),
        )
        for i, order in enumerate(orders)
    ]
    # an order that hardly changes the recipe would only buy another look at it
    worth = min(WORTH_ORDERING, 0.5 * (max(option.rate for option in options) - now))
    options = [option for option in options if option.rate >= now + worth]
    options = [option for option in options if option.cost >= judgement or option.reached >= SURE_ENOUGH] or options
    return Weighed(
        options=tuple(sorted(options, key=lambda o: (o.to_go, o.cost, o.source))),
        reachable=float(np.mean(np.maximum(once.max(axis=0), top) >= goal)),
        ever=float(np.mean(ever >= goal)),
        best_rate=top,
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """So many episodes of an offer; what is added for it, and its cost."""

    offer: SourceOffer
    amount: int
    added: Mapping[str, int]
    cost: float


def _orders(have: Mapping[str, float], offers: Sequence[SourceOffer], budget: float) -> list[_Order]:
    """Every order that its source and the budget allow."""
    by_name = {offer.source: offer for offer in offers}
    found = []
    for offer in offers:
        for amount in AMOUNTS:
            added = needed_for(offer, amount, have)
            if any(name not in by_name or count > by_name[name].most for name, count in added.items()):
                continue
            cost = sum(by_name[name].cost * count for name, count in added.items())
            if cost <= budget:
                found.append(_Order(offer, amount, added, cost))
    return found


def _more(have: Mapping[str, float], added: Mapping[str, float]) -> dict[str, float]:
    return {name: have.get(name, 0.0) + added.get(name, 0.0) for name in {**have, **added}}


def _most(fit: CoverFit, have: Mapping[str, float], offers: Sequence[SourceOffer], budget: float | None) -> Floats:
    """Success, by draw, of the most of every source: one after the other within the budget, cheapest first."""
    amounts, left = dict(have), budget
    for offer in sorted(offers, key=lambda offer: offer.cost):
        count = 4 * AMOUNTS[-1] if left is None else min(offer.most, int(max(0.0, left / len(offers)) / offer.cost))
        amounts = _more(amounts, {offer.source: count})
    return np.asarray(fit.success([amounts])[0])


def _clairvoyant(reaches: NDArray[np.bool_], costs: Floats, judgement: float, budget: float) -> Floats:
    """By draw, what the cheapest order costs that reaches the target; the budget where none does."""
    paid = np.where(reaches, (costs + judgement)[:, None], budget)
    return np.asarray(paid.min(axis=0))


def _rest(
    fit: CoverFit,
    then: Mapping[str, float],
    orders: Sequence[_Order],
    failed: NDArray[np.bool_],
    groups: NDArray[np.int64],
    clear: Floats,
    limits: tuple[float, float, float],
) -> float:
    """Expected cost from the judgement of an order on: the best further order for each rate that may be shown.

    Args:
        then: episodes that there are by then.
        failed: by draw, whether the target is not reached.
        groups: by draw, which of the rates that are told apart is shown.
        clear: by draw, the cost where the curve is known.
        limits: aim, cost of a judgement, budget.
    """
    aim, judgement, budget = limits
    price = {order.offer.source: order.offer.cost for order in orders}
    further = [needed_for(order.offer, order.amount, then) for order in orders]
    costs = np.array([sum(price[name] * count for name, count in added.items()) for added in further])
    twice = fit.success([_more(then, added) for added in further])
    # shape (orders, draws): the further order is paid and judged; where it fails, more is needed
    after = costs[:, None] + judgement + np.where(twice >= aim, 0.0, UNKNOWING * clear[None])
    after = np.where(failed[None], np.minimum(after, budget), 0.0)
    best = [float(after[:, groups == one].sum(axis=1).min()) for one in np.unique(groups)]
    return sum(best) / len(failed)
