"""The imitation loss of a trained network at the frames of an episode, and how each frame would move the weights.

Gradients are projected to a few numbers: parameters are added up in bins with random signs (a count sketch, Charikar
et al. 2002), which keeps inner products on average and needs no matrix. Knows a trained network and arrays; does not
know what either is good for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap

from roboscale.core import SpecMismatch, generator
from roboscale.policies.builtin.model import ChunkNet, FlowHead, single_thread
from roboscale.policies.builtin.sentences import embed_sentence

if TYPE_CHECKING:
    from roboscale.policies.builtin.policy import TrainedNet

__all__ = ["frame_losses", "projected_gradients"]

FRAMES = 24  # of an episode, evenly spaced: neighbours say the same
DRAWS = 4  # noise levels of a flow at each frame, the same ones for every frame
BATCH = 32


def projected_gradients(
    trained: TrainedNet, columns: Mapping[str, NDArray[Any]], instruction: str, *, size: int, seed: int
) -> NDArray[np.float32]:
    """(F, size) at up to 24 frames of an episode.

    Args:
        columns: field -> (T, ...) of the episode, `action` among them.

    Raises:
        SpecMismatch: a field is missing, or the network sees pictures, whose gradients are not there yet.
    """
    given = _given(trained, columns)
    with single_thread():
        return _projected(trained.net, given, torch.from_numpy(embed_sentence(instruction)), size, seed)


def frame_losses(
    trained: TrainedNet, columns: Mapping[str, NDArray[Any]], instruction: str, *, seed: int
) -> NDArray[np.float32]:
    """(F,) the loss at up to 24 frames of an episode, in normalised actions; the same seed draws the same noise.

    Raises:
        SpecMismatch: as for `projected_gradients`.
    """
    state, actions, valid = _given(trained, columns)
    noise, times = _noise(generator("losses", seed), *actions.shape[1:])
    sentence, loss = torch.from_numpy(embed_sentence(instruction)), _loss_of(trained.net)
    with single_thread(), torch.inference_mode():
        rows = zip(state, actions, valid, strict=True)
        return np.array([float(loss(*row, sentence, noise, times)) for row in rows], np.float32)


def _given(trained: TrainedNet, columns: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """States, chunks of actions, and which steps of them are within the episode, at some of its frames."""
    if trained.observation_spec.images:
        raise SpecMismatch(
            f"policy {trained.name}: losses and gradients are there for policies that see states, not pictures"
        )
    names = [f.name for f in trained.observation_spec]
    missing = [name for name in (*names, "action") if name not in columns]
    if missing:
        raise SpecMismatch(f"policy {trained.name}: {', '.join(missing)} missing; there are {', '.join(columns)}")
    length, chunk = len(columns["action"]), trained.config.chunk
    frames = np.unique(np.linspace(0, length - 1, min(FRAMES, length)).astype(int))
    flat = np.concatenate([np.reshape(columns[name], (length, -1)) for name in names], axis=1)
    steps = frames[:, None] + np.arange(chunk)
    field = trained.action_spec["action"]
    low = -np.inf if field.low is None else np.asarray(field.low, np.float32)
    high = np.inf if field.high is None else np.asarray(field.high, np.float32)
    actions = trained.action.forward(np.clip(np.asarray(columns["action"], np.float32), low, high))
    return (
        torch.from_numpy(trained.state.forward(flat[frames])),
        torch.from_numpy(actions[np.minimum(steps, length - 1)]),
        torch.from_numpy((steps < length).astype(np.float32)),
    )


def _noise(rng: np.random.Generator, chunk: int, width: int) -> tuple[Tensor, Tensor]:
    """The same noise and levels of it for every frame."""
    noise = torch.from_numpy(rng.standard_normal((DRAWS, chunk, width), np.float32))
    return noise, torch.linspace(0.1, 0.9, DRAWS)[:, None]


def _projected(
    net: ChunkNet, given: tuple[Tensor, Tensor, Tensor], sentence: Tensor, size: int, seed: int
) -> NDArray[np.float32]:
    rng = generator("projection", seed)
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    bins = {n: torch.from_numpy(rng.integers(size, size=p.numel())) for n, p in parameters.items()}
    signs = {n: torch.from_numpy(rng.choice(np.array([-1, 1], np.float32), p.numel())) for n, p in parameters.items()}
    noise, times = _noise(rng, *given[1].shape[1:])

    def loss(weights: dict[str, Tensor], state: Tensor, actions: Tensor, valid: Tensor) -> Tensor:
        made: Tensor = functional_call(net, weights, (state, actions, valid, sentence, noise, times))
        return made

    each = vmap(grad(loss), in_dims=(None, 0, 0, 0))
    made = []
    net_forward = net.forward
    net.forward = _loss_of(net)  # functional_call calls forward with other weights
    try:
        for first in range(0, len(given[0]), BATCH):
            rows = each(parameters, *(part[first : first + BATCH] for part in given))
            out = torch.zeros(len(next(iter(rows.values()))), size)
            for name, row in rows.items():
                out.index_add_(1, bins[name], row.flatten(1) * signs[name])
            made.append(out.numpy())
    finally:
        net.forward = net_forward
    return np.concatenate(made)


def _loss_of(net: ChunkNet) -> Any:
    """The loss at one frame: of a flow at `DRAWS` noise levels that are given, else the absolute error."""

    def forward(
        state: Tensor, actions: Tensor, valid: Tensor, sentence: Tensor, noise: Tensor, times: Tensor
    ) -> Tensor:
        features = net.features([], state[None], sentence[None])
        if not isinstance(net.head, FlowHead):
            error = (net.head.sample(features, noise[:1])[0] - actions).abs()
            return (error.mean(-1) * valid).sum() / valid.sum()
        features = features.expand(len(noise), -1)
        x = torch.lerp(noise, actions[None].expand_as(noise), times[:, :, None])
        error = (net.head.velocity(features, x, times) - (actions - noise)).square()
        return (error.mean(-1) * valid).sum() / (valid.sum() * len(noise))

    return forward
