"""What trials allow to say. Pure functions on counts: no I/O, no knowledge of how a trial was run."""

from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.differences import paired_difference, paired_difference_sequence
from roboscale.stats.paired import PairCounts, count_pairs, exact_paired_test, fixed_sample_power
from roboscale.stats.proportions import (
    WorstCase,
    beta_confidence_sequence,
    beta_posterior,
    clopper_pearson,
    jeffreys,
    wilson,
    worst_case_bounds,
)
from roboscale.stats.sequential import EProcessPaired, SequentialPaired
from roboscale.stats.verdicts import paired_verdict
from roboscale.stats.walk import (
    Boundary,
    Operating,
    boundary,
    expected_pairs,
    naive_peeking_error,
    stopping_table,
    type_one_error,
)

__all__ = [
    "Boundary",
    "EProcessPaired",
    "Operating",
    "PairCounts",
    "SequentialPaired",
    "WorstCase",
    "beta_confidence_sequence",
    "beta_posterior",
    "boundary",
    "bounded_mean_sequence",
    "clopper_pearson",
    "count_pairs",
    "exact_paired_test",
    "expected_pairs",
    "fixed_sample_power",
    "jeffreys",
    "naive_peeking_error",
    "paired_difference",
    "paired_difference_sequence",
    "paired_verdict",
    "stopping_table",
    "type_one_error",
    "wilson",
    "worst_case_bounds",
]
