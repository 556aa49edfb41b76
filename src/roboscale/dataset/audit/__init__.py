"""Does a dataset hold what it claims, and can it be trained on? Every check is in `CHECKS`."""

from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine
from roboscale.dataset.audit.files import audit_files
from roboscale.dataset.audit.report import AuditReport
from roboscale.dataset.audit.run import audit, audit_folder, judge
from roboscale.dataset.audit.strips import film_strips
from roboscale.dataset.checks import CHECKS, Check

__all__ = [
    "CHECKS",
    "AuditReport",
    "Check",
    "EpisodeEvidence",
    "Options",
    "audit",
    "audit_files",
    "audit_folder",
    "examine",
    "film_strips",
    "judge",
]
