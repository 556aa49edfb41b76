"""Episodes on disk, in the LeRobotDataset v3.0 format: durable while recording, exact statistics, random access."""

from roboscale.dataset.attempts import Attempt, AttemptLog, pool_attempts
from roboscale.dataset.edits import Excerpt
from roboscale.dataset.elsewhere import RecordingProcess, TakeElsewhere
from roboscale.dataset.fix.repair import RepairReport, repair
from roboscale.dataset.journal import DatasetInUse
from roboscale.dataset.lerobot.catalog import EpisodeInfo
from roboscale.dataset.reader import Dataset
from roboscale.dataset.statistics import Statistics
from roboscale.dataset.writer import DatasetTake, DatasetWriter, takes_apart

__all__ = [
    "Attempt",
    "AttemptLog",
    "Dataset",
    "DatasetInUse",
    "DatasetTake",
    "DatasetWriter",
    "EpisodeInfo",
    "Excerpt",
    "RecordingProcess",
    "RepairReport",
    "Statistics",
    "TakeElsewhere",
    "pool_attempts",
    "repair",
    "takes_apart",
]
