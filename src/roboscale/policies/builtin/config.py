"""What a training run can be told: one frozen, JSON-able record. Does not know torch, data or files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from roboscale.core import BadData, UnknownName
from roboscale.core.plain import Plain

__all__ = ["HEADS", "INPUTS", "PRECISIONS", "TrainConfig"]

INPUTS = ("images", "state")
HEADS = ("flow", "regression")
_WEIGHTS = ("intervention_weight", "autonomous_weight")
PRECISIONS = ("auto", "bf16", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(Plain):
    """Everything that decides what is learned; the same config, data and seed give the same weights.

    Args:
        inputs: `images` learns from the cameras and `observation.state`, `state` from
            `observation.environment_state`; both from the instruction.
        head: `flow` samples the chunk by rectified flow, `regression` predicts it directly (L1).
        chunk: actions predicted at once, control steps.
        execute: how many of them are executed before the policy looks again, 1..chunk.
        steps, batch: optimiser steps, and observations in each.
        lr: peak of the one-cycle learning rate. weight_decay: AdamW's.
        width: hidden units of the head. channels: of the image encoder. keypoints: per camera.
        auxiliary: fields of the data set that the image features must also predict, while training only;
            those that the data set does not have are left out.
        auxiliary_weight: weight of that loss beside the action loss.
        shift: largest random image shift, pixels. state_noise: standard deviation of the noise added to the
            normalised state.
        noise_samples: flow only: noise levels drawn per observation. euler_steps: flow only: integration steps.
        temperature: flow only: scale of the noise that sampling starts from; 0 starts from its mean, which gives the
            most typical chunk instead of a random one (measured in docs/lab-notes.md).
        ema: decay of the weight average that is kept.
        precision: of the image encoder while training; `auto` is bf16 where the processor computes in it.
        image_budget_mb: decoded images in memory; of a larger data set every n-th frame is learned from.
        intervention_weight: how often a frame is drawn that a person drove in the place of a policy, beside one of
            weight 1; 0 leaves those out. autonomous_weight: the same of frames that the policy drove.
            Source: intervention weighted regression, Mandlekar et al. 2020 (arXiv:2012.06733).
        checkpoint_s: seconds between training checkpoints; the one setting that the weights do not depend on.
    """

    inputs: str = "images"
    head: str = "flow"
    chunk: int = 16
    execute: int = 8
    steps: int = 1500
    batch: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-4
    width: int = 256
    channels: int = 32
    keypoints: int = 32
    auxiliary: tuple[str, ...] = ("observation.environment_state",)
    auxiliary_weight: float = 1.0
    shift: int = 4
    state_noise: float = 0.05
    noise_samples: int = 4
    euler_steps: int = 5
    temperature: float = 0.0
    ema: float = 0.998
    precision: str = "auto"
    image_budget_mb: int = 800
    intervention_weight: float = 1.0
    autonomous_weight: float = 1.0
    checkpoint_s: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._require_types()
        for kind, name, valid in (
            ("inputs", self.inputs, INPUTS),
            ("head", self.head, HEADS),
            ("precision", self.precision, PRECISIONS),
        ):
            if name not in valid:
                raise UnknownName(kind, name, valid)
        for name in ("chunk", "steps", "batch", "width", "channels", "keypoints", "noise_samples", "euler_steps"):
            _require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in ("auxiliary_weight", "shift", "state_noise", "weight_decay", "temperature", *_WEIGHTS):
            _require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        _require("execute", 1 <= self.execute <= self.chunk, f"1..{self.chunk} (the chunk)", self.execute)
        _require("lr", self.lr > 0, "more than 0", self.lr)
        _require("ema", 0 <= self.ema < 1, "0 <= ema < 1", self.ema)

    def _require_types(self) -> None:
        """Each setting is of its default's type; BadData names the one that is not."""
        for f in fields(self):
            value: Any = getattr(self, f.name)
            if isinstance(f.default, str):
                _require(f.name, isinstance(value, str), "a word", repr(value))
            elif isinstance(f.default, tuple):
                texts = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
                _require(f.name, texts, 'a list of names, as ["NAME"]', repr(value))
            else:
                whole = isinstance(f.default, int)
                kind, words = (Integral, "a whole number") if whole else (Real, "a finite number")
                number = type(value) is not bool and isinstance(value, kind) and math.isfinite(value)
                _require(f.name, number, words, repr(value))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Inverse of `to_json`; UnknownName for a setting that does not exist."""
        known = {f.name for f in fields(cls)}
        for name in data:
            if name not in known:
                raise UnknownName("setting of TrainConfig", name, known)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)


def _require(name: str, holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise BadData("TrainConfig", name, expected, found)
