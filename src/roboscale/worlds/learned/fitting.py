"""Fits a state twin to recorded steps, on one core, the same weights from the same seed.

Members see their own draws of the data. Half of every batch are steps in which something is moved that mostly stands
still: contacts are a few percent of all steps and all of the task. States are disturbed a little while training, so
that a rollout which has drifted is drawn back. Needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from roboscale.core import Field, derive_seed, generator
from roboscale.core.ensembles import SmallNets
from roboscale.core.plain import Plain
from roboscale.worlds.learned.elements import find_elements
from roboscale.worlds.learned.features import TwinFrame
from roboscale.worlds.learned.twin import StateTwin, nearest

__all__ = ["FitSettings", "FitSummary", "Recorded", "fit_nets", "fit_twin"]

Floats = NDArray[np.float64]
OnStep = Callable[[int, int, float], None]
_SUPPORT = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings(Plain):
    """How a twin is fitted.

    Args:
        steps: of the optimiser. batch: rows of each member's batch.
        members: of the ensemble. width: of its two hidden layers.
        noise: of the states while training, in typical steps.
    """

    steps: int = 4000
    batch: int = 256
    members: int = 3
    width: int = 128
    lr: float = 5e-3
    noise: float = 0.02
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Episodes to fit to.

    Args:
        names: of the S elements.
        states: (T, S) of each episode. actions: (T, D) as executed; the last one's effect was not seen.
        tasks: number of each episode's task.
        task_names: in that order.
        action: what the actions mean.
    """

    names: tuple[str, ...]
    states: Sequence[Floats]
    actions: Sequence[Floats]
    tasks: Sequence[int]
    task_names: tuple[str, ...]
    action: Field

    def transitions(self) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.intp]]:
        """Before, now, then (N, S), actions (N, D) and tasks (N,) of every step whose end was seen."""
        long = [(s, a, k) for s, a, k in zip(self.states, self.actions, self.tasks, strict=True) if len(s) > 1]
        before = np.concatenate([np.concatenate([s[:1], s[:-2]]) for s, _, _ in long])
        now = np.concatenate([s[:-1] for s, _, _ in long])
        then = np.concatenate([s[1:] for s, _, _ in long])
        actions = np.concatenate([a[: len(s) - 1] for s, a, _ in long])
        task = np.concatenate([np.full(len(s) - 1, k) for s, _, k in long]).astype(np.intp)
        return before, now, then, actions, task


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSummary(Plain):
    """What fitting took: transitions, processor seconds, and the loss at the end (of the last tenth of the steps)."""

    transitions: int
    cpu_s: float
    loss: float
    inverse_loss: float


def fit_twin(
    data: Recorded, held_out: Sequence[Floats], settings: FitSettings, on_step: OnStep = lambda *_: None
) -> tuple[StateTwin, FitSummary]:
    """Fits to the episodes of `data`; `held_out` states (T, S) say how far from the data is still near.

    Raises:
        SpecMismatch: nothing moves.
    """
    begun = time.process_time()
    torch.set_num_threads(1)  # two threads stall on a busy machine, and sum in another order
    elements = find_elements(data.names, data.states)
    frame = TwinFrame.fit(elements, data.states, np.concatenate(data.actions), data.action, data.task_names)
    rows = _Disturbed(frame, data, settings)
    nets, loss = fit_nets(rows.draw, rows.loss, rows.sizes, settings, on_step)
    inverse, inverse_loss = _fit_inverse(rows, settings)
    rng = generator("support", settings.seed)
    normal = frame.normal(np.concatenate(data.states)).astype(np.float32)
    support = normal[rng.permutation(len(normal))[:_SUPPORT]]
    apart = nearest(
        frame.normal(np.concatenate(held_out)).astype(np.float32)[:: max(1, sum(map(len, held_out)) // 2000)], support
    )
    twin = StateTwin(frame=frame, nets=nets, inverse=inverse, support=support, radius=float(np.quantile(apart, 0.99)))
    cpu_s = time.process_time() - begun
    return twin, FitSummary(transitions=len(rows.now), cpu_s=cpu_s, loss=loss, inverse_loss=inverse_loss)


class _Disturbed:
    """Batches of transitions whose states are disturbed a little, and what is lost on them."""

    def __init__(self, frame: TwinFrame, data: Recorded, settings: FitSettings) -> None:
        self.frame, self.settings = frame, settings
        before, now, then, actions, task = data.transitions()
        self.before, self.now, self.then, self.actions, self.task = before, now, then, actions, task
        steps, moving = frame.outputs_of(now, then)
        self.count = steps.shape[1]
        self.touching = np.flatnonzero(moving.any(axis=1))
        self.sizes = (frame.inputs(now[:1], before[:1], actions[:1], task[:1]).shape[1], frame.outputs)
        self.clip = 8.0

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, F) and what should be said (M, B, outputs); moving is 0 or 1."""
        size, members = self.settings.batch, self.settings.members
        rows = rng.integers(len(self.now), size=(members, size))
        if len(self.touching):
            rows[:, : size // 2] = self.touching[rng.integers(len(self.touching), size=(members, size // 2))]
        rows = rows.reshape(-1)
        now, before = self._noisy(self.now[rows], rng), self._noisy(self.before[rows], rng)
        steps, _ = self.frame.outputs_of(now, self.then[rows])
        _, moving = self.frame.outputs_of(self.now[rows], self.then[rows])
        inputs = self.frame.inputs(now, before, self.actions[rows], self.task[rows])
        wanted = np.concatenate([np.clip(steps, -self.clip, self.clip), moving], axis=1).astype(np.float32)
        return tuple(torch.from_numpy(a.reshape(members, size, -1)) for a in (inputs, wanted))  # type: ignore[return-value]

    def loss(self, said: Tensor, wanted: Tensor) -> Tensor:
        """Huber of the steps, cross-entropy of moving."""
        steps = nn.functional.smooth_l1_loss(said[..., : self.count], wanted[..., : self.count], beta=0.5)
        if said.shape[-1] == self.count:
            return steps
        gates = nn.functional.binary_cross_entropy_with_logits(said[..., self.count :], wanted[..., self.count :])
        return steps + 0.1 * gates

    def _noisy(self, states: Floats, rng: np.random.Generator) -> Floats:
        if not self.settings.noise:
            return states
        places = list(self.frame.elements.predicted)
        noisy = states.copy()
        size = self.settings.noise * np.array(self.frame.step)
        kept = rng.uniform(size=(len(states), 1)) < 0.5  # half stay as they were seen
        noisy[:, places] += kept * size * rng.standard_normal((len(states), len(places)))
        return noisy


def fit_nets(
    draw: Callable[[np.random.Generator], tuple[Tensor, Tensor]],
    lost: Callable[[Tensor, Tensor], Tensor],
    sizes: tuple[int, int],
    settings: FitSettings,
    on_step: OnStep = lambda *_: None,
) -> tuple[SmallNets, float]:
    """An ensemble with two hidden layers; one cycle of AdamW. Returns it with the mean loss of the last tenth."""
    torch.manual_seed(derive_seed("twin", settings.seed))
    layers = (sizes[0], settings.width, settings.width, sizes[1])
    weights = [nn.Parameter(torch.randn(settings.members, i, o) / i**0.5) for i, o in pairwise(layers)]
    biases = [nn.Parameter(torch.zeros(settings.members, 1, o)) for o in layers[1:]]
    optimiser = torch.optim.AdamW([*weights, *biases], lr=settings.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.lr, total_steps=settings.steps)
    rng, recent = generator("twin batches", settings.seed), []
    for step in range(settings.steps):
        inputs, wanted = draw(rng)
        hidden = inputs
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            hidden = torch.baddbmm(bias, nn.functional.silu(hidden) if number else hidden, weight)
        loss = lost(hidden, wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step >= 0.9 * settings.steps:
            recent.append(float(loss.detach()))
        if not (step + 1) % 100:
            on_step(step + 1, settings.steps, float(loss.detach()))
    plain = tuple(w.detach().numpy().copy() for w in weights), tuple(b.detach().numpy().copy() for b in biases)
    return SmallNets(*plain), float(np.mean(recent))


def _fit_inverse(rows: _Disturbed, settings: FitSettings) -> tuple[SmallNets, float]:
    """State and step -> action in spreads of the data's."""
    frame = rows.frame
    inputs = StateTwin.inverse_inputs_of(frame, rows.now, rows.before, rows.then)
    wanted = (rows.actions - np.array(frame.action_centre)) / np.array(frame.action_spread)
    wanted = np.clip(wanted, -6, 6).astype(np.float32)
    small = replace(settings, members=1, width=64, steps=max(50, settings.steps // 3))

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        some = rng.integers(len(inputs), size=small.batch)
        return torch.from_numpy(inputs[some][None]), torch.from_numpy(wanted[some][None])

    return fit_nets(draw, nn.functional.mse_loss, (inputs.shape[1], wanted.shape[1]), small)
