"""How wrong quantiles were made is told from the episodes' own quantiles, as their writer rounded them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

import roboscale
from roboscale.dataset.audit.statistics import recipe
from roboscale.dataset.audit.tables import TableEvidence
from roboscale.dataset.statistics import QUANTILES, Statistics, summary
from tests.samples import lerobot as samples

ROWS = np.random.default_rng(3).normal(size=(3, 24, 2)) * [[[1.0, 1.0]], [[4.0, 1.0]], [[9.0, 2.0]]]


def ranked(rows: np.ndarray) -> dict[str, np.ndarray]:
    """As LeRobot takes them: an order statistic, far from numpy's between two of so few rows."""
    ordered = np.sort(rows, axis=0)
    return {q: ordered[max(0, int(np.floor(level * (len(rows) - 1))))] for q, level in QUANTILES.items()}


def evidence(said: bool) -> TableEvidence:
    own = tuple({"action": {q: np.array(summary(rows)[q]) for q in QUANTILES}} for rows in ROWS)
    claimed = tuple({"action": ranked(rows)} for rows in ROWS) if said else ({}, {}, {})
    return TableEvidence(path=Path("file-000.parquet"), quantiles=own, said=claimed, lengths=(24, 24, 24))


def test_means_of_what_the_episodes_say_are_a_convention_and_no_error():
    whole = Statistics.of(ROWS.reshape(-1, 2))
    claim = {q: np.mean([ranked(rows)[q] for rows in ROWS], axis=0).tolist() for q in QUANTILES}
    assert recipe("action", claim, whole, [evidence(said=True)]) == "quantiles-averaged"
    assert recipe("action", claim, whole, [evidence(said=False)]) == "quantiles-wrong"


def test_extremes_of_what_the_episodes_say_are_told_too():
    whole = Statistics.of(ROWS.reshape(-1, 2))
    parts = {q: [ranked(rows)[q] for rows in ROWS] for q in QUANTILES}
    claim = {q: (np.min if level <= 0.5 else np.max)(parts[q], axis=0).tolist() for q, level in QUANTILES.items()}
    assert recipe("action", claim, whole, [evidence(said=True)]) == "quantiles-envelope"


def test_a_set_that_another_writer_went_on_with_is_averaged_from_there():
    """LeRobot's `--resume` averages what it finds, our own quantiles of all rows, with those of each new episode."""
    begun, later = ROWS[:2].reshape(-1, 2), [*ROWS[2:], *ROWS[:1]]
    own = Statistics.of(begun)
    parts = [({q: own.quantile(level) for q, level in QUANTILES.items()}, len(begun))]
    parts += [(ranked(rows), len(rows)) for rows in later]
    frames = sum(n for _, n in parts)
    claim = {q: (sum(np.array(p[q]) * n for p, n in parts) / frames).tolist() for q in QUANTILES}
    whole_table = evidence(said=True)
    first = dataclasses.replace(whole_table, quantiles=whole_table.quantiles[:2])
    tables = [
        dataclasses.replace(first, said=first.said[:2], lengths=(24, 24), statistics={"action": own}),
        dataclasses.replace(first, said=tuple({"action": ranked(rows)} for rows in later), lengths=(24, 24)),
    ]
    whole = Statistics.of(np.concatenate([begun, *later]))
    assert recipe("action", claim, whole, tables) == "quantiles-averaged"
    claim["q90"] = [99.0, 99.0]
    assert recipe("action", claim, whole, tables) == "quantiles-wrong"


def test_quantiles_of_nobody_stay_wrong():
    whole = Statistics.of(ROWS.reshape(-1, 2))
    claim = {q: [20.0 * level, 1.0] for q, level in QUANTILES.items()}
    assert recipe("action", claim, whole, [evidence(said=True)]) == "quantiles-wrong"


def test_the_share_of_values_that_quantiles_leave_out_is_counted():
    values = np.concatenate([np.linspace(0, 1, 901), np.full(99, 5.0)])
    (histogram,) = Statistics.of(values[:, None]).histograms
    assert histogram.share_outside(0.0, 5.0) == 0
    assert abs(histogram.share_outside(0.0, 1.0) - 0.099) < 2e-3
    assert abs(histogram.share_outside(0.5, 1.0) - 0.549) < 2e-3
    assert histogram.share_outside(7.0, 9.0) >= 0.9
    assert histogram.share_outside(3.0, 2.0) == 1


def test_the_finding_says_what_share_lies_outside(tmp_path: Path):
    root = samples.write_v21(tmp_path / "set", episodes=3)
    out = tmp_path / "out"
    roboscale.import_dataset(roboscale.ImportDataset(source=root, out=out, workers=0))
    path = out / "meta/stats.json"
    stats = json.loads(path.read_text())
    middle = stats["action"]["q50"]
    stats["action"] |= {"q10": middle, "q01": middle}  # what lies below the median is outside
    path.write_text(json.dumps(stats))
    report = roboscale.audit_dataset(roboscale.AuditDataset(dataset=out, workers=0)).report
    (found,) = [one for one in report.findings if one.check.startswith("quantiles-")]
    assert "of values outside q01..q99" in found.text
    assert 0.3 < found.evidence["share outside q01 to q99"] < 0.6
