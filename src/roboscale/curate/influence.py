"""Which demonstrations made a policy succeed where it did: influence on its own rollouts.

A demonstration that were learned from a little more would move the weights against the gradient of its loss; a rollout
that succeeded becomes likelier if that is also against the gradient of its own. The product of both, through the
curvature of the demonstrations, weighted by how the rollouts ended, is what the demonstration did for success.

Source: CUPID, Agia et al. 2025 (arXiv:2506.19121), its performance influence; gradients are projected at random and
the curvature is their Gram matrix, as in TRAK (arXiv:2303.14186). Of the rollouts' outcomes the mean is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError
from roboscale.curate.method import EpisodeView, Learner, Scored

__all__ = ["InfluenceMethod", "Rollout"]

DAMPING = 10.0  # times the mean eigenvalue of the Gram matrix: less was worse on planted data (docs/lab-notes.md)
FEWEST = 4  # rollouts


@dataclass(frozen=True, slots=True)
class Rollout:
    """The gradient (T, P) of the policy's loss at each frame of a rollout, on what it did itself, and how it ended."""

    gradients: NDArray[np.float32]
    succeeded: bool


class InfluenceMethod:
    """See the module.

    Args:
        learner: the policy that was trained on these demonstrations.
        rollouts: of the same policy, some that succeeded and some that failed.
    """

    name = "influence"
    paper = "CUPID (arXiv:2506.19121), gradients projected as in TRAK (arXiv:2303.14186)"
    assumes = "the policy learned from these demonstrations, and the rollouts' outcomes are right"
    outcomes = False

    def __init__(self, learner: Learner, rollouts: Sequence[Rollout]) -> None:
        succeeded = sum(one.succeeded for one in rollouts)
        if len(rollouts) < FEWEST or succeeded in (0, len(rollouts)):
            raise RoboscaleError(
                f"influence: expected {FEWEST} rollouts or more, some that succeeded and some that failed; found "
                f"{len(rollouts)}, of which {succeeded} succeeded"
            )
        self.learner = learner
        self._rollouts = list(rollouts)

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """What each demonstration did for the rollouts that succeeded, less what it did for those that failed."""
        if any(view.gradients is None for view in views):
            raise RoboscaleError("influence: an episode comes without gradients of the policy")
        rows = [np.asarray(view.gradients, np.float64) for view in views]
        means = np.stack([one.mean(axis=0) for one in rows])
        everything = np.concatenate(rows)
        gram = everything.T @ everything / len(everything)
        gram += DAMPING * np.trace(gram) / len(gram) * np.eye(len(gram))
        outcomes = np.array([one.succeeded for one in self._rollouts], np.float64)
        tried = np.stack([np.asarray(one.gradients, np.float64).mean(axis=0) for one in self._rollouts])
        wanted = (outcomes - outcomes.mean()) @ tried / len(outcomes)
        scores = means @ np.linalg.solve(gram, wanted)
        place = np.argsort(np.argsort(-scores)) + 1
        return [
            Scored(score=float(s), reason=f"influence on success {s:+.3g}, number {p} of {len(scores)}")
            for s, p in zip(scores, place, strict=True)
        ]
