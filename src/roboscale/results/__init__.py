"""What others tried: tables of trials, counts or comparisons, LeRobot's and RoboArena's own files.

So that people use the statistics without adopting the rest. Knows columns by the names that people give them; a value
that it cannot understand is an error with file, row and what was expected, never a failure of a policy.
"""

from roboscale.results.columns import COLUMNS
from roboscale.results.nouns import Comparison, Results, Trained
from roboscale.results.read import read_results
from roboscale.results.trained import TrainedTable, read_trained, trained_table

__all__ = [
    "COLUMNS",
    "Comparison",
    "Results",
    "Trained",
    "TrainedTable",
    "read_results",
    "read_trained",
    "trained_table",
]
