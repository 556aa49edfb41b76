"""One driven episode: a rollout whose session is a person, streamed into a take that is kept when they say so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from roboscale.core import (
    Case,
    InfrastructureError,
    Outcome,
    PolicyError,
    Provenance,
    RolloutSettings,
    derive_seed,
)
from roboscale.jobs.driving import SOURCE, DrivingParts
from roboscale.sources.teleop import MarkedTake, SaidByOperator, Teleoperator
from roboscale.sources.teleop.station import Practice, practice_score
from roboscale.worlds.real.robot_world import PersonStopped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roboscale.dataset import Attempt
    from roboscale.sources.teleop.person import OperatorSession
    from roboscale.sources.teleop.views import ViewChange
    from roboscale.trials import RolloutResult

__all__ = ["DrivenEpisode", "drive_episode"]

_LOOK_AT_DISK = 50  # steps between two looks


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenEpisode:
    """What became of one take.

    Args:
        id: of the saved episode; empty where it was discarded.
        counted: steps, late, unattended and interventions of a saved one, and how many rested, of how many that
            were looked at.
        attempt: what is written down of it; `None` where something broke, which is no operator's.
        last: whether the operator ended the session with it.
        broke: what broke; empty where nothing did.
    """

    case: Case
    id: str = ""
    outcome: Outcome = field(default_factory=lambda: Outcome("void"))
    counted: Mapping[str, int] = field(default_factory=dict)
    attempt: Attempt | None = None
    last: bool = False
    broke: str = ""


class _Ended(Exception):
    """The operator ended the session before the episode began."""


class _OperatorClock:
    """Wall time that stands still while everybody waits for the operator to begin."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now_s(self) -> float:
        return time.monotonic() - self._skipped_s

    def wait_until(self, time_s: float) -> None:
        left = time_s - self.now_s()
        if left > 0:
            time.sleep(left)

    def skip(self, seconds: float) -> None:
        self._skipped_s += seconds


def drive_episode(
    opened: DrivingParts, case: Case, *, undo: Callable[[], None], show: Callable[[str], None]
) -> DrivenEpisode | None:
    """Sets a case up, lets the operator drive it, and asks how it went; `None` when they ended the session instead.

    Args:
        undo: takes the last saved episode back.
        show: says something on the page and in the terminal.

    Raises:
        InfrastructureError: the robot cannot be reached.
    """
    episode = _Driving(opened, case, undo, show)
    try:
        result = episode.play()
    except _Ended:
        episode.take.discard()
        return None
    except BaseException:
        episode.take.discard()
        raise
    return episode.filed(result)


class _Driving:
    def __init__(
        self, opened: DrivingParts, case: Case, undo: Callable[[], None], show: Callable[[str], None]
    ) -> None:
        self._opened, self._case, self._station = opened, case, opened.station
        self._undo, self._show = undo, show
        self._clock = _OperatorClock()
        self._session: OperatorSession | None = None
        self._practice = False
        sentence = opened.info.instruction(case.task)
        self._recorded = opened.recording.begin(sentence, self._provenance())
        self.take = MarkedTake(self._recorded, self._marks)

    def _marks(self) -> Mapping[str, Any]:
        assert self._session is not None, "frames come after the session began"
        return self._session.marks

    def _operator(self, *names: str) -> str:
        """Who drove; a page without a name is the operator's that the command was told."""
        return " + ".join(dict.fromkeys(name or self._opened.request.operator for name in names or ("",)))

    def _provenance(self) -> Provenance:
        from roboscale.jobs.versions import versions

        opened, info = self._opened, self._opened.info
        policy = {} if opened.policy is None else {"policy": opened.policy.identity.to_json()}
        return Provenance(
            source=SOURCE,
            embodiment=info.embodiment,
            operator=self._operator(*self._station.drivers),
            world=info.name,
            task=self._case.task,
            seed=self._case.seed,
            details={
                "case": self._case.id,
                "world": info.identity.to_json(),
                "input": opened.request.input,
                "driven_hz": opened.driven_hz,
                "versions": versions(),
                **policy,
            },
        )

    def play(self) -> RolloutResult:
        """The rollout, from setting up to its end."""
        from roboscale.trials import rollout
        from roboscale.trials.rollout import Asking

        opened, station = self._opened, self._station
        if opened.arm is not None:
            opened.world.prepared_by(self._prepare)  # type: ignore[attr-defined]
        else:
            station.to("starting")
        person = Teleoperator(
            station, opened.driving, opened.request.operator, policy=opened.policy, leader=opened.leader
        )
        referee = SaidByOperator(station, opened.request.world_ends)
        settings = RolloutSettings(horizon=opened.horizon, rate_hz=opened.driven_hz, pace="wall", watch=referee.name)
        run = rollout(
            opened.world,
            self._case,
            settings,
            referee=referee,
            asking=Asking(history=person.history),
            take=self.take,
            clock=self._clock,
        )
        try:
            seen: Any = next(run)
            begun = time.monotonic()
            if opened.arm is None:
                station.show(seen if person.history == 1 else {name: v[-1] for name, v in seen.items()})
                self._await_begin()
            self._session = person.start(opened.info.instruction(self._case.task), derive_seed("drive", self._case.id))
            station.to("recording")
            self._clock.skip(time.monotonic() - begun)  # the first step is due now
            while True:
                seen = run.send(self._answer(seen))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        except PersonStopped as stopped:
            raise _Ended from stopped
        finally:
            run.close()

    def _answer(self, seen: Any) -> Any:
        """What the session says, or what went wrong in it."""
        assert self._session is not None, "made before the first step"
        if self.take.frames % _LOOK_AT_DISK == 0 and (problem := self._opened.disk.problem()):
            self._show(problem)
            self._station.ending = "disk"
        try:
            return self._session(seen)
        except (PolicyError, InfrastructureError) as error:
            return error

    def _await_begin(self) -> None:
        """Until the operator begins; they may take the last one back first."""
        station = self._station
        self._practised()
        while True:
            station.to("ready")
            said = station.wait("begin", "undo", "stop", poll=self._look)
            if said == "stop":
                raise _Ended
            if said == "undo":
                self._undo()
            elif problem := self._opened.disk.problem():
                self._show(problem)
            else:
                self._practice = self._practised()
                return

    def _practised(self) -> bool:
        """Tells the page what whoever drives now has practised; whether the next attempt is practice."""
        wanted, log, task = self._opened.request.practice, self._opened.attempts, self._case.task
        if not wanted:
            return False
        who = self._operator(self._station.driver)
        others = [one.score for one in log.attempts if (one.task, one.operator != who) == (task, True)]
        best = max((score for score in others if score is not None), default=None)
        self._station.practice = Practice(wanted=wanted, scores=log.practised(who, task), best=best)
        return self._station.practice.due

    def _look(self) -> None:
        """What was practised, the cameras of an arm that waits, and what its guard says."""
        self._practised()
        arm = self._opened.arm
        if arm is None:
            return
        with suppress(InfrastructureError):  # `lost` says it
            self._station.show(arm.peek(0.1))
        self._station.guard = self._fault()

    def _fault(self) -> str:
        """Why somebody has to look at the arm first: its guard stopped, or is gone; empty where nobody has."""
        arm = self._opened.arm
        assert arm is not None, "asked of an arm"
        if arm.lost:
            return f"Guard: {arm.lost}"
        return "" if arm.reason is None else f"Guard: stopped: {arm.reason.text}"

    def _prepare(self, case: Case) -> None:
        """Sets a robot's scene up with the operator; returns when they begin and the guard has the arm."""
        arm, station = self._opened.arm, self._station
        assert arm is not None, "asked by a robot's world"
        while True:
            station.to("moving")
            try:
                if self._fault():
                    self._release()
                if not self._opened.views.looked:
                    self._compare_views()
                arm.prepare(case)
                if self._fault():
                    continue
                try:
                    self._await_begin()
                except _Ended as ended:
                    raise PersonStopped("the operator ended the session") from ended  # which a world lets pass
                arm.read()
                if not self._fault():
                    return
            except InfrastructureError:
                if not self._fault():
                    raise

    def _compare_views(self) -> None:
        """Once a session: what the cameras show at the home pose, beside the last time; differences are looked at."""
        arm, station, views = self._opened.arm, self._station, self._opened.views
        assert arm is not None, "asked by a robot's world"
        while True:
            joints, pictures = arm.home_pictures()
            before, found = views.pictures, views.compare(pictures)
            differ = [change for change in found if change.found]
            if not before:
                self._show("the cameras at the home pose are kept, to be compared with before the next session")
            for change in differ:
                self._show(change.text)
            if differ:
                station.to("check")
                said = station.wait("accept", "again", "stop", poll=partial(self._overlay, before, differ))
                if said == "stop":
                    raise PersonStopped("the operator ended the session")
                if said == "again":
                    station.to("moving")
                    continue
            views.keep(pictures, joints, found)
            views.looked = True
            return

    def _overlay(self, before: Mapping[str, NDArray[np.uint8]], differ: list[ViewChange]) -> None:
        """The cameras now, half under the picture of the last time, with what differs framed."""
        arm = self._opened.arm
        assert arm is not None, "it has cameras"
        with suppress(InfrastructureError):  # `lost` says it
            seen = arm.peek(0.1)
            laid = {f"observation.images.{c.camera}": c.laid_over(before[c.camera], seen) for c in differ}
            self._station.show({**seen, **laid})

    def _release(self) -> None:
        """Shows why the arm stands stopped, until somebody has looked at it; they may end the session instead."""
        arm, station = self._opened.arm, self._station
        assert arm is not None, "asked by a robot's world"
        while fault := self._fault():
            try:
                read = "nothing can be read back" if arm.lost else arm.readback().text
            except InfrastructureError as error:
                read = f"nothing can be read back: {error}"
            station.guard = f"{fault}; {read}"
            station.to("stopped")
            if station.wait("release", "stop") == "stop":
                raise PersonStopped("the operator ended the session")
            try:
                if arm.lost:
                    arm.connect()
                arm.release()
            except InfrastructureError as error:
                self._show(str(error))
        station.guard = ""

    def _lags(self) -> dict[str, float | None]:
        """How late the arm followed and each camera showed it, s, of hardware; `None` where too little moved."""
        if self._opened.arm is None:
            return {}
        lags = self.take.lags.lags(self._opened.driven_hz)
        return {f"lag of {name}, s": None if lag is None else lag.seconds for name, lag in lags.items()}

    def _rests(self) -> dict[str, int]:
        """How many steps nothing was asked in, of how many; nothing where a command does not tell."""
        from roboscale.dataset.audit.rest import rests_of_episode
        from roboscale.dataset.audit.roles import infer_roles
        from roboscale.jobs.driving import spec_of

        spec = spec_of(self._opened.info, self._opened.policy)
        rests = rests_of_episode(spec, infer_roles(spec, [], {}), self.take.numbers)
        return {} if rests is None else {"rested": int(rests.sum()), "looked": len(rests)}

    def filed(self, result: RolloutResult) -> DrivenEpisode:
        """Saves or discards the take, as the operator says."""
        station, said = self._station, self._station.ending
        last = said == "stop"
        if result.end == "void" or not self.take.frames:
            self.take.discard()
            self._show(f"discarded: {result.reason or 'the episode has no step'}")
            return DrivenEpisode(case=self._case, last=last, broke=result.reason)
        if said not in ("success", "fail", "discard"):
            if result.reason:
                station.notes.append(result.reason)
            station.to("judge")
            said = station.wait("success", "fail", "discard", poll=self._look)
        if said == "discard" or self._practice:
            self.take.discard()
            attempt = self._attempt(said, result)
            if attempt.score is not None:
                self._show(f"practice of {attempt.operator}: {attempt.score} of 100; nothing was saved")
            return DrivenEpisode(case=self._case, attempt=attempt, last=last)
        assert self._session is not None, "there are frames"
        counted = {
            "steps": result.steps,
            "late": result.late,
            "unattended": station.unattended,
            "interventions": self._session.interventions,
            **self._rests(),
        }
        outcome = Outcome(
            "success" if said == "success" else "failure",
            result.reason if said == "fail" else "",
            steps=result.steps,
            terminated=result.end == "terminated",
            truncated=result.end == "truncated",
            measures={
                **result.measures,
                **{name: float(count) for name, count in counted.items() if name not in ("steps", "looked")},
                **self._lags(),
            },
        )
        try:
            self._recorded.came_from(self._provenance())
            episode = self.take.save(outcome)
        except InfrastructureError as error:  # what records is gone: the next take has another
            self._show(f"discarded: {error}")
            return DrivenEpisode(case=self._case, last=last, broke=str(error))
        attempt = replace(self._attempt(said, result), episode=episode)
        return DrivenEpisode(case=self._case, id=episode, outcome=outcome, counted=counted, attempt=attempt, last=last)

    def _attempt(self, said: str, result: RolloutResult) -> Attempt:
        """What is written down of an attempt; of practice with its score, unless nobody wanted it."""
        from roboscale.dataset import Attempt

        ended = {"success": "success", "fail": "failure"}.get(said, "discarded")
        score = None
        if self._practice and ended != "discarded":
            judged = result.measures.get("success")
            success = said == "success" and judged in (None, 1.0)
            score = practice_score(success, result.steps, self._opened.horizon)
        return Attempt(
            operator=self._operator(*self._station.drivers),
            task=self._case.task,
            kind="practice" if self._practice else "recorded",
            result=ended,  # type: ignore[arg-type]  # the three of them
            seconds=round(result.steps / self._opened.driven_hz, 3),
            score=score,
        )
