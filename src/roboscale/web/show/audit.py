"""Findings of an audit, sorted by the episode they concern, for a timeline. Runs no check itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from roboscale.core.errors import BadData
from roboscale.core.recording import Finding, Severity
from roboscale.dataset.layout import load_json

__all__ = ["SEVERITIES", "Findings"]

SEVERITIES: tuple[str, ...] = get_args(Severity)  # the gravest first
_EVIDENCE = 2000  # characters of evidence that the page shows


class Findings:
    """The findings of one audit of one dataset.

    Args:
        file: `{"findings": [...]}` as `Finding.to_json` writes them; `None` when nobody audited.
        episodes: how many the dataset has.

    Raises:
        BadData: the file is broken, or speaks of an episode that is not there.
    """

    def __init__(self, file: Path | None, episodes: int) -> None:
        self.audited = file is not None
        self._all = _read(file, episodes) if file is not None else []
        self._by_episode: dict[int, list[int]] = defaultdict(list)
        for number, finding in enumerate(self._all):
            for episode in sorted({*finding.episodes, *(span.episode for span in finding.spans)}):
                self._by_episode[episode].append(number)

    def __len__(self) -> int:
        return len(self._all)

    def whole(self) -> list[dict[str, Any]]:
        """Findings that concern no single episode; JSON types."""
        return [_plain(finding) for finding in self._all if not finding.episodes and not finding.spans]

    def of(self, episode: int) -> list[dict[str, Any]]:
        """Findings of one episode, with its spans only, the gravest first; JSON types."""
        findings = [self._all[number] for number in self._by_episode.get(episode, ())]
        findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
        return [
            {**_plain(f), "spans": [{"first": s.first, "last": s.last} for s in f.spans if s.episode == episode]}
            for f in findings
        ]

    def severity(self, episode: int) -> str:
        """Of the gravest finding of an episode; empty where there is none."""
        ranks = [SEVERITIES.index(self._all[number].severity) for number in self._by_episode.get(episode, ())]
        return SEVERITIES[min(ranks)] if ranks else ""

    def score(self, episode: int) -> float | None:
        """What a selection gave an episode; `None` where none did."""
        for number in self._by_episode.get(episode, ()):
            said = self._all[number].evidence.get("selection score")
            if isinstance(said, float | int):
                return float(said)
        return None


def _plain(finding: Finding) -> dict[str, Any]:
    evidence = json.dumps(finding.evidence, ensure_ascii=False) if finding.evidence else ""
    if len(evidence) > _EVIDENCE:
        evidence = evidence[:_EVIDENCE] + "…"
    return {
        "check": finding.check,
        "severity": finding.severity,
        "text": finding.text,
        "field": finding.field,
        "evidence": evidence,
        "repair": finding.repair,
        "spans": [],
    }


def _read(file: Path, episodes: int) -> list[Finding]:
    items = load_json(file).get("findings")
    if not isinstance(items, list):
        raise BadData(file, "findings", "a list", type(items).__name__)
    return [_finding(file, f"findings[{number}]", item, episodes) for number, item in enumerate(items)]


def _finding(file: Path, where: str, item: Any, episodes: int) -> Finding:
    if not isinstance(item, Mapping):
        raise BadData(file, where, "an object", type(item).__name__)
    try:
        finding = Finding.from_json(item)
    except (TypeError, ValueError) as error:
        raise BadData(file, where, "a finding", error) from error
    texts = (finding.check, finding.text, finding.field, finding.repair)
    if not all(isinstance(text, str) for text in texts) or finding.severity not in SEVERITIES:
        raise BadData(file, where, f"texts and a severity of {', '.join(SEVERITIES)}", finding.severity)
    for span in finding.spans:
        if not all(type(n) is int for n in (span.first, span.last)) or not 0 <= span.first <= span.last:
            raise BadData(file, f"{where}.spans", "first and last frame, rising from 0", [span.first, span.last])
    for episode in (*finding.episodes, *(span.episode for span in finding.spans)):
        if type(episode) is not int or not 0 <= episode < episodes:
            raise BadData(file, f"{where}.episodes", f"positions below {episodes}", episode)
    return finding
