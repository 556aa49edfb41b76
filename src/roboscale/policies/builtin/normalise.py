"""Shift and scale of arrays, fitted to data and kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.plain import Plain

__all__ = ["Normaliser"]

_CONSTANT = 1e-5


@dataclass(frozen=True, slots=True)
class Normaliser(Plain):
    """Shift and scale of one array: `(x - mean) / std`, elementwise; constant elements are only shifted."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, array: NDArray[Any]) -> Normaliser:
        """From (N, D) data."""
        data = np.asarray(array, np.float64)
        std = data.std(axis=0)
        return cls(data.mean(axis=0).astype(np.float32), np.where(std < _CONSTANT, 1, std).astype(np.float32))

    def forward(self, array: NDArray[Any]) -> NDArray[np.float32]:
        return ((np.asarray(array, np.float32) - self.mean) / self.std).astype(np.float32)

    def inverse(self, array: NDArray[Any]) -> NDArray[np.float32]:
        return (np.asarray(array, np.float32) * self.std + self.mean).astype(np.float32)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Normaliser:
        return cls(np.asarray(data["mean"], np.float32), np.asarray(data["std"], np.float32))
