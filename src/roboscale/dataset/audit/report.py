"""What an audit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roboscale.core import Finding, Severity
from roboscale.core.plain import Plain
from roboscale.dataset.audit.operators import operator_lines
from roboscale.dataset.checks import CHECKS, SEVERITIES

__all__ = ["AuditReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport(Plain):
    """Findings, and what was looked at to get them.

    Args:
        root: what was audited.
        format: as in `Recording.format`.
        episodes, frames: how many were read.
        pictures: how many were decoded.
        rate_hz: of the grid of frames.
        checked: names of the checks that could be made.
        skipped: check -> why it could not be made.
        facts: what was measured beside the findings, e.g. the delay from action to motion.
        findings: errors first.
    """

    root: str
    format: str
    episodes: int
    frames: int
    pictures: int
    rate_hz: float
    checked: tuple[str, ...]
    skipped: Mapping[str, str]
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        """One line on each person who drove; empty where nobody is named."""
        return tuple(operator_lines(self.facts.get("operators") or {}))

    def count(self, severity: Severity) -> int:
        return sum(f.severity == severity for f in self.findings)

    @property
    def meanings(self) -> dict[str, str]:
        """Check -> what it means, in the order in which they run."""
        return {name: check.meaning for name, check in CHECKS.items()}

    def fails(self, on: Severity) -> bool:
        """Whether anything as bad as `on`, or worse, was found."""
        return any(SEVERITIES.index(f.severity) <= SEVERITIES.index(on) for f in self.findings)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AuditReport:
        findings = tuple(Finding.from_json(f) for f in data["findings"])
        return cls(**{**data, "checked": tuple(data["checked"]), "findings": findings})
