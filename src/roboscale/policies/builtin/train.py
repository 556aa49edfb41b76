"""The training loop: resumable, and the same weights from the same seed.

Knows tensors, batches and checkpoints. Does not know worlds: how good a policy is, is for trials to say.
Everything random in a step follows from (seed, step), so there is no generator state to keep.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from roboscale.core import BadData, SpecMismatch, derive_seed
from roboscale.dataset import Excerpt
from roboscale.policies.builtin.checkpoint import (
    CHECKPOINT_MANIFEST,
    TRAINING,
    Summary,
    drop_training_state,
    load_training_state,
    read_manifest,
    save_policy,
    save_training_state,
)
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.data import (
    Batch,
    TrainingData,
    draw_batch,
    input_names,
    load_training_data,
    shifted_pictures,
)
from roboscale.policies.builtin.device import device_of
from roboscale.policies.builtin.model import ChunkNet, single_thread
from roboscale.policies.builtin.normalise import Normaliser
from roboscale.policies.builtin.policy import BuiltinPolicy, TrainedNet, sizes_of
from roboscale.policies.builtin.sentences import embed_sentence

__all__ = ["TrainResult", "train"]

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, recent loss)."""

REPORT_EVERY = 25
WARM_UP = 0.05
MAX_GRADIENT = 1.0


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` made.

    Args:
        path: the policy's folder, for `load_policy`.
        summary: loss curve, processor seconds, episodes and frames.
        resumed_from: step that a training checkpoint was found at; 0 for a fresh run, `steps` for a finished one.
    """

    path: Path
    summary: Summary
    resumed_from: int = 0


def train(
    dataset: Path | TrainingData,
    out: Path,
    config: TrainConfig,
    *,
    progress: Progress | None = None,
    device: str = "cpu",
    parts: Sequence[Excerpt] = (),
) -> TrainResult:
    """Trains a policy and writes it to the folder `out`; the same call again resumes, or returns at once when done.

    Args:
        dataset: folder of a LeRobotDataset v3, or demonstrations in memory.
        progress: called every 25 steps.
        device: of `DEVICES`; the same config gives the same weights on the same one.
        parts: what of a dataset on disk is learned from; everything when empty.

    Raises:
        SpecMismatch: the data lacks an input, or `out` holds a policy of another config or other data.
        BadData: a file is broken, or a value is not finite.
    """
    out = Path(out)
    done = _finished(dataset, out, config, parts)
    if done is not None:
        return TrainResult(out, done, done.steps)
    data = dataset if isinstance(dataset, TrainingData) else load_training_data(dataset, config, parts=parts)
    with single_thread():
        run = _Run(data, config, device_of(device))
        resumed_from = run.restore(out)
        run.to_end(out, progress)
    save_policy(out, run.policy(out.name), run.summary)
    drop_training_state(out)
    return TrainResult(out, run.summary, resumed_from)


def _finished(
    dataset: Path | TrainingData, out: Path, config: TrainConfig, parts: Sequence[Excerpt]
) -> Summary | None:
    """The summary of the policy in `out`, if there is one; SpecMismatch if it is not the one asked for."""
    if not (out / CHECKPOINT_MANIFEST).exists():
        return None
    manifest = read_manifest(out)
    _require_same_config(out, manifest["config"], config)
    summary = Summary.from_json(manifest["training"])
    if isinstance(dataset, TrainingData):
        data = dataset
    else:
        data = load_training_data(dataset, config, images=False, parts=parts)
    _require_same_data(out, summary.fingerprint, data)
    return summary


def _require_same_config(out: Path, found: dict[str, Any], config: TrainConfig) -> None:
    asked = config.to_json()
    differ = [k for k in asked if k != "checkpoint_s" and found.get(k) != asked[k]]
    if differ:
        lines = [f"  {k}: there {found.get(k)}, asked {asked[k]}" for k in differ]
        raise SpecMismatch("\n".join([f"{out} holds a training run with another config:", *lines]))


def _require_same_data(out: Path, found: str, data: TrainingData) -> None:
    if found != data.fingerprint:
        asked = data.fingerprint
        raise SpecMismatch(f"{out} was trained on other data: fingerprint there {found}, of {data.name} {asked}")


class _Run:
    """One training run in memory."""

    def __init__(self, data: TrainingData, config: TrainConfig, device: torch.device) -> None:
        self.data, self.config, self.device = data, config, device
        self.observation_spec = data.spec.select(input_names(data.spec, config.inputs))
        self.action_spec = data.spec.select(["action"])
        self.cameras = [f.name for f in self.observation_spec.images]
        names = [f.name for f in self.observation_spec if not f.is_image]
        states = np.concatenate([data.arrays[n].reshape(len(data.arrays[n]), -1) for n in names], axis=1)
        self.state, self.action = Normaliser.fit(states), Normaliser.fit(data.actions)
        self.states = torch.from_numpy(self.state.forward(states)).to(device)
        self.actions = torch.from_numpy(self.action.forward(data.actions)).to(device)
        self.targets = self._auxiliary_targets().to(device)
        self.sentences = torch.from_numpy(np.stack([embed_sentence(text) for text in data.instructions])).to(device)
        self.bf16 = _computes_bf16(config.precision, device)
        sizes = sizes_of(self.observation_spec, self.action_spec, self.targets.shape[1])
        torch.manual_seed(derive_seed("weights", config.seed))
        self.net = ChunkNet(config, sizes).to(device)
        self.average = {name: p.detach().clone() for name, p in self.net.named_parameters()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
        )
        instructions = tuple(sorted(set(data.instructions)))
        self.summary = Summary(
            fingerprint=data.fingerprint,
            episodes=len(data.lengths),
            frames=int(data.lengths.sum()),
            instructions=instructions,
        )

    def _auxiliary_targets(self) -> Tensor:
        """(N, A) normalised; A is 0 when there is nothing to predict."""
        config, arrays = self.config, self.data.arrays
        names = [n for n in config.auxiliary if n in arrays and n not in self.observation_spec]
        if config.auxiliary_weight == 0 or not self.observation_spec.images:
            names = []
        parts = [arrays[n].reshape(len(arrays[n]), -1) for n in names]
        targets = np.concatenate([*parts, np.zeros((len(self.states), 0))], axis=1)
        return torch.from_numpy(Normaliser.fit(targets).forward(targets))

    def restore(self, out: Path) -> int:
        """Continues from the training checkpoint in `out`; returns its step, 0 without one."""
        state = load_training_state(out)
        if state is None:
            return 0
        tensors, about = state
        _require_same_config(out, about["config"], self.config)
        _require_same_data(out, about["summary"]["fingerprint"], self.data)
        try:
            self._restore_tensors(tensors)
        except (KeyError, ValueError, RuntimeError) as error:
            raise BadData(out / TRAINING, "tensors", "those of this network", error) from error
        self.summary = Summary.from_json(about["summary"])
        return self.summary.steps

    def _restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        self.net.load_state_dict({k[4:]: t for k, t in tensors.items() if k.startswith("net.")})
        self.average = {name: tensors[f"average.{name}"] for name in self.average}  # in the parameters' order
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                state.setdefault(int(index), {})[name] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})

    def save(self, out: Path) -> None:
        """Replaces the training checkpoint in `out`."""
        tensors = {f"net.{k}": t for k, t in self.net.state_dict().items()}
        tensors |= {f"average.{k}": t for k, t in self.average.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": t for k, t in state.items()}
        save_training_state(out, tensors, {"config": self.config.to_json(), "summary": self.summary.to_json()})

    def to_end(self, out: Path, progress: Progress | None) -> None:
        """All remaining steps, with a training checkpoint every `checkpoint_s`."""
        steps, saved_s, cpu_s = self.config.steps, time.monotonic(), time.process_time()
        recent: list[float] = []
        for step in range(self.summary.steps, steps):
            recent.append(self.step(step))
            if (step + 1) % REPORT_EVERY and step + 1 < steps:
                continue
            loss, now_s = float(np.mean(recent)), time.process_time()
            losses = (*self.summary.losses, (step + 1, loss))
            spent_s = self.summary.cpu_s + now_s - cpu_s
            self.summary = replace(self.summary, steps=step + 1, cpu_s=spent_s, losses=losses)
            recent, cpu_s = [], now_s
            if not math.isfinite(loss):
                raise BadData(self.data.name, "training", "a finite loss", f"{loss} at step {step + 1}")
            if progress is not None:
                progress(step + 1, steps, loss)
            if time.monotonic() - saved_s >= self.config.checkpoint_s:
                self.save(out)
                saved_s = time.monotonic()

    def step(self, step: int) -> float:
        """One optimiser step; returns its loss."""
        batch = draw_batch(self.data, self.config, step)
        draws = torch.Generator().manual_seed(derive_seed("draws", self.config.seed, step))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * _one_cycle((step + 1) / self.config.steps)
        loss = self._loss(batch, step, draws)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT)
        self.optimiser.step()
        decay = min(self.config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.net.parameters()), 1 - decay)
        return float(loss.detach())

    def _loss(self, batch: Batch, step: int, draws: torch.Generator) -> Tensor:
        state = self.states[batch.frames]
        state = state + self.config.state_noise * torch.randn(state.shape, generator=draws).to(self.device)
        pictures = shifted_pictures(self.data, self.cameras, batch, self.config, step)
        pixels = [torch.from_numpy(p).to(self.device).permute(0, 3, 1, 2) for p in pictures]
        features = self.net.features(pixels, state, self.sentences[batch.episodes], bf16=self.bf16)
        valid = torch.from_numpy(batch.valid).to(self.device)
        loss = self.net.head.loss(features, self.actions[batch.future], valid, draws)
        if self.net.auxiliary is not None:
            target = self.targets[batch.frames]
            loss = loss + self.config.auxiliary_weight * F.mse_loss(self.net.auxiliary(features), target)
        return loss

    def policy(self, name: str) -> BuiltinPolicy:
        """The averaged weights as a policy."""
        self.net.load_state_dict(self.average)
        return BuiltinPolicy(
            TrainedNet(
                name=name,
                net=self.net,
                config=self.config,
                observation_spec=self.observation_spec,
                action_spec=self.action_spec,
                state=self.state,
                action=self.action,
            ),
            self.device,
        )


def _one_cycle(progress: float) -> float:
    """Fraction of the peak learning rate: a linear warm-up, then a half cosine to 0; `progress` in 0..1."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _computes_bf16(precision: str, device: torch.device) -> bool:
    """Whether to train the convolutions in bfloat16; emulating it would be slower than float32."""
    if precision == "auto" and device.type != "cpu":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "auto":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return precision == "bf16"
