"""How far a policy repeats itself, as a check that authors of policies run.

Sessions promise that the same instruction, seed and observations give the same actions, whatever else was asked
before or beside. A policy that breaks this gives results that depend on the number of workers and on the order of the
trials. Knows the policy protocol; starts sessions and looks at actions, never at a world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from roboscale.core import (
    PENDING,
    ActionChunk,
    BatchedPolicy,
    Field,
    Finding,
    Identity,
    Observation,
    Pending,
    Policy,
    PolicyError,
    RoboscaleError,
    Session,
    Severity,
    Spec,
    SpecMismatch,
    check_action,
)
from roboscale.core.conformance import A_COUNT, A_METHOD, A_TEXT, Wanted, require_attributes
from roboscale.core.faults import faults_of
from roboscale.core.plain import Plain

__all__ = ["PolicyCheck", "PolicyVerdict", "check_policy"]

PolicyVerdict = Literal["deterministic", "seed-dependent", "batch-dependent", "stateful"]

BATCHES = (1, 4, 16)
OTHER_SEEDS = 3

_QUESTIONS = {
    "again": "asked again in a new session",
    "order": "asked in another order",
    "after": "asked after another episode",
    "beside": "asked beside other sessions",
    **{f"batch of {n}": f"asked in a batch of {n}" for n in BATCHES},
    "seeds": "asked with other seeds",
}
_STATE = ("again", "order", "after", "beside")

_MAYBE_A_SPEC = Wanted("a Spec or None", lambda v: v is None or isinstance(v, Spec))
_WANTED = {
    "name": A_TEXT,
    "identity": Wanted("an Identity", lambda v: isinstance(v, Identity)),
    "history": A_COUNT,
    "observation_spec": _MAYBE_A_SPEC,
    "action_spec": _MAYBE_A_SPEC,
    "start": A_METHOD,
    "sessions": Wanted("a number of sessions or None", lambda v: v is None or A_COUNT.fits(v), optional=True),
}

_Answer = ActionChunk | Literal[Pending.PENDING] | None
"""`None` where there was no answer that could be compared; there is a finding then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck(Plain):
    """What a policy did when it was asked the same again.

    Args:
        policy: who was asked.
        verdicts: `deterministic` alone, or all of the others that hold; none where there was nothing to compare.
            `stateful`: an answer depends on what other sessions were asked; a queue, a counter, a random generator
            that no seed sets. `batch-dependent`: on who else is in the batch. `seed-dependent`: on the seed, as a
            policy with noise should.
        differences: question -> largest absolute difference of an action, in its own unit; infinite where a chunk has
            another shape or length, `None` where it was not asked, or could not be told from what is known already.
        findings: what is wrong with the answers themselves, and what could not be asked.
        asked: how many answers there were.
    """

    policy: Identity
    verdicts: tuple[PolicyVerdict, ...]
    differences: Mapping[str, float | None]
    findings: tuple[Finding, ...] = ()
    asked: int = 0

    @property
    def lines(self) -> list[str]:
        """For a terminal: the verdicts, every difference, every finding."""
        lines = [f"{self.policy}: {', '.join(self.verdicts) or 'no verdict'} ({self.asked} answers)"]
        for question, difference in self.differences.items():
            said = "not asked" if difference is None else f"differs by {difference:.3g}" if difference else "the same"
            said = "another shape" if difference == np.inf else said
            lines.append(f"  {_QUESTIONS[question]:32} {said}")
        return lines + [f"  {f.severity}: {f.text}" for f in self.findings]

    def to_json(self) -> dict[str, Any]:
        """By its fields, but an infinite difference is one of shape, and says so: `another shape`."""
        shown = {name: "another shape" if value == np.inf else value for name, value in self.differences.items()}
        return Plain.to_json(self) | {"differences": shown}


def check_policy(
    policy: Policy,
    observations: Sequence[Observation],
    instruction: str,
    *,
    action_spec: Spec | None = None,
    seed: int = 0,
) -> PolicyCheck:
    """Asks a policy about the same observations in many ways and compares the answers, to the last bit.

    Args:
        observations: single steps that differ, in order, all fields that it needs, 2 or more. A policy with a history
            of k is shown the last k of them.
        instruction: what it is asked to do.
        action_spec: what a world takes, for a policy that does not say what it gives.
        seed: of the sessions; other ones are tried too.

    Raises:
        SpecMismatch: it lacks what a policy has; there are fewer than two observations, or one is not what it needs.
        PolicyError: it gives no action for any of them.
        InfrastructureError: what carries it broke.
    """
    require_attributes(policy, type(policy).__name__, "policy", _WANTED)
    if len(observations) < 2:
        raise SpecMismatch(f"a policy is checked on 2 or more observations, found {len(observations)}")
    if policy.observation_spec is not None:
        for i, seen in enumerate(observations):
            policy.observation_spec.check(seen, f"observation {i} for policy {policy.name}")
    spec = action_spec if policy.action_spec is None else policy.action_spec
    action = None if spec is None else spec["action"]
    check = _Check(policy, _windows(observations, policy.history), instruction, seed, action)
    check.first_answers()
    check.says_who_it_is()
    check.repeats()
    check.batches()
    check.seeds()
    return PolicyCheck(
        policy=policy.identity,
        verdicts=check.verdicts(),
        differences=check.differences,
        findings=tuple(check.findings.values()),
        asked=check.asked,
    )


class _Check:
    """One policy, what it said first to every observation, and how far it said the same later."""

    def __init__(
        self, policy: Policy, looks: Sequence[Observation], instruction: str, seed: int, action: Field | None
    ) -> None:
        self.policy, self.looks = policy, looks
        self.findings: dict[str, Finding] = {}
        self.differences: dict[str, float | None] = dict.fromkeys(_QUESTIONS)
        self.asked = 0
        self.action = action  # what an action should be, where somebody says so
        self._instruction, self._seed, self._who = instruction, seed, f"policy {policy.name}"
        self._first: list[_Answer] = []
        self._most: int | None = getattr(policy, "sessions", None)

    # ---- asking

    def session(self, seed: int | None = None) -> Session:
        with faults_of(self._who, passing=(RoboscaleError,)):
            return self.policy.start(self._instruction, self._seed if seed is None else seed)

    def ask(self, session: Session, look: Observation) -> _Answer:
        """One answer, looked at; `None`, with a finding, where it is none."""
        self.asked += 1
        try:
            with faults_of(self._who, passing=(RoboscaleError,)):
                answer: object = session(look)
        except PolicyError as error:
            self._refused(error)
            return None
        return self._looked_at(answer)

    def alone(self, look: Observation, seed: int | None = None) -> _Answer:
        """The first answer of a new session."""
        try:
            session = self.session(seed)
        except PolicyError as error:
            self._refused(error)
            return None
        return self.ask(session, look)

    def _refused(self, error: PolicyError) -> None:
        self.say("raises", "error", str(error))

    def _looked_at(self, answer: object) -> _Answer:
        if answer is PENDING:
            self.say("pending", "info", "it was still thinking: such answers are compared as such")
            return PENDING
        if not isinstance(answer, ActionChunk):
            kind = "None" if answer is None else type(answer).__name__
            self.say("no-chunk", "error", f"expected an ActionChunk, found {kind}")
            return None
        try:
            rows = np.asarray(answer.rows)
        except PolicyError as error:
            self.say("no-chunk", "error", str(error))
            return None
        self._rows(rows)
        return answer

    def _rows(self, rows: np.ndarray[Any, Any]) -> None:
        """What is wrong with the rows to execute."""
        if rows.dtype.kind not in "iuf":
            self.say("dtype", "error", f"actions are {rows.dtype}, which are no numbers")
            return
        if rows.dtype.kind != "f":
            self.say("dtype", "warning", f"actions are {rows.dtype}: a fraction cannot be said")
        bad = int((~np.isfinite(rows)).sum())
        if bad:
            self.say("not-finite", "error", f"{bad} of {rows.size} numbers of a chunk are NaN or infinite")
        if self.action is None or bad:
            return
        shape = list(self.action.shape)
        if list(rows.shape[1:]) != shape:
            self.say("shape", "error", f"the action spec says {shape}, a row has {list(rows.shape[1:])}")
            return
        clipped = sum(check_action(row, self.action)[1] for row in rows)
        if clipped:
            self.say("out-of-bounds", "warning", f"{clipped} of {len(rows)} rows leave the bounds of the action spec")

    def say(self, check: str, severity: Severity, text: str) -> None:
        """The first finding of each kind."""
        self.findings.setdefault(check, Finding(check, severity, text))

    # ---- what is asked

    def first_answers(self) -> None:
        """One new session for every observation: what everything else is compared with."""
        self._first = [self.alone(look) for look in self.looks]
        if all(answer is None for answer in self._first):
            raise PolicyError(f"{self._who} gives no action: {next(iter(self.findings.values())).text}")

    def says_who_it_is(self) -> None:
        for reason in self.policy.identity.unverified:
            self.say(f"identity-{len(self.findings)}", "warning", f"its identity is not verified: {reason}")

    def repeats(self) -> None:
        """Again, in another order, after another episode, and beside other sessions."""
        order = list(range(len(self.looks)))
        self.compare("again", 0, self.alone(self.looks[0]))
        for i in reversed(order):
            self.compare("order", i, self.alone(self.looks[i]))
        for i in order:
            try:
                other = self.session(self._seed + 1)
            except PolicyError as error:
                self._refused(error)
                continue
            for look in (*self.looks[i + 1 :], *self.looks[:i]):
                self.ask(other, look)
            self.compare("after", i, self.alone(self.looks[i]))
        if self._most is not None and self._most < len(order):
            self.say("sessions", "info", f"it runs {self._most} session at a time: not asked beside others")
            return
        sessions = [self.session() for _ in order]
        for i in order:
            self.compare("beside", i, self.ask(sessions[i], self.looks[i]))

    def batches(self) -> None:
        """Batches of several sizes, whose answers must be those that each session gives alone."""
        if not isinstance(self.policy, BatchedPolicy):
            return
        for size in BATCHES:
            if self._most is not None and size > self._most:
                continue
            places = [i % len(self.looks) for i in range(size)]
            sessions = [self.session() for _ in places]
            self.asked += size
            try:
                with faults_of(self._who, passing=(RoboscaleError,)):
                    answers: list[object] = list(self.policy.act_many(sessions, [self.looks[i] for i in places]))
            except PolicyError as error:
                self.say("batch-raises", "error", f"a batch of {size}: {error}")
                continue
            if len(answers) != size:
                self.say("batch-length", "error", f"{len(answers)} answers for a batch of {size}")
                continue
            for i, answer in zip(places, answers, strict=True):
                self.compare(f"batch of {size}", i, self._looked_at(answer))

    def seeds(self) -> None:
        """Other seeds. Where the same seed does not repeat itself, nothing follows from another one."""
        if self._stateful():
            return
        for seed in range(self._seed + 1, self._seed + 1 + OTHER_SEEDS):
            for i, look in enumerate(self.looks):
                self.compare("seeds", i, self.alone(look, seed))

    # ---- what it comes to

    def compare(self, question: str, look: int, answer: _Answer) -> None:
        """Keeps the largest difference to the first answer for the same observation."""
        difference = _difference(self._first[look], answer)
        if difference is not None:
            self.differences[question] = max(self.differences[question] or 0.0, difference)

    def _stateful(self) -> bool:
        return any(self.differences[q] for q in _STATE)

    def verdicts(self) -> tuple[PolicyVerdict, ...]:
        """Those that hold. What state explains is not said to be the batch's doing."""
        batch = any(self.differences[f"batch of {n}"] for n in BATCHES)
        held: list[PolicyVerdict] = []
        if self.differences["seeds"]:
            held.append("seed-dependent")
        if batch and not self._stateful():
            held.append("batch-dependent")
        if self._stateful():
            held.append("stateful")
        compared = self.differences["again"] is not None
        return tuple(held) or (("deterministic",) if compared else ())


def _windows(observations: Sequence[Observation], history: int) -> list[Observation]:
    """Every observation as the policy is shown it: read-only, with the last `history` steps, the first repeated."""
    shown: list[Observation] = []
    for i in range(len(observations)):
        last = [observations[max(0, j)] for j in range(i - history + 1, i + 1)]
        seen = {}
        for name in observations[i]:
            steps = [np.asarray(step[name]) for step in last]
            array = np.stack(steps) if history > 1 else steps[0].view()
            array.flags.writeable = False
            seen[name] = array
        shown.append(seen)
    return shown


def _difference(first: _Answer, second: _Answer) -> float | None:
    """Largest absolute difference, infinite for another shape; `None` where one is no answer."""
    if first is None or second is None:
        return None
    if isinstance(first, Pending) or isinstance(second, Pending):
        return 0.0 if first is second else np.inf
    a, b = (np.asarray(chunk.actions) for chunk in (first, second))
    if a.shape != b.shape or len(first.rows) != len(second.rows):
        return np.inf
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart)).max())
