"""What the trials of language models cost: tokens and money, added up from what each trial says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from roboscale.core import Trial

__all__ = ["spending", "spending_line"]

_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "uncounted", "asked_again")


def spending(trials: Iterable[Trial]) -> dict[str, Any] | None:
    """Sums over trials; `None` where none of them cost anything that is known of.

    `usd` is `None` where one of them does not know its money, never a part of the sum.
    """
    costs = [cost for trial in trials if isinstance(cost := trial.details.get("cost"), Mapping)]
    if not costs:
        return None
    said: dict[str, Any] = {"trials": len(costs)}
    for name in _COUNTS:
        said[name] = sum(int(cost.get(name) or 0) for cost in costs)
    money = [cost.get("usd") for cost in costs]
    said["usd"] = None if None in money else float(sum(float(one or 0) for one in money))
    said["models"] = list(dict.fromkeys(name for cost in costs for name in cost.get("models", ())))
    return said


def spending_line(label: str, said: Mapping[str, Any]) -> str:
    """For a terminal."""
    trials = said["trials"]
    usd = said["usd"]
    money = "money not known" if usd is None else f"{usd:.4g} USD, {usd / trials:.2g} a trial"
    uncounted = f"; {said['uncounted']} answers without a count of tokens" if said["uncounted"] else ""
    return (
        f"  cost of {label}: {said['requests']} questions in {trials} trials, {said['prompt_tokens']} tokens in, "
        f"{said['completion_tokens']} out, {money}{uncounted}"
    )
