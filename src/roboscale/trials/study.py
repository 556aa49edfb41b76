"""A study: what is asked, of whom, on what, and when it ends, in one file that is fixed before the first trial.

    title = "The squint"
    question = "Does the new policy reach the ball more often than the old one?"
    robot = "arm.toml"              # beside this file
    tasks = ["reach"]
    design = "paired blocks"        # or one arm, best arm, crossover, ladder
    cases = 20                      # at most; every case is tried under each arm
    stages = ["near the ball", "touches the ball"]
    tags = ["missed left", "missed right"]

    [[arms]]
    name = "old"
    policy = "policies.py:old"

    [[arms]]
    name = "new"
    policy = "policies.py:new"

`lock` files the digest of these values beside the file and draws the seed of the order, which stays a secret of the
machine that runs the study. What is changed later is an amendment, with a reason, or the study does not run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from roboscale.core import BadData, Design, DesignKind, RoboscaleError
from roboscale.core.declared import Count, Limit, Mistake, Text, read_declared
from roboscale.core.plain import Plain

__all__ = ["Amendment", "Study", "StudyArm", "StudyDetector", "StudyLock", "Unblinding", "lock_file", "secret_file"]

Share = Annotated[float, Limit("a number between 0 and 1", lambda number: 0 < number < 1)]
_Texts = tuple[Text, ...]
_LATER: dict[str, Any] = {
    "design": "paired blocks",
    "threshold": None,
    "indifference": None,
    "detectors": [],
    "replicates": 1,
}
"""Keys that older studies did not have, as they are where nobody said otherwise: their digests stay what they were."""


@dataclass(frozen=True, kw_only=True)
class StudyArm:
    """One policy under a name that nobody at the bench is told."""

    name: Text
    policy: Text


@dataclass(frozen=True, kw_only=True)
class StudyDetector:
    """One that proposes how a trial went; the person at the bench decides.

    Args:
        kind: `measure` or `state`, a number against a limit; `pictures`, a classifier that learns from the trials
            scored so far; `model`, one that sees, behind an OpenAI-compatible address.
        element: of `measure` and `state`: the measure, or the element of `observation.state`.
        below, above: the limit; one of both.
        when: the limit counts at the `end`, or if it was `ever` passed.
        after: of `pictures`: scored trials before it proposes.
        url, model, question: of `model`; the question is the task by default.
        shown: the scorer sees the proposal; then agreement says less than it seems to.
    """

    name: Text
    kind: Literal["measure", "state", "pictures", "model"]
    element: str = ""
    below: float | None = None
    above: float | None = None
    when: Literal["end", "ever"] = "end"
    after: Count = 10
    url: str = ""
    model: str = ""
    question: str = ""
    shown: bool = True

    def mistakes(self) -> Iterator[Mistake]:
        """What its kind needs."""
        if self.kind in ("measure", "state"):
            if not self.element:
                yield "element", f"the name of a {self.kind}", "none"
            if (self.below is None) == (self.above is None):
                yield "below", "one of below and above", "both" if self.below is not None else "neither"
        elif self.kind == "model":
            if not self.url.startswith(("http://", "https://")):
                yield "url", "http://HOST:PORT/v1 or https://...", self.url or "none"
            if not self.model:
                yield "model", "its name, as the server calls it", "none"


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a study's file may hold.

    Args:
        robot: the robot's declaration, beside the file.
        cases: most cases, over all tasks; each is a block in which every arm is tried once, in drawn order.
        stages: of the task, in order; the scorer says how far it got.
        tags: what can go wrong.
        alpha: probability of even one false claim.
        min_cases: the study does not stop before so many.
        sequential: it stops as soon as the evidence decides.
        outcome: the primary comparison: `success`, or `progress` over the stages.
        seed: of the cases.
        design: `paired blocks` (every pair of arms, on the same cases), `one arm` (against `threshold`), `best arm`
            (which is the best, or at most `indifference` below it), `crossover` (two arms whose trials change the
            scene for each other: half of the cases begin with either), `ladder` (checkpoints in order, each against
            the one before it).
        detectors: who proposes how a trial went.
        replicates: arms are training runs of recipes: so many of the first, then of the next; recipes are compared.
    """

    title: Text
    question: Text
    robot: Text
    tasks: Annotated[_Texts, Limit("at least one task", lambda tasks: len(tasks) > 0)]
    cases: Count
    arms: Annotated[tuple[StudyArm, ...], Limit("at least one arm", lambda arms: len(arms) > 0)]
    stages: _Texts = ()
    tags: _Texts = ()
    alpha: Share = 0.05
    min_cases: Count = 1
    sequential: bool = True
    outcome: Literal["success", "progress"] = "success"
    seed: int = 0
    notes: str = ""
    design: DesignKind = "paired blocks"
    threshold: Share | None = None
    indifference: Share | None = None
    detectors: tuple[StudyDetector, ...] = ()
    replicates: Count = 1

    def mistakes(self) -> Iterator[Mistake]:
        """Arms that differ; progress needs stages; no stop beyond the budget; what the design needs, and no more."""
        for key in ("name", "policy"):
            values = [getattr(arm, key) for arm in self.arms]
            if len(set(values)) < len(values):
                yield "arms", f"each {key} once", ", ".join(values)
        detectors = tuple(detector.name for detector in self.detectors)
        for name, texts in (("stages", self.stages), ("tags", self.tags), ("detectors", detectors)):
            if len(set(texts)) < len(texts):
                yield name, "each once", ", ".join(texts)
        if self.outcome == "progress" and not self.stages:
            yield "stages", "at least one where progress is compared", "none"
        if self.min_cases > self.cases:
            yield "min_cases", f"at most cases, {self.cases}", self.min_cases
        yield from self._mistakes_of_design()
        yield from self._mistakes_of_recipes()

    def _mistakes_of_recipes(self) -> Iterator[Mistake]:
        arms, runs = len(self.arms), self.replicates
        if runs == 1:
            return
        if arms % runs or arms < 2 * runs:
            yield "replicates", f"{runs} arms for each of two recipes or more", arms
        if self.design != "paired blocks":
            yield "replicates", "1 where the design is not paired blocks", runs
        if self.sequential:
            yield "sequential", "false: training runs are counted, not cases, and they are all there", "true"

    def _mistakes_of_design(self) -> Iterator[Mistake]:
        design, arms = self.design, len(self.arms)
        if design == "one arm" and arms != 1:
            yield "arms", "one where one arm is compared with a threshold", arms
        elif design == "crossover" and arms != 2:
            yield "arms", "two of a crossover", arms
        elif design != "one arm" and arms < 2:
            yield "arms", 'at least two, or design = "one arm" with a threshold', arms
        for key, of in (("threshold", "one arm"), ("indifference", "best arm")):
            value = getattr(self, key)
            if (value is None) == (design == of):
                wanted = f"a number between 0 and 1 where the design is {of}" if design == of else f"only of {of}"
                yield key, wanted, "none" if value is None else value
        if design != "paired blocks" and self.outcome != "success":
            yield "outcome", f"success where the design is {design}", self.outcome
        if design == "crossover" and self.sequential:
            yield "sequential", "false: a crossover is tested once, at the end", "true"
        if design == "crossover" and self.cases % 2:
            yield "cases", "an even number in a crossover: half of them begin with either arm", self.cases

    @property
    def decided_by(self) -> Design:
        """How its comparison is decided."""
        return Design(
            budget=self.cases,
            alpha=self.alpha,
            min_cases=self.min_cases,
            sequential=self.sequential,
            outcome=self.outcome,
            kind=self.design,
            threshold=self.threshold,
            margin=self.indifference,
        )

    @classmethod
    def load(cls, path: Path) -> Study:
        """Reads the file; BadData lists every mistake in it."""
        return read_declared(path, cls, limit=1_000_000)

    @property
    def content(self) -> dict[str, Any]:
        """Its values; JSON types."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return {key: value for key, value in values.items() if key not in _LATER or value != _LATER[key]}

    @property
    def digest(self) -> str:
        """64 hex digits of its values; comments and the order of keys do not count."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment(Plain):
    """A change after the lock: why, by whom, and every value that changed."""

    time_ns: int
    digest: str
    reason: str
    by: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblinding(Plain):
    """Somebody was told which arm is which; `early` before the study was over."""

    time_ns: int
    early: bool
    reason: str
    by: str


def lock_file(study: Path) -> Path:
    """Beside the study: what was fixed, when, and everything that happened since."""
    return study.with_suffix(".lock.json")


def secret_file(study: Path) -> Path:
    """Beside the study: the seed of the order. Whoever reads it is no longer blind."""
    return study.with_suffix(".secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLock(Plain):
    """What was fixed.

    Args:
        content: the study's values as they hold now, amendments included.
        first_digest: as it was locked.
        commitment: SHA-256 of the secret, so that the order can be shown to have been drawn before.
    """

    locked_ns: int
    first_digest: str
    commitment: str
    content: Mapping[str, Any]
    amendments: tuple[Amendment, ...] = ()
    unblindings: tuple[Unblinding, ...] = field(default=())

    @property
    def digest(self) -> str:
        """Of what holds now."""
        return self.amendments[-1].digest if self.amendments else self.first_digest

    @classmethod
    def make(cls, path: Path) -> StudyLock:
        """Locks a study: writes lock and secret. RoboscaleError when it is locked already."""
        study = Study.load(path)
        if lock_file(path).exists():
            raise RoboscaleError(f"{path} is locked already: roboscale study amend {path} --reason WHY")
        secret = secrets.token_hex(16)
        descriptor = os.open(secret_file(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
        lock = cls(
            locked_ns=time.time_ns(),
            first_digest=study.digest,
            commitment=hashlib.sha256(secret.encode()).hexdigest(),
            content=study.content,
        )
        lock.save(path)
        return lock

    @classmethod
    def load(cls, path: Path) -> StudyLock:
        """The lock of a study. RoboscaleError when it is not locked; BadData when the lock is broken."""
        file = lock_file(path)
        if not file.exists():
            raise RoboscaleError(f"{path} is not locked: roboscale study lock {path}")
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            changes = [{**one, "changes": tuple(one["changes"])} for one in data.pop("amendments")]
            seen = [Unblinding(**one) for one in data.pop("unblindings")]
            return cls(**data, amendments=tuple(Amendment(**one) for one in changes), unblindings=tuple(seen))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadData(file, "lock", "what `study lock` wrote", f"{type(error).__name__}: {error}") from error

    def save(self, path: Path) -> None:
        """Writes it beside the study, all or nothing."""
        file = lock_file(path)
        part = file.with_name(file.name + ".part")
        part.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")
        part.replace(file)

    def order(self, path: Path) -> int:
        """The seed of the order. BadData when the secret is gone or is not the one that was drawn."""
        file = secret_file(path)
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            wanted = "the secret of the lock (put it back; without it the drawn order is lost: begin another study)"
            raise BadData(file, "file", wanted, error.strerror or error) from error
        if hashlib.sha256(secret.encode()).hexdigest() != self.commitment:
            raise BadData(file, "secret", "the one that was drawn at the lock", "another one")
        return int(secret, 16) % 2**63

    def require(self, study: Study, path: Path) -> None:
        """RoboscaleError, with every change, when the file is no longer what was locked or amended."""
        if study.digest != self.digest:
            changes = "; ".join(self.changes(study))
            raise RoboscaleError(
                f"{path} was changed since it was locked ({changes}): "
                f"roboscale study amend {path} --reason WHY, or put it back"
            )

    def changes(self, study: Study) -> tuple[str, ...]:
        """Every value that differs from what holds, with both sides."""
        old, new = self.content, study.content
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        return tuple(f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}" for key in keys)
