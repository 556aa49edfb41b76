"""Referees: who says how a trial went. Rules watch while it runs; people judge afterwards, and detectors propose."""

from roboscale.referees.detectors import (
    Detector,
    PictureClassifier,
    Proposal,
    SeenTrial,
    SightDetector,
    ThresholdDetector,
)
from roboscale.referees.person import Person
from roboscale.referees.rules import Settled, SuccessReferee, referee_for, referee_named

__all__ = [
    "Detector",
    "Person",
    "PictureClassifier",
    "Proposal",
    "SeenTrial",
    "Settled",
    "SightDetector",
    "SuccessReferee",
    "ThresholdDetector",
    "referee_for",
    "referee_named",
]
