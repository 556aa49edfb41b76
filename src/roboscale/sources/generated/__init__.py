"""Videos that a model made of recorded ones: what it is asked, in a folder, and what must hold before one is kept."""

from roboscale.sources.generated.checks import GeneratedCheck, check_generated
from roboscale.sources.generated.folder import AugmentationJob, GeneratedVideo, ask_worker, write_job
from roboscale.sources.generated.inverse_dynamics import InverseDynamics, fit_inverse_dynamics

__all__ = [
    "AugmentationJob",
    "GeneratedCheck",
    "GeneratedVideo",
    "InverseDynamics",
    "ask_worker",
    "check_generated",
    "fit_inverse_dynamics",
    "write_job",
]
