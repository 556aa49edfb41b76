"""What `eval --perturb` asks: the same cases unperturbed and in every cell, and what each cell costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from roboscale.core import NOMINAL, Case, Estimate, RoboscaleError, WorldInfo

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.stats.robustness import Robustness

__all__ = ["perturb_of", "perturbed_cases", "robustness_lines", "robustness_of"]


def perturb_of(request: object) -> str:
    """What `eval --perturb` asks for; other commands have no such option."""
    return str(getattr(request, "perturb", ""))


def perturbed_cases(cases: Sequence[Case], text: str, info: WorldInfo, say: Callable[[str], None]) -> tuple[Case, ...]:
    """Every case as it is, then in each cell that `text` asks for; case by case, so that a stop leaves whole pairs.

    Args:
        text: of `--perturb`; nothing is added where it is empty.
        say: told how many trials that makes, and which axes `all` leaves out.

    Raises:
        UnknownName, RoboscaleError: see `parse_cells`; or the cases are varied already.
    """
    from roboscale.worlds.perturbed import axes_of, parse_cells

    if not text:
        return tuple(cases)
    varied = next((case for case in cases if case.variation != NOMINAL), None)
    if varied is not None:
        raise RoboscaleError(f"--perturb varies cases that are {NOMINAL}; {varied.id} is varied already")
    cells = parse_cells(text, info)
    whole = tuple(one for case in cases for one in (case, *(replace(case, variation=cell) for cell in cells)))
    say(f"--perturb: {1 + len(cells)} arms, {len(whole)} trials of each policy instead of {len(cases)}")
    for name, why in axes_of(info).items() if text.strip() == "all" else ():
        if why:
            say(f"--perturb all leaves {name} out: {why}")
    return whole


def robustness_of(judged: Judged) -> dict[str, Robustness]:
    """Label of a policy -> its cells; empty for a run that perturbed nothing."""
    from roboscale.stats.robustness import robustness

    if not judged.perturbed:
        return {}
    made = {}
    for policy, label in judged.labels.items():
        arms: dict[str, dict[str, bool | None]] = {}
        for one in judged.used:
            if one.policy == policy and not one.pending:
                arms.setdefault(one.case.variation, {})[replace(one.case, variation=NOMINAL).id] = one.outcome.success
        made[label] = robustness(arms.pop(NOMINAL, {}), arms)
    return made


def robustness_lines(judged: Judged) -> list[str]:
    """For a terminal: a line a cell, and what may be said of all."""
    from roboscale.stats.robustness import with_signs

    lines = []
    for label, cells in robustness_of(judged).items():
        if not cells.cells:
            continue
        lines.append(f"{label} in worse worlds: {cells.sentence}")
        for cell in cells.cells:
            mark = "  lower" if cell.lower else "  higher" if cell.higher else ""
            lines.append(f"  {cell.variation:22}{_rate(cell.success):20}  change {with_signs(cell.difference)}{mark}")
        lines.append(f"  {cells.method}; rates: {cells.nominal.method}, {100 * cells.nominal.level:g} % each")
    return lines


def _rate(rate: Estimate) -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return f"no data, {rate.void} void"
    return f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]{f', {rate.void} void' if rate.void else ''}"
