"""Tables, figures and one self-contained page from what the other rooms found. Reads nothing from disk.

Only the nouns are imported here; `roboscale.report.html` and `roboscale.report.figures` pull in matplotlib.
"""

from roboscale.report.model import (
    Camera,
    Clip,
    DamageSummary,
    DatasetSummary,
    FilmStrip,
    Method,
    PairedVideo,
    PolicyResult,
    ReportData,
    SourceCount,
    Spread,
    TaskCount,
    TaskResult,
    TrainingCurve,
    VoidTrial,
)
from roboscale.report.tables import Table

__all__ = [
    "Camera",
    "Clip",
    "DamageSummary",
    "DatasetSummary",
    "FilmStrip",
    "Method",
    "PairedVideo",
    "PolicyResult",
    "ReportData",
    "SourceCount",
    "Spread",
    "Table",
    "TaskCount",
    "TaskResult",
    "TrainingCurve",
    "VoidTrial",
]
