"""The network: a small encoder per camera, a trunk shared by both heads, and the heads.

Knows torch and normalised tensors. Does not know data sets, files, fields or worlds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.sentences import SENTENCE_SIZE

__all__ = ["ChunkNet", "Sizes", "single_thread"]


@contextmanager
def single_thread() -> Iterator[None]:
    """One torch thread inside: more would sum in another order, and other processes have the other cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the data decides about the network.

    Args:
        cameras: (height, width) of each camera.
        state, action, auxiliary: elements of the state input, of one action, and of what the features also predict.
    """

    cameras: tuple[tuple[int, int], ...]
    state: int
    action: int
    auxiliary: int


class CameraEncoder(nn.Module):
    """One camera to keypoints: convolutions at a quarter of the resolution, then a spatial softmax.

    Source: spatial softmax, Levine et al. 2016 (arXiv:1504.00702), section 5.1.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, stride=4)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.heat = nn.Conv2d(channels, keypoints, 1)

    def forward(self, pixels: Tensor, bf16: bool) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, 3 * keypoints): mean x and y in -1..1 of each keypoint, and mean x^2 + y^2."""
        with torch.autocast(pixels.device.type, torch.bfloat16) if bf16 else nullcontext():
            x = pixels.to(torch.bfloat16 if bf16 else torch.float32) / 127.5 - 1
            x = F.relu(self.stem(x))
            for conv in self.convs:
                x = x + F.relu(conv(x))
            heat = self.heat(x)
        rows, columns = heat.shape[-2:]
        # channels last, so that the softmax over positions needs no copy; float32, since bf16 is coarser than a pixel
        weight = F.softmax(heat.permute(0, 2, 3, 1).flatten(1, 2).float(), dim=1)
        y = torch.linspace(-1, 1, rows, device=weight.device).repeat_interleave(columns)
        x_axis = torch.linspace(-1, 1, columns, device=weight.device).repeat(rows)
        return (torch.stack([x_axis, y, x_axis**2 + y**2]) @ weight).flatten(1)


class Residual(nn.Module):
    """x + MLP(norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.down(F.silu(self.up(self.norm(x)))))


def _masked_mean(error: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid steps of (B, chunk, D) errors; `valid` is (B, chunk)."""
    return (error.mean(-1) * valid).sum() / valid.sum()


class RegressionHead(nn.Module):
    """Predicts the chunk itself, trained on the absolute error."""

    def __init__(self, width: int, chunk: int, action: int) -> None:
        super().__init__()
        self.shape = (chunk, action)
        self.body = nn.Sequential(Residual(width), Residual(width), nn.LayerNorm(width))
        self.out = nn.Linear(width, chunk * action)

    def loss(self, features: Tensor, chunk: Tensor, valid: Tensor, draws: torch.Generator) -> Tensor:
        return _masked_mean((self._predict(features) - chunk).abs(), valid)

    def sample(self, features: Tensor, noise: Tensor) -> Tensor:
        return self._predict(features)

    def _predict(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.body(features)).unflatten(-1, self.shape))


class FlowHead(nn.Module):
    """Rectified flow from Gaussian noise (time 0) to the chunk (time 1), sampled by Euler steps.

    Source: Liu et al. 2022 (arXiv:2209.03003); Lipman et al. 2022 (arXiv:2210.02747).
    """

    def __init__(self, width: int, chunk: int, action: int, samples: int, euler_steps: int) -> None:
        super().__init__()
        self.shape = (chunk, action)
        self.samples, self.euler_steps = samples, euler_steps
        self.enter = nn.Linear(chunk * action, width)
        self.time = nn.Sequential(nn.Linear(16, width), nn.SiLU(), nn.Linear(width, width))
        self.body = nn.Sequential(Residual(width), Residual(width), Residual(width), nn.LayerNorm(width))
        self.out = nn.Linear(width, chunk * action)

    def velocity(self, features: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """(B, chunk, D) velocity at `x` (B, chunk, D) and `time` (B, 1)."""
        angles = time * torch.pi * torch.arange(1, 9, device=time.device)
        hidden = features + self.enter(x.flatten(1)) + self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return cast(Tensor, self.out(self.body(hidden)).unflatten(-1, self.shape))

    def loss(self, features: Tensor, chunk: Tensor, valid: Tensor, draws: torch.Generator) -> Tensor:
        # the image features are costly and the head is not: several noise levels share one observation
        features, chunk, valid = (t.repeat_interleave(self.samples, 0) for t in (features, chunk, valid))
        noise = torch.randn(chunk.shape, generator=draws).to(chunk.device)  # the same draws on every device
        time = torch.rand((len(chunk), 1), generator=draws).to(chunk.device)
        x = torch.lerp(noise, chunk, time[:, :, None])
        return _masked_mean((self.velocity(features, x, time) - (chunk - noise)).square(), valid)

    def sample(self, features: Tensor, noise: Tensor) -> Tensor:
        x = noise
        for step in range(self.euler_steps):
            time = torch.full((len(x), 1), step / self.euler_steps, device=x.device)
            x = x + self.velocity(features, x, time) / self.euler_steps
        return x


class ChunkNet(nn.Module):
    """Observation and sentence to a chunk of normalised actions."""

    def __init__(self, config: TrainConfig, sizes: Sizes) -> None:
        super().__init__()
        width = config.width
        self.cameras = nn.ModuleList(CameraEncoder(config.channels, config.keypoints) for _ in sizes.cameras)
        self.cameras.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        visual = 3 * config.keypoints * len(sizes.cameras)
        self.trunk = nn.Sequential(
            nn.Linear(visual + sizes.state + SENTENCE_SIZE, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.auxiliary = nn.Linear(width, sizes.auxiliary) if sizes.auxiliary else None
        self.head: RegressionHead | FlowHead
        if config.head == "flow":
            self.head = FlowHead(width, config.chunk, sizes.action, config.noise_samples, config.euler_steps)
        else:
            self.head = RegressionHead(width, config.chunk, sizes.action)

    def features(self, pixels: Sequence[Tensor], state: Tensor, sentence: Tensor, *, bf16: bool = False) -> Tensor:
        """(B, width).

        Args:
            pixels: per camera (B, 3, H, W) uint8, channels last in memory.
            state: (B, S) normalised. sentence: (B, SENTENCE_SIZE).
            bf16: computes the convolutions in bfloat16.
        """
        seen = [encoder(p, bf16) for encoder, p in zip(self.cameras, pixels, strict=True)]
        return cast(Tensor, self.trunk(torch.cat([*seen, state, sentence], dim=-1)))
