"""The only step loop: one case, one world, and whoever answers with actions.

It is a generator so that one process can drive many scenes and answer all that wait in one batch: it yields an
observation and is sent an `ActionChunk`, `PENDING`, or an error of the policy. In a world that steps many scenes at
once it also yields a `Stepping` and is sent the `Step`. It knows no policy, and whether the episode was a success is
the referee's to say.

What belongs to the rollout and to nobody else: horizon, clipping, pace, what happens while a policy thinks, which
steps are looked at, and the stream of frames into a `Take`.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    PENDING,
    ActionChunk,
    Case,
    Clock,
    End,
    HasHold,
    InfrastructureError,
    Observation,
    Pending,
    Policy,
    PolicyError,
    Referee,
    RoboscaleError,
    RolloutSettings,
    Scene,
    SimulatedClock,
    Spec,
    Step,
    Take,
    WallClock,
    Watch,
    World,
    WorldInfo,
    combine,
)
from roboscale.core.policy import ActionCheck
from roboscale.core.world import RULE_MEASURES
from roboscale.trials.promises import Promises
from roboscale.trials.timing import Stopwatch

__all__ = [
    "Answer",
    "Asking",
    "RolloutResult",
    "Stepping",
    "answered",
    "recording_spec",
    "replay",
    "rollout",
    "void_result",
]

Answer = ActionChunk | Literal[Pending.PENDING] | PolicyError | InfrastructureError
"""What a rollout gets for an observation: a chunk, `PENDING`, or why there is neither."""

SLACK_S = 0.5  # of a control period: a step that comes later than that counts as late


@dataclass(frozen=True, slots=True)
class Stepping:
    """A scene that is to take this action (D,), together with whichever others wait."""

    scene: Scene
    action: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who is asked, as far as the rollout has to know.

    Args:
        needs: observation fields that the policy reads; `None` for all of the world's.
        history: how many consecutive steps up to now it reads.
    """

    needs: tuple[str, ...] | None = None
    history: int = 1

    @classmethod
    def of(cls, policy: Policy, shown: Spec) -> Asking:
        """Of a policy, in a world that can show `shown`: what it takes, or else what its code can read of that."""
        spec, reads = policy.observation_spec, getattr(policy, "reads", None)
        needs = None if spec is None else spec.names
        if spec is None and reads is not None:
            needs = tuple(name for name in shown.names if name in reads)
        return cls(needs=needs, history=getattr(policy, "history", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """What a rollout leaves: facts, no opinion. See `Trial` for the fields.

    Args:
        satisfied: whether the watching referee would have called it a success when it ended; `None` without one.
        spent: seconds in the world, in rendering, and in waiting for the control rate.
        first_seen: digest of the numbers that a simulator or model showed before the first step: two trials of one
            case whose digests differ did not begin alike. Empty for a robot.
        went: digest of that, the actions and what was measured at the end: two trials with one digest are the same
            one again. Empty where numbers do not tell, as in a world that shows the difference in pictures alone.
    """

    end: End
    reason: str = ""
    steps: int = 0
    clipped: int = 0
    held: int = 0
    late: int = 0
    actions: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    series: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    measures: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    thinking_s: float = 0.0
    spent: Mapping[str, float] = field(default_factory=dict)
    satisfied: bool | None = None
    first_seen: str = ""
    went: str = ""


def recording_spec(info: WorldInfo) -> Spec:
    """What a recorded rollout holds: all observations, the commanded action (which may leave its bounds) and the
    applied one (which does not)."""
    action = info.action_spec["action"]
    fields = (*info.observation_spec.fields, action, replace(action, name="applied.action"))
    return Spec(fields, info.rate_hz)


def rollout(
    world: World,
    case: Case,
    settings: RolloutSettings,
    *,
    referee: Referee | None = None,
    asking: Asking | None = None,
    take: Take | None = None,
    film: Callable[[Scene], None] | None = None,
    clock: Clock | None = None,
    together: bool = False,
) -> Generator[Observation | Stepping, Answer | Step, RolloutResult]:
    """Runs one case; the generator's return value is the `RolloutResult`.

    Args:
        settings: horizon, rate, pace, rows executed, whether thinking time is charged.
        referee: watches every step and may end the episode; by default only the world and the horizon do.
        asking: what the policy reads; everything by default.
        take: gets every step's observation and actions as they come. The caller saves or discards it.
        film: called before every step and at the end, for who wants pictures of the scene.
        clock: by default simulated or wall time, as the settings' pace says.
        together: yields a `Stepping` for every step and is sent its `Step`, instead of stepping the scene by itself.

    A `PolicyError` (sent in, or the chunk is no chunk) ends it as the policy's mistake; an `InfrastructureError` (sent
    in, or raised by the world) as void. Other exceptions of the world pass through to whoever owns it.
    """
    watch = None if referee is None else referee.watch()
    made = clock or (WallClock() if settings.pace == "wall" else SimulatedClock())
    run = _Run(
        world,
        case,
        settings,
        watch=watch,
        asking=asking or Asking(),
        take=take,
        film=film,
        clock=made,
        together=together,
    )
    return (yield from run.play())


_T = TypeVar("_T")
_Playing = Generator[Observation | Stepping, Answer | Step, _T]


class _Run:
    """The state of one rollout."""

    def __init__(
        self,
        world: World,
        case: Case,
        settings: RolloutSettings,
        *,
        watch: Watch | None,
        asking: Asking,
        take: Take | None,
        film: Callable[[Scene], None] | None,
        clock: Clock,
        together: bool,
    ) -> None:
        self.together = together
        self.world, self.case, self.settings, self.watch = world, case, settings, watch
        self.asking, self.take, self.film, self.clock = asking, take, film, clock
        self.info = world.info
        self.action = self.info.action_spec["action"]
        self.check, self.promises = ActionCheck(self.action), Promises(self.info)
        self.images = frozenset(f.name for f in self.info.observation_spec if f.is_image)
        self.drawn = self.images if asking.history == 1 else frozenset()
        self.kept = tuple(m.name for m in self.info.measures if m.series or m.name in RULE_MEASURES)
        self.series = {name: array("f") for name in self.kept}  # four bytes a step: an episode may last for hours
        self.measures: dict[str, float | None] = {}
        self.actions = array("f")
        self.window: deque[Observation] = deque(maxlen=asking.history)
        self.seen: Observation | None = None  # the present step, where somebody has looked at it
        self.steps = self.clipped = self.held = self.late = 0
        self.thinking_s = 0.0
        self.in_world, self.in_pictures, self.paced = Stopwatch(), Stopwatch(), Stopwatch()
        self.end: End | None = None
        self.first_seen = ""

    def play(self) -> _Playing[RolloutResult]:
        """Sets up, steps until an end, and closes the scene whatever happens."""
        begun = time.monotonic()
        reason = ""
        try:
            with self.in_world:
                self.scene = self.promises.scene(self.world.start(self.case), self.together)
            try:
                yield from self._steps()
            finally:
                with self.in_world:
                    self.scene.close()
        except PolicyError as error:
            self.end, reason = "policy error", str(error)
        except InfrastructureError as error:
            self.end, reason = "void", str(error)
        assert self.end is not None, "a rollout has an end"
        size = self.action.shape
        return RolloutResult(
            end=self.end,
            reason=reason,
            steps=self.steps,
            clipped=self.clipped,
            held=self.held,
            late=self.late,
            actions=np.array(self.actions, np.float32).reshape(-1, *size),
            series={name: np.array(values, np.float32) for name, values in self.series.items()},
            measures=self.measures,
            seconds=time.monotonic() - begun,
            thinking_s=self.thinking_s,
            spent={
                "world": self.in_world.seconds,
                "rendering": self.in_pictures.seconds,
                "waiting": self.paced.seconds,
            },
            satisfied=None if self.watch is None else self.watch.satisfied(),
            first_seen=self.first_seen,
            went=self._went(),
        )

    def _steps(self) -> _Playing[None]:
        self.due_s = self.clock.now_s()
        self.first_seen = self._digest()
        self._look()
        while self.end is None:
            asked = time.monotonic()
            answer = yield self._observation()
            thought_s = time.monotonic() - asked
            self.thinking_s += thought_s
            if isinstance(answer, RoboscaleError):
                raise answer
            if self.settings.latency:
                yield from self._hold(math.floor(thought_s * self.settings.rate_hz))
            if answer is PENDING:
                yield from self._hold(1)
            elif isinstance(answer, ActionChunk):
                yield from self._execute(answer)
            else:
                raise PolicyError(f"expected an ActionChunk or PENDING, found {type(answer).__name__}")

    def _execute(self, chunk: ActionChunk) -> _Playing[None]:
        rows = chunk.rows
        if self.settings.execute is not None:
            rows = np.asarray(chunk.actions)[: self.settings.execute]
        for index, row in enumerate(rows):
            if self.end is not None:
                return
            applied, clipped = self.check(row)
            self.clipped += clipped
            yield from self._step(np.asarray(row, np.float32), applied, until_asked=len(rows) - 1 - index)

    def _hold(self, count: int) -> _Playing[None]:
        """Holds still for some steps while the policy thinks."""
        if not count:
            return
        if self.info.hold is None:
            raise InfrastructureError(
                f"world {self.info.name} says no action that holds still, and the policy was still thinking"
            )
        still: Any = self.info.hold
        for index in range(count):
            if self.end is None:
                if isinstance(self.scene, HasHold):
                    still = self.scene.hold_action()
                hold = np.asarray(still, self.action.dtype).reshape(self.action.shape)
                self.held += 1
                yield from self._step(np.asarray(hold, np.float32), hold, until_asked=count - 1 - index)

    def _step(self, commanded: NDArray[np.float32], applied: NDArray[Any], until_asked: int) -> _Playing[None]:
        """One control step, and the look at what it led to where the policy will read that."""
        if self.take is not None:
            seen = self._whole()
        self._film()
        self._pace()
        with self.in_world:
            if self.together:
                step = yield Stepping(self.scene, applied)
            else:
                try:
                    step = self.scene.step(applied)
                except PolicyError:  # a guard's: what it counted belongs to the trial
                    self.measures = self.promises.measures(self.scene.measures())
                    raise
        step = self.promises.step(step)
        self.steps += 1
        self.actions.frombytes(commanded.tobytes())
        self.seen = None
        if self.take is not None:
            sent = applied if step.applied is None else step.applied
            self.take.add({**seen, "action": commanded, "applied.action": np.asarray(sent, self.action.dtype)})
        self._measure(step.terminated, step.truncated)
        if self.end is not None:
            self._film()
        elif until_asked < self.asking.history:
            self._look()

    def _film(self) -> None:
        """Shows the scene to who wants pictures of it."""
        if self.film is not None:
            with self.in_pictures:
                self.film(self.scene)

    def _measure(self, terminated: bool, truncated: bool) -> None:
        """Reads the measures and decides whether the episode ends here."""
        with self.in_world:
            measured = self.scene.measures()
        self.measures = self.promises.measures(measured)
        decided = self.watch is not None and self.watch.update(self.measures)  # refuses what is no truth value
        for name in self.kept:
            value = self.measures.get(name)
            self.series[name].append(math.nan if value is None else value)
        if decided:
            self.end = "decided"
        elif (terminated or truncated) and self.steps < self.settings.horizon and self._goes_on():
            return
        elif terminated:
            self.end = "terminated"
        elif truncated or self.steps >= self.settings.horizon:
            self.end = "truncated"

    def _goes_on(self) -> bool:
        """Whether the world's own end is stepped over: it ended at a success that the rule wants to see held."""
        success = self.measures.get("success")
        if self.watch is None or not success or self.watch.satisfied():
            return False
        if not self.info.past_success:
            raise RoboscaleError(
                f"world {self.info.name} ends at the first success, and the rule {self.settings.watch} wants more of "
                "it: choose the rule `first`, or a world that goes on"
            )
        return True

    def _pace(self) -> None:
        """Waits until the next step is due; counts those that come late. Simulated time is never late."""
        now = self.clock.now_s()
        if now > self.due_s + SLACK_S / self.settings.rate_hz:
            self.late += 1
            self.due_s = now  # what is lost is lost: the steps after it keep the rate
        with self.paced:
            self.clock.wait_until(self.due_s)
        self.due_s += 1 / self.settings.rate_hz

    def _look(self) -> None:
        """Looks at the present step for the policy."""
        names = self.asking.needs
        seen = self._whole() if self.take is not None else self._observe(names)
        self.window.append(seen if names is None else {name: seen[name] for name in names})

    def _digest(self) -> str:
        """Of the numbers shown now; pictures cost ten times the physics and follow from the same state."""
        names = [f.name for f in self.info.observation_spec if not f.is_image]
        if self.info.kind == "real" or not names:
            return ""
        with self.in_world:
            shown = self.scene.observe(names)
        seen = self.promises.seen(shown, names, first=True)
        return combine("first seen", {name: np.asarray(seen[name]) for name in names}).digest

    def _went(self) -> str:
        """Of what was seen first, all actions, and the last measures; empty where pictures may differ unmeasured."""
        whole = any(value is not None and value % 1 for value in self.measures.values())
        pictures = any(f.is_image for f in self.info.observation_spec)
        if not self.first_seen or not self.steps or (pictures and not whole):
            return ""
        return combine("went", self.first_seen, np.array(self.actions, np.float32), dict(self.measures)).digest

    def _whole(self) -> Observation:
        """Everything the world shows now, looked at once a step."""
        if self.seen is None:
            self.seen = self._observe(None)
        return self.seen

    def _observe(self, names: Collection[str] | None) -> Observation:
        """What the scene shows now, read-only, and not its own memory, which its next step may write into.

        A picture is drawn anew when it is looked at again, and is copied only where an older one is still needed.
        """
        drawing = bool(self.images) if names is None else not self.images.isdisjoint(names)
        with self.in_pictures if drawing else self.in_world:
            shown = self.scene.observe(names)
        seen = self.promises.seen(shown, names, first=not self.steps)
        return {
            name: _read_only(values.view() if name in self.drawn else np.array(values))
            for name, values in seen.items()
        }

    def _observation(self) -> Observation:
        """What the policy reads: the present step, or the last ones, the first repeated where there were fewer."""
        if self.asking.history == 1:
            seen = self.window[-1]
            # torch.from_numpy writes through a read-only array: what is recorded has to be another one
            return seen if self.take is None else {name: _read_only(values.copy()) for name, values in seen.items()}
        steps = [self.window[0]] * (self.asking.history - len(self.window)) + list(self.window)
        stacked = {name: np.stack([step[name] for step in steps]) for name in steps[-1]}
        return {name: _read_only(values) for name, values in stacked.items()}


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """The same array, which says so to whoever writes into it."""
    values.flags.writeable = False
    return values


def answered(
    run: Generator[Observation | Stepping, Answer | Step, RolloutResult], session: Callable[[Any], Answer]
) -> RolloutResult:
    """A rollout of a scene that steps alone, each observation answered by `session`, whose errors are answers, too."""
    try:
        seen = next(run)
        while True:
            try:
                answer = session(seen)
            except (PolicyError, InfrastructureError) as error:
                answer = error
            seen = run.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def replay(
    world: World,
    case: Case,
    settings: RolloutSettings,
    actions: NDArray[np.floating[Any]],
    *,
    referee: Referee | None = None,
    take: Take | None = None,
    film: Callable[[Scene], None] | None = None,
) -> RolloutResult:
    """Plays recorded actions (T, D) again, open loop; in a deterministic world the trial repeats bit by bit."""
    whole = replace(settings, execute=None, latency=False)
    run = rollout(world, case, whole, referee=referee, asking=Asking(needs=()), take=take, film=film)
    try:
        next(run)
        run.send(ActionChunk(actions))
        run.send(PolicyError("the recorded actions ended before the episode did"))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("a rollout ends when an error is sent to it")


def void_result(reason: str) -> RolloutResult:
    """A rollout that did not happen."""
    return RolloutResult(end="void", reason=reason)
