"""Chooses how often each source of a dataset is drawn in training, and finds out whether that helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import Estimate, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.curate.selection import Selection
    from roboscale.dataset import Dataset, EpisodeInfo

__all__ = ["MixDataset", "MixedDataset", "mix_dataset"]

Groups = Mapping[str, Sequence["EpisodeInfo"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixDataset(Request):
    """Asks for the shares of a dataset's sources.

    Args:
        points: for `plan`, the tables of success by amount that `roboscale plan` reads.
        rounds: for `robust`, how often shares are moved.
        validate: folder of trained policies and trials that say whether the shares help.
        tasks: of the world, where the policies of `validate` are tried.
        steps: of the optimiser, for the reference of `robust` and every training of `validate`.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "mix")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0; it is only read.")]
    out: Annotated[Path, Argument("The selection with the weights, a JSON file.")]
    method: Annotated[
        Literal["robust", "plan", "uniform", "size"],
        Option(
            "robust (what is still to be learned) or plan (curves); uniform or size as controls.", flag="--method/-m"
        ),
    ]
    by: Annotated[
        str, Option("source, embodiment, operator, task, world, instruction, or details.NAME of the provenance.")
    ] = "source"
    points: Annotated[tuple[Path, ...], Option("plan: table of success by source and amount, repeated.")] = ()
    rounds: Annotated[int, Option("robust: how often the shares are moved.", min=1)] = 8
    validate: Annotated[
        Path | None, Option("Train on these shares, on equal ones and on none, in this folder, and compare.")
    ] = None
    tasks: Annotated[str, Option("Tasks to try them on, with commas.")] = ""
    world: Annotated[str, Option("World to try them in.")] = "metaworld"
    runs: Annotated[int, Option("Trainings a side.", min=1)] = 5
    trials: Annotated[int, Option("Per task and training.", min=1)] = 20
    steps: Annotated[int, Option("Optimiser steps of every training.", min=1)] = 1000
    seed: Annotated[int, Option("Seed of what is held out, and of the trainings.")] = 0
    workers: Annotated[int | None, Option("Processes. Default: the cores.", min=0)] = None

    def check(self) -> None:
        if (self.method == "plan") != bool(self.points):
            raise RoboscaleError("--method plan needs --points TABLE, and no other method takes it")
        if (self.validate is not None) != bool(self.tasks):
            raise RoboscaleError("--validate FOLDER and --tasks NAMES belong together: policies are tried somewhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedDataset:
    """The shares, and with `validate` what they are good for.

    Args:
        shares: of the draws by group.
        frames: share of the frames by group: what is drawn without weights.
        estimates: for `plan`, each share with its interval.
        validation: the claims about these shares against equal ones and none; `None` where not asked.
        reading: a sentence a claim.
    """

    out: Path
    selection: Selection
    shares: Mapping[str, float]
    frames: Mapping[str, float]
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    reading: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "method": self.selection.method,
            "asked": self.selection.asked,
            "shares": dict(self.shares),
            "frames": dict(self.frames),
            "estimates": {name: one.to_json() for name, one in self.estimates.items()},
            "notes": list(self.selection.notes),
            "validation": self.validation,
            "reading": list(self.reading),
        }


def mix_dataset(request: MixDataset, on_event: OnEvent = ignore, *, dry_run: bool = False) -> MixedDataset:
    """Writes a selection of all episodes with weights; with `validate` trains with and without them, and compares.

    >>> request = MixDataset(dataset=Path("pushes"), out=Path("mix.json"), method="uniform", by="operator")
    >>> done = mix_dataset(request)
    >>> round(sum(done.shares.values()), 6)
    1.0

    Args:
        dry_run: say what the groups are; train and write nothing.

    Raises:
        RoboscaleError: there is one group only, or the method cannot say anything of these, or the request
            contradicts itself.
        BadData: the dataset or a table is broken.
    """
    from roboscale.curate.mixing import episode_groups, mixed
    from roboscale.dataset import Dataset
    from roboscale.jobs.files import write_json
    from roboscale.jobs.recordings import require_ours

    require_ours(request.dataset)
    dataset = Dataset(request.dataset)
    groups = episode_groups(dataset, request.by)
    whole = int(dataset.lengths.sum())
    frames = {name: sum(e.length for e in mine) / whole for name, mine in groups.items()}
    shares, estimates, notes = (frames, {}, ()) if dry_run else _shares(request, dataset, groups, frames, on_event)
    for note in notes:
        on_event(Note(note))
    asked = f"shares of the draws by {request.by}"
    selection = mixed(dataset, groups, shares, method=request.method, asked=asked, seed=request.seed, notes=notes)
    done = MixedDataset(
        out=request.out, selection=selection, shares=dict(shares), frames=frames, estimates=dict(estimates)
    )
    if dry_run:
        return done
    write_json(request.out, selection.to_json())
    on_event(Wrote("selection", request.out))
    if request.validate is None:
        return done
    from roboscale.jobs.mixing import validate_mixture

    return validate_mixture(request, done, dataset, groups, on_event)


Said = tuple[Mapping[str, float], Mapping[str, Estimate], tuple[str, ...]]
"""Shares, their estimates where there are any, and what is to be said of them."""


def _shares(
    request: MixDataset, dataset: Dataset, groups: Groups, frames: Mapping[str, float], on_event: OnEvent
) -> Said:
    if request.method == "uniform":
        return dict.fromkeys(groups, 1 / len(groups)), {}, ()
    if request.method == "size":
        return frames, {}, ("size: each group as often as it has frames, which is what no weights do",)
    if request.method == "plan":
        return _planned(request, dataset, groups)
    from roboscale.curate.mixing import robust_shares
    from roboscale.jobs.mixing import HeldOut

    with HeldOut(request, dataset, groups, on_event) as learner:
        shares, lines = robust_shares(groups, learner, request.rounds)
    return shares, {}, (*learner.notes, *lines)


def _planned(request: MixDataset, dataset: Dataset, groups: Groups) -> Said:
    """By the curves of `roboscale plan`: each source as often as it adds to the effective amount of data."""
    from roboscale.jobs.planning import load_points
    from roboscale.stats.mixture import MixPoint, fit_mixture

    table = load_points(request.points)
    unit = table.points[0].unit if table.points else ""
    if unit not in ("demonstrations", "hours"):
        raise RoboscaleError(f"--points: expected amounts in demonstrations or hours, found {unit or 'no point'}")
    hours = 3600 * float(dataset.fps)
    here = {
        name: float(len(mine)) if unit == "demonstrations" else sum(e.length for e in mine) / hours
        for name, mine in groups.items()
    }
    fit = fit_mixture([MixPoint(p.amounts, p.successes, p.trials) for p in table.points], seed=request.seed)
    missing = sorted(set(groups) - set(fit.sources))
    if missing:
        raise RoboscaleError(
            f"--points: no curve of {', '.join(missing)}, which {request.by} of the dataset names; the tables have "
            f"{', '.join(fit.sources) or 'none'}"
        )
    found = {name: one for name, one in fit.contributions(here).items() if name in groups}
    silent = [one.method for one in found.values() if one.value is None]
    if silent:
        raise RoboscaleError(f"--points: {silent[0]}")
    total = sum(one.value or 0.0 for one in found.values())
    tasks = len({p.task for p in table.points})
    notes = [
        f"plan: shares of the effective amount by {len(table.points)} trained policies, 90 % intervals in the JSON"
    ]
    notes += [f"plan: {tasks} tasks of the tables are taken together"] if tasks > 1 else []
    return {name: (one.value or 0.0) / total for name, one in found.items()}, found, (*table.notes, *notes)
