"""Many rigid transforms at once, as arrays. What one transform is stands in `core.pose`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core import BadData, Pose, SpecMismatch
from roboscale.core.pose import rotation_matrices

__all__ = ["ROT6D", "Poses", "angles"]

Array = NDArray[np.float64]

ROT6D = tuple(f"rot6d_rows.{i}" for i in range(6))
"""Names of the elements of a rotation as the first two rows of its matrix."""


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """N transforms `a_from_b`: `rotation` (N, 3, 3) and `translation` (N, 3), metres."""

    rotation: Array
    translation: Array

    @classmethod
    def make(cls, translation: ArrayLike, rotation: ArrayLike, layout: str, where: object = "poses") -> Poses:
        """From translations (N, 3) in metres and rotations (N, k) in a layout of `core.LAYOUTS`.

        Args:
            where: file, for errors.

        Raises:
            BadData: a row is not finite, or is no rotation.
        """
        metres = np.asarray(translation, np.float64).reshape(-1, 3)
        broken = np.flatnonzero(~np.isfinite(metres).all(axis=1))
        if len(broken):
            raise BadData(where, f"position in row {broken[0]}", "3 finite numbers", metres[broken[0]].tolist())
        try:
            return cls(rotation_matrices(rotation, layout), metres)
        except SpecMismatch as error:
            raise BadData(where, "rotation", f"a rotation in every row ({layout})", error) from error

    @classmethod
    def identity(cls, count: int) -> Poses:
        return cls(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))

    def __len__(self) -> int:
        return len(self.translation)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Poses:
        return Poses(self.rotation[rows], self.translation[rows])

    def __matmul__(self, other: Poses | Pose) -> Poses:
        turned = np.einsum("...ij,...j->...i", self.rotation, other.translation)
        return Poses(self.rotation @ other.rotation, turned + self.translation)

    def after(self, first: Pose) -> Poses:
        """`first @ each`: the same poses in the frame that `first` leads to."""
        return Poses(first.rotation @ self.rotation, self.translation @ first.rotation.T + first.translation)

    def inverse(self) -> Poses:
        turned = np.swapaxes(self.rotation, -1, -2)
        return Poses(turned, -np.einsum("nij,nj->ni", turned, self.translation))

    def apply(self, points: NDArray[np.float64]) -> Array:
        """Maps points (N, K, 3), those of row n by transform n."""
        return np.asarray(np.einsum("nij,nkj->nki", self.rotation, points) + self.translation[:, None])

    def relative(self, ahead: int) -> Poses:
        """(N - ahead) poses `inv(T_t) @ T_{t + ahead}`: what is ahead, as seen from each of them."""
        return self[: len(self) - ahead].inverse() @ self[ahead:]

    def elements(self) -> Array:
        """(N, 9): x, y, z, then the first two rows of the rotation matrix."""
        return np.concatenate([self.translation, self.rotation[:, :2].reshape(-1, 6)], axis=1)

    def distances(self, other: Poses) -> tuple[Array, Array]:
        """Metres (N,) and radians (N,) between two of each."""
        metres = np.linalg.norm(self.translation - other.translation, axis=1)
        return metres, angles(np.swapaxes(self.rotation, -1, -2) @ other.rotation)


def angles(rotation: Array) -> Array:
    """(N,) radians by which rotations (N, 3, 3) turn; exact for small ones, where a cosine is not."""
    skew = rotation - np.swapaxes(rotation, -1, -2)
    sine = np.sqrt(skew[:, 0, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 2] ** 2) / 2
    return np.asarray(np.arctan2(sine, (np.trace(rotation, axis1=1, axis2=2) - 1) / 2))
