"""Any gymnasium environment as a world, by declaration: a small TOML file says what its arrays mean.

The file names the environment, its tasks with their instructions, where each field comes from in the environment's
observation, and what success is. Nothing is guessed: what the file does not declare is not observed, and that is said.
See `pusht.toml` and `fetch_push.toml` beside this module, and `declaration` for the grammar.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Case,
    Field,
    InfrastructureError,
    Observation,
    RoboscaleError,
    Spec,
    Step,
    WorldInfo,
    require_match,
)
from roboscale.core.simulation import Simulation
from roboscale.worlds.simulated.acting import ActionWriting, plan_action
from roboscale.worlds.simulated.declaration import (
    TIME,
    FieldTable,
    InstructionTable,
    TaskTable,
    WorldDeclaration,
)
from roboscale.worlds.simulated.headless import prepare_rendering
from roboscale.worlds.simulated.making import Maker, close_quietly
from roboscale.worlds.simulated.model_axes import changeable_axes, draw_extras, simulation_of
from roboscale.worlds.simulated.observing import FieldReading, Peek, plan_reading, space_leaves
from roboscale.worlds.simulated.readings import (
    AfterStep,
    as_flag,
    as_number,
    follow,
    read_measure,
    read_progress,
    read_success,
    shown,
)

__all__ = ["GymnasiumScene", "GymnasiumWorld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How environments of one name and with the same arguments are read and told."""

    readings: Mapping[str, FieldReading]
    writing: ActionWriting
    spec: Spec


class GymnasiumWorld:
    """The tasks of one declaration. Any number of scenes at once: each has an environment of its own.

    Args:
        declaration: what the file says.
        path: of the file; modules and classes are looked for beside it.

    Attributes:
        notes: what is assumed, converted or left out, one line each; complete once `info` was asked for.
    """

    def __init__(self, declaration: WorldDeclaration, path: Path) -> None:
        prepare_rendering()  # before the environment's module imports MuJoCo
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # stdout is for results
        self.declaration, self.path = declaration, path
        self.tasks = {task.name: task for task in declaration.tasks}
        self.notes: tuple[str, ...] = ()
        self._maker = Maker(declaration, path)
        self._free: dict[str, list[Any]] = {}
        self._kinds: dict[str, _Kind] = {}
        self._pictures: dict[str, FieldReading] = {}
        self._fitted: set[str] = set()
        self._extras: dict[int, list[dict[str, Any]]] = {}
        self._changeable: Mapping[str, str] = {}
        self._info: WorldInfo | None = None
        self._closed = False

    @classmethod
    def load(cls, path: Path) -> GymnasiumWorld:
        """The world of a TOML file; BadData or UnknownName names the file and every key that is wrong."""
        return cls(WorldDeclaration.load(path), path)

    @property
    def info(self) -> WorldInfo:
        """Known from the spaces of one environment of each name. It is reset once, and rendered, only where these do
        not tell: a rendered picture or an observation without a space that has no `shape`, and sentences that the
        environment says."""
        if self._info is None:
            self._info = self._describe()
        return self._info

    def start(self, case: Case) -> GymnasiumScene:
        """Resets an environment with the case's seed, or with the one of `seeds` or `starts` that the seed chooses.

        Raises:
            UnknownName: a task, variation or kind of start that is not there.
            BadData: the environment's `reset` is not gymnasium's, or a sentence of its own is another than before.
            InfrastructureError: `reset` raised.
        """
        self.info.require(case)
        task = self.tasks[case.task]
        env = self._take(task)
        try:
            kind = self._kind(task, env, [])
            raw, info = self._reset(env, *_begin(task, case.seed or 0))
            self._check_sentence(task, env, raw, info)
        except BaseException:
            close_quietly(env)
            raise
        return GymnasiumScene(self, task, kind, env, raw)

    def changeable(self) -> Mapping[str, str]:
        """Axis of a simulator's model -> why its environments cannot do it; empty where they can."""
        _ = self.info
        return self._changeable

    def success_terms(self, task: str) -> Mapping[str, str]:
        """What success is read from, and the condition on it."""
        table = self.tasks[task].condition
        return {table.what: table.text}

    def close(self) -> None:
        """Closes every environment; those of scenes that still run when the scene is closed."""
        self._closed = True
        for env in [env for envs in self._free.values() for env in envs]:
            close_quietly(env)
        self._free.clear()

    def extras(self, env: Any) -> list[dict[str, Any]]:
        """What is drawn into an environment's pictures beside its model. Called by scenes."""
        return self._extras.setdefault(id(env), [])

    def give_back(self, task: TaskTable, env: Any, *, broken: bool) -> None:
        """Takes an environment back for the next scene, or closes it. Called by scenes."""
        self._extras.pop(id(env), None)
        if broken or self._closed:
            close_quietly(env)
        else:
            self._free.setdefault(_pool(task), []).append(env)

    def read(self, reading: FieldReading, raw: Any, env: Any) -> NDArray[Any]:
        """One field now. Called by scenes.

        Raises:
            BadData, UnknownName: it has never been what the declaration and the spaces say.
            InfrastructureError: it was, and is not any more; or it holds NaN.
        """
        name = reading.field.name
        try:
            array = reading.read(raw, lambda: self.render(env), str(self.path))
        except InfrastructureError:
            raise
        except RoboscaleError as error:
            if name in self._fitted:
                raise InfrastructureError(f"{error}; it was so before") from error
            raise
        self._fitted.add(name)
        return array

    def render(self, env: Any) -> Any:
        """What the environment renders. InfrastructureError when it raises."""
        try:
            draw_extras(env, self._extras.get(id(env), []))
            return env.render()
        except (Exception, SystemExit) as error:
            raise InfrastructureError(f"world {self.declaration.name}: render raised {_said(error)}") from error

    def picture(self, task: TaskTable, env: Any) -> NDArray[np.uint8]:
        """What the environment renders, as a picture for people. Called by scenes."""
        pool = _pool(task)
        if pool not in self._pictures:
            shape = np.shape(self.render(env))
            first = len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4)
            layout = ("channel", "height", "width") if first else ()
            table = FieldTable(name="picture", source="render", layout=layout)
            peek = Peek(raw=dict, render=lambda: self.render(env))
            self._pictures[pool] = plan_reading(table, None, peek, self.path, [])
        return self.read(self._pictures[pool], {}, env)

    # ---- environments

    def _take(self, task: TaskTable) -> Any:
        free = self._free.get(_pool(task))
        return free.pop() if free else self._maker.make(task)

    def _reset(self, env: Any, seed: int, options: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        given = {"options": dict(options)} if options else {}
        try:
            answer = env.reset(seed=seed, **given)
        except RoboscaleError:
            raise
        except (Exception, SystemExit) as error:
            lacking = _lacking(env, ("seed", *given)) if isinstance(error, TypeError) else ()
            if lacking:
                found = f"one without {', '.join(lacking)} ({error})"
                raise BadData(self.path, "environment", "reset(seed=..., options=...)", found) from error
            raise InfrastructureError(f"world {self.declaration.name}: reset raised {_said(error)}") from error
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], Mapping):
            old = "; gym of before 0.26 gives the observation alone" if not isinstance(answer, tuple) else ""
            raise BadData(self.path, "environment", f"reset to return (observation, info){old}", shown(answer))
        return answer

    def _kind(self, task: TaskTable, env: Any, notes: list[str]) -> _Kind:
        """How its environments are read, worked out from the first; the same for all tasks, or BadData."""
        pool = _pool(task)
        if pool not in self._kinds:
            made = self._plan(task, env, notes)
            for first in list(self._kinds.values())[:1]:
                try:
                    require_match(
                        first.spec, made.spec, f"task {next(iter(self.tasks))}", f"task {task.name}", subset=False
                    )
                except RoboscaleError as error:
                    raise BadData(self.path, f"task {task.name}", "the fields of the other tasks", error) from error
            self._kinds[pool] = made
        return self._kinds[pool]

    def _plan(self, task: TaskTable, env: Any, notes: list[str]) -> _Kind:
        d = self.declaration
        peek = _Look(self, task, env)
        space = getattr(env, "observation_space", None)
        readings = {}
        for table in d.fields:
            self._check_renders(table, env)
            readings[table.name] = plan_reading(table, space, Peek(raw=peek.raw, render=peek.render), self.path, notes)
        writing = plan_action(d.action, getattr(env, "action_space", None), d.rate_hz, self.path, notes)
        fields = tuple(reading.field for reading in readings.values())
        return _Kind(readings=readings, writing=writing, spec=Spec((*fields, writing.field), d.rate_hz))

    def _check_renders(self, table: FieldTable, env: Any) -> None:
        mode = getattr(env, "render_mode", None)
        if not table.sources and mode != "rgb_array":
            expected = 'render_mode = "rgb_array" in [arguments], since it comes from render'
            raise BadData(self.path, f"field {table.name}", expected, repr(mode))

    # ---- what is known of it

    def _describe(self) -> WorldInfo:
        d = self.declaration
        first = next(iter(self.tasks.values()))
        env = self._take(first)
        notes: list[str] = []
        try:
            kind = self._kind(first, env, notes)
            notes += [*self._maker.notes(first), *self._unsaid(env)]
            rendered = getattr(env, "render_mode", None) == "rgb_array"
            self._changeable = changeable_axes(env)
        except BaseException:
            close_quietly(env)
            raise
        self.give_back(first, env, broken=False)
        sentences = {task.name: self._sentence(task) for task in self.tasks.values()}
        self.notes = tuple(f"world {d.name}: {note}" for note in notes)
        fields = (*(r.field for r in kind.readings.values()), Field(TIME, (1,), "int64", unit="ns"))
        return WorldInfo(
            name=d.name,
            kind="simulated",
            version=self._maker.version(),
            identity=self._maker.identity(),
            embodiment=d.embodiment,
            tasks=sentences,
            observation_spec=Spec(fields, d.rate_hz),
            action_spec=Spec((kind.writing.field,), d.rate_hz),
            horizon=d.horizon,
            rule=d.success_rule,
            measures=d.all_measures,
            deterministic=d.deterministic is not False,
            pictures=rendered,
            scenes=None,
            hold=d.action.hold,
            past_success=d.past_success,
        )

    def _unsaid(self, env: Any) -> list[str]:
        """What the file leaves open, contradicts or leaves out, in words."""
        d, notes = self.declaration, []
        told = (getattr(env, "metadata", None) or {}).get("render_fps")
        if isinstance(told, (int, float)) and told > 0 and abs(told - d.rate_hz) >= 1:
            notes.append(f"rate_hz is {d.rate_hz:g}, and the environment's own render_fps is {told:g}")
        if d.deterministic is None:
            notes.append(
                "it is assumed that a seed gives the same episode again, since deterministic is not declared; "
                "`roboscale world check` finds out"
            )
        for task in self.tasks.values():
            rule = task.condition
            if d.rule == "first" and (rule.source == "return" or rule.negate):
                notes.append(
                    f"success ({rule.text}) is looked at after every step, as the rule `first` does: where it holds "
                    'from the start, every episode ends at its first step; rule = "end" looks at the end'
                )
            count = len(task.seeds or task.starts)
            if count:
                notes.append(
                    f"task {task.name} has {count} initial states: more cases than these are no new ones; "
                    f"--seeds 0:{count} goes through each once"
                )
        unseen = self._unseen(getattr(env, "observation_space", None))
        if unseen:
            notes.append(f"not observed, since no [[field]] declares it: {', '.join(unseen)}")
        if not d.embodiment:
            notes.append("embodiment is not declared: what is recorded will not say on which robot")
        return notes

    def _unseen(self, space: Any) -> list[str]:
        """Parts of the observation that no field takes and that are not left out on purpose."""
        parts = [leaf for leaf in space_leaves(space) if leaf] if space is not None else []
        for name in self.declaration.unobserved:
            if space is not None and not any(_within(leaf, name) for leaf in parts):
                expected = f"parts of the observation, of {', '.join(parts) or 'which there are none'}"
                raise BadData(self.path, "unobserved", expected, repr(name))
        taken = [source for table in self.declaration.fields for source in table.sources]
        taken += self.declaration.unobserved
        return [leaf for leaf in parts if not any(_within(leaf, source) for source in taken)]

    def _sentence(self, task: TaskTable) -> str:
        """The instruction: the file's, or what the environment says once it is made and, where need be, reset."""
        if isinstance(task.instruction, str):
            return task.instruction
        env = self._take(task)
        try:
            look = _Look(self, task, env)
            said = self._says(task, env, look.raw, look.info)
        except BaseException:
            close_quietly(env)
            raise
        self.give_back(task, env, broken=False)
        return said

    def _says(self, task: TaskTable, env: Any, raw: Any, info: Any) -> str:
        """The sentence that an environment says; `raw` and `info` are asked for when it stands there."""
        assert isinstance(task.instruction, InstructionTable), "asked of such"
        root, _, rest = task.instruction.source.partition(".")
        what = f"instruction of task {task.name} ({self.path}), {root}"
        if root == "attribute":
            said = getattr(getattr(env, "unwrapped", env), rest, None)
        else:
            said = follow(raw() if root == "observation" else info(), rest, what)
        if not isinstance(said, str) or not said.strip():
            raise BadData(
                self.path, f"task {task.name}: instruction", f"a sentence in {task.instruction.source}", shown(said)
            )
        return str(said)

    def _check_sentence(self, task: TaskTable, env: Any, raw: Any, info: Any) -> None:
        """BadData when an episode is about another sentence than the one that the policy is told."""
        if isinstance(task.instruction, str):
            return
        said, known = self._says(task, env, lambda: raw, lambda: info), self.info.tasks[task.name]
        if said != known:
            expected = f"the same sentence in every episode of a task, {known!r}; one [[task]] for each"
            raise BadData(self.path, f"task {task.name}: instruction", expected, repr(said))


class _Look:
    """One reset of an environment, made when it is first asked for."""

    def __init__(self, world: GymnasiumWorld, task: TaskTable, env: Any) -> None:
        self._world, self._task, self._env = world, task, env
        self._answer: tuple[Any, Mapping[str, Any]] | None = None

    def _once(self) -> tuple[Any, Mapping[str, Any]]:
        if self._answer is None:
            self._answer = self._world._reset(self._env, *_begin(self._task, 0))
        return self._answer

    def raw(self) -> Any:
        return self._once()[0]

    def info(self) -> Mapping[str, Any]:
        return self._once()[1]

    def render(self) -> Any:
        self._once()
        return self._world.render(self._env)


class GymnasiumScene:
    """One episode of one environment."""

    def __init__(self, world: GymnasiumWorld, task: TaskTable, kind: _Kind, env: Any, raw: Any) -> None:
        self._world, self._task, self._kind, self._env, self._raw = world, task, kind, env, raw
        self._spec = world.info.observation_spec
        self._steps = 0
        self._total: float | None = 0.0
        self._broken = self._ended = False
        self._measured: dict[str, float | None] = {m.name: None for m in world.info.measures}

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields now.

        Raises:
            UnknownName: no such field.
            BadData: the environment does not show what the declaration and its spaces say.
            InfrastructureError: it did and does not any more, NaN, or it raised.
        """
        seen: dict[str, NDArray[Any]] = {}
        for name in self._spec.names if names is None else names:
            if name == TIME:
                seen[name] = np.array([round(self._steps * 1e9 / self._spec.rate_hz)], np.int64)
                continue
            self._spec[name]
            try:
                seen[name] = self._world.read(self._kind.readings[name], self._raw, self._env)
            except RoboscaleError:
                self._broken = True
                raise
        return seen

    def simulation(self) -> Simulation:
        """The environment's model, for whoever makes the world worse."""
        return simulation_of(self._env, self._world.extras(self._env), self._refresh)

    def _refresh(self) -> None:
        """Observes anew, where the environment has a way to and its observation is not wrapped into another."""
        inner = self._env.unwrapped
        again = getattr(inner, "_get_obs", None)
        same = inner.observation_space == self._env.observation_space
        if callable(again) and same:
            self._raw = again()

    def step(self, action: NDArray[Any]) -> Step:
        """One step of the environment, also after its own termination.

        Raises:
            InfrastructureError: it raised.
            BadData, UnknownName: its answer is not gymnasium's, or what is declared as success is no such thing.
        """
        before = self._ended
        try:
            answer = self._env.step(self._kind.writing.write(action))
        except RoboscaleError:
            raise
        except (Exception, SystemExit) as error:
            self._broken = True
            self._refuse_end(before, error)
            said = f"step {self._steps + 1} raised {_said(error)}"
            raise InfrastructureError(f"world {self._world.declaration.name}: {said}") from error
        try:
            return self._understand(answer)
        except RoboscaleError:
            self._broken = True
            raise

    def _refuse_end(self, ended: bool, error: BaseException) -> None:
        """BadData where the environment cannot be stepped on after its end, which the rule asks for."""
        if ended:
            expected = 'past_success = false, or rule = "first": it cannot be stepped on after it has terminated'
            raise BadData(self._world.path, "past_success", expected, _said(error)) from error

    def _understand(self, answer: Any) -> Step:
        path = self._world.path
        if not isinstance(answer, tuple) or len(answer) != 5:
            found = f"{len(answer)} values" if isinstance(answer, tuple) else shown(answer)
            old = "; that is gym of before 0.26" if isinstance(answer, tuple) and len(answer) == 4 else ""
            expected = "step to return (observation, reward, terminated, truncated, info)"
            raise BadData(path, "environment", expected, f"{found}{old}")
        self._raw, reward, *ends, info = answer
        if not isinstance(info, Mapping):
            raise BadData(path, "environment", "an info that is a dictionary", shown(info))
        terminated = as_flag(ends[0], str(path), "terminated")
        truncated = as_flag(ends[1], str(path), "truncated")
        self._steps += 1
        self._ended = terminated or truncated
        number = as_number(reward, str(path), "reward")
        self._total = None if number is None or self._total is None else self._total + number
        self._measure(
            AfterStep(
                where=str(path),
                info=info,
                reward=number,
                total=self._total,
                terminated=terminated,
                ended=self._ended,
                last=self._steps >= self._world.declaration.horizon,
            )
        )
        return Step(terminated=terminated, truncated=truncated)

    def _measure(self, step: AfterStep) -> None:
        d = self._world.declaration
        self._measured["success"] = float(read_success(self._task.condition, step))
        self._measured["reward"] = step.reward
        if d.score is not None:
            self._measured["progress"] = read_progress(d.score, step)
        for name, table in d.measures.items():
            self._measured[name] = read_measure(name, table, step, self._measured[name])

    def measures(self) -> dict[str, float | None]:
        """Success, reward, progress and what the file declares, after the last step; `None` before the first."""
        return dict(self._measured)

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """The environment's own rendering, at whatever size it has; `width` and `height` are wishes."""
        return self._world.picture(self._task, self._env)

    def close(self) -> None:
        """Gives the environment back for the next scene, or closes it when it broke."""
        self._world.give_back(self._task, self._env, broken=self._broken)


def _pool(task: TaskTable) -> str:
    """Tasks that can share environments have the same."""
    return json.dumps([task.environment, task.arguments], sort_keys=True, default=repr)


def _begin(task: TaskTable, seed: int) -> tuple[int, dict[str, Any]]:
    """Seed and options of a reset."""
    if task.seeds:
        return task.seeds[seed % len(task.seeds)], dict(task.options)
    if task.starts:
        return seed, {**task.options, **task.starts[seed % len(task.starts)]}
    return seed, dict(task.options)


def _lacking(env: Any, names: Collection[str]) -> list[str]:
    """Arguments that an environment's `reset` does not take."""
    try:
        known = inspect.signature(getattr(env, "unwrapped", env).reset).parameters
    except (ValueError, TypeError):
        return []
    return [] if any(p.kind is p.VAR_KEYWORD for p in known.values()) else [n for n in names if n not in known]


def _within(leaf: str, source: str) -> bool:
    return not source or leaf == source or leaf.startswith(f"{source}.")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
