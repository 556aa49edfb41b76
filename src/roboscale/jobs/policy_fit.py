"""What a policy was trained on, and what a world shows and takes: what pitfalls are looked for in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roboscale.core import (
    Observation,
    Policy,
    RoboscaleError,
    Spec,
    UnknownName,
    UsageError,
    World,
    cases,
    check_action,
)

if TYPE_CHECKING:
    from roboscale.dataset import Dataset
    from roboscale.policies.remote.pitfalls import Moves, Seen, TrainedNumbers, TrainedOn
    from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["ConnectedBy", "connection_of", "seen_in", "trained_on"]

STARTS, PICTURES, REPLAYED, EPISODES = 6, 16, 40, 2
"""First observations of the world; training pictures; steps of each replayed episode, and how many are replayed."""


@dataclass(frozen=True, slots=True)
class ConnectedBy:
    """How a policy is connected to a world.

    Args:
        profile: TOML text.
        file: that it stands in; `None` where it was drafted.
        own: whether the policy takes a profile at all.
    """

    profile: str
    file: Path | None
    own: bool = True


def connection_of(policy: Policy, profiles: Sequence[str], world: World) -> ConnectedBy | None:
    """The profile that was named, or the one that a policy without one would have; `None` where nobody says what it
    takes.

    Raises:
        UsageError: a profile that is no TOML file.
    """
    if profiles:
        path = Path(profiles[0] if Path(profiles[0]).is_file() else profiles[0].rpartition("=")[2])
        if path.suffix == ".json":
            raise UsageError(f"{path}: pitfalls are looked for in profiles that are TOML files")
        return ConnectedBy(path.read_text("utf-8-sig"), path)
    info = world.info
    features = getattr(policy, "features", None)
    if features is not None:
        return ConnectedBy("\n".join(features.draft(info.observation_spec, info.action_spec)) + "\n", None)
    if not policy.observation_spec or not policy.observation_spec.fields or policy.action_spec is None:
        return None
    return ConnectedBy(
        "\n".join(_as_named(policy.name, policy.observation_spec, policy.action_spec)) + "\n", None, False
    )


def _as_named(name: str, observation: Spec, action: Spec) -> Iterable[str]:
    """Lines of a profile under which everything is called as the world calls it."""
    yield f"name = {json.dumps(name)}"
    for field in observation:
        yield f"\n[[observation]]\nkey = {json.dumps(field.name)}\nfield = {json.dumps(field.name)}"
    yield f"\n[action]\ndimension = {action['action'].shape[0]}\nmode = {json.dumps(action['action'].mode)}"


def trained_on(policy: Policy, text: str, dataset: Path | None, features: Sequence[str]) -> TrainedOn:
    """What is known of a policy's training: from its dataset, its checkpoint, or nobody.

    Args:
        text: of the profile, whose keys are looked for among the dataset's features.
        features: `KEY=FEATURE`, where a key is called otherwise in the dataset.

    Raises:
        BadData: the dataset is broken.
        UnknownName: a feature that it does not have.
    """
    from roboscale.policies.remote.pitfalls import TrainedOn
    from roboscale.policies.remote.profile import PolicyProfile

    checkpoint = checkpoint_statistics(policy)
    if dataset is None:
        source = "the checkpoint's statistics" if checkpoint else "nothing"
        numbers = {key: n for key, n in checkpoint.items() if key != "action"}
        return TrainedOn(source=source, numbers=numbers, action=checkpoint.get("action"))
    from roboscale.dataset import Dataset

    opened = Dataset(dataset, images="uint8")
    trained = _of_dataset(opened, PolicyProfile.parse(text), dict(pair.partition("=")[::2] for pair in features))
    return replace(trained, checkpoint={k: n for k, n in checkpoint.items() if k in trained.numbers})


def checkpoint_statistics(policy: Policy) -> dict[str, TrainedNumbers]:
    """Key -> numbers by whose statistics a checkpoint normalises; `action` among them."""
    from roboscale.policies.remote.pitfalls import TrainedNumbers

    said: Mapping[str, Any] = getattr(getattr(policy, "features", None), "statistics", {})
    made = {
        key: TrainedNumbers(
            mean=np.ravel(values["mean"]).astype(np.float64),
            std=np.ravel(values["std"]).astype(np.float64),
            low=None if "min" not in values else np.ravel(values["min"]).astype(np.float64),
            high=None if "max" not in values else np.ravel(values["max"]).astype(np.float64),
        )
        for key, values in said.items()
        if "mean" in values and "std" in values and np.ndim(values["mean"]) == 1
    }
    net = getattr(policy, "trained", None)
    if net is None:
        return made
    at = 0
    for field in net.observation_spec:
        if not field.is_image:
            size = int(np.prod(field.shape))
            made[field.name] = TrainedNumbers(mean=net.state.mean[at : at + size], std=net.state.std[at : at + size])
            at += size
    return made | {"action": TrainedNumbers(mean=net.action.mean, std=net.action.std)}


def _of_dataset(opened: Dataset, profile: PolicyProfile, named: Mapping[str, str]) -> TrainedOn:
    from roboscale.policies.remote.pitfalls import TrainedNumbers, TrainedOn

    first = np.concatenate([[0], np.cumsum(opened.lengths)[:-1]]).astype(int)
    pictures, numbers, columns = {}, {}, {}
    for entry in profile.observations:
        key = ".".join(entry.key)
        feature = named.get(key) or _feature_of(
            key, entry.parts[0].field if len(entry.parts) == 1 else "", opened.spec
        )
        if feature is None:
            continue
        field = opened.spec[feature]
        if field.is_image:
            chosen = np.linspace(0, len(first) - 1, min(PICTURES, len(first))).astype(int)
            only = opened.select([feature])
            pictures[key] = np.stack([only[int(first[i])][feature] for i in chosen])
        else:
            columns[key] = np.asarray(opened.arrays(feature), np.float64).reshape(len(opened), -1)
            numbers[key] = TrainedNumbers.of(columns[key], columns[key][first], field.layout)
    for key, feature in named.items():
        if feature not in opened.spec:
            raise UnknownName(f"feature of {opened.root} for {key}", feature, opened.spec.names)
    action = (
        np.asarray(opened.arrays("action"), np.float64).reshape(len(opened), -1) if "action" in opened.spec else None
    )
    state = next((k for k, rows in columns.items() if action is not None and rows.shape[1] == action.shape[1]), None)
    return TrainedOn(
        source=f"dataset {opened.root}",
        pictures=pictures,
        numbers=numbers,
        action=None if action is None else TrainedNumbers.of(action, action[first]),
        moves=None if state is None or action is None else (state, _moves(columns[state], action, opened.lengths)),
        sentences=tuple(dict.fromkeys(e.instruction for e in opened.episodes)),
        rate_hz=float(opened.fps),
    )


def _feature_of(key: str, field: str, spec: Spec) -> str | None:
    """The dataset's feature under a policy's key: of that name, whatever stands between its words."""
    plain = key.replace("/", ".")
    names = {name.replace("/", "."): name for name in spec.names}
    return names.get(plain) or (field if field in spec.names and plain in (field, "state", "image") else None)


def _moves(states: Any, actions: Any, lengths: Any) -> Moves:
    from roboscale.policies.remote.pitfalls import Moves

    last = np.cumsum(lengths) - 1
    inner = np.setdiff1d(np.arange(len(states) - 1), last)
    return Moves(states[inner], actions[inner], states[inner + 1])


def seen_in(world: World, task: str, seed: int, trained: TrainedOn, needs: Sequence[str]) -> Seen:
    """What a world shows at the start of several cases; a simulated one may also be moved."""
    from roboscale.policies.remote.pitfalls import Seen

    starts = []
    for case in cases(task, STARTS, seed, "eval"):
        with closing(world.start(case)) as scene:
            starts.append({name: np.array(array) for name, array in scene.observe(needs).items()})

    def respond(profile: PolicyProfile) -> Moves | None:
        return _replayed(world, task, seed, trained, profile)

    info = world.info
    return Seen(
        starts=tuple(starts),
        observation_spec=info.observation_spec,
        action_spec=info.action_spec,
        instruction=info.instruction(task),
        respond=None if info.kind == "real" or info.pace == "wall" else respond,
    )


def _replayed(world: World, task: str, seed: int, trained: TrainedOn, profile: PolicyProfile) -> Moves | None:
    """How the state moves under the first training actions."""
    from roboscale.policies.remote.pitfalls import Moves

    if trained.moves is None:
        return None
    key, told = trained.moves
    entry = next((o for o in profile.observations if ".".join(o.key) == key), None)
    if entry is None:
        return None
    relative = [] if profile.action.relative is None else [profile.action.relative.field]
    fields = list(dict.fromkeys([*(part.field for part in entry.parts), *relative]))

    def state(seen: Observation) -> Any:
        return entry.raw([np.asarray(seen[part.field]) for part in entry.parts])

    field, before, rows, after = world.info.action_spec["action"], [], [], []
    for number, case in enumerate(cases(task, EPISODES, seed, "eval")):
        with closing(world.start(case)) as scene:
            seen = scene.observe(fields)
            for row in told.actions[number * REPLAYED : (number + 1) * REPLAYED]:
                step = scene.step(check_action(profile.chunk(row[None], seen).actions[0], field)[0])
                before.append(state(seen))
                rows.append(row)
                seen = scene.observe(fields)
                after.append(state(seen))
                if step.terminated or step.truncated:
                    break
    if not rows:
        raise RoboscaleError("the dataset has no two frames in a row")
    return Moves(np.array(before), np.array(rows), np.array(after))
