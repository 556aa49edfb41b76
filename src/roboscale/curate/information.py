"""Demonstrations whose actions can be told from their states, and that differ among each other.

Mutual information of state and action, estimated per frame and averaged over an episode: high where states are diverse
and the action is a function of the state, low where the operator dithers, is late or does something else.

Source: DemInf, Hejna et al. 2025 (arXiv:2502.08623); the estimator is the first of Kraskov, Stögbauer and Grassberger,
Phys. Rev. E 69, 066138 (2004). Theirs works on embeddings of variational autoencoders; here states and chunks of
actions are reduced by principal components, so pictures are not read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from roboscale.core import RoboscaleError, generator
from roboscale.curate.method import EpisodeView, Scored

__all__ = ["InformationMethod", "information_per_row"]

CHUNK = 4  # steps of an action chunk
COMPONENTS = 8  # of states, and of chunks: neighbours of many dimensions are all equally far
NEIGHBOURS = (5, 6, 7)  # the paper's; their mean is steadier than any one
BATCH = 1024  # rows that are each other's neighbours; the paper's
ROUNDS = 4  # every row is in that many batches


class InformationMethod:
    """See the module."""

    name = "information"
    paper = "DemInf (arXiv:2502.08623), with principal components in place of its autoencoders"
    assumes = "good demonstrators do similar things in similar states; pictures are not read"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Mean information of an episode's frames in nats, among the frames of its instruction.

        RoboscaleError where an instruction has fewer frames than neighbours are asked for.
        """
        scores: dict[int, Scored] = {}
        for instruction in dict.fromkeys(view.instruction for view in views):
            mine = [i for i, view in enumerate(views) if view.instruction == instruction]
            states = np.concatenate([views[i].states for i in mine])
            if len(states) <= 2 * NEIGHBOURS[-1]:
                raise RoboscaleError(f"information: {instruction!r} has {len(states)} frames, too few for neighbours")
            chunks = np.concatenate([_chunks(views[i].actions) for i in mine])
            rows = _mean_over_batches(_principal(states), _principal(chunks), seed)
            ends = np.cumsum([len(views[i]) for i in mine])
            for i, part in zip(mine, np.split(rows, ends[:-1]), strict=True):
                scores[i] = Scored(score=float(part.mean()), reason=f"{part.mean():.2f} nats a frame")
        return [scores[i] for i in range(len(views))]


def information_per_row(x: NDArray[np.float64], y: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(N,) each row's share of the mutual information of x (N, P) and y (N, Q) in nats; their mean is the estimate.

    psi(k) + psi(N) - psi(n_x + 1) - psi(n_y + 1), where n_x counts the other rows that are nearer in x alone than the
    k-th neighbour is in (x, y), by the largest difference of any coordinate.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2000, 1))
    >>> y = 0.8 * x + 0.6 * rng.normal(size=(2000, 1))  # correlation .8: information -log(1 - .64) / 2 = .51 nats
    >>> round(float(information_per_row(x, y, 5).mean()), 1)
    0.5
    """
    both = np.concatenate([x, y], axis=1)
    reach = cKDTree(both).query(both, k=k + 1, p=np.inf)[0][:, -1]
    inside = np.nextafter(reach, 0)  # strictly nearer than the k-th neighbour
    near_x = cKDTree(x).query_ball_point(x, inside, p=np.inf, return_length=True) - 1
    near_y = cKDTree(y).query_ball_point(y, inside, p=np.inf, return_length=True) - 1
    shares = digamma(k) + digamma(len(x)) - digamma(near_x + 1) - digamma(near_y + 1)
    return np.asarray(shares, np.float64)


def _chunks(actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, CHUNK * A) the actions from each frame on; the last one is held beyond the end."""
    steps = np.minimum(np.arange(len(actions))[:, None] + np.arange(CHUNK), len(actions) - 1)
    chunks: NDArray[np.float64] = actions[steps].reshape(len(actions), -1)
    return chunks


def _principal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = columns - columns.mean(axis=0)
    if centred.shape[1] <= COMPONENTS:
        return centred
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    reduced: NDArray[np.float64] = centred @ directions[:COMPONENTS].T
    return reduced


def _mean_over_batches(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    rng = generator("information", seed)
    total = np.zeros(len(x))
    for _ in range(ROUNDS):
        order = rng.permutation(len(x))
        for rows in np.array_split(order, max(1, len(x) // BATCH)):
            total[rows] += np.mean([information_per_row(x[rows], y[rows], k) for k in NEIGHBOURS], axis=0)
    mean: NDArray[np.float64] = total / ROUNDS
    return mean
