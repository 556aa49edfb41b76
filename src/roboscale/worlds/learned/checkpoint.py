"""A learned world as a folder: `world.json`, `twin.npz`, `judge.npz` and `held_out.npz`. Nothing is pickled.

`world.json` comes last: a folder that has it is complete. The episodes that were held out lie in it, too, so that the
gates can be checked wherever it goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Spec, SuccessRule, UnknownName
from roboscale.core.ensembles import SmallNets
from roboscale.core.plain import Plain
from roboscale.worlds.learned.features import TwinFrame
from roboscale.worlds.learned.twin import StateTwin

__all__ = [
    "GATES_FILE",
    "LoggedEpisodes",
    "WorldManifest",
    "is_learned",
    "load_world",
    "require_world_folder",
    "save_world",
]

WORLD_MANIFEST, FORMAT, FORMAT_VERSION = "world.json", "roboscale.world", 1
GATES_FILE = "gates.json"
"""What `roboscale world check` found, beside the world."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldManifest(Plain):
    """What a learned world says of itself.

    Args:
        tier: `state` for a state twin.
        observed: the fields that it shows. acted: the action that it takes. Both at the control rate.
        tasks: task -> sentence.
        embodiment, horizon, rule: of the episodes that it imagines.
        frame: how states become inputs.
        judge: how the judge looks at a state.
        data: name, fingerprint, episodes, frames, and what was left out or assumed.
        training: what it took.
    """

    observed: Spec
    acted: Spec
    tasks: Mapping[str, str]
    embodiment: str
    horizon: int
    rule: str
    frame: TwinFrame
    judge: Mapping[str, Any]
    radius: float
    limit: float
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    tier: str = "state"

    @property
    def success_rule(self) -> SuccessRule:
        """The rule."""
        return SuccessRule.parse(self.rule)

    @property
    def decides(self) -> dict[str, Any]:
        """What a rollout follows from, apart from weights: no training times, no names of data."""
        said = self.to_json()
        return {k: v for k, v in said.items() if k not in ("data", "training")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEpisodes:
    """Recorded episodes as arrays: those that were trained on, or were held out.

    Args:
        ids, tasks, seeds: of each; a seed is `None` where it has none. operators: who acted.
        states: (T, S) of each. actions: (T, D).
        success, progress: (T,) of each frame, NaN where nobody said.
        outcomes: of each episode; `None` where nobody judged.
    """

    ids: Sequence[str] = ()
    tasks: Sequence[int] = ()
    seeds: Sequence[int | None] = ()
    operators: Sequence[str] = ()
    states: Sequence[Floats] = ()
    actions: Sequence[Floats] = ()
    success: Sequence[Floats] = ()
    progress: Sequence[Floats] = ()
    outcomes: Sequence[bool | None] = ()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By keys that `from_arrays` reads; texts as arrays of characters."""
        seeds = [-1 if s is None else s for s in self.seeds]
        outcomes = [-1 if o is None else int(o) for o in self.outcomes]
        return {
            "ids": np.array(self.ids, str),
            "operators": np.array(self.operators, str),
            "tasks": np.array(self.tasks, np.int64),
            "seeds": np.array(seeds, np.int64),
            "outcomes": np.array(outcomes, np.int64),
            "lengths": np.array([len(s) for s in self.states], np.int64),
            **{name: np.concatenate(getattr(self, name)) for name in ("states", "actions", "success", "progress")},
        }

    @property
    def contents(self) -> list[str]:
        """Digest of the states and actions of each: what tells whether an episode is one of these."""
        parts = zip(self.states, self.actions, strict=True)
        return [hashlib.blake2b(s.tobytes() + a.tobytes(), digest_size=8).hexdigest() for s, a in parts]

    def only(self, places: Sequence[int]) -> LoggedEpisodes:
        """Those at some places, in that order."""
        return LoggedEpisodes(**{name: [getattr(self, name)[i] for i in places] for name in self.__dataclass_fields__})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> LoggedEpisodes:
        """Inverse of `arrays`."""
        cuts = np.cumsum(arrays["lengths"])[:-1]
        parts = {n: np.split(arrays[n], cuts) for n in ("states", "actions", "success", "progress")}
        return cls(
            ids=[str(i) for i in arrays["ids"]],
            operators=[str(i) for i in arrays["operators"]],
            tasks=[int(t) for t in arrays["tasks"]],
            seeds=[None if s < 0 else int(s) for s in arrays["seeds"]],
            outcomes=[None if o < 0 else bool(o) for o in arrays["outcomes"]],
            **parts,
        )


def is_learned(path: Path) -> bool:
    """Whether a folder holds a learned world."""
    return (path / WORLD_MANIFEST).is_file()


def require_world_folder(out: Path) -> None:
    """BadData for a place that holds something else than a learned world: it would be mixed with that."""
    if out.exists() and not out.is_dir():
        raise BadData(out, "folder", "a learned world, or nothing", "a file")
    own = {
        WORLD_MANIFEST,
        GATES_FILE,
        *(f"{n}{end}" for n in ("twin", "judge", "held_out") for end in (".npz", ".part")),
    }
    other = sorted(path.name for path in out.iterdir() if path.name not in own) if out.is_dir() else []
    if other and not is_learned(out):
        raise BadData(out, "folder", "a learned world, or nothing", ", ".join(other[:5]))


def save_world(
    out: Path, manifest: WorldManifest, twin: StateTwin, judge: SmallNets, held_out: LoggedEpisodes
) -> None:
    """Writes the folder, each file whole or not at all; an earlier verdict on its gates is removed."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (WORLD_MANIFEST, GATES_FILE):
        (out / name).unlink(missing_ok=True)
    own = {**twin.nets.arrays("dynamics"), **twin.inverse.arrays("inverse"), "support": twin.support}
    _write_arrays(out / "twin.npz", own)
    _write_arrays(out / "judge.npz", judge.arrays("judge"))
    _write_arrays(out / "held_out.npz", held_out.arrays())
    said = {"format": FORMAT, "version": FORMAT_VERSION, **manifest.to_json()}
    _write_text(out / WORLD_MANIFEST, json.dumps(said, indent=1))


def load_world(path: Path) -> tuple[WorldManifest, StateTwin, SmallNets, LoggedEpisodes]:
    """What `save_world` wrote.

    Raises:
        BadData: there is none, or a file is broken or of another version.
    """
    manifest = _manifest(path)
    try:
        own, judged, held = (_read_arrays(path / f"{n}.npz") for n in ("twin", "judge", "held_out"))
        twin = StateTwin(
            frame=manifest.frame,
            nets=SmallNets.from_arrays(own, "dynamics"),
            inverse=SmallNets.from_arrays(own, "inverse"),
            support=own["support"],
            radius=manifest.radius,
        )
        return manifest, twin, SmallNets.from_arrays(judged, "judge"), LoggedEpisodes.from_arrays(held)
    except KeyError as error:
        raise BadData(path, "arrays", f"one called {error}", "none") from error


def _manifest(path: Path) -> WorldManifest:
    file = path / WORLD_MANIFEST
    if not file.is_file():
        raise BadData(path, WORLD_MANIFEST, "a learned world, as `roboscale world train` writes it", "no such file")
    try:
        said = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise BadData(file, "JSON", "a manifest", error) from error
    if not isinstance(said, dict) or (said.get("format"), said.get("version")) != (FORMAT, FORMAT_VERSION):
        found = f"{said.get('format')} {said.get('version')}" if isinstance(said, dict) else type(said).__name__
        raise BadData(file, "format", f"{FORMAT} {FORMAT_VERSION}", found)
    try:
        specs = {name: Spec.from_json(said[name]) for name in ("observed", "acted")}
        SuccessRule.parse(said["rule"])
        plain = {k: v for k, v in said.items() if k not in ("format", "version")}
        return WorldManifest(**{**plain, **specs, "frame": TwinFrame.from_json(said["frame"])})
    except UnknownName as error:
        raise BadData(file, "rule", "a success rule", error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadData(file, "manifest", "the fields of a learned world", f"{type(error).__name__}: {error}") from error


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))
    part.replace(path)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise BadData(path, "arrays", "a file of arrays", f"{type(error).__name__}: {error}") from error


def _write_text(path: Path, text: str) -> None:
    """Replaces a file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
