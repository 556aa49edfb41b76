"""A trained network as a policy: observation in, action chunk out.

Knows one network, its normalisation and its specs. Does not know files or training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Identity, Observation, Session, Spec, SpecMismatch, combine, generator
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.gradients import frame_losses, projected_gradients
from roboscale.policies.builtin.model import ChunkNet, Sizes, single_thread
from roboscale.policies.builtin.normalise import Normaliser
from roboscale.policies.builtin.sentences import embed_sentence

__all__ = ["BuiltinPolicy", "TrainedNet", "sizes_of"]

BLOCK = 4
"""Observations per pass. Matrix products of another size round otherwise, and a last bit decides a contact, so every
pass has this size: an answer does not depend on who else was asked. A block of 4 costs 1.3 times what one does."""


def sizes_of(observation_spec: Spec, action_spec: Spec, auxiliary: int = 0) -> Sizes:
    """The network's sizes that follow from the specs; `auxiliary` elements are predicted beside the actions."""
    return Sizes(
        cameras=tuple((f.shape[0], f.shape[1]) for f in observation_spec.images),
        state=sum(int(np.prod(f.shape)) for f in observation_spec if not f.is_image),
        action=int(np.prod(action_spec["action"].shape)),
        auxiliary=auxiliary,
    )


@dataclass(slots=True)
class _Session:
    """One episode: whom it belongs to, what was asked, and its own noise."""

    policy: BuiltinPolicy
    sentence: NDArray[np.float32]
    rng: np.random.Generator

    def __call__(self, observation: Observation) -> ActionChunk:
        return self.policy.act_many([self], [observation])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNet:
    """What training leaves behind.

    Args:
        name: what results call it.
        observation_spec: what the network reads, images and arrays. action_spec: what its actions mean.
        state: normalisation of the array inputs, concatenated in the spec's order. action: of the actions.
    """

    name: str
    net: ChunkNet
    config: TrainConfig
    observation_spec: Spec
    action_spec: Spec
    state: Normaliser
    action: Normaliser


class BuiltinPolicy:
    """Chunks of actions from a trained network; a `BatchedPolicy`.

    Its identity is what decides its actions: weights, normalisation, specs and config, and a device other than the
    processor. Where the folder lies, what it
    is called and how long it took to train are no part of it.
    """

    history = 1

    def __init__(self, trained: TrainedNet, device: torch.device | None = None) -> None:
        self.name = trained.name
        self.device = device or torch.device("cpu")
        self.identity = _identity(trained)
        if self.device.type != "cpu":  # another device rounds otherwise, and a last bit decides a contact
            self.identity = combine(trained.name, self.identity, self.device.type)
        trained.net.to(self.device)
        self.observation_spec: Spec | None = trained.observation_spec
        self.action_spec: Spec | None = trained.action_spec
        self.trained = trained
        trained.net.eval()
        self._arrays = [f.name for f in trained.observation_spec if not f.is_image]
        self._cameras = [f.name for f in trained.observation_spec.images]

    def start(self, instruction: str, seed: int) -> Session:
        """A session; its sampling noise, where there is any, follows from `seed`. Any sentence is accepted."""
        return _Session(self, embed_sentence(instruction), generator("builtin policy", seed))

    def gradients(
        self, columns: Mapping[str, NDArray[Any]], instruction: str, *, size: int, seed: int
    ) -> NDArray[np.float32]:
        """(F, size) how frames of an episode would move the weights; see `gradients.projected_gradients`."""
        return projected_gradients(self.trained, columns, instruction, size=size, seed=seed)

    def losses(self, columns: Mapping[str, NDArray[Any]], instruction: str, *, seed: int) -> NDArray[np.float32]:
        """(F,) the imitation loss at frames of an episode; see `gradients.frame_losses`."""
        return frame_losses(self.trained, columns, instruction, seed=seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """Bit for bit what each session says to its own observation, in fewer passes through the network.

        Raises:
            SpecMismatch: an observation lacks a field or has another shape; a session of another policy.
        """
        mine = [s for s in sessions if isinstance(s, _Session) and s.policy is self]
        if len(mine) != len(sessions) or len(sessions) != len(observations):
            raise SpecMismatch(f"policy {self.name}: expected one of its own sessions for each observation")
        for observation in observations:
            self.trained.observation_spec.check(observation, f"observation for policy {self.name}")
        chunk, size = self.trained.config.chunk, self.trained.action.mean.size
        temperature = np.float32(self.trained.config.temperature)
        noise = [temperature * s.rng.standard_normal((chunk, size), np.float32) for s in mine]
        asked = list(zip(observations, [s.sentence for s in mine], noise, strict=True))
        actions = [a for i in range(0, len(asked), BLOCK) for a in self._block(asked[i : i + BLOCK])]
        return [ActionChunk(a, execute=self.trained.config.execute) for a in actions]

    def _block(
        self, asked: Sequence[tuple[Observation, NDArray[np.float32], NDArray[np.float32]]]
    ) -> NDArray[np.float32]:
        """(n, chunk, D) actions for n <= BLOCK triples of observation, sentence and noise."""
        filled = [*asked, *[asked[-1]] * (BLOCK - len(asked))]
        observations, sentences, noise = zip(*filled, strict=True)
        flat = [np.concatenate([np.ravel(o[name]) for name in self._arrays]) for o in observations]
        state = self._there(self.trained.state.forward(np.stack(flat)))
        pixels = [self._there(np.stack([o[c] for o in observations])).permute(0, 3, 1, 2) for c in self._cameras]
        with torch.inference_mode(), single_thread():
            features = self.trained.net.features(pixels, state, self._there(np.stack(sentences)))
            sampled = self.trained.net.head.sample(features, self._there(np.stack(noise)))
        return self.trained.action.inverse(sampled.cpu().numpy())[: len(asked)]

    def _there(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


def _identity(trained: TrainedNet) -> Identity:
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in trained.net.state_dict().items()}
    specs = [trained.observation_spec.to_json(), trained.action_spec.to_json()]
    normalisation = [trained.state.to_json(), trained.action.to_json()]
    return combine(trained.name, "builtin", weights, trained.config.to_json(), specs, normalisation)
