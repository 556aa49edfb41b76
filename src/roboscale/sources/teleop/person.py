"""The person as a policy: asked at every step, alone or in the place of a policy that drives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    PENDING,
    ActionChunk,
    Identity,
    Judgement,
    Observation,
    Pending,
    Policy,
    Session,
    Spec,
    Trial,
    combine,
)
from roboscale.sources.teleop.driving import Driving
from roboscale.sources.teleop.leader import LeaderReader
from roboscale.sources.teleop.station import LONG_S, Station

__all__ = ["SaidByOperator", "Teleoperator"]


class Teleoperator:
    """Whoever is at the station.

    Args:
        station: where the operator's words come from and what is seen goes.
        driving: how these become actions.
        name: of the operator.
        policy: drives until the operator takes over; `None` where the operator drives alone.
        leader: joints that the operator moves, and that the arm follows; `None` where the page says how it moves.
    """

    observation_spec: Spec | None = None
    action_spec: Spec | None = None

    def __init__(
        self,
        station: Station,
        driving: Driving,
        name: str = "person",
        *,
        policy: Policy | None = None,
        leader: LeaderReader | None = None,
    ) -> None:
        self.station, self.driving, self.name, self.policy = station, driving, name, policy
        self.leader = leader
        parts = () if policy is None else (policy.identity,)
        made = combine(name, "teleoperator", name, *parts)
        self.identity = Identity(name, made.digest, (*made.unverified, "a person chose the actions"))
        self.history = 1 if policy is None else policy.history

    def start(self, instruction: str, seed: int) -> OperatorSession:
        """A session that asks the station at every step."""
        asked = None if self.policy is None else self.policy.start(instruction, seed)
        return OperatorSession(self, asked)


class OperatorSession:
    """One episode: `marks` says of the last action who chose it, and how old the operator's word was."""

    def __init__(self, person: Teleoperator, asked: Session | None) -> None:
        self._station, self._driving, self._history = person.station, person.driving, person.history
        self._needs = (
            None
            if person.policy is None or person.policy.observation_spec is None
            else frozenset(person.policy.observation_spec.names)
        )
        self._asked, self._leader = asked, person.leader
        self._rows: deque[NDArray[Any]] = deque()
        self._begun_s: float | None = None
        self._last: NDArray[np.float32] | None = None
        self._person = asked is None  # who chose the last action
        self._blending = False
        self._leader_from: tuple[NDArray[Any], NDArray[Any]] | None = None  # where leader and arm were at a takeover
        self.interventions = 0  # frames
        self.pending = 0  # frames that the policy had no answer for
        self.marks: Mapping[str, NDArray[Any]] = {}

    def __call__(self, observation: Observation) -> ActionChunk | Literal[Pending.PENDING]:
        """One action; never `PENDING`: what holds is the driving's to say."""
        now = self._station.now()
        latest = observation if self._history == 1 else {name: v[-1] for name, v in observation.items()}
        self._station.show(latest)
        if self._begun_s is None:
            self._begun_s = now
            self._driving.begin(latest)
        velocity, age_s = self._station.velocity()
        led = None
        if self._leader is not None:
            positions, age_s = self._leader.newest()
            led = self._station.led(positions, age_s)
            age_s = min(age_s, LONG_S)
        marks: dict[str, NDArray[Any]] = {
            "time.step_ns": np.array([round(1e9 * (now - self._begun_s))], np.int64),
            "operator.age_s": np.array([age_s], np.float32),
        }
        if self._asked is None:
            action = self._driven(latest, velocity, led)
        else:
            planned = self._planned(observation, latest)
            action = self._chosen(latest, velocity, planned, led)
            self.interventions += self._person
            marks |= {
                "is_intervention": np.array([self._person], np.bool_),
                "policy.action": np.asarray(planned, np.float32),
            }
        self._last, self.marks = action, marks
        return ActionChunk(action[None])

    def _driven(self, latest: Observation, velocity: NDArray[Any], led: NDArray[Any] | None) -> NDArray[np.float32]:
        """The action of the person: after their leader arm, which is heard or holds, or as the page says."""
        if self._leader is None:
            return self._driving.action(latest, velocity, self._station.grips)
        return self._driving.hold() if led is None else self._driving.towards(led)

    def _led_on(self, led: NDArray[Any] | None) -> NDArray[np.float32]:
        """After a leader that took over: as far from where the arm was as the leader has gone since.

        So a leader that stands elsewhere throws nothing. One that was not heard begins anew where it then is.
        """
        if led is None:
            self._leader_from = None
            return self._driving.hold()
        if self._leader_from is None:
            self._leader_from = (led, self._driving.hold())
        leader, arm = self._leader_from
        return self._driving.towards(arm + led - leader)

    def _chosen(
        self, latest: Observation, velocity: NDArray[Any], planned: NDArray[Any], led: NDArray[Any] | None
    ) -> NDArray[np.float32]:
        """The action of whoever drives now; whoever takes over goes on from what was done last."""
        takes, gives = (self._station.intervening, not self._station.intervening)
        if takes and not self._person and self._last is not None:
            grips = self._driving.follow(self._last)
            self._station.grips = self._station.grips if grips is None else grips
            self._leader_from = None
        if gives and self._person:
            self._blending = True
        self._person = takes
        if self._person and self._leader is not None:
            return self._led_on(led)
        if self._person:
            return self._driving.action(latest, velocity, self._station.grips)
        if not self._blending:
            self._driving.follow(planned)
            return np.asarray(planned, np.float32)
        action = self._driving.towards(planned)
        self._blending = not np.allclose(action, planned, atol=1e-6)
        return action

    def _planned(self, observation: Observation, latest: Observation) -> NDArray[Any]:
        """What the policy would do here. While a person drives it is asked at every step, where it then is."""
        assert self._asked is not None
        if self._station.intervening or self._person:
            self._rows.clear()
        if not self._rows:
            wanted = self._needs
            seen = observation if wanted is None else {n: v for n, v in observation.items() if n in wanted}
            answer = self._asked(seen)
            if answer is PENDING:
                self.pending += 1
                return self._driving.hold()
            self._rows.extend(np.asarray(answer.rows))
        return self._rows.popleft()


class SaidByOperator:
    """The operator as referee: the episode ends when they say so.

    Args:
        station: where they say it.
        by_world: whether the world's own success ends it, too.
    """

    name = "person"

    def __init__(self, station: Station, by_world: bool = False) -> None:
        self._station, self._by_world = station, by_world

    def watch(self) -> SaidByOperator:
        """Itself: the station is told when an episode begins."""
        return self

    def update(self, measures: Mapping[str, float | None]) -> bool:
        """Whether somebody ended the episode; the page is shown what the world measured."""
        success = measures.get("success")
        if success is not None:
            self._station.world_says = bool(success)
            if success and self._by_world and self._station.ending is None:
                self._station.ending = "success"
        return self._station.ending is not None

    def satisfied(self) -> bool:
        """Whether they called it a success."""
        return self._station.ending == "success"

    def judge(self, trial: Trial) -> Judgement:
        """What the operator said of the episode that just ended; pending where they said nothing."""
        said = self._station.ending
        decided = said in ("success", "fail")
        return Judgement(
            trial=trial.id,
            referee=self.name,
            time_ns=time.time_ns(),
            state="decided" if decided else "pending",
            success=said == "success" if decided else None,
        )
