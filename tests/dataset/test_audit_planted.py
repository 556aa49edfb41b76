"""Clean sets are silent, and planting changes one thing. What is planted is found and mended in
`tests/cli/test_repair_of_defects.py`, with one audit for both.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roboscale.dataset.audit import CHECKS, audit_folder
from roboscale.dataset.checks import POLICY
from tests.defects.clean_sets import KINDS
from tests.defects.planted import DEFECTS, clean


@pytest.fixture(scope="session")
def clean_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The clean set of a kind; made once, not to be changed."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = clean(tmp_path_factory.mktemp("clean") / kind, kind, seed=0)
        return made[kind]

    return get


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_clean_set_has_no_finding(kind: str, clean_set: Callable[[str], Path]):
    report = audit_folder(clean_set(kind))
    assert [f"{f.check}: {f.text}" for f in report.findings] == []
    assert report.episodes == 8 and report.frames > 400
    assert not {"action-ignored", "stats-wrong"} & set(report.skipped), "silent because it did not look"
    if KINDS[kind][0].images:
        assert report.pictures == 24 * 8 * len(KINDS[kind][0].images)


def test_spans_and_evidence_say_where_and_how_much(clean_set: Callable[[str], Path], tmp_path: Path):
    root = tmp_path / "dataset"
    shutil.copytree(clean_set("no-camera"), root)
    DEFECTS["slow-start"].plant(root, np.random.default_rng(0))
    (finding,) = audit_folder(root).findings
    assert [s.episode for s in finding.spans] == [2, 5]
    assert all(s.first == 0 and 38 <= s.last <= 46 for s in finding.spans)
    assert finding.repair == f"roboscale data fix {root} OUT --trim-idle"
    shutil.rmtree(root)
    shutil.copytree(clean_set("no-camera"), root)
    DEFECTS["action-early"].plant(root, np.random.default_rng(0))
    (finding,) = audit_folder(root).findings
    delays = dict(finding.evidence["plot"]["values"])
    assert abs(delays[5] - delays[0] - 7) <= 1, "planted seven frames later than the others"
    shutil.rmtree(root)
    shutil.copytree(clean_set("no-camera"), root)
    DEFECTS["spike"].plant(root, np.random.default_rng(0))
    (finding,) = audit_folder(root).findings
    assert [(s.episode, s.first) for s in finding.spans] == [(6, 33)]
    assert finding.evidence["spikes"][0]["dimension"] == "elbow"


def test_most_checks_have_a_defect_that_proves_them():
    unproved = set(CHECKS) - {d.check for d in DEFECTS.values()}
    elsewhere = {"total-videos", "codebase-version", "modality", "split-leak", "sign-flip", "video-sound"}
    elsewhere |= {"not-fetched", "file-elsewhere", "lance-layout", "task-imbalance", "distribution-shift"}
    elsewhere |= {"pretrain-only", "sigma-not-positive", "held-poses", "interpolated-poses"}  # of captured people
    elsewhere |= {"unreachable-poses", "too-fast-poses", "self-colliding-poses"}  # of an arm that follows them
    elsewhere |= {check.name for check in POLICY}
    assert unproved == elsewhere | {
        "no-episodes",
        "episode-columns",
        "not-readable",
        "episode-unreadable",
        "leaked-episode",
    }


def test_planting_changes_one_thing(clean_set: Callable[[str], Path], tmp_path: Path):
    """The metadata defects touch a single file."""
    before = {p.relative_to(clean_set("no-camera")): p.read_bytes() for p in _files(clean_set("no-camera"))}
    for name in ("too-many-frames", "wrong-std", "range-shifted", "data-cut-off", "sidecar-line-lost"):
        root = tmp_path / name
        shutil.copytree(clean_set("no-camera"), root)
        DEFECTS[name].plant(root, np.random.default_rng(0))
        after = {p.relative_to(root): p.read_bytes() for p in _files(root)}
        assert sum(before[p] != after.get(p) for p in before) == 1, name


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())
