"""Copies of episodes that look otherwise: rendered once more by their world, or with their pictures changed.

What an arm did and felt stays as it was. Where the world is asked, the stored actions are played again, and every
number must come out equal to the last bit, or nothing is kept. Only pictures are new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    NOMINAL,
    BadData,
    Case,
    RoboscaleError,
    RolloutSettings,
    Take,
    UnknownName,
    World,
    combine,
    derive_id,
    generator,
)
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Progress, Wrote, ignore
from roboscale.jobs.files import robot_of
from roboscale.jobs.options import Seed
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.core import Frame, Outcome
    from roboscale.dataset import Dataset, DatasetWriter

__all__ = ["PICTURE_AXES", "AugmentEpisodes", "AugmentedEpisodes", "augment_episodes"]

GENERATED = "generated"
PICTURE_AXES = ("light", "camera", "texture", "distractors")
"""The axes that change pictures and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentEpisodes(Request):
    """Asks for copies of episodes that look otherwise."""

    words: ClassVar[tuple[str, ...]] = ("collect", "augment")

    dataset: Annotated[Path, Argument("The dataset whose episodes are rendered again.")]
    out: Annotated[Path, Argument("The dataset of the copies; one that exists is added to.")]
    axes: Annotated[
        str,
        Option(
            "light, camera, texture, distractors (the world renders), colour, blur, crop, background (no world), or "
            "generated (--worker)."
        ),
    ] = "light,texture,camera"
    copies: Annotated[int, Option("Copies of every episode.", min=1)] = 3
    strongest: Annotated[float, Option("Strengths are drawn from 0 to this level.", min=0.1, max=3.0)] = 2.0
    world: Annotated[str, Option("The world of the episodes. Default: the one that they name.")] = ""
    mask: Annotated[
        tuple[str, ...],
        Option("CAMERA=FIELD, white where no background is, or CAMERA=FIELD<METRES; may repeat."),
    ] = ()
    worker: Annotated[
        str,
        Option("With generated: cosmos:3:CHECKOUT, cosmos:transfer2.5:CHECKOUT, or a program that takes a folder."),
    ] = ""
    prompt: Annotated[
        tuple[str, ...], Option("With generated: what it is to look like; may repeat, taken in turn.")
    ] = ()
    worker_minutes: Annotated[float, Option("With generated: minutes that one video may take.", min=0.01)] = 60.0
    backgrounds: Annotated[
        Path | None, Option("With background: a folder of pictures to stand behind. Default: drawn colours.")
    ] = None
    codec: Annotated[Literal["h264", "av1"], Option("h264 or av1.")] = "h264"
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The axes; UnknownName for one that changes more than pictures, or nothing."""
        from roboscale.sources.pictures import PICTURE_CHANGES

        names = tuple(dict.fromkeys(name.strip() for name in self.axes.split(",") if name.strip()))
        if names == (GENERATED,):
            return names
        if GENERATED in names:
            raise RoboscaleError(f"--axes {self.axes}: {GENERATED} is asked of a worker by itself, one kind at a time")
        for name in names:
            if name not in (*PICTURE_AXES, *PICTURE_CHANGES):
                known = (*PICTURE_AXES, *PICTURE_CHANGES, GENERATED)
                raise UnknownName("axis that changes pictures alone", name, known)
        if not names:
            raise RoboscaleError(f"--axes is empty; there are {', '.join((*PICTURE_AXES, *PICTURE_CHANGES))}")
        if len({name in PICTURE_AXES for name in names}) > 1:
            raise RoboscaleError(
                f"--axes {self.axes}: {', '.join(PICTURE_AXES)} are rendered by the world, "
                f"{', '.join(PICTURE_CHANGES)} are done to recorded pictures: ask for one kind at a time"
            )
        return names

    @property
    def rendered(self) -> bool:
        """Whether the world renders the copies; else recorded pictures are changed."""
        return self.names[0] in PICTURE_AXES

    def check(self) -> None:
        """UnknownName for an axis that is none; RoboscaleError for a dataset that would be its own copy."""
        _ = self.names
        if self.dataset.resolve() == self.out.resolve():
            raise RoboscaleError(
                f"{self.out}: the copies are a dataset of their own; `roboscale data merge` joins two"
            )

    def require_what_goes_together(self) -> None:
        """RoboscaleError for a background that nothing tells from the rest, or a worker that nobody asks."""
        behind, generated = "background" in self.names, self.names == (GENERATED,)
        if (behind and not self.mask) or (self.mask and not (behind or generated)):
            raise RoboscaleError("--axes background needs --mask CAMERA=FIELD, which only it and generated take")
        if self.backgrounds is not None and not behind:
            raise RoboscaleError("--backgrounds stand behind what --mask keeps: --axes background")
        if generated != bool(self.worker) or (self.prompt and not generated):
            raise RoboscaleError("--axes generated needs --worker, and nothing else takes --worker and --prompt")
        if self.world and not self.rendered:
            raise RoboscaleError(f"--world {self.world}: --axes {self.axes} asks no world")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentedEpisodes(Plain):
    """What was made.

    Args:
        made: copies that were made now; `there` were already; `refused` did not pass the checks.
        frames: pictures of one camera in the copies made now.
        numbers: digest of all actions and readings that were compared.
        moved: columns of intrinsics, which follow a crop.
    """

    out: Path
    parents: int
    made: int
    there: int
    frames: int
    numbers: str
    refused: int = 0
    moved: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        there = f", {self.there} were there" if self.there else ""
        there += f", {self.refused} refused" if self.refused else ""
        made = f"{self.out}: {self.made} copies of {self.parents} episodes made{there}, {self.frames} frames"
        if not self.made:
            return [made]
        equal = f"every action and reading is equal to its parent's (digest {self.numbers[:8]})"
        new = f"pictures are new, and {', '.join(self.moved)} with them" if self.moved else "only pictures are new"
        return [made, f"{equal}; {new}"]


def augment_episodes(request: AugmentEpisodes, on_event: OnEvent = ignore) -> AugmentedEpisodes:
    """Plays stored actions again in worlds that look otherwise; the same request again makes what is missing.

    >>> from pathlib import Path
    >>> from roboscale import AugmentEpisodes, RecordEpisodes, augment_episodes, record_episodes
    >>> _ = record_episodes(RecordEpisodes(out=Path("set"), tasks="reach-v3", episodes=1))
    >>> augment_episodes(AugmentEpisodes(dataset=Path("set"), out=Path("other"), copies=2)).made
    2

    Raises:
        BadData: an episode does not say where it was recorded.
        RoboscaleError: its world is another one now, cannot repeat itself, or gave other numbers.
    """
    from roboscale.dataset import Dataset

    request.require_what_goes_together()
    dataset = Dataset(request.dataset, images="uint8")
    if dataset.streams:
        on_event(Note(f"the copies have no sensors of their own rate: {', '.join(dataset.streams)} are left out"))
    if dataset.left_out:
        on_event(Note(f"the copies do not carry {', '.join(dataset.left_out)}"))
    how = _rendered if request.rendered else _generated if request.names == (GENERATED,) else _repainted
    done = how(request, dataset, on_event)
    on_event(Wrote("dataset", request.out))
    on_event(Note(f"to train on both: roboscale data merge {request.dataset} {request.out} BOTH --same"))
    return done


def _rendered(request: AugmentEpisodes, dataset: Dataset, on_event: OnEvent) -> AugmentedEpisodes:
    """Copies by the world that the episodes were recorded in."""
    from roboscale.dataset import DatasetWriter

    with ExitStack() as stack:
        world = _world(request, dataset)
        stack.callback(world.close)
        for axis in request.names:
            if why := world.missing[axis]:  # type: ignore[attr-defined]  # a `PerturbedWorld`
                raise RoboscaleError(f"--axes {axis}: world {world.info.name} cannot: {why}")
        sink = stack.enter_context(
            DatasetWriter(request.out, dataset.spec, robot_type=world.info.embodiment, codec=request.codec)
        )
        told = _Told(request, dataset, on_event)
        there = set(sink.episode_ids)
        for index in range(len(dataset.episodes)):
            for copy in range(request.copies):
                id_ = derive_id(
                    "augmented", dataset.episodes[index].id, request.axes, str(request.strongest), request.seed, copy
                )
                known = id_ in there
                digest = None if known else _copy(request, world, dataset, index, copy, id_, sink)
                told.add(0 if known else dataset.episodes[index].length, digest)
    return told.result()


def _repainted(request: AugmentEpisodes, dataset: Dataset, on_event: OnEvent) -> AugmentedEpisodes:
    """Copies by changes of the recorded pictures."""
    from roboscale.dataset import DatasetWriter
    from roboscale.dataset.sensors import camera_fact_of
    from roboscale.jobs.augmenting_pictures import Repainting, parse_masks, repaint

    if not dataset.spec.images:
        raise RoboscaleError(f"{request.dataset}: it has no cameras, of which pictures could be changed")
    folder = request.backgrounds
    behind = () if folder is None else tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    if folder is not None and not behind:
        raise BadData(folder, "backgrounds", "pictures", "none")
    asked = Repainting(
        changes=request.names,
        strongest=request.strongest,
        seed=request.seed,
        masks=parse_masks(request.mask, dataset),
        behind=behind,
    )
    told = _Told(request, dataset, on_event)
    with DatasetWriter(request.out, dataset.spec, robot_type=robot_of(request.dataset), codec=request.codec) as sink:
        repaint(asked, dataset, request.copies, sink, told.add)
    moved = tuple(f.name for f in dataset.spec if camera_fact_of(f) == "intrinsics") if "crop" in request.names else ()
    if "crop" in request.names and not moved:
        on_event(Note("no column of intrinsics: each copy's provenance says where its pixels went"))
    sizes = {f.shape[:2] for f in dataset.spec.images}
    maps = [f.name for f in dataset.spec if not f.is_image and f.shape[:2] in sizes]
    if "crop" in request.names and maps:
        on_event(Note(f"not cropped with the pictures, so that they lie over the parent's: {', '.join(maps)}"))
    return replace(told.result(), moved=moved)


def _generated(request: AugmentEpisodes, dataset: Dataset, on_event: OnEvent) -> AugmentedEpisodes:
    """Copies by a generative model; RoboscaleError where none of them passes."""
    from roboscale.dataset import DatasetWriter
    from roboscale.jobs.augmenting_by_worker import GenerationPlan, generate_copies, parse_worker
    from roboscale.jobs.augmenting_pictures import parse_masks

    plan = GenerationPlan(
        worker=parse_worker(request.worker),
        prompts=request.prompt or ("",),
        seed=request.seed,
        masks=parse_masks(request.mask, dataset),
        folders=request.out.with_name(f"{request.out.name}.jobs"),
        timeout_s=60 * request.worker_minutes,
        fps=float(dataset.spec.rate_hz),
    )
    if len(dataset.spec.images) - len(plan.masks) > 1:
        on_event(Note("each camera is asked for by itself: nothing makes the videos of two cameras agree"))
    told, why = _Told(request, dataset, on_event), dict[str, None]()

    def refused(text: str) -> None:
        if text not in why:
            on_event(Note(text))
        why[text] = None

    with DatasetWriter(request.out, dataset.spec, robot_type=robot_of(request.dataset), codec=request.codec) as sink:
        count = generate_copies(plan, dataset, request.copies, sink, told.add, refused)
    done = replace(told.result(), refused=count)
    if count and not done.made + done.there:
        raise RoboscaleError(f"no copy was kept: {'; '.join(list(why)[:3])}")
    return done


class _Told:
    """Counts copies, and tells of them."""

    def __init__(self, request: AugmentEpisodes, dataset: Dataset, on_event: OnEvent) -> None:
        self._request, self._parents, self._on_event = request, len(dataset.episodes), on_event
        self._digests: list[str] = []
        self._known = self._frames = 0

    def add(self, frames: int, digest: str | None) -> None:
        """A copy with the digest of its numbers; `None` for one that was there."""
        self._frames += frames
        if digest is None:
            self._known += 1
        else:
            self._digests.append(digest)
        done = self._known + len(self._digests)
        self._on_event(Progress("copies", done, self._parents * self._request.copies))

    def result(self) -> AugmentedEpisodes:
        return AugmentedEpisodes(
            out=self._request.out,
            parents=self._parents,
            made=len(self._digests),
            there=self._known,
            frames=self._frames,
            numbers=combine("numbers", self._digests).digest,
        )


def _world(request: AugmentEpisodes, dataset: Dataset) -> World:
    """The world of all episodes, made worse; it must be the one that they were recorded in."""
    from roboscale.jobs.opening import open_any_world

    provenances = [info.provenance for info in dataset.episodes]
    names = dict.fromkeys(p.world for p in provenances if p is not None and p.world)
    if not request.world and len(names) != 1:
        found = ", ".join(names) or "none"
        raise BadData(request.dataset, "world", "episodes of one simulated world (or --world)", found)
    text = request.world or next(iter(names))
    inner = open_any_world(text)
    try:
        if inner.info.kind != "simulated" or not inner.info.deterministic:
            raise RoboscaleError(f"world {text} cannot repeat its episodes: pictures cannot be rendered again")
        for info, known in zip(dataset.episodes, provenances, strict=True):
            was = {} if known is None else known.details.get("world", {})
            digest = was.get("digest") if isinstance(was, Mapping) else None
            if digest != inner.info.identity.digest:
                here = inner.info.identity.short
                raise BadData(
                    request.dataset, f"episode {info.id[:8]}", f"one recorded in this {text} ({here})", str(digest)[:8]
                )
    except BaseException:
        inner.close()
        raise
    from roboscale.worlds.perturbed import PerturbedWorld

    return PerturbedWorld(inner)


def _copy(
    request: AugmentEpisodes, world: World, dataset: Dataset, index: int, copy: int, id_: str, sink: DatasetWriter
) -> str:
    """Renders one copy and returns the digest of its numbers."""
    from roboscale.trials import replay

    info = dataset.episodes[index]
    known = info.provenance
    assert known is not None, "asked when the world was opened"
    parent = dataset.episode(index, images=False)
    case = Case.parse(known.details["case"])
    rng = generator("augmented", info.id, request.seed, copy)
    drawn = _drawn(request.names, request.strongest, rng)
    parts = [part for part in case.variation.split(",") if part != NOMINAL]
    changed = replace(case, variation=",".join([*parts, *(f"{name}:{value:g}" for name, value in drawn.items())]))
    numbers = {name: np.asarray(array) for name, array in parent.arrays.items()}
    details = {**known.details, "case": changed.id, "augmented": drawn, "numbers": combine("numbers", numbers).digest}
    provenance = replace(known, source="simulation.augment", parents=(info.id,), details=details)
    take = sink.begin(info.instruction, provenance, episode_id=id_)
    compared = _Compared(take, numbers, info.id, info.outcome)
    settings = RolloutSettings(
        horizon=info.length, rate_hz=world.info.rate_hz, pace=world.info.pace, watch="", execute=None
    )
    try:
        replay(world, changed, settings, numbers["action"], take=compared)
        compared.finish()
    except BaseException:
        take.discard()
        raise
    return str(details["numbers"])


def _drawn(axes: Sequence[str], strongest: float, rng: np.random.Generator) -> dict[str, float]:
    """Value by value, what one copy changes: a strength of each axis, and a direction of each value."""
    from roboscale.worlds.perturbed.parts import MODEL_PARTS, interpolated

    values: dict[str, float] = {}
    for axis in axes:
        strength = float(rng.uniform(0, strongest))
        for part in MODEL_PARTS[axis]:
            size, up = interpolated(part.sizes, strength, part.neutral), rng.random() < 0.5
            if part.name.endswith(".set"):
                size = float(rng.integers(10_000))
            elif part.neutral:
                size = size if up and part.kind == "factor" else 1 / size
            elif part.kind == "signed":
                size = size if up else -size
            values[part.name] = float(f"{size:.4g}") if not part.name.endswith(".set") else size
    return values


class _Compared:
    """A take whose every number is held against the parent's as it comes."""

    def __init__(self, take: Take, numbers: Mapping[str, NDArray[Any]], parent: str, outcome: Outcome | None) -> None:
        self._take, self._numbers, self._parent, self._outcome = take, numbers, parent, outcome
        self._frame = 0

    def add(self, frame: Frame) -> None:
        length = len(next(iter(self._numbers.values())))
        for name, array in self._numbers.items():
            if self._frame >= length or np.asarray(frame[name]).tobytes() != array[self._frame].tobytes():
                raise RoboscaleError(
                    f"episode {self._parent[:8]}: {name} of step {self._frame} came out otherwise: not kept"
                )
        self._frame += 1
        self._take.add(frame)

    def save(self, outcome: Outcome | None = None) -> str:
        return self._take.save(outcome)

    def discard(self) -> None:
        self._take.discard()

    def finish(self) -> None:
        """Saves the copy with its parent's outcome; RoboscaleError where it is shorter than its parent."""
        length = len(next(iter(self._numbers.values())))
        if self._frame != length:
            raise RoboscaleError(
                f"episode {self._parent[:8]}: {length} steps when recorded, {self._frame} now: the copy is not kept"
            )
        self._take.save(self._outcome)
