"""What `collect teleop` wires together: a world, whoever drives it, a page, and a dataset.

Each episode is one rollout that streams into one take. A take is saved when somebody says how it went, and survives a
killed process from then on; the same request goes on from there.
"""

from __future__ import annotations

import shlex
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roboscale.core import (
    Case,
    InfrastructureError,
    Outcome,
    Policy,
    RoboscaleError,
    Spec,
    World,
    WorldInfo,
    cases,
)
from roboscale.core.pacing import paced
from roboscale.core.plain import Plain
from roboscale.core.processes import require_main
from roboscale.jobs.driving_setup import configured, driver_of, leader_of, steps_a_second, world_to_drive
from roboscale.jobs.events import Note, OnEvent, Progress
from roboscale.jobs.trying import expand_tasks

if TYPE_CHECKING:
    from roboscale.dataset import AttemptLog, DatasetWriter, RecordingProcess
    from roboscale.jobs.collect_teleop import Teleoperate
    from roboscale.sources.teleop import DiskSpace, Driving, LeaderReader, ReferenceViews, Station
    from roboscale.web.teleop import PageProcess
    from roboscale.worlds.real.guarded import GuardedRobot

__all__ = ["Driven", "DrivingParts", "DrivingSession", "KeptEpisodes", "open_driving", "require_disk", "spec_of"]

SOURCE = "teleop"
_VIEWS = {"metaworld": 270.0}  # worlds whose first camera looks along another way than the base's x axis
_TAKEN = {"browser": ("keys", "gamepad", "touch", "pose"), "gamepad": ("gamepad",), "phone": ("touch", "pose")}
_BROKE = 3  # episodes in a row after which a session ends with an error
_LAST_CHANCE_S = 10.0  # in which the last episode can still be taken back
_MUCH_REST = 0.25  # of the steps: what the audit warns of
_FAREWELL_S = 0.4  # that a page has to see that the session is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven(Plain):
    """What a session came to.

    Args:
        kept, failed: successes and failures that this session saved. discarded: takes that nobody wanted.
        practised: operator -> scores of their practice on all tasks, 0 to 100, in all sessions; see `practice_score`.
        undone: saved and taken back, into quarantine.
        totals: task -> successes that the dataset has now, by a person.
        seconds: of the session, from its page to its end.
        steps, late, unattended, interventions: control steps that were saved; how many came late, how many had no
            operator, and how many a person drove in the place of a policy.
        rested: steps of saved episodes in which nothing was asked of the robot; `None` where no command said so.
        pictures: `webrtc` and `jpeg` -> pages that said so last, of those that were called.
    """

    out: str
    kept: int
    failed: int
    discarded: int
    undone: int
    totals: dict[str, int]
    wanted: int
    seconds: float
    steps: int
    late: int
    unattended: int
    interventions: int
    rested: int | None = None
    practised: dict[str, list[int]] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        an_hour = f", {3600 * self.kept / self.seconds:.0f} an operator hour" if self.kept else ""
        late = f"{self.late} of {self.steps} steps came late" if self.steps else "no step was saved"
        lines = [f"{task:32} {have} of {self.wanted} successful episodes" for task, have in self.totals.items()]
        lines.append(
            f"this session: {self.kept} kept, {self.failed} failures kept, {self.discarded} discarded, {self.undone} "
            f"taken back in {self.seconds / 60:.1f} minutes{an_hour}; {late}, {self.unattended} had no operator"
        )
        lines += [self._rests] if self.rested is not None and self.steps else []
        lines += [
            f"practice of {who}: {', '.join(map(str, scores))} of 100, the best {max(scores)}"
            for who, scores in self.practised.items()
        ]
        if self.pictures:
            pages = ", ".join(f"{count} by {by}" for by, count in self.pictures.items())
            lines.append(f"pages that were called with their pictures: {pages}")
        return lines

    @property
    def _rests(self) -> str:
        """What share rested, and where it is much, what leaves that out of training."""
        assert self.rested is not None, "asked where it is known"
        said = f"rest: nothing was asked of the robot in {self.rested} of {self.steps} steps"
        if self.rested == self.steps:
            return f"{said}: no motion arrived"
        said += f" ({100 * self.rested / self.steps:.0f} %)"
        if self.rested < _MUCH_REST * self.steps:
            return said
        moving = shlex.join(["roboscale", "data", "curate", self.out, "rest.json", "--method", "rest"])
        return f"{said}; a policy may learn to rest there: {moving}, then policy train --selection rest.json"


@dataclass(slots=True, kw_only=True)
class KeptEpisodes:
    """What a dataset holds of people's episodes, task by task and start by start."""

    successes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    starts: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    tried: set[tuple[str, int | None]] = field(default_factory=set)

    @classmethod
    def of(cls, root: Path) -> KeptEpisodes:
        """Reads it from a dataset; nothing where there is none."""
        from roboscale.dataset import Dataset
        from roboscale.dataset.layout import Layout

        kept = cls()
        if Layout(root).info.exists():
            for episode in Dataset(root).episodes:
                known, outcome = episode.provenance, episode.outcome
                if known.source == SOURCE and outcome is not None:
                    kept.count(known.task, known.seed, outcome.success is True, 1)
        return kept

    def count(self, task: str, seed: int | None, success: bool, by: int) -> None:
        """One episode more, or one less."""
        (self.successes if success else self.failures)[task] += by
        if success:
            self.starts[task, seed] += by
        if by > 0:
            self.tried.add((task, seed))
        else:
            self.tried.discard((task, seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivingParts:
    """Everything that an episode needs.

    Args:
        arm: the robot behind its guard; `None` for a simulator.
        leader: an arm that the operator moves by hand; `None` where the page says how it goes.
        sink: of the dataset, open here. recording: the process that encodes its takes. attempts: all that there were.
    """

    request: Teleoperate
    world: World
    info: WorldInfo
    tasks: tuple[str, ...]
    arm: GuardedRobot | None
    driving: Driving
    policy: Policy | None
    leader: LeaderReader | None
    station: Station
    sink: DatasetWriter
    recording: RecordingProcess
    disk: DiskSpace
    views: ReferenceViews
    attempts: AttemptLog
    driven_hz: float
    horizon: int
    on_event: OnEvent


class DrivingSession:
    """A page that is served, and what records. A context manager; leaving it seals what was saved.

    Attributes:
        url: of the page. station: what the page and the recording share.
    """

    def __init__(self, opened: DrivingParts, page: PageProcess, kept: KeptEpisodes, stack: ExitStack) -> None:
        self.url, self.station = page.url, opened.station
        self._opened, self._page, self._kept, self._stack = opened, page, kept, stack
        self._begun_s = time.monotonic()
        self._last: list[tuple[str, Case, bool]] = []  # what was saved in this session: id, case, whether it succeeded
        self._counted: Counter[str] = Counter()

    @property
    def process_ids(self) -> dict[str, int]:
        """Of its workers that run now: page, recording, and of an arm its guard."""
        arm = self._opened.arm
        ids = {"page": self._page.process_id, "recording": self._opened.recording.process_id}
        ids |= {"guard": None if arm is None else arm.process_id}
        return {name: number for name, number in ids.items() if number is not None}

    def run(self) -> Driven:
        """Records until every task has its total, or the operator ends the session.

        Raises:
            InfrastructureError: what carries the robot or the scene broke three times in a row; what was saved is
                saved.
        """
        with paced():
            while self._go_on() and self._taken_back():
                pass
        self._tell(self.station.task or self._opened.tasks[0])
        self.station.to("done")
        return self._driven()

    def _go_on(self) -> bool:
        """Episode after episode; False when the operator ended the session, True when the totals are there."""
        from roboscale.jobs.driving_episode import drive_episode

        broke = 0
        for task in self._opened.tasks:
            while self._kept.successes[task] < self._opened.request.episodes:
                self._tell(task)
                episode = drive_episode(self._opened, self._next(task), undo=self._undo, show=self._show)
                if episode is None:
                    return False
                self._counted.update(episode.counted)
                if episode.attempt is not None:
                    self._opened.attempts.add(episode.attempt)
                if episode.id:
                    self._file(episode.id, episode.case, episode.outcome)
                elif episode.attempt is None or episode.attempt.kind == "recorded":
                    self._counted["discarded"] += 1
                broke = broke + 1 if episode.broke else 0
                if broke == _BROKE:
                    raise InfrastructureError(f"{_BROKE} episodes in a row broke; the last: {episode.broke}")
                if episode.last:
                    return False
        return True

    def _taken_back(self) -> bool:
        """Whether the operator takes the very last episode back, for which a session waits a while."""
        if not self._last:
            return False
        self._tell(self._last[-1][1].task)
        self.station.to("complete")
        if self.station.wait("undo", "stop", at_most_s=_LAST_CHANCE_S) != "undo":
            return False
        self._undo()
        return True

    def close(self) -> None:
        """Says on the page that it is over, seals, and gives everything back."""
        self.station.to("done")
        time.sleep(_FAREWELL_S)
        self._stack.close()

    def __enter__(self) -> DrivingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, task: str) -> Case:
        """The first case that no episode was saved of: a discarded one comes again."""
        return next(c for c in _stream(task, self._opened) if (c.task, c.seed) not in self._kept.tried)

    def _file(self, episode: str, case: Case, outcome: Outcome) -> None:
        success = outcome.success is True
        self._last.append((episode, case, success))
        self._kept.count(case.task, case.seed, success, 1)
        self._counted["kept" if success else "failed"] += 1
        have = sum(min(self._kept.successes[t], self._opened.request.episodes) for t in self._opened.tasks)
        total = self._opened.request.episodes * len(self._opened.tasks)
        self._opened.on_event(Progress("episodes", have, total))

    def _undo(self) -> None:
        """Takes the last saved episode of this session back."""
        if not self._last:
            self.station.notes.append("nothing was saved in this session that could be taken back")
            return
        episode, case, success = self._last[-1]
        try:
            where = self._opened.sink.retract(episode)
        except RoboscaleError as error:
            self.station.notes.append(str(error))
            return
        self._last.pop()
        saved = next(one for one in self._opened.attempts.attempts[::-1] if one.episode == episode)
        self._opened.attempts.add(replace(saved, result="taken back", time_ns=time.time_ns()))
        self._kept.count(case.task, case.seed, success, -1)
        self._counted["kept" if success else "failed"] -= 1
        self._counted["undone"] += 1
        self.station.notes.append(f"taken back: episode {episode[:8]}; it is kept in {where}")
        self._tell(case.task)

    def _tell(self, task: str) -> None:
        """The page's counters."""
        from roboscale.sources.teleop.station import DrivenCounts

        case = self._next(task)
        self.station.task, self.station.sentence = task, self._opened.info.instruction(task)
        self.station.counts = DrivenCounts(
            wanted=self._opened.request.episodes,
            kept=self._kept.successes[task],
            failed=self._kept.failures[task],
            discarded=self._counted["discarded"],
            of_start=self._kept.starts[task, case.seed],
            start="" if case.seed is None else f"seed {case.seed}",
        )

    def _show(self, text: str) -> None:
        """Something for whoever drives, and for the terminal."""
        self.station.notes.append(text)
        self._opened.on_event(Note(text))

    def _driven(self) -> Driven:
        counted = self._counted
        return Driven(
            out=str(self._opened.request.out),
            totals={task: self._kept.successes[task] for task in self._opened.tasks},
            wanted=self._opened.request.episodes,
            seconds=time.monotonic() - self._begun_s,
            **{name: counted[name] for name in ("kept", "failed", "discarded", "undone")},
            **{name: counted[name] for name in ("steps", "late", "unattended", "interventions")},
            rested=counted["rested"] if counted["looked"] else None,
            practised=self._practised(),
            pictures=dict(Counter(self.station.pictures_by.values())),
        )

    def _practised(self) -> dict[str, list[int]]:
        scores: dict[str, list[int]] = {}
        for one in self._opened.attempts.attempts:
            if one.score is not None:
                scores.setdefault(one.operator, []).append(one.score)
        return scores


def _stream(task: str, opened: DrivingParts) -> Iterator[Case]:
    number = 0
    while True:
        yield cases(task, 1, opened.request.seed, "collect", number)[0]
        number += 1


def open_driving(request: Teleoperate, on_event: OnEvent) -> DrivingSession:
    """Opens everything; nothing moves, and nothing is connected yet but a leader arm."""
    from roboscale.dataset import AttemptLog, RecordingProcess
    from roboscale.sources.teleop import ReferenceViews, Station, require_same

    require_main()
    with ExitStack() as stack:
        world, arm, forward, speeds, names = world_to_drive(request)
        stack.callback(world.close)
        info = world.info
        leader = leader_of(request, info, None if arm is None else arm.units)
        tasks = expand_tasks(info, names)
        driven_hz = steps_a_second(request, info, on_event)
        driving, policy = driver_of(request, world, driven_hz, forward, speeds)
        horizon = request.horizon or info.horizon
        kept = KeptEpisodes.of(request.out)
        sink = stack.enter_context(_sink(request, info, policy))
        require_same(request.out, configured(info, tasks, driven_hz, horizon, policy), len(sink.episode_ids))
        disk = _disk(request, tasks, kept, len(sink.episode_ids), on_event)
        station = Station(
            f"{info.name}: {request.out.name}",
            view_deg=_VIEWS.get(info.name, 0.0) if request.view is None else request.view,
            devices=_TAKEN.get(request.input, ()),
            leader=request.leader_type,
            policy=policy is not None,
            driven_hz=driven_hz,
            arm=None if arm is None else arm.protective_stop,
            hands=driving.hands,
            joints=driving.joints,
        )
        station.tell = lambda text: on_event(Note(text))
        page = stack.enter_context(_page(request, info, station, on_event))
        if leader is not None:
            stack.enter_context(leader)
        recording = stack.enter_context(RecordingProcess(sink))
        recording.start()
        opened = DrivingParts(
            request=request,
            world=world,
            info=info,
            tasks=tasks,
            arm=arm,
            driving=driving,
            policy=policy,
            leader=leader,
            station=station,
            sink=sink,
            recording=recording,
            disk=disk,
            views=ReferenceViews(request.out),
            attempts=AttemptLog(request.out),
            driven_hz=driven_hz,
            horizon=horizon,
            on_event=on_event,
        )
        return DrivingSession(opened, page, kept, stack.pop_all())


def require_disk(
    request: Teleoperate, tasks: tuple[str, ...], kept: KeptEpisodes, recorded: int
) -> tuple[DiskSpace, str]:
    """Room for what is missing, and a word on it. InfrastructureError where it will not fit."""
    from roboscale.sources.teleop import DiskSpace

    disk = DiskSpace(request.out)
    missing = sum(max(0, request.episodes - kept.successes[task]) for task in tasks)
    return disk, disk.require(missing, _bytes_of(request.out) if recorded else 0, recorded)


def _disk(
    request: Teleoperate, tasks: tuple[str, ...], kept: KeptEpisodes, recorded: int, on_event: OnEvent
) -> DiskSpace:
    """As `require_disk`, with a line on what is there."""
    disk, room = require_disk(request, tasks, kept, recorded)
    if recorded:
        have = ", ".join(f"{task} {kept.successes[task]} of {request.episodes}" for task in tasks)
        on_event(Note(f"found {recorded} episodes in {request.out}: {have} by a person; {room}"))
    return disk


def _page(request: Teleoperate, info: WorldInfo, station: Station, on_event: OnEvent) -> PageProcess:
    """The page, in a process of its own."""
    from roboscale.web.teleop import PageProcess

    cameras = {f.name.rpartition(".")[2]: (f.shape[0], f.shape[1]) for f in info.observation_spec.images}
    return PageProcess(
        station,
        cameras,
        host=request.host,
        port=request.port,
        token=request.token,
        certificate=_certificate(request, on_event),
        webrtc=request.pictures == "webrtc",
    )


def _certificate(request: Teleoperate, on_event: OnEvent) -> tuple[Path, Path] | None:
    """For https, where it was asked for; its fingerprint is said."""
    if not request.https:
        return None
    from roboscale.web.show.certificate import self_made_certificate

    made = self_made_certificate((request.host, socket.gethostname()))
    on_event(Note(f"https by a certificate that this machine made; the browser asks once, SHA-256 {made.fingerprint}"))
    return made.file, made.key


def spec_of(info: WorldInfo, policy: Policy | None) -> Spec:
    """What each step of a driven episode holds."""
    from roboscale.sources.teleop import marked_spec
    from roboscale.trials import recording_spec

    return marked_spec(recording_spec(info), policy is not None)


def _sink(request: Teleoperate, info: WorldInfo, policy: Policy | None) -> DatasetWriter:
    from roboscale.dataset import DatasetWriter

    codec: Any = request.codec
    return DatasetWriter(request.out, spec_of(info, policy), robot_type=info.embodiment, codec=codec)


def _bytes_of(root: Path) -> int:
    return int(np.sum([path.stat().st_size for path in root.rglob("*") if path.is_file()], dtype=np.int64))
