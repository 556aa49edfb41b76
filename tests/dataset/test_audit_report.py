"""The audit as a whole: any recording, other processes, broken folders, leaks, and real recordings."""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Finding, Span, Spec, write_episode
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import CHECKS, AuditReport, audit, audit_files, audit_folder, film_strips
from roboscale.dataset.audit.duplicates import judge_duplicates
from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine_episode
from roboscale.dataset.audit.roles import infer_roles
from roboscale.dataset.audit.run import judge
from roboscale.dataset.lerobot import load_folder, open_lerobot
from roboscale.testing.recording_checks import check_recording
from tests.defects.planted import DEFECTS, clean
from tests.defects.planting import edit_columns

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[3] / "shared/data"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean(tmp_path_factory.mktemp("plain") / "set", "no-camera")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean(tmp_path_factory.mktemp("filmed") / "set", "joint")


def test_the_table_of_checks_is_in_order():
    for name, check in CHECKS.items():
        assert name == check.name and name == name.lower() and " " not in name
        assert check.severity in ("error", "warning", "info")
        assert check.meaning.endswith(".")
        check.repair.format(root="r", episodes="1")


def test_a_report_survives_json():
    finding = Finding(
        "spikes",
        "warning",
        "x",
        episodes=(1, 2),
        field="action",
        spans=(Span(1, 2, 3),),
        evidence={"a": [1]},
        repair="roboscale data",
    )
    report = AuditReport(
        root="r",
        format="zarr",
        episodes=2,
        frames=100,
        pictures=24,
        rate_hz=20.0,
        checked=("spikes",),
        skipped={"a": "b"},
        facts={"c": 1},
        findings=(finding,),
    )
    assert AuditReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert report.fails("warning") and report.fails("info") and not report.fails("error")
    assert (report.count("error"), report.count("warning")) == (0, 1)


def test_the_tolerant_recording_keeps_the_promises_of_recordings(filmed: Path):
    check_recording(open_lerobot(filmed, lenient=True))


def test_other_processes_find_the_same(filmed: Path):
    opener = functools.partial(open_lerobot, filmed, lenient=True)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        spread = audit(open_lerobot(filmed, lenient=True), opener=opener, run=pool.map)
    seen: list[tuple[int, int]] = []
    alone = audit(open_lerobot(filmed, lenient=True), progress=lambda done, total: seen.append((done, total)))
    assert spread.to_json() == alone.to_json()
    assert seen == [(n, 8) for n in range(1, 9)]


def test_without_pictures_it_says_so(filmed: Path):
    report = audit_folder(filmed, images=False)
    assert report.pictures == 0 and "frozen-camera" in report.skipped and not report.findings


def test_leaked_episodes_are_found_however_they_are_packed(plain: Path, tmp_path: Path):
    other = clean(tmp_path / "other", "no-camera", seed=7)
    assert not audit_folder(plain, against=[open_lerobot(other, lenient=True)]).findings
    mixed = tmp_path / "mixed"
    shutil.copytree(other, mixed)

    def leak(arrays: dict[str, np.ndarray]) -> None:
        source = open_lerobot(plain, lenient=True).read("episode_000003").arrays
        rows = np.flatnonzero(arrays["episode_index"] == 5)
        length = min(len(rows), len(source["action"]))
        for name in ("action", "observation.state"):
            arrays[name][rows[:length]] = source[name][:length]

    edit_columns(mixed, leak)
    (finding,) = audit_folder(plain, against=[open_lerobot(mixed, lenient=True)]).findings
    assert finding.check == "leaked-episode" and finding.episodes == (3,)
    assert finding.evidence["pairs"] == [[3, 5]]


def evidence_of(root: Path) -> tuple[Spec, list[EpisodeEvidence]]:
    recording = open_lerobot(root, lenient=True)
    items = enumerate(recording.keys)
    return recording.spec, [examine_episode(recording, item, Options(images=False)) for item in items]


def test_members_of_a_pool_that_differ_in_unit(plain: Path):
    """Half of the pool in degrees: neither half is the odd one by number, so the labels have to tell."""
    spec, evidence = evidence_of(plain)
    pooled = []
    for one in evidence:
        half = one.position % 2
        factor = np.array([57.2958] * 5 + [1.0]) if half else np.ones(6)
        fields = {n: replace(f, square=f.square * factor**2) if f.square.size else f for n, f in one.fields.items()}
        pooled.append(replace(one, member=f"part {half}", fields=fields))
    found = [f for f in judge(pooled, spec) if f.check == "unit-mismatch"]
    assert {f.field for f in found} == {"action", "observation.state"}
    assert len(found[0].episodes) == 4 and "57.3" in found[0].text
    assert [f for f in judge(evidence, spec) if f.check == "unit-mismatch"] == []


def test_thousands_of_episodes_are_compared_without_all_pairs(plain: Path):
    spec, evidence = evidence_of(plain)
    rng = np.random.default_rng(0)
    many = []
    for i in range(4000):
        one = evidence[i % 8]
        fields = {
            n: replace(f, course=f.course + rng.normal(size=f.course.shape).astype(np.float32))
            for n, f in one.fields.items()
        }
        sketch = np.sort(rng.integers(0, 2**63, 32).astype(np.uint64))
        many.append(replace(one, position=i, fields=fields, sketch=sketch))
    many[3999] = replace(many[17], position=3999)
    begin = time.process_time()
    (finding,) = judge_duplicates(many, spec, infer_roles(spec, [], {}))
    assert finding.episodes == (3999,) and finding.evidence["pairs"] == [[17, 3999]]
    assert time.process_time() - begin < 5, "eight million pairs were compared"


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"codebase_version": "v3.0"}', '{"codebase_version": 3}'])
def test_a_broken_info_is_reported(plain: Path, tmp_path: Path, broken: str):
    root = tmp_path / "set"
    shutil.copytree(plain, root)
    (root / "meta/info.json").write_text(broken)
    report = audit_folder(root)
    assert "info-broken" in {f.check for f in report.findings} and report.fails("error")


def test_a_folder_of_nothing_is_reported(tmp_path: Path):
    assert audit_folder(tmp_path / "nowhere").fails("error")


def test_mutated_files_never_raise(filmed: Path, tmp_path: Path):
    rng = np.random.default_rng(4)
    files = sorted(p.relative_to(filmed) for p in filmed.rglob("*") if p.is_file() and p.stat().st_size)
    for number in range(16):
        root = tmp_path / str(number)
        shutil.copytree(filmed, root)
        path = root / files[number % len(files)]
        data = bytearray(path.read_bytes())
        if number % 2:
            data = data[: int(rng.integers(len(data)))]
        for place in rng.integers(0, max(1, len(data)), 4):
            if len(data):
                data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        report = audit_folder(root)
        json.dumps(report.to_json())
        shutil.rmtree(root)


def test_metadata_alone(plain: Path, tmp_path: Path):
    assert audit_files(load_folder(plain)[0]) == []
    root = tmp_path / "set"
    shutil.copytree(plain, root)
    DEFECTS["orphan-rows"].plant(root, np.random.default_rng(0))
    assert [f.check for f in audit_files(load_folder(root)[0])] == ["orphan-rows"]


def test_a_missing_column_of_the_episode_table_is_reported(plain: Path, tmp_path: Path):
    import pyarrow.parquet as pq

    root = tmp_path / "set"
    shutil.copytree(plain, root)
    path = next((root / "meta/episodes").glob("*/*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns(["dataset_from_index"]), path)
    assert "episode-columns" in {f.check for f in audit_folder(root).findings}


def test_film_strips_show_the_episode_and_another(filmed: Path, tmp_path: Path):
    root = tmp_path / "set"
    shutil.copytree(filmed, root)
    DEFECTS["black-camera"].plant(root, np.random.default_rng(0))
    report = audit_folder(root)
    strips = film_strips(open_lerobot(root, lenient=True), report)
    (pair,) = strips.values()
    assert [caption.split(",")[0] for caption, _ in pair] == ["episode 4", "episode 0"]
    assert pair[0][1].shape == (6, 48, 64, 3) and pair[0][1].min(axis=(1, 2, 3)).min() == 0


def real(name: str, **options: float) -> AuditReport:
    if not (DATA / name).exists():
        pytest.skip(f"no {name} under {DATA}")
    from roboscale.sources.records import open_recording

    return audit(open_recording(DATA / name, **options))


def test_a_real_humanoid_dataset():
    report = real("lerobot_v21_g1")
    found = {f.check: f for f in report.findings}
    assert {"names-nested", "missing-quantiles", "missing-video"} <= set(found)
    assert len(found["missing-video"].episodes) == 96
    assert (report.episodes, report.frames) == (100, 35965)
    assert report.facts["delay from action to motion"]["action"]["correlation"] > 0.7
    noisy = {"idle-lead", "near-duplicate", "action-ignored", "not-finite", "spikes", "gripper-sign", "unit-mismatch"}
    assert not noisy & set(found), "what nobody has seen in it"


def test_a_real_bridge_sample():
    found = {f.check: f for f in real("rlds_bridge", fps=5).findings}
    assert "has-image-contradicts" in found
    assert len(found["has-image-contradicts"].episodes) == 25, "one finding for all records"
    assert "black-camera" not in found, "the reader said already that it is a placeholder"


def test_a_recorder_that_was_killed_before_its_first_seal(plain: Path, tmp_path: Path):
    root = tmp_path / "set"
    dataset = Dataset(plain)
    with DatasetWriter(tmp_path / "other", dataset.spec) as writer:
        write_episode(writer, dataset.episode(0))
        shutil.copytree(tmp_path / "other", root, ignore=shutil.ignore_patterns("lock"))
    report = audit_folder(root)
    assert {f.check for f in report.findings} == {"unsealed-episodes", "licence-missing"}
    assert report.findings[0].repair == f"roboscale data fix {root}"


def test_true_or_false_columns_have_statistics_too(tmp_path):
    """LeRobot writes them of next.done; they are no reason to fall over."""
    from roboscale.dataset.audit.tables import _wrong_of_episode
    from roboscale.dataset.statistics import summary

    done = np.arange(20)[:, None] == 19
    claim = {name: np.asarray(value).tolist() for name, value in summary(done.astype(np.float64)).items()}
    assert _wrong_of_episode(claim, done) is None
    wrong = _wrong_of_episode({**claim, "mean": [0.9]}, done)
    assert wrong is not None and wrong[0] == ("mean",) and "mean is 0.9, the data's 0.05" in wrong[1]
