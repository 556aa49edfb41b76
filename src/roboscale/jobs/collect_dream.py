"""Episodes from videos that a model made up: actions are read from the pictures, and kept only where something agrees.

With a world, the actions are played from where the video begins, and an episode is kept if they come to a success and
what moves in the world moves in the video. Its readings are the world's, its camera is the video. Without one, two
models that saw different recorded episodes have to agree; such an episode has a picture and an action, and no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Case,
    Field,
    Provenance,
    RoboscaleError,
    RolloutSettings,
    SpecMismatch,
    Take,
    UnknownName,
    World,
    combine,
    derive_id,
)
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Progress, Wrote, ignore
from roboscale.jobs.files import robot_of
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.core import Frame, Outcome
    from roboscale.dataset import Dataset, DatasetWriter
    from roboscale.sources.generated import Dream, DreamReader, ReadActions

__all__ = ["DreamEpisodes", "DreamtEpisodes", "dream_episodes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamEpisodes(Request):
    """Asks for episodes from generated videos."""

    words: ClassVar[tuple[str, ...]] = ("collect", "dream")

    dataset: Annotated[Path, Argument("Recorded episodes, from which it is learned what actions look like.")]
    videos: Annotated[Path, Argument("Folder of videos: NAME.mp4, perhaps NAME.json, .txt, .npy beside it.")]
    out: Annotated[Path, Argument("The dataset of what is kept; one that exists is added to.")]
    camera: Annotated[str, Option("The camera whose place the videos take. Default: the only one.")] = ""
    world: Annotated[
        str, Option("A simulated world that plays the actions; without it nothing can look whether they do it.")
    ] = ""
    codec: Annotated[Literal["h264", "av1"], Option("h264 or av1.")] = "h264"


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamtEpisodes(Plain):
    """What was kept, and why the rest was not.

    Args:
        kept: now; `there` were already.
        refused: file -> why.
        skill: share of the variance of actions that is explained in episodes that were left out; `episodes` of them.
    """

    out: Path
    kept: int
    there: int
    refused: Mapping[str, str]
    skill: float
    episodes: int
    played: bool

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        there = f", {self.there} were there" if self.there else ""
        judged = "played in the world" if self.played else "by two models that agree, which may be wrong alike"
        return [
            f"{self.out}: {self.kept} episodes kept ({judged}){there}, {len(self.refused)} refused",
            f"actions are read with {self.skill:.2f} of their variance explained in {self.episodes} recorded episodes "
            "that were each left out once; whether such episodes help a policy, only training tells",
        ]


def dream_episodes(request: DreamEpisodes, on_event: OnEvent = ignore) -> DreamtEpisodes:
    """Reads actions from generated videos, and keeps what agrees; the same request again makes what is missing.

    >>> from pathlib import Path
    >>> from roboscale import DreamEpisodes, RecordEpisodes, dream_episodes, record_episodes
    >>> _ = record_episodes(RecordEpisodes(out=Path("set"), tasks="reach-v3", episodes=4))
    >>> dream_episodes(DreamEpisodes(dataset=Path("set"), videos=Path("nowhere"), out=Path("dreamt"), camera="front"))
    Traceback (most recent call last):
        ...
    roboscale.core.errors.BadData: nowhere: videos: expected a folder with NAME.mp4 in it, found none

    Raises:
        BadData: there is no video.
        UnknownName: no such camera.
        SpecMismatch: the world has another camera or action than the recorded episodes.
        RoboscaleError: the recorded episodes do not say which action a picture shows, or nothing was kept.
    """
    from roboscale.dataset import Dataset, DatasetWriter
    from roboscale.trials import recording_spec

    paths = sorted(request.videos.glob("*.mp4")) if request.videos.is_dir() else []
    if not paths:
        raise BadData(request.videos, "videos", "a folder with NAME.mp4 in it", "none")
    dataset = Dataset(request.dataset, images="uint8")
    camera = _camera(dataset, request)
    with ExitStack() as stack:
        world = None
        if request.world:
            world = _opened(request.world, dataset, camera)
            stack.callback(world.close)
        spec = dataset.spec.select([camera.name, "action"]) if world is None else recording_spec(world.info)
        reader = _reader(dataset, camera)
        robot = robot_of(request.dataset) if world is None else world.info.embodiment
        sink = stack.enter_context(DatasetWriter(request.out, spec, robot_type=robot, codec=request.codec))
        keeper = _Keeper(dataset, camera, reader, world, sink)
        done = _kept(keeper, paths, on_event)
    on_event(Wrote("dataset", request.out))
    result = DreamtEpisodes(
        out=request.out,
        kept=done.count(True),
        there=done.count(False),
        refused={path.name: why for path, why in zip(paths, done, strict=True) if isinstance(why, str)},
        skill=reader.skill,
        episodes=len(dataset.episodes),
        played=world is not None,
    )
    if not result.kept + result.there:
        raise RoboscaleError(
            f"nothing was kept: {'; '.join(f'{n}: {w}' for n, w in list(result.refused.items())[:3])}"
        )
    return result


def _kept(keeper: _Keeper, paths: list[Path], on_event: OnEvent) -> list[bool | str]:
    """For each video whether it was kept now (or before), or why it is not."""
    done: list[bool | str] = []
    for path in paths:
        try:
            done.append(keeper.keep(path))
        except (BadData, UnknownName) as error:  # of this video alone
            done.append(str(error).removeprefix(f"{path}: "))
        if isinstance(done[-1], str):
            on_event(Note(f"{path.name}: not kept: {done[-1]}"))
        on_event(Progress("videos", len(done), len(paths)))
    return done


def _camera(dataset: Dataset, request: DreamEpisodes) -> Field:
    cameras = {f.name.removeprefix("observation.images."): f for f in dataset.spec.images}
    name = request.camera.removeprefix("observation.images.")
    if not cameras:
        raise BadData(request.dataset, "cameras", "one, whose pictures show the actions", "none")
    if name not in cameras and (name or len(cameras) > 1):
        raise UnknownName("camera (--camera)", request.camera, cameras)
    return cameras[name] if name else next(iter(cameras.values()))


def _opened(text: str, dataset: Dataset, camera: Field) -> World:
    """The world, if it sees and does what the recorded episodes have."""
    from roboscale.jobs.opening import open_any_world

    world = open_any_world(text)
    info = world.info
    if info.kind != "simulated":
        world.close()
        raise RoboscaleError(f"world {text} is not simulated: actions that nobody has checked drive no robot")
    here = {f.name: f for f in (*info.observation_spec, info.action_spec["action"])}
    for field in (camera, dataset.spec["action"]):
        other = here.get(field.name)
        if other is None or other.shape != field.shape:
            world.close()
            found = "nothing of this name" if other is None else f"shape {other.shape}"
            raise SpecMismatch(f"{field.name}: the recorded episodes have shape {field.shape}, world {text} {found}")
    if abs(info.rate_hz - dataset.spec.rate_hz) > 1e-3 * info.rate_hz:
        world.close()
        raise SpecMismatch(
            f"rate_hz: the recorded episodes have {dataset.spec.rate_hz:g}, world {text} {info.rate_hz:g}"
        )
    return world


def _reader(dataset: Dataset, camera: Field) -> DreamReader:
    """Who reads actions; RoboscaleError where recorded episodes do not teach it."""
    from roboscale.sources.generated import LEAST_SKILL, DreamReader

    action = dataset.spec["action"]
    every = range(len(dataset.episodes))
    actions = [np.asarray(dataset.episode(k, images=False).arrays["action"]) for k in every]
    reader = DreamReader([dataset.decode(k, camera.name) for k in every], actions, action.low, action.high)
    if reader.skill < LEAST_SKILL:
        known = f"{max(reader.skill, 0):.2f} of the actions' variance"
        raise RoboscaleError(
            f"{dataset.root}: its pictures of {camera.name} explain {known} in episodes that were left out, "
            f"expected {LEAST_SKILL:g} or more: what a video does cannot be said"
        )
    return reader


class _Keeper:
    """Holds one video after the other against what can be known, and keeps it or says why not."""

    def __init__(
        self, dataset: Dataset, camera: Field, reader: DreamReader, world: World | None, sink: DatasetWriter
    ) -> None:
        self._dataset, self._camera, self._reader = dataset, camera, reader
        self._world, self._sink = world, sink
        self._there = set(sink.episode_ids)
        where = "" if world is None else world.info.identity.digest
        self._how = combine("dreams read", [reader.whole.weights, reader.whole.mean, reader.whole.scale, where]).digest

    def keep(self, path: Path) -> bool | str:
        """True where it was kept, False where it was there, else why not. BadData: it cannot be read."""
        from roboscale.sources.generated import read_dream

        dream = read_dream(path, self._camera.shape, float(self._dataset.spec.rate_hz))
        video = combine("video", dream.pictures).digest
        case = None if self._world is None else self._case(dream)
        given = "" if dream.actions is None else combine("actions", dream.actions).digest
        id_ = derive_id("dream", video, given, "" if case is None else case.id, dream.instruction, self._how)
        if id_ in self._there:
            return False
        read = self._reader.read(dream.pictures, dream.actions)
        if read.faults and (self._world is None or dream.actions is None):  # of given ones a world knows better
            return "; ".join(read.faults)
        details = {"video": video, "file": path.name, "skill": self._reader.skill, "apart": read.apart}
        details |= {"clipped": read.clipped, "given": dream.actions is not None, "model": dict(dream.about)}
        known = Provenance(source="generated.dream", operator=str(dream.about.get("model", "")), details=details)
        if case is None:
            self._alone(dream, read, id_, known)
        elif why := self._played(dream, read, case, id_, known):
            return why
        self._there.add(id_)
        return True

    def _alone(self, dream: Dream, read: ReadActions, id_: str, known: Provenance) -> None:
        instruction = dream.instruction or self._same_instruction(dream)
        take = self._sink.begin(instruction, replace(known, task=str(dream.start.get("task", ""))), episode_id=id_)
        try:
            for picture, action in zip(dream.pictures, read.actions, strict=False):  # nothing follows the last picture
                take.add({self._camera.name: picture, "action": action})
            take.save(None)  # nobody said how it ended
        except BaseException:
            take.discard()
            raise

    def _same_instruction(self, dream: Dream) -> str:
        """What all recorded episodes are told; BadData where they differ and the video says nothing."""
        told = {info.instruction for info in self._dataset.episodes}
        if len(told) != 1:
            wanted = f"a sentence in {dream.path.stem}.json or .txt, as recorded episodes have several"
            raise BadData(dream.path, "instruction", wanted, "none")
        return told.pop()

    def _played(self, dream: Dream, read: ReadActions, case: Case, id_: str, known: Provenance) -> str:
        """Plays the actions; why the episode is not kept, or nothing."""
        from roboscale.core import Outcome
        from roboscale.referees import referee_for
        from roboscale.sources.generated import LEAST_LIKENESS, likeness
        from roboscale.trials import replay

        assert self._world is not None, "asked before"
        info = self._world.info
        info.require(case)
        details = {**known.details, "case": case.id, "world": info.identity.to_json()}
        provenance = replace(known, embodiment=info.embodiment, world=info.name, task=case.task, seed=case.seed)
        take = self._sink.begin(
            dream.instruction or info.sentence(case), replace(provenance, details=details), episode_id=id_
        )
        played = _Played(take, self._camera.name, dream.pictures)
        settings = RolloutSettings(
            horizon=len(read.actions), rate_hz=info.rate_hz, pace=info.pace, watch="", execute=None
        )
        try:
            result = replay(self._world, case, settings, read.actions, referee=referee_for(info), take=played)
            why = ""
            if not result.satisfied:
                why = f"played in {info.name} from {case.id}, its actions do not come to a success"
            elif (alike := likeness(dream.pictures, np.array(played.seen))) < LEAST_LIKENESS:
                why = (
                    f"what moves in {info.name} is like the video by {alike:.2f}, expected {LEAST_LIKENESS:g} or more"
                )
            if why:
                take.discard()
            else:
                take.save(Outcome("success"))
        except BaseException:
            take.discard()
            raise
        return why

    def _case(self, dream: Dream) -> Case:
        """Where the video begins."""
        start, file = dream.start, dream.path.with_suffix(".json")
        if "case" in start:
            return Case.parse(str(start["case"]))
        if "episode" in start:
            return self._case_of(start["episode"], file)
        if isinstance(start.get("task"), str) and type(start.get("seed")) is int:
            return Case(start["task"], start["seed"])
        found = ", ".join(start) or "nothing of it"
        raise BadData(file, "start", "where the video begins: case, or task and seed, or episode", found)

    def _case_of(self, episode: object, file: Path) -> Case:
        for info in self._dataset.episodes:
            if episode == info.index or (isinstance(episode, str) and episode and info.id.startswith(episode)):
                known = info.provenance
                if known is None or "case" not in known.details:
                    raise BadData(
                        file, "episode", "one that was recorded in a simulated world", f"{episode!r}, which was not"
                    )
                return Case.parse(str(known.details["case"]))
        raise BadData(file, "episode", f"an index below {len(self._dataset.episodes)}, or an id", repr(episode))


class _Played:
    """A take whose camera shows the video; what the world's camera saw is kept beside it."""

    def __init__(self, take: Take, camera: str, video: NDArray[np.uint8]) -> None:
        self._take, self._camera, self._video = take, camera, video
        self.seen: list[NDArray[Any]] = []

    def add(self, frame: Frame) -> None:
        """One step: the world's readings, the video's picture."""
        at = len(self.seen)
        self.seen.append(np.array(frame[self._camera]))
        self._take.add({**frame, self._camera: self._video[at]})

    def save(self, outcome: Outcome | None = None) -> str:
        return self._take.save(outcome)

    def discard(self) -> None:
        self._take.discard()
