"""Whether perturbed cases can still be solved: asked of the world's own expert, before anybody else is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roboscale.jobs.events import Note, OnEvent, Progress
from roboscale.jobs.perturbing import Excluded, perturb_of, solved_less, swept_by, unseen_by

if TYPE_CHECKING:
    from roboscale.jobs.trying import AnyPolicy, AnyWorld, Trying

__all__ = ["SOLVABLE_SHARE", "excluded_cells", "unsolvable_cells"]

_UNCHECKED = "not checked whether perturbed cases can be solved"
SOLVABLE_SHARE = 0.9
"""A cell in which the expert solves less than this share of what it solves unperturbed says nothing of a policy."""


def unsolvable_cells(request: Trying, count: int, on_event: OnEvent, world: AnyWorld | None) -> Excluded:
    """The cells of `--perturb` that are left out because the world's expert cannot solve them, and why.

    The expert's trials are kept in the same store. What it cannot notice (pictures, words) is not tried, and that
    this was not checked is said.

    Args:
        count: cases, per task for `eval`, over all tasks for `compare`.
    """
    from roboscale.jobs.eval import Evaluate
    from roboscale.jobs.running import open_world_of, run_trials
    from roboscale.jobs.trying import expand_tasks
    from roboscale.worlds.perturbed import parse_cells

    opened = open_world_of(request, world)
    try:
        if not opened.info.expert:
            on_event(Note(f"{_UNCHECKED}: world {opened.info.name} has no expert"))
            return {}
        reads = opened.expert().observation_spec  # type: ignore[attr-defined]
        cells = parse_cells(perturb_of(request), opened)
        if hasattr(request, "budget"):  # which counts over all tasks
            count = -(-count // len(expand_tasks(opened.info, request.tasks)))
    finally:
        opened.close()
    axes = dict.fromkeys(cell.partition(":")[0] for cell in cells)
    unseen = unseen_by(axes, pictures=reads is None or bool(reads.images))
    if unseen:
        on_event(Note(f"not checked whether solvable, since the expert does not notice it: {', '.join(unseen)}"))
    checked = [cell for cell in cells if cell.partition(":")[0] not in unseen]
    if not checked:
        return {}
    kept = ("world", "tasks", "seed", "seeds", "cases", "rule", "horizon", "retries", "workers", "worlds", "store")
    asked = Evaluate(
        policy="expert",
        perturb=",".join(checked),
        solvable=False,
        trials=count,
        world_timeout=request.world_timeout,
        start_timeout=request.start_timeout,
        **{name: getattr(request, name) for name in kept},
    )

    def progress(event: Any) -> None:
        if isinstance(event, Progress):
            on_event(replace(event, what="trials of the expert"))

    judged = run_trials(asked, ["expert"], count=count, on_event=progress, world=world)
    return solved_less(judged, SOLVABLE_SHARE)


def excluded_cells(
    request: Trying, policies: Sequence[AnyPolicy], count: int, on_event: OnEvent, world: AnyWorld | None
) -> Excluded:
    """`unsolvable_cells` where a request asks for it; nothing where it tries the expert itself."""
    if not perturb_of(request) or swept_by(request) or not getattr(request, "solvable", False):
        return {}
    if "expert" in [one for one in policies if isinstance(one, str)]:
        on_event(Note(f"{_UNCHECKED}: it is the expert that is tried"))
        return {}
    return unsolvable_cells(request, count, on_event, world)
