"""The operator's desk: who sets a scene up, watches, stops and scores, while a run of trials goes on.

The page (`web.bench`) asks it in threads; the run waits for it where a case is prepared and where a trial is judged.
It is told cases and trials, and passes on nothing that tells policies apart: trials are numbered in the order in
which they were made. Every click and every intervention of the guard is a line of an audit file.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    Case,
    Counted,
    Design,
    InfrastructureError,
    Judgement,
    RoboscaleError,
    Trial,
    UnknownName,
    World,
)
from roboscale.jobs.events import Note, OnEvent
from roboscale.jobs.proposing import Proposing

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.trials.log import Run, TrialLog
    from roboscale.trials.study import StudyDetector
    from roboscale.worlds.real.benches import RobotBenches
    from roboscale.worlds.real.guarded import GuardedRobot

__all__ = ["BenchPlan", "OperatorDesk", "open_desk"]

LIMITS = (
    "The guard is a protective stop, not an emergency stop (ISO 13850): the hardware button stays within your reach. "
    "You are not told which policy runs; how the arm moves is the one thing that cannot be hidden."
)
_POLL_S = 0.5  # how often an open page asks
CLICKS = ("ready", "stop", "release", "score", "void", "correct")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What a run at a bench has besides any other run.

    Args:
        stages: of the task, in order; progress is the share that was reached.
        tags: what can go wrong, for the scorer to tick.
        order: seed that draws which policy goes first on each case.
        detectors: who proposes how a trial went.
        design: how the study is decided; `None` where the request says it.
        study: what the run says of the study that it belongs to; JSON types.
        host, port, token: of the page.
    """

    title: str
    stages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    order: int = 0
    detectors: tuple[StudyDetector, ...] = ()
    design: Design | None = None
    study: Mapping[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None


def open_desk(
    plan: BenchPlan, world: World, log: TrialLog, run: Run, stack: ExitStack, on_event: OnEvent
) -> OperatorDesk:
    """A desk with its page being served until the stack is closed; the address is said, and from now on whoever sits
    there sets the world's scenes up. RoboscaleError for a world that is no guarded robot."""
    from roboscale.jobs.stores import folder_of
    from roboscale.web.bench import serve_bench
    from roboscale.worlds.real.benches import RobotBenches
    from roboscale.worlds.real.guarded import GuardedRobot
    from roboscale.worlds.real.robot_world import RobotWorld

    robot = world.robot if isinstance(world, RobotWorld) else None
    if not isinstance(world, RobotWorld) or not isinstance(robot, (GuardedRobot, RobotBenches)):
        raise RoboscaleError(f"the operator's page needs a guarded robot (robot:FILE.toml), found {world.info.name}")
    folder = folder_of(log.where) or Path()
    desk = OperatorDesk(plan, robot, log, run, folder / "bench.jsonl")
    page = stack.enter_context(serve_bench(desk, host=plan.host, port=plan.port, token=plan.token))
    stack.callback(desk.close)
    world.prepared_by(desk.prepare, desk.unreachable)
    on_event(Note(f"open {page.url} to run and score the trials; every click goes to {desk.audit}"))
    return desk


class OperatorDesk:
    """One person, one bench, one run.

    Args:
        audit: JSON lines; clicks and interventions are appended.
    """

    def __init__(
        self, plan: BenchPlan, robot: GuardedRobot | RobotBenches, log: TrialLog, run: Run, audit: Path
    ) -> None:
        self.plan, self.robot, self.audit = plan, robot, audit
        self._log, self._run = log, run
        self._changed = threading.Condition()
        self._phase = "starting"
        self._click: tuple[str, Mapping[str, Any]] | None = None
        self._judging: Trial | None = None
        self._said: Judgement | None = None  # of the trial that is judged, in the log already
        self._case: Case | None = None
        self._initials: dict[str, dict[str, NDArray[np.uint8]]] = {}
        self._hint = ""
        self._written = 0  # interventions that are in the audit
        self._begun_s = time.monotonic()
        self._asked_s = -np.inf
        self._trials: list[Trial] = []
        self._scored = 0
        self.result: Callable[[], Judged] | None = None
        self._more = (-1, "unknown yet")
        state = robot.observation_spec["observation.state"]
        self._proposing = Proposing(plan.detectors, log, state.layout, audit.parent)
        self._load()

    # what the run calls

    def prepare(self, case: Case) -> None:
        """Sets a case up with the operator; returns when the scene is set and the guard has the arm."""
        self._case = case
        while True:
            self._to("moving")
            try:
                if self._at_fault():
                    self._let_release()
                self.robot.prepare(case)
                if self._at_fault():
                    continue
                self._to("set up")
                clicked, _ = self._wait("ready", "stop")
                seen = self.robot.read()
                if clicked == "ready" and not self._at_fault():
                    break
            except InfrastructureError as error:
                if not self._at_fault():
                    self.unreachable(error)
        pictures = {f.name: np.asarray(seen[f.name]) for f in self.robot.observation_spec.images}
        self._initials.setdefault(case.id, pictures)
        self._proposing.begin(self.robot.tasks[case.task])
        if self.plan.detectors:
            self.robot.watched_by(self._proposing.look)
        self._to("running")

    def unreachable(self, error: InfrastructureError) -> None:
        """Shows why the robot does not do what it is told, and returns when somebody has looked: a bench that is not
        ready costs no trial."""
        self._write("guard", {"kind": "unreachable", "text": str(error)})
        self._hint = str(error)
        self._to("stopped")
        self._wait("release")
        self._hint = ""

    def _at_fault(self) -> bool:
        """Whether somebody has to look at the bench first: the guard stopped, or its process is gone."""
        return self.robot.reason is not None or bool(self.robot.lost)

    def judge(self, trial: Trial) -> Judgement | None:
        """Asks the operator how a trial went; `None` for one that says nothing of the policy, or says it by itself."""
        self._write_interventions()
        if all(known.id != trial.id for known in self._trials):
            self._trials.append(trial)
        if trial.void or trial.end == "policy error":
            self._hint = f"The last trial was {'void' if trial.void else 'a failure'}: {trial.reason}"
            return None
        self._let_propose(trial)
        with self._changed:
            self._judging, self._said = trial, None
        self._to("score")
        self._wait("score", "void")
        self._to("moving")
        self._scored += 1
        return self._said

    def close(self) -> None:
        """The run is over; the page says so as long as it is served."""
        self._write_interventions()
        self._proposing.close()
        watched = time.monotonic() - self._asked_s < 2 * _POLL_S
        self._to("done")
        if watched:  # every open page asks once more before its server goes
            time.sleep(_POLL_S + 0.2)

    # what the page calls

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        self._asked_s = time.monotonic()
        with self._changed:
            case, phase = self._case, self._phase
            number = len(self._trials) + (phase not in ("score", "done"))
        shown = list(self._initials)
        scene = shown.index(case.id) if case is not None and case.id in shown else None
        mode, reason = self.robot.mode, self.robot.reason
        lost = "its process is gone" if self.robot.lost else ""
        said = lost or (f"stopped: {reason.text}" if reason is not None else mode)
        return {
            "title": self.plan.title,
            "phase": phase,
            "number": max(number, 1),
            "total": len(self._run.cases) * len(self._run.policies) + sum(t.void for t in self._trials),
            "task": "" if case is None else self.robot.tasks[case.task],
            "place": self.robot.place,
            "stages": list(self.plan.stages),
            "tags": list(self.plan.tags),
            "cameras": [f.name.rpartition(".")[2] for f in self.robot.observation_spec.images],
            "live": bool(self.robot.peek(np.inf)),
            "initial": scene is not None,
            "scene": scene,
            "guard": {"mode": mode, "text": f"Guard: {said}"},
            "proposals": self._shown() if phase == "score" else [],
            "hint": self._hint if phase in ("set up", "stopped", "score") else "",
            "facts": self._facts(),
            "trials": self._rows(),
            "limits": LIMITS,
        }

    def picture(self, camera: str, *, scene: int | None) -> NDArray[np.uint8] | None:
        """A camera now, or when that scene was first set up: the page may be half a second behind the run."""
        name = f"observation.images.{camera}"
        if scene is not None:
            first = list(self._initials.values())
            return first[scene].get(name) if scene < len(first) else None
        quiet = self._phase in ("set up", "score", "stopped")
        try:
            seen = self.robot.peek(0.2 if quiet else np.inf)
        except InfrastructureError:
            return None
        shown = seen.get(name)
        return None if shown is None else np.asarray(shown)

    def act(self, action: str, values: Mapping[str, Any]) -> None:
        """A click. RoboscaleError where it does not fit what happens now."""
        if action not in CLICKS:
            raise UnknownName("click", action, CLICKS)
        if action == "stop":
            self.robot.protective_stop()
        if action == "correct":
            self._correct(values)
        elif action in ("score", "void"):
            self._check_score(action, values)
        self._write("click", {"click": action, **values})
        with self._changed:
            wanted = {"set up": ("ready", "stop"), "stopped": ("release",), "score": ("score", "void")}
            if action in wanted.get(self._phase, ()):
                if action in ("score", "void"):
                    self._file(action, values)
                self._click = (action, dict(values))
                self._changed.notify_all()
            elif action not in ("stop", "correct"):
                raise RoboscaleError(f"{action} does not fit now: {self._phase}")

    # between the two

    def _file(self, action: str, values: Mapping[str, Any]) -> None:
        """A score is in the log before its click is answered: whatever dies now, nobody has to remember it."""
        if self._said is not None or self._judging is None:
            raise RoboscaleError("this trial has its score; under Trials so far it can be corrected")
        self._said = self._judgement(self._judging, action, values)
        self._log.judge(self._said)

    def _let_propose(self, trial: Trial) -> None:
        """The detectors look at the end of a trial; one that an earlier command made they have seen, or never will."""
        if not self.plan.detectors or self._phase != "running":
            return
        with suppress(InfrastructureError):
            self.robot.read()
        self.robot.watched_by(None)
        self._proposing.propose(trial)

    def _shown(self) -> list[dict[str, str]]:
        return [] if self._judging is None else self._proposing.shown(self._judging.id)

    def _to(self, phase: str) -> None:
        with self._changed:
            self._phase, self._click = phase, None
        self._write("phase", {"phase": phase, "trial": len(self._trials)})

    def _wait(self, *wanted: str) -> tuple[str, Mapping[str, Any]]:
        """Until one of these clicks comes."""
        with self._changed:
            while self._click is None or self._click[0] not in wanted:
                self._changed.wait(0.5)
            return self._click

    def _let_release(self) -> None:
        """Shows why the arm stands stopped and what was read of it, until somebody has looked at the bench."""
        while True:
            lost = self.robot.lost
            if lost:
                self._write("guard", {"kind": "lost", "text": lost})
                self._hint = f"{lost}; nothing can be read back"
            else:
                try:
                    self.robot.read()
                    if not self._at_fault() and self.robot.mode != "stopped":
                        return
                    self._hint = self.robot.readback().text
                except InfrastructureError as error:
                    self._hint = f"nothing can be read back: {error}"
            self._to("stopped")
            self._wait("release")
            try:
                if self.robot.lost:
                    self.robot.connect()
                self.robot.release()
                self._to("moving")
                self._hint = ""
                return
            except InfrastructureError as error:
                self._hint = str(error)

    def _check_score(self, action: str, values: Mapping[str, Any]) -> None:
        if values.get("number") != len(self._trials):
            raise RoboscaleError(f"trial {values.get('number')} is not the one to score: that is {len(self._trials)}")
        if action == "void":
            if not str(values.get("reason", "")).strip():
                raise RoboscaleError("say why the bench was at fault")
            return
        if type(values.get("success")) is not bool:
            raise RoboscaleError("say whether it succeeded")
        stage = values.get("stage")
        if stage is not None and not (type(stage) is int and 0 <= stage <= len(self.plan.stages)):
            raise RoboscaleError(f"stage: expected 0 to {len(self.plan.stages)}, found {stage!r}")
        if self.plan.stages and stage is None:
            raise RoboscaleError("say how far it got")
        unknown = set(map(str, values.get("tags", ()))) - set(self.plan.tags)
        if unknown:
            raise UnknownName("failure tag", sorted(unknown)[0], self.plan.tags)

    def _judgement(self, trial: Trial, kind: str, values: Mapping[str, Any]) -> Judgement:
        if kind == "void":
            reason = str(values["reason"]).strip()
            return Judgement(
                trial=trial.id, referee="person", time_ns=time.time_ns(), state="cannot say", reason=reason
            )
        ticked = [f"[{one}]" for one in (*values.get("tags", ()), *values.get("damage", ()))]
        stage, stages = values.get("stage"), self.plan.stages
        return Judgement(
            trial=trial.id,
            referee="person",
            time_ns=time.time_ns(),
            state="decided",
            success=values["success"],
            progress=None if stage is None or not stages else stage / len(stages),
            reason=" ".join([*ticked, str(values.get("notes", "")).strip()]).strip(),
        )

    def _correct(self, values: Mapping[str, Any]) -> None:
        """A further judgement of an earlier trial; what was said before stays."""
        number, success = values.get("number"), values.get("success")
        if type(number) is not int or not 1 <= number <= len(self._trials) or type(success) is not bool:
            raise RoboscaleError(f"expected a trial from 1 to {len(self._trials)} and whether it succeeded")
        trial = self._trials[number - 1]
        if trial.void:
            raise RoboscaleError(f"trial {number} is void: nobody can judge it")
        said = self._log.judgements([trial.id]).get(trial.id, ())
        before = max((j for j in said if j.state == "decided"), key=lambda j: j.time_ns, default=None)
        judgement = Judgement(
            trial=trial.id,
            referee="person",
            time_ns=time.time_ns(),
            state="decided",
            success=success,
            progress=None if before is None else before.progress,
            reason=f"corrected; before: {before.reason if before is not None and before.reason else 'no reason'}",
        )
        self._log.judge(judgement)
        self._more = (-1, self._more[1])

    def _load(self) -> None:
        """The trials that earlier sessions of this run made, in the order in which they were made."""
        done = self._log.attempts(self._run.policies, self._run.world, self._run.settings, self._run.round)
        self._trials = sorted((t for group in done.values() for t in group), key=lambda t: t.started_ns)

    def _rows(self) -> list[dict[str, Any]]:
        from roboscale.trials.evidence import outcome_of

        said = self._log.judgements([t.id for t in self._trials])
        rows = []
        for number, trial in enumerate(self._trials, 1):
            outcome = outcome_of(trial, said.get(trial.id, ()))
            void = outcome is not None and outcome.success is None
            rows.append(
                {
                    "number": number,
                    "void": void,
                    "success": None if outcome is None or void else bool(outcome.success),
                    "reason": "" if outcome is None else outcome.reason,
                    "fixed": outcome is None or trial.void,
                }
            )
        return rows

    def _facts(self) -> list[tuple[str, str]]:
        minutes = (time.monotonic() - self._begun_s) / 60
        each = f"{minutes / self._scored:.1f}" if self._scored else "-"
        interventions = {k.removeprefix("guard "): int(v or 0) for k, v in self.robot.interventions().items() if v}
        counted = ", ".join(f"{name} {count}" for name, count in interventions.items()) or "none"
        return [
            ("Bench minutes a trial", each),
            ("Trials that would decide", self._needed()),
            ("The guard changed or refused", counted),
        ]

    def _needed(self) -> str:
        """Counted anew after every score: the page asks twice a second."""
        scored = self._scored
        if self.result is not None and self._more[0] != scored:
            self._more = (scored, _needed(self.result()))
        return self._more[1]

    def _write_interventions(self) -> None:
        events = self.robot.events
        for event in events[self._written :]:
            self._write("guard", event.to_json())
        self._written = len(events)

    def _write(self, what: str, values: Mapping[str, Any]) -> None:
        self.audit.parent.mkdir(parents=True, exist_ok=True)
        with self.audit.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time_ns": time.time_ns(), "what": what, **values}) + "\n")


def _needed(judged: Judged) -> str:
    """How many further cases would decide, for people; never who is ahead."""
    from roboscale.stats.many import ManyVerdict

    verdict = None if judged.decided is None else judged.decided.verdict
    if verdict is None:
        return "unknown yet"
    needed = [p.verdict.needed for p in verdict.undecided] if isinstance(verdict, ManyVerdict) else [verdict.needed]
    known = [count for count in needed if count is not None]
    left = len(judged.run.cases) - len({c.case.id for c in _complete(judged)})
    return f"about {max(known) * len(judged.run.policies)}" if known else f"unknown yet; {left} cases are left"


def _complete(judged: Judged) -> list[Counted]:
    return [c for c in judged.counted if not c.pending]
