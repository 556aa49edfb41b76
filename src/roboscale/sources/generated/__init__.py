"""Videos that a model made, of recorded ones or of none: what it is asked, and what must hold before one is kept."""

from roboscale.sources.generated.checks import LEAST_SKILL, GeneratedCheck, check_generated
from roboscale.sources.generated.dreams import LEAST_LIKENESS, Dream, DreamReader, ReadActions, likeness, read_dream
from roboscale.sources.generated.folder import AugmentationJob, GeneratedVideo, ask_worker, write_job
from roboscale.sources.generated.inverse_dynamics import InverseDynamics, fit_inverse_dynamics

__all__ = [
    "LEAST_LIKENESS",
    "LEAST_SKILL",
    "AugmentationJob",
    "Dream",
    "DreamReader",
    "GeneratedCheck",
    "GeneratedVideo",
    "InverseDynamics",
    "ReadActions",
    "ask_worker",
    "check_generated",
    "fit_inverse_dynamics",
    "likeness",
    "read_dream",
    "write_job",
]
