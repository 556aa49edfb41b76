"""Small networks evaluated with numpy, the same bits whoever else is asked in the same batch.

A matrix product sums in another order for another number of rows, so that a scene stepped alone and the same scene
stepped beside others would drift apart. Rows are therefore multiplied in blocks of a fixed size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS_AT_ONCE", "SmallNets", "sigmoid"]

ROWS_AT_ONCE = 8
"""Rows of a product; the last block is filled up with zeros."""

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SmallNets:
    """M networks of one shape: affine layers with SiLU between them.

    Args:
        weights: of each layer (M, in, out). biases: (M, 1, out).
    """

    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]

    def __call__(self, inputs: Singles) -> Singles:
        """(M, B, out) of inputs (B, in), in single precision.

        >>> nets = SmallNets((np.ones((2, 3, 1), np.float32),), (np.zeros((2, 1, 1), np.float32),))
        >>> nets(np.ones((5, 3), np.float32)).shape
        (2, 5, 1)
        """
        rows = len(inputs)
        filled = np.zeros((-(-rows // ROWS_AT_ONCE) * ROWS_AT_ONCE, inputs.shape[1]), np.float32)
        filled[:rows] = inputs
        blocks = [self._block(filled[i : i + ROWS_AT_ONCE]) for i in range(0, len(filled), ROWS_AT_ONCE)]
        return np.concatenate(blocks, axis=1)[:, :rows]

    def _block(self, block: Singles) -> Singles:
        hidden = np.broadcast_to(block, (len(self.weights[0]), *block.shape))
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if number:
                hidden = hidden * sigmoid(hidden)
            hidden = np.matmul(hidden, weight) + bias
        return hidden

    def arrays(self, name: str) -> dict[str, Singles]:
        """By keys that `from_arrays` reads."""
        pairs = zip(self.weights, self.biases, strict=True)
        return {f"{name}.{n}.{what}": a for n, both in enumerate(pairs) for what, a in zip("wb", both, strict=True)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]], name: str) -> SmallNets:
        """Inverse of `arrays`; KeyError for a name that is not there."""
        count = sum(key.startswith(f"{name}.") and key.endswith(".w") for key in arrays)
        if not count:
            raise KeyError(name)
        layers = [(arrays[f"{name}.{n}.w"], arrays[f"{name}.{n}.b"]) for n in range(count)]
        return cls(tuple(w for w, _ in layers), tuple(b for _, b in layers))


def sigmoid(x: Singles) -> Singles:
    """1 / (1 + exp(-x)), without overflow."""
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))  # type: ignore[no-any-return]
