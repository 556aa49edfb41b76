"""Tables, figures and self-contained pages from what the other rooms found. Reads nothing from disk.

One engine (`roboscale.report.page`) makes every page: `report_page` in `trials`, `audit_page` in `audit`, `proof_page`
in `proof`, `board_page` in `board`, `validity_page` in `validity`, `plan_page` in `plan`, `runs_page` in `runs`. Only
the plain data are imported here; the pages pull in matplotlib and scipy.
"""

from roboscale.report.model import (
    Behaviour,
    CorrectedJudgement,
    DatasetCamera,
    DatasetSummary,
    DetectorAgreement,
    DivergenceCurve,
    FilmedCase,
    FilmedTrial,
    FilmOrigin,
    FilmStrip,
    ImaginedReplays,
    MeasureSummary,
    PolicyResult,
    ReasonCount,
    ReportData,
    RoundResult,
    ScorerAgreement,
    SourceCount,
    TaskCount,
    TaskResult,
    TrainingCurve,
    VoidOverlap,
    VoidTrial,
)
from roboscale.report.tables import Table

__all__ = [
    "Behaviour",
    "CorrectedJudgement",
    "DatasetCamera",
    "DatasetSummary",
    "DetectorAgreement",
    "DivergenceCurve",
    "FilmOrigin",
    "FilmStrip",
    "FilmedCase",
    "FilmedTrial",
    "ImaginedReplays",
    "MeasureSummary",
    "PolicyResult",
    "ReasonCount",
    "ReportData",
    "RoundResult",
    "ScorerAgreement",
    "SourceCount",
    "Table",
    "TaskCount",
    "TaskResult",
    "TrainingCurve",
    "VoidOverlap",
    "VoidTrial",
]
