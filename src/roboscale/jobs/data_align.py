"""Datasets of different robots become one whose actions mean the same: by what they declare, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import Field, Spec, SpecMismatch
from roboscale.core.plain import Plain
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.dataset.canonical import Alignment
    from roboscale.jobs.recordings import Opened

__all__ = ["AlignDatasets", "AlignedDatasets", "align_datasets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignDatasets(Request):
    """Asks for the datasets of a pool with their actions in one space.

    Args:
        partial: write what can be aligned although something is refused.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "align")

    pool: Annotated[Path, Argument("A pool, a collection, or one dataset; they are only read.")]
    out: Annotated[Path, Argument("A new folder.")]
    space: Annotated[
        Literal["joint", "eef-delta", "relative-eef"],
        Option("joint (rad), eef-delta (moves in the frame's axes) or relative-eef (in the tip's own)."),
    ]
    declare: options.Declare = None
    partial: Annotated[bool, Option("Leave out what is refused. Without, one refusal refuses all.")] = False
    workers: options.DataWorkers = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedDatasets(Plain):
    """What was aligned.

    Args:
        members: name -> episodes.
        refused: name -> why not.
        lost: what the aligned dataset does not hold -> why.
        error: the largest that going back is off, in any action's own numbers, over the first episode of each member.
    """

    out: Path
    space: str
    members: Mapping[str, int]
    refused: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    error: float = 0.0


def align_datasets(request: AlignDatasets, on_event: OnEvent = ignore, *, dry_run: bool = False) -> AlignedDatasets:
    """Writes the aligned dataset; every episode is turned back and compared on the way.

    >>> done = align_datasets(AlignDatasets(pool=Path("recorded"), out=Path("joints"), space="joint", workers=0))
    >>> done.members, done.error
    ({'recorded': 3}, 0.0)

    Args:
        dry_run: say what would be refused, and write nothing.

    Raises:
        SpecMismatch: nothing can be aligned, or something cannot and `partial` is not given; with every reason.
        BadData: a member is broken, or `out` holds something else.
    """
    from roboscale.dataset.canonical import alignment_of

    opened = _members(request, on_event)
    alignments: dict[str, Alignment] = {}
    refused: dict[str, str] = {}
    for name, one in opened.items():
        try:
            alignments[name] = alignment_of(one.recording.spec, request.space)
        except SpecMismatch as error:
            refused[name] = str(error)
    if refused and (not request.partial or not alignments):
        reasons = "\n".join(f"  {name}: {why}" for name, why in refused.items())
        advice = (
            "declare what is missing (--declare), or --partial leaves them out" if alignments else "nothing is left"
        )
        raise SpecMismatch(f"{request.space}: {len(refused)} of {len(opened)} are refused; {advice}\n{reasons}")
    for name, why in refused.items():
        on_event(Note(f"{name} is left out: {why}"))
    for name, alignment in alignments.items():
        if request.space != "joint" and not alignment.turns:
            on_event(Note(f"{name} cannot turn its tip: its turns are 0"))
    kept = {name: opened[name] for name in alignments}
    return _write(request, (kept, alignments), refused, on_event, dry_run)


def _members(request: AlignDatasets, on_event: OnEvent) -> dict[str, Opened]:
    """Those of a pool or a collection, or the one dataset."""
    from roboscale.curate.pool import DATASETS, Pool
    from roboscale.dataset.collection import MANIFEST, Collection
    from roboscale.jobs.merging import open_members
    from roboscale.jobs.recordings import apart

    folder = request.pool.parent if request.pool.name == MANIFEST else request.pool
    paths = [folder]
    if (folder / DATASETS).exists():
        paths = [Path(entry.root) for entry in Pool(folder).entries()]
    elif (folder / MANIFEST).exists():
        paths = [member.root for member in Collection(folder, absolute=True).members]
    for path in (folder, *paths):
        apart(path, request.out)
    return open_members(paths, request.declare, on_event)


def _write(
    request: AlignDatasets,
    members: tuple[Mapping[str, Opened], Mapping[str, Alignment]],
    refused: Mapping[str, str],
    on_event: OnEvent,
    dry_run: bool,
) -> AlignedDatasets:
    from roboscale.dataset.canonical import Aligned, aligned_spec
    from roboscale.dataset.transfer import Part, transfer
    from roboscale.jobs.events import counting
    from roboscale.jobs.losses import tell_lost
    from roboscale.jobs.merging import require_whole

    opened, alignments = members
    recordings = {name: one.recording for name, one in opened.items()}
    require_whole(recordings)
    spec = aligned_spec(alignments)
    cameras, pictures = _cameras({name: recording.spec for name, recording in recordings.items()})
    whole = Spec((*spec, *pictures), spec.rate_hz)
    lost = {
        f"{name}: {f.name}": "not shared by all in this space"
        for name, recording in recordings.items()
        for f in recording.spec
        if f.name not in ("action", "observation.state", *(own for own, _ in cameras[name]))
    }
    tell_lost(lost, on_event)
    done = AlignedDatasets(
        out=request.out,
        space=request.space,
        members={name: len(recording.keys) for name, recording in recordings.items()},
        refused=refused,
        lost=lost,
        error=max(_first_error(opened[name], one) for name, one in alignments.items()),
    )
    if dry_run:
        return done
    parts = [
        Part(
            name=name,
            open=one.open,
            keys=tuple(one.recording.keys),
            edit=Aligned(alignments[name], name, cameras[name]),
            identity=f"{one.identity} in {request.space}",
        )
        for name, one in opened.items()
    ]
    robots = dict.fromkeys(recording.robot_type for recording in recordings.values())
    transfer(
        parts,
        request.out,
        whole,
        robot_type="+".join(robots),
        workers=request.workers,
        progress=counting(on_event, "episodes", sum(done.members.values())),
        command=request.command_anywhere,
    )
    return done


def _first_error(opened: Opened, alignment: Alignment) -> float:
    """How far going back is off in the first episode; the others are compared while they are written."""
    episode = opened.recording.read(opened.recording.keys[0], ())
    actions, states = episode.arrays["action"], episode.arrays["observation.state"]
    return alignment.error(actions, alignment.back(alignment.forward(actions, states), states))


def _cameras(specs: Mapping[str, Spec]) -> tuple[dict[str, tuple[tuple[str, str], ...]], list[Field]]:
    """Member -> (its camera, the name that all get) of the roles that all declare in one size; and their fields."""
    by_role = {name: {f.role: f for f in spec.images if f.role} for name, spec in specs.items()}
    first = next(iter(by_role.values()))
    common = [r for r, f in first.items() if all(r in own and own[r].shape == f.shape for own in by_role.values())]
    fields = [replace(first[role], name=f"observation.images.{role}") for role in common]
    return {n: tuple((own[r].name, f"observation.images.{r}") for r in common) for n, own in by_role.items()}, fields
