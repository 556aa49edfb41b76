"""What others tried: tables of trials, counts or comparisons, LeRobot's and RoboArena's own files.

So that people use the statistics without adopting the rest. Knows columns by the names that people give them; a value
that it cannot understand is an error with file, row and what was expected, never a failure of a policy.
"""

from roboscale.results.cases import is_running_number
from roboscale.results.joining import join_results
from roboscale.results.names import COLUMNS
from roboscale.results.nouns import (
    PREFERENCE_OUTCOMES,
    Comparison,
    Preferences,
    Results,
    Trained,
    TrialColumns,
    by_name,
)
from roboscale.results.read import read_results
from roboscale.results.reading import AS_THEY_ARE, LeftOut, ReadOptions, ResultsReading, TableColumn, TableReading
from roboscale.results.trained import TrainedTable, read_trained, trained_table

__all__ = [
    "AS_THEY_ARE",
    "COLUMNS",
    "PREFERENCE_OUTCOMES",
    "Comparison",
    "LeftOut",
    "Preferences",
    "ReadOptions",
    "Results",
    "ResultsReading",
    "TableColumn",
    "TableReading",
    "Trained",
    "TrainedTable",
    "TrialColumns",
    "by_name",
    "is_running_number",
    "join_results",
    "read_results",
    "read_trained",
    "trained_table",
]
