"""Does a dataset hold what it claims, and can it be trained on? Every check is in `CHECKS`."""

from roboscale.dataset.audit.checks import CHECKS, Check
from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine
from roboscale.dataset.audit.recording import V3Recording
from roboscale.dataset.audit.report import AuditReport
from roboscale.dataset.audit.run import audit, audit_folder, judge
from roboscale.dataset.audit.strips import film_strips
from roboscale.dataset.audit.v3 import audit_v3, is_v3

__all__ = [
    "CHECKS",
    "AuditReport",
    "Check",
    "EpisodeEvidence",
    "Options",
    "V3Recording",
    "audit",
    "audit_folder",
    "audit_v3",
    "examine",
    "film_strips",
    "is_v3",
    "judge",
]
