"""Shrinkage constants from many measured curves: how a prior for `roboscale.stats.scaling` is estimated.

A prior that is tested on the curves it came from proves nothing: leave the tested group (task, robot, lab) out, with
`left_out`. Knows curves only; where they come from is the caller's to say in `source`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from roboscale.stats.scaling_forms import FORMS, Point, ScalingPrior, form_joint, reference_amount

__all__ = ["PriorEvidence", "estimate_prior", "prior_evidence"]

_MEANS = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5)
_SDS = (0.25, 0.4, 0.6)
_FLOOR_PROBABILITIES = (0.1, 0.25, 0.5, 0.75, 0.9)
_FLOOR_SHAPES = (1.0, 2.0, 4.0, 8.0)


class PriorEvidence:
    """How well each prior of a grid predicts each curve; computed once, summed over any subset of curves.

    Args:
        priors: the grid (H).
        log_evidence: log probability of the last point of each curve given its others, shape (H, curves).
    """

    def __init__(self, priors: Sequence[ScalingPrior], log_evidence: NDArray[np.float64]) -> None:
        self.priors, self.log_evidence = tuple(priors), log_evidence

    def best(self, left_out: Sequence[int] = (), source: str = "") -> ScalingPrior:
        """The prior that predicts best the curves that are not left out, by their position."""
        kept = np.ones(self.log_evidence.shape[1], bool)
        kept[list(left_out)] = False
        if not kept.any():
            raise ValueError("no curve is left to estimate a prior from")
        best = self.priors[int(np.argmax(self.log_evidence[:, kept].sum(axis=1)))]
        return ScalingPrior(
            exponent_mean=best.exponent_mean,
            exponent_sd=best.exponent_sd,
            floor_probability=best.floor_probability,
            floor_shape=best.floor_shape,
            source=source,
        )


def prior_evidence(curves: Sequence[Sequence[Point]], fitted: int | None = None) -> PriorEvidence:
    """Scores a grid of priors by predicting the far end of each curve from its start.

    Args:
        curves: points of each curve in any order; curves of fewer than `fitted` + 1 amounts say nothing.
        fitted: number of smallest amounts that are given; default all but the largest.

    Source: empirical Bayes on the predictive likelihood (Efron, Large-Scale Inference, 2010, chapter 1).
    """
    priors = _grid()
    weights = np.array([prior.weights().ravel() for prior in priors])
    columns = []
    for curve in curves:
        ordered = sorted(curve)
        given = ordered[: len(ordered) - 1 if fitted is None else fitted]
        if not given or len(given) == len(ordered):
            columns.append(np.zeros(len(priors)))
            continue
        reference = reference_amount(given)
        both, start = (_marginal(points, reference) for points in (ordered, given))
        columns.append(np.log(weights @ both) - np.log(weights @ start))
    return PriorEvidence(priors, np.array(columns).T)


def estimate_prior(curves: Sequence[Sequence[Point]], source: str = "", fitted: int | None = None) -> ScalingPrior:
    """The prior of a grid under which the far end of the curves is best predicted from their start.

    Raises:
        ValueError: no curves.
    """
    if not curves:
        raise ValueError("no curves to estimate a prior from")
    return prior_evidence(curves, fitted).best(source=source)


def _grid() -> list[ScalingPrior]:
    cells = product(_MEANS, _SDS, _FLOOR_PROBABILITIES, _FLOOR_SHAPES)
    return [
        ScalingPrior(exponent_mean=mean, exponent_sd=sd, floor_probability=probability, floor_shape=shape, source="")
        for mean, sd, probability, shape in cells
    ]


def _marginal(points: Sequence[Point], reference: float) -> NDArray[np.float64]:
    """Likelihood of the points by (exponent, floor), summed over forms, spreads and levels, shape (533,)."""
    marginal = np.sum([form_joint(form, points, reference).sum(axis=(0, 1)) for form in FORMS], axis=0)
    return np.asarray(marginal, float).ravel()
