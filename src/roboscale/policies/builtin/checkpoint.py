"""A trained policy as a folder: `policy.json` and `weights.safetensors`; and the state of a run that is not done.

Nothing is pickled. Every file is replaced atomically, and `policy.json` comes last: a folder that has it is complete.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from roboscale.core import BadData, InfrastructureError, RoboscaleError, Spec
from roboscale.core.plain import Plain
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.device import device_called, device_of
from roboscale.policies.builtin.model import ChunkNet
from roboscale.policies.builtin.normalise import Normaliser
from roboscale.policies.builtin.policy import BuiltinPolicy, TrainedNet, sizes_of

__all__ = [
    "CHECKPOINT_MANIFEST",
    "TRAINING",
    "WEIGHTS",
    "Summary",
    "drop_training_state",
    "load_policy",
    "load_training_state",
    "read_manifest",
    "save_policy",
    "save_training_state",
]

T = TypeVar("T")

FORMAT, FORMAT_VERSION = "roboscale.policy", 1
CHECKPOINT_MANIFEST, WEIGHTS, TRAINING = "policy.json", "weights.safetensors", "training.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Plain):
    """How a policy came to be.

    Args:
        fingerprint: digest of what was learned from. episodes, frames: how much it was.
        instructions: the sentences in it, each once.
        steps: optimiser steps done. cpu_s: processor seconds they took.
        losses: (step, mean loss since the step before) pairs.
    """

    fingerprint: str
    episodes: int
    frames: int
    instructions: tuple[str, ...]
    steps: int = 0
    cpu_s: float = 0.0
    losses: tuple[tuple[int, float], ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Summary:
        losses = tuple((int(step), float(loss)) for step, loss in data["losses"])
        return cls(**{**data, "instructions": tuple(data["instructions"]), "losses": losses})


def save_policy(path: Path, policy: BuiltinPolicy, summary: Summary) -> None:
    """Writes the folder `path`, atomically as a whole: without `policy.json` there is no policy."""
    path.mkdir(parents=True, exist_ok=True)
    trained = policy.trained
    _write_tensors(path / WEIGHTS, trained.net.state_dict(), {})
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": trained.name,
        "config": trained.config.to_json(),
        "observation_spec": trained.observation_spec.to_json(),
        "action_spec": trained.action_spec.to_json(),
        "normalisation": {"state": trained.state.to_json(), "action": trained.action.to_json()},
        "training": summary.to_json(),
        "versions": {
            "roboscale": version("roboscale"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": device_called(policy.device),
        },
        "weights_blake2b": _digest(path / WEIGHTS),
    }
    _replace(path / CHECKPOINT_MANIFEST, json.dumps(manifest, indent=1).encode())


def read_manifest(path: Path) -> dict[str, Any]:
    """`policy.json` of a policy's folder; BadData when it is missing, no JSON, or of another format."""
    file = path / CHECKPOINT_MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BadData(file, "file", "a trained policy", "nothing") from None
    except ValueError as error:
        raise BadData(file, "file", "JSON", error) from error
    found = (manifest.get("format"), manifest.get("format_version")) if isinstance(manifest, dict) else manifest
    if found != (FORMAT, FORMAT_VERSION):
        raise BadData(file, "format", (FORMAT, FORMAT_VERSION), found)
    return dict(manifest)


def load_policy(path: Path, device: str = "cpu") -> BuiltinPolicy:
    """The policy in the folder `path`, ready to act in float32 on a device of `DEVICES`.

    Raises:
        BadData: a file is missing or broken; names the file and the field.
    """
    path = Path(path)
    manifest = read_manifest(path)
    config = _part(path, manifest, "config", TrainConfig.from_json)
    observation_spec = _part(path, manifest, "observation_spec", Spec.from_json)
    action_spec = _part(path, manifest, "action_spec", Spec.from_json)
    state = _part(path, manifest, "normalisation", lambda n: Normaliser.from_json(n["state"]))
    action = _part(path, manifest, "normalisation", lambda n: Normaliser.from_json(n["action"]))
    tensors = _read_weights(path / WEIGHTS, manifest.get("weights_blake2b"))
    auxiliary = len(tensors.get("auxiliary.bias", ()))
    net = ChunkNet(config, sizes_of(observation_spec, action_spec, auxiliary))
    _load_exactly(net, tensors, path / WEIGHTS)
    name = _part(path, manifest, "name", str)
    return BuiltinPolicy(
        TrainedNet(
            name=name,
            net=net,
            config=config,
            observation_spec=observation_spec,
            action_spec=action_spec,
            state=state,
            action=action,
        ),
        device_of(device),
    )


def save_training_state(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Replaces the training checkpoint in the folder `path`: tensors, and JSON about them."""
    path.mkdir(parents=True, exist_ok=True)
    _write_tensors(path / TRAINING, tensors, {"about": json.dumps(about)})


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `save_training_state` wrote, or None when there is nothing; BadData when it is broken."""
    file = path / TRAINING
    if not file.exists():
        return None
    tensors, metadata = _read_tensors(file)
    if "about" not in metadata:
        raise BadData(file, "about", "JSON", "nothing")
    return tensors, dict(json.loads(metadata["about"]))


def drop_training_state(path: Path) -> None:
    """Removes the training checkpoint of a finished run."""
    (path / TRAINING).unlink(missing_ok=True)


def _part(path: Path, manifest: Mapping[str, Any], key: str, read: Callable[[Any], T]) -> T:
    """One part of the manifest; BadData that names it when it is missing or nonsense."""
    if key not in manifest:
        raise BadData(path / CHECKPOINT_MANIFEST, key, "a value", "nothing")
    try:
        return read(manifest[key])
    except (KeyError, TypeError, ValueError, AttributeError, RoboscaleError) as error:
        raise BadData(
            path / CHECKPOINT_MANIFEST, key, "a readable value", f"{type(error).__name__}: {error}"
        ) from error


def _load_exactly(net: ChunkNet, tensors: Mapping[str, Tensor], file: Path) -> None:
    expected = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise BadData(file, name, expected.get(name, "nothing"), found.get(name, "nothing"))
    net.load_state_dict(dict(tensors))


def _read_weights(file: Path, expected: object) -> dict[str, Tensor]:
    if not file.exists():
        raise BadData(file, "file", "weights", "nothing")
    found = _digest(file)
    if found != expected:
        raise BadData(file, "blake2b", f"{expected} ({CHECKPOINT_MANIFEST})", found)
    return _read_tensors(file)[0]


def _read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadData(file, "file", "safetensors", error) from error


def _write_tensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    _replace(file, save({name: t.detach().contiguous() for name, t in tensors.items()}, dict(metadata)))


def _replace(file: Path, content: bytes) -> None:
    partial = file.with_name(file.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InfrastructureError(f"{file}: cannot be written: {error}") from error


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
