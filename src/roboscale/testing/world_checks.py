"""What every world promises, as a check that authors of worlds run: `check_world(world, task)`.

It starts scenes, looks, moves and measures, and says in one sentence each what is not as `roboscale.core.World` says.
A world that raises is a finding, not a traceback. A real robot is only held still.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Field,
    Finding,
    HasExpert,
    HasPictures,
    HasSuccessTerms,
    Scene,
    Severity,
    Step,
    UnknownName,
    World,
    cases,
    check_action,
    generator,
)

__all__ = ["check_world", "success_rule"]

CHECK_STEPS = 60
FLAGS = frozenset({"success", "succeeded", "solved", "terminated", "done", "reward", "return", "final", "info"})
"""Words that name a result and say nothing of what was to be reached."""

BRIGHT = 1  # a picture without a value above this is black, or was in 0..1

Value = TypeVar("Value")
Trace = Iterator[dict[str, bytes]]


def check_world(
    world: World,
    task: str,
    *,
    seed: int = 0,
    steps: int = CHECK_STEPS,
    determinism: bool = False,
    images: bool = False,
) -> list[Finding]:
    """Every broken promise as an `error`, what is worth a look as a `warning`; empty when the world keeps them all.

    Args:
        seed: of the cases that are tried.
        steps: how long a scene is run, at most.
        determinism: also run one case twice, the second time after another case, and a third time beside it where the
            world runs several scenes, and compare every byte. A world that declares it is always asked.
        images: include the pictures in that comparison (slow).

    Raises:
        UnknownName: the world has no such task.
    """
    world.info.instruction(task)
    check = _Check(world, task, seed, steps)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        check.info()
        check.refusals()
        check.walk()
        if world.info.kind == "real":
            check.say("not-tried", "info", "bounds, seeds and determinism: a real robot is only held still")
        elif check.stuck:
            check.say("not-tried", "info", "seeds and determinism: they need what is broken above")
        else:
            check.seeds()
            if determinism or world.info.deterministic:
                check.repeats(images)
    if printed.getvalue():
        first = printed.getvalue().splitlines()[0][:80]
        check.say("prints", "warning", f"the world prints to stdout, where results go: {first!r}")
    return list(check.findings.values())


def success_rule(world: World, task: str) -> Finding:
    """The sentence beside what decides: rule, horizon, measures, conditions, and conditions it has no word for."""
    info = world.info
    sentence = info.instruction(task)
    terms = world.success_terms(task) if isinstance(world, HasSuccessTerms) else {}
    unsaid = [term for term in terms if _words(term) - FLAGS and not _words(term) & _words(sentence)]
    names = [f"{m.name} ({m.unit})" for m in info.measures if m.about == "task"]
    rules = {"first": "when first reached", "end": "at the end", "hold": f"when held for {info.rule.hold} steps"}
    judged = "somebody has to judge"
    if "success" in info.measures_about("task"):
        judged = f"success counts {rules[info.rule.kind]}"
    parts = [
        f"asks {sentence!r}",
        f"{judged}, horizon {info.horizon} steps ({info.horizon / info.rate_hz:g} s)",
        f"measures {', '.join(names) or 'nothing'}",
    ]
    if terms:
        parts.append(f"success is {', '.join(terms.values())}")
    if unsaid:
        parts.append(f"the sentence has no word for {', '.join(unsaid)}")
    evidence = {"sentence": sentence, "rule": str(info.rule), "horizon": info.horizon, "terms": dict(terms)}
    return Finding("success-rule", "info", "; ".join(parts), evidence={**evidence, "unsaid": unsaid})


def _words(text: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return {word for word in re.findall(r"[a-z]+", spaced.lower()) if len(word) > 2}


class _Broken(Exception):
    """Something raised; its finding is written."""


class _Check:
    """One task of one world, and what was found so far: the first of each kind and field."""

    def __init__(self, world: World, task: str, seed: int, steps: int) -> None:
        self.world, self.steps = world, steps
        listed = [Case(task, start) for start in world.info.listed.get(task, ())]
        self.case, self.other = (*listed, *listed)[:2] if listed else cases(task, 2, seed, "eval")
        self.action = world.info.action_spec["action"]
        self.findings: dict[tuple[str, str], Finding] = {}

    def say(self, check: str, severity: Severity, text: str, field: str = "") -> None:
        self.findings.setdefault((check, field), Finding(check, severity, text, field=field))

    @property
    def stuck(self) -> bool:
        """Whether a scene cannot be run to its end and compared."""
        return any(check in ("raises", "observation", "step", "measures") for check, _ in self.findings)

    def call(self, what: str, function: Callable[[], Value]) -> Value:
        """What the world answers; an exception becomes a finding."""
        try:
            return function()
        except Exception as error:
            self.say("raises", "error", f"{what} raises {type(error).__name__}: {error}", what.partition("(")[0])
            raise _Broken from error

    @contextlib.contextmanager
    def scene(self, case: Case) -> Iterator[Scene]:
        """A started scene, closed whatever happens."""
        scene = self.call("start(case)", lambda: self.world.start(case))
        try:
            yield scene
        finally:
            self.call("close()", scene.close)

    def info(self) -> None:
        """What the world says of itself fits together."""
        info = self.world.info
        if not info.instruction(self.case.task).strip():
            self.say("instruction", "error", "what is asked of a policy is empty")
        size = int(np.prod(self.action.shape))
        if info.hold is not None and len(info.hold) != size:
            self.say("hold", "error", f"the action that keeps still has {len(info.hold)} values, an action {size}")
        if info.expert != isinstance(self.world, HasExpert):
            self.say("expert", "error", f"info says expert {info.expert}, and expert() is the contrary")
        for field in info.observation_spec:
            self._picture_field(field)

    def _picture_field(self, field: Field) -> None:
        if len(field.shape) != 3 or not (field.is_image or field.name.startswith("observation.images")):
            return
        if field.shape[0] in (1, 3, 4) and field.shape[2] not in (1, 3, 4):
            text = f"a picture is (height, width, channels), found {list(field.shape)}: channels come first"
            self.say("picture-axes", "error", text, field.name)
        if field.dtype != "uint8":
            self.say("picture-dtype", "error", f"a picture is uint8, found {field.dtype}", field.name)

    def refusals(self) -> None:
        """What the world does not have is refused as such."""
        task, seed = self.case.task, self.case.start
        strange = "picture:0" if "picture" not in self.world.info.starts else "nobody:0"
        for case, what in (
            (Case("no such task", seed), "an unknown task"),
            (Case(task, seed, "nothing:1"), "an unknown variation"),
            (Case(task, strange), "an unknown kind of start"),
        ):
            try:
                scene = self.world.start(case)
            except UnknownName:
                continue
            except Exception as error:  # noqa: BLE001  # it is the finding
                text = f"{what} ({case.id}) raises {type(error).__name__} instead of UnknownName: {error}"
                self.say("refusal", "error", text, what)
            else:
                self.say(
                    "refusal", "error", f"{what} ({case.id}) was accepted; call info.require(case) in start", what
                )
                with contextlib.suppress(_Broken):
                    self.call("close()", scene.close)

    def walk(self) -> None:
        """Looks, moves within the bounds and at them, and measures."""
        names = [f.name for f in self.world.info.observation_spec if not f.is_image]
        with contextlib.suppress(_Broken), self.scene(self.case) as scene:
            self.measure(scene)
            self.look(scene, None)
            self.look_twice(scene)
            self.names(scene)
            for t, action in enumerate(self.actions()):
                text = f"step({np.array2string(action, threshold=8)}) at step {t + 1}"
                step = self.call(text, lambda action=action: scene.step(action.copy()))  # type: ignore[misc]
                self.stepped(step)
                self.measure(scene)
                self.look(scene, names)
                if not isinstance(step, Step) or step.terminated or step.truncated:
                    break
            self.look(scene, None)
            self.picture(scene)

    def actions(self) -> Iterator[NDArray[Any]]:
        """The action that keeps still, both bounds, then random ones; of a real robot the first alone."""
        info = self.world.info
        if info.hold is not None and len(info.hold) == int(np.prod(self.action.shape)):
            yield np.reshape(info.hold, self.action.shape).astype(self.action.dtype)
        if info.kind == "real":
            return
        low, high = _bounds(self.action)
        yield low
        yield high
        rng = generator("check", self.case.id)
        for _ in range(self.steps - 2):
            yield np.asarray(rng.uniform(low, high), self.action.dtype)

    def look(self, scene: Scene, names: list[str] | None) -> None:
        """One observation, field by field as the spec has it."""
        spec = self.world.info.observation_spec
        seen: Any = self.call("observe(names)", lambda: scene.observe(names))
        if not isinstance(seen, Mapping):
            self.say("observation", "error", f"observe gives a mapping of arrays, found {_shown(seen)}")
            raise _Broken
        for name in set(seen) - set(spec.names if names is None else names):
            self.say("observation", "error", f"{name} is given and not asked for", name)
        for name in spec.names if names is None else names:
            if name not in seen:
                self.say("observation", "error", f"{name} is declared and not given", name)
            else:
                self.array(spec[name], seen[name])

    def array(self, field: Field, array: Any) -> None:
        if not isinstance(array, np.ndarray):
            self.say("observation", "error", f"{field.name} is a {type(array).__name__}, not an array", field.name)
            return
        if array.shape != field.shape or array.dtype != np.dtype(field.dtype):
            sides = f"{field.dtype}{list(field.shape)} is declared, {array.dtype}{list(array.shape)} given"
            self.say("observation", "error", f"{field.name}: {sides}", field.name)
            return
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            self.say("not-finite", "error", f"{field.name} holds {_odd(array)}", field.name)
        if field.is_image and int(array.max()) <= BRIGHT:
            why = "; a picture in 0..1 looks so when it becomes uint8" if array.any() else ""
            text = f"{field.name} is black: its largest value is {array.max()} of 255{why}"
            self.say("picture-black", "error", text, field.name)

    def look_twice(self, scene: Scene) -> None:
        """Looking changes nothing, and what was seen is not the world's own memory."""
        first = {k: np.array(v) for k, v in self.call("observe(names)", scene.observe).items()}
        second = self.call("observe(names)", scene.observe)
        changed = [k for k in first if k not in second or not _same(first[k], second[k])]
        if changed:
            self.say("looking", "error", f"looking twice without a step shows two different {', '.join(changed)}")
            return
        for array in second.values():
            if isinstance(array, np.ndarray) and array.flags.writeable:
                array[...] = 0
        third = self.call("observe(names)", scene.observe)
        for name in [k for k in first if k in third and not _same(first[k], third[k])]:
            text = f"{name} is the world's own memory: a policy that writes into it changes the world; give a copy"
            self.say("aliased", "error", text, name)

    def names(self, scene: Scene) -> None:
        """A name selects, and a wrong one is refused."""
        one = self.world.info.observation_spec.names[:1]
        for wanted in (list(one), []):
            seen = self.call("observe(names)", lambda wanted=wanted: scene.observe(wanted))  # type: ignore[misc]
            if isinstance(seen, Mapping) and set(seen) != set(wanted):
                self.say("names", "error", f"observe({wanted}) gives {', '.join(sorted(seen)) or 'nothing'}")
        try:
            scene.observe(["no such field"])
        except UnknownName:
            return
        except Exception as error:  # noqa: BLE001  # it is the finding
            self.say("names", "warning", f"an unknown field raises {type(error).__name__} instead of UnknownName")
        else:
            self.say("names", "error", "an unknown field is accepted")

    def stepped(self, step: object) -> None:
        """`Step`, and what was applied is an action."""
        if not isinstance(step, Step):
            self.say("step", "error", f"step gives a Step, found {_shown(step)}")
        elif step.applied is not None and np.shape(step.applied) != self.action.shape:
            sides = f"shape {list(np.shape(step.applied))}, an action {list(self.action.shape)}"
            self.say("step", "error", f"what was applied has {sides}")

    def measure(self, scene: Scene) -> None:
        """Every declared measure and no other; numbers or `None`; success is 0, 1 or `None`."""
        given: Any = self.call("measures()", scene.measures)
        if not isinstance(given, Mapping):
            self.say("measures", "error", f"measures() gives a mapping, found {_shown(given)}")
            return
        declared = {m.name: m for m in self.world.info.measures}
        for name in declared.keys() - given.keys():
            self.say("measures", "error", f"{name} is declared and not measured; None says that it could not be", name)
        for name in given.keys() - declared.keys():
            self.say("measures", "error", f"{name} is measured and not declared", name)
        for name in declared.keys() & given.keys():
            value = given[name]
            plain = isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
            if value is not None and not (plain and np.isfinite(value)):
                self.say("measures", "error", f"{name} is a finite number or None, found {_shown(value)}", name)
            elif value is not None and (declared[name].unit == "bool" or name == "success") and value not in (0, 1):
                self.say("measures", "error", f"{name} is 0, 1 or None, found {_shown(value)}", name)

    def picture(self, scene: Scene) -> None:
        """What people see, where the world says that it can show itself."""
        if not self.world.info.pictures:
            return
        if not isinstance(scene, HasPictures):
            self.say("picture", "error", "info says pictures, and the scene has no picture(width, height)")
            return
        shown = self.call("picture(width, height)", lambda: scene.picture(64, 48))
        if not isinstance(shown, np.ndarray) or shown.dtype != np.uint8 or shown.ndim != 3 or shown.shape[2] != 3:
            self.say("picture", "error", f"picture gives (height, width, 3) uint8, found {_shown(shown)}")

    def seeds(self) -> None:
        """Two seeds are two scenes."""
        names = [f.name for f in self.world.info.observation_spec if not f.name.startswith("time.")]
        shown = []
        for case in (self.case, self.other):
            with contextlib.suppress(_Broken), self.scene(case) as scene:
                seen = self.call("observe(names)", lambda scene=scene: scene.observe(names))  # type: ignore[misc]
                shown.append(b"".join(_bytes(seen[name]) for name in names if name in seen))
        if len(shown) == 2 and shown[0] == shown[1]:
            self.say("seeds", "warning", f"seeds {self.case.start} and {self.other.start} begin with the same scene")

    def repeats(self, images: bool) -> None:
        """The same case gives the same bytes: after another one, and beside it."""
        with contextlib.suppress(_Broken):
            first = list(self.trace(self.case, images))
            list(self.trace(self.other, False))
            self.compare(first, list(self.trace(self.case, images)), "the second time")
            if self.world.info.scenes is None or self.world.info.scenes > 1:
                both = zip_longest(self.trace(self.case, images), self.trace(self.other, False))
                beside = [ours for ours, _ in both if ours is not None]
                self.compare(first, beside, "while another scene ran")

    def compare(self, first: list[dict[str, bytes]], second: list[dict[str, bytes]], when: str) -> None:
        for t, (one, two) in enumerate(zip_longest(first, second)):
            if one is None or two is None:
                text = f"the same case took {len(first)} steps, and {len(second)} {when}"
                return self.say("determinism", "error", text)
            if different := [name for name in one if one[name] != two.get(name)]:
                text = f"the same case gave other bytes {when}: {', '.join(different)} from step {t} on"
                return self.say("determinism", "error", text)
        return None

    def trace(self, case: Case, images: bool) -> Trace:
        """What is seen and measured before every step: the expert's rollout where there is one, else a random one."""
        names = [f.name for f in self.world.info.observation_spec if images or not f.is_image]
        scene = self.call("start(case)", lambda: self.world.start(case))
        try:
            act = self.actor(case)
            for _ in range(self.steps):
                seen = self.call("observe(names)", lambda: scene.observe(names))
                measured = repr(sorted(self.call("measures()", scene.measures).items(), key=str))
                yield {**{n: _bytes(seen[n]) for n in names}, "the measures": measured.encode()}
                action = self.call("expert", lambda: act(scene))
                step = self.call("step(action)", lambda action=action: scene.step(action))  # type: ignore[misc]
                if step.terminated or step.truncated:
                    return
        finally:
            self.call("close()", scene.close)

    def actor(self, case: Case) -> Callable[[Scene], NDArray[Any]]:
        """What chooses the actions of a trace."""
        if self.world.info.expert and isinstance(self.world, HasExpert):
            policy = self.world.expert()
            session = policy.start(self.world.info.instruction(case.task), 0)
            needs = None if policy.observation_spec is None else policy.observation_spec.names

            def expert(scene: Scene) -> NDArray[Any]:
                chunk = session(scene.observe(needs))
                return check_action(chunk.rows[0], self.action)[0] if isinstance(chunk, ActionChunk) else low

            low, _ = _bounds(self.action)
            return expert
        rng = generator("check", case.id)
        low, high = _bounds(self.action)
        return lambda scene: np.asarray(rng.uniform(low, high), self.action.dtype)


def _bounds(field: Field) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both bounds as arrays of the field's shape; within 1 of the other side, or of 0, where there is none."""
    low = np.full(field.shape, -np.inf) if field.low is None else np.reshape(field.low, field.shape).astype(float)
    high = np.full(field.shape, np.inf) if field.high is None else np.reshape(field.high, field.shape).astype(float)
    low, high = np.where(np.abs(low) > 1e6, np.nan, low), np.where(np.abs(high) > 1e6, np.nan, high)
    lower = np.where(np.isnan(low), np.minimum(-1.0, np.nan_to_num(high, nan=0.0) - 1), low)
    upper = np.where(np.isnan(high), np.maximum(1.0, np.nan_to_num(low, nan=0.0) + 1), high)
    return lower.astype(field.dtype), upper.astype(field.dtype)


def _same(first: NDArray[Any], second: object) -> bool:
    return isinstance(second, np.ndarray) and _bytes(first) == _bytes(second)


def _bytes(array: Any) -> bytes:
    array = np.asarray(array)
    return hashlib.blake2b(f"{array.dtype}{array.shape}".encode() + array.tobytes(), digest_size=16).digest()


def _odd(array: NDArray[Any]) -> str:
    bad = np.flatnonzero(~np.isfinite(array))
    return f"{array.reshape(-1)[bad[0]]} at element {bad[0]}"


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
