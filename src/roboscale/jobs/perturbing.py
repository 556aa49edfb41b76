"""What `--perturb` asks: the same cases unperturbed and in every cell, and what each cell costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from roboscale.core import NOMINAL, Case, Estimate, Identity, RoboscaleError, World

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.stats.robustness import Robustness, RobustnessDuel

__all__ = [
    "Excluded",
    "duels_of",
    "perturb_of",
    "perturbed_cases",
    "robustness_lines",
    "robustness_of",
    "swept_by",
]

Excluded = Mapping[tuple[str, str], str]
"""(task, variation) -> why it is left out."""


def perturb_of(request: object) -> str:
    """What `--perturb` asks for; commands without it ask for nothing."""
    return str(getattr(request, "perturb", ""))


def swept_by(request: object) -> str:
    """How `--sweep` draws all axes at once; nothing where they are tried one by one."""
    return str(getattr(request, "sweep", ""))


def perturbed_cases(
    cases: Sequence[Case], text: str, world: World, say: Callable[[str], None], excluded: Excluded | None = None
) -> tuple[Case, ...]:
    """Every case as it is, then in each cell that `text` asks for; case by case, so that a stop leaves whole pairs.

    Args:
        text: of `--perturb`; nothing is added where it is empty.
        world: where they are tried; a `PerturbedWorld` where `text` is not empty.
        say: told how many trials that makes, and which cells are left out.
        excluded: cells that are not to be tried.

    Raises:
        UnknownName, RoboscaleError: see `parse_cells`; or the cases are varied already, or no cell is left.
    """
    if not text:
        return tuple(cases)
    varied = next((case for case in cases if case.variation != NOMINAL), None)
    if varied is not None:
        raise RoboscaleError(f"--perturb varies cases that are {NOMINAL}; {varied.id} is varied already")
    cells = cells_by_task(cases, text, world, say)
    for (task, cell), why in (excluded or {}).items():
        if cell in cells.get(task, ()):
            cells[task] = tuple(one for one in cells[task] if one != cell)
            say(f"left out: {cell} in {task}: {why}")
    whole = tuple(
        one for case in cases for one in (case, *(replace(case, variation=cell) for cell in cells[case.task]))
    )
    arms = 1 + max(len(of_task) for of_task in cells.values())
    if arms == 1:
        raise RoboscaleError(f"--perturb {text}: no cell is left to try")
    say(f"--perturb: {arms} arms, {len(whole)} trials of each policy instead of {len(cases)}")
    return whole


def cells_by_task(
    cases: Sequence[Case], text: str, world: World, say: Callable[[str], None]
) -> dict[str, tuple[str, ...]]:
    """Task -> the cells that change something in it; says which do not, and which axes `all` leaves out."""
    from roboscale.worlds.perturbed import AXES, PerturbedWorld, axes_of, parse_cells

    cells = parse_cells(text, world)
    for name, why in axes_of(world).items() if text.strip() == "all" else ():
        if why:
            say(f"--perturb all leaves {name} out: {why}")
    first = {case.task: case for case in reversed(cases)}
    axes = dict.fromkeys(cell.partition(":")[0] for cell in cells)
    probed = isinstance(world, PerturbedWorld) and any(AXES[axis].acts_on == "model" for axis in axes)
    by_task = {}
    for task in dict.fromkeys(case.task for case in cases):
        idle = world.idle_axes(first[task]) if probed and isinstance(world, PerturbedWorld) else {}
        for axis in axes:
            if axis in idle:
                say(f"left out: {axis} in {task}: {idle[axis]}")
        by_task[task] = tuple(cell for cell in cells if cell.partition(":")[0] not in idle)
    return by_task


def _arms(judged: Judged, policy: Identity) -> dict[str, dict[str, bool | None]]:
    """Variation -> case without it -> success of one policy."""
    arms: dict[str, dict[str, bool | None]] = {}
    for one in judged.used:
        if one.policy == policy and not one.pending:
            arms.setdefault(one.case.variation, {})[replace(one.case, variation=NOMINAL).id] = one.outcome.success
    return arms


def robustness_of(judged: Judged) -> dict[str, Robustness]:
    """Label of a policy -> its cells; empty for a run that perturbed nothing, or drew all axes at once."""
    from roboscale.stats.robustness import robustness

    if not judged.perturbed or judged.swept:
        return {}
    made = {}
    for policy, label in judged.labels.items():
        arms = _arms(judged, policy)
        made[label] = robustness(arms.pop(NOMINAL, {}), arms)
    return made


def duels_of(judged: Judged) -> tuple[RobustnessDuel, ...]:
    """Of every two policies, who loses less in worse worlds; empty where nothing was perturbed or one policy tried."""
    from roboscale.stats.robustness import compare_robustness

    if not judged.perturbed or judged.swept:
        return ()
    arms = {label: _arms(judged, policy) for policy, label in judged.labels.items()}
    nominal = {label: of_policy.pop(NOMINAL, {}) for label, of_policy in arms.items()}
    pairs = list(combinations(arms, 2))
    return tuple(
        compare_robustness(
            pair, (nominal[pair[0]], nominal[pair[1]]), (arms[pair[0]], arms[pair[1]]), 0.05 / len(pairs)
        )
        for pair in pairs
    )


def robustness_lines(judged: Judged) -> list[str]:
    """For a terminal: a line a cell, what may be said of all, and who of several policies is more robust."""
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
    for duel in duels_of(judged):
        first, second = duel.names
        lines.append(f"{first} and {second} in worse worlds: {duel.sentence}")
        lines += [
            f"  {gap.variation:22}change of {second} minus change of {first} {with_signs(gap.difference)}, "
            f"p {gap.p_value:.2g}, n {gap.difference.n}"
            for gap in duel.gaps
            if gap.decision != "cannot say"
        ]
        lines.append(f"  {duel.method}")
    return lines


def _rate(rate: Estimate) -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return f"no data, {rate.void} void"
    return f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]{f', {rate.void} void' if rate.void else ''}"


def solved_less(judged: Judged, share: float) -> dict[tuple[str, str], str]:
    """(task, variation) -> how often, of the cells in which a policy solves less than `share` of what it solves
    unperturbed on the same cases."""
    (policy,) = judged.run.policies
    counts: dict[tuple[str, str], list[bool]] = {}
    for one in judged.used:
        if one.policy == policy and one.outcome.success is not None:
            counts.setdefault((one.case.task, one.case.variation), []).append(one.outcome.success)
    found = {}
    for (task, cell), solved in counts.items():
        nominal = counts.get((task, NOMINAL), [])
        if cell == NOMINAL or not nominal:
            continue
        rate, base = sum(solved) / len(solved), sum(nominal) / len(nominal)
        if rate < share * base:
            found[task, cell] = (
                f"the world's expert solves {sum(solved)} of {len(solved)} cases there, "
                f"{sum(nominal)} of {len(nominal)} unperturbed"
            )
    return found


def unseen_by(axes: Collection[str], *, pictures: bool) -> tuple[str, ...]:
    """The axes that a policy which reads no pictures and no words cannot notice."""
    from roboscale.worlds.perturbed import AXES

    only_seen = ("light", "camera", "texture", "distractors", "compression")
    return tuple(a for a in axes if AXES[a].acts_on == "words" or (not pictures and a in only_seen))
