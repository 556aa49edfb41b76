"""A small share of `make fuzz`, and a proof that the harness can tell the verdicts apart."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.sources.records.formats import FORMATS

HERE = Path(__file__).parent
MUTANTS = 30


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(HERE / "fuzz_records.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def results() -> dict:
    done = run("--count", str(MUTANTS), "--json")
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_broken_recording_is_an_error_or_says_what_is_lost(results: dict, name: str):
    found = results[name]
    assert not found["failures"], json.dumps(found["failures"][:3], indent=2)
    assert sum(found["counts"].values()) == MUTANTS
    assert found["counts"].get("error", 0) > 0, "mutants that no reader minds are no test"


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import fuzz_mutants
    import fuzz_samples
    import fuzz_verdicts

    return fuzz_mutants, fuzz_verdicts, fuzz_samples


def test_every_format_has_a_sample(harness):
    assert list(harness[2].SAMPLES) == list(FORMATS)


def test_a_seed_names_one_mutant(harness, tmp_path):
    mutants = harness[0]
    (tmp_path / "a").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "b").write_text('{"shape": [3, 4], "dtype": "float32"}' * 9)
    files = [tmp_path / "a", tmp_path / "b"]
    kinds = set()
    for seed in range(200):
        first = mutants.mutate(files, seed)
        assert first == mutants.mutate(files, seed)
        kinds.add(first.kind)
    assert kinds == set(mutants.KINDS)


def reading(verdicts, *, length: int = 5, value: float = 0.0, dtype: str = "float32", said: str = ""):
    values = np.full((length, 2), value, dtype)
    return verdicts.Reading(
        {"action": ((2,), dtype)},
        10.0,
        {"a": verdicts.Episode(length, {"action": values}, {}, "push")},
        {said} if said else set(),
    )


@pytest.mark.parametrize(
    ("change", "checksummed", "verdict"),
    [
        ({}, True, "same"),
        ({"said": "truncated: ..."}, True, "same"),
        ({"length": 3, "said": "truncated: ..."}, True, "prefix"),
        ({"length": 3, "value": 1.0, "said": "truncated: ..."}, True, "changed-with-finding"),
        ({"length": 3}, False, "structure-silently"),
        ({"dtype": "float64"}, False, "structure-silently"),
        ({"dtype": "float64", "said": "declared: ..."}, False, "changed-with-finding"),
        ({"value": 1.0}, False, "changed-silently"),
        ({"value": 1.0}, True, "changed-despite-checksum"),
    ],
)
def test_verdicts(harness, change: dict, checksummed: bool, verdict: str):
    verdicts = harness[1]
    broken = reading(verdicts, **change)
    found, _ = verdicts.judge(reading(verdicts), broken, checksummed=checksummed, excuse="", names={"f.h5"})
    assert found == verdict


def test_what_no_reader_can_tell_is_counted_but_no_failure(harness):
    verdicts = harness[1]
    other = reading(verdicts, dtype="int32")
    for excuse, verdict in (
        ("dtype", "changed-silently"),
        ("absent", "structure-silently"),
        ("", "structure-silently"),
    ):
        assert verdicts.judge(reading(verdicts), other, checksummed=False, excuse=excuse, names=set())[0] == verdict
    both = reading(verdicts)
    both.episodes["b"] = both.episodes["a"]
    for excuse, verdict in (
        ("absent", "changed-silently"),
        ("dtype", "structure-silently"),
        ("", "structure-silently"),
    ):
        assert verdicts.judge(both, reading(verdicts), checksummed=False, excuse=excuse, names=set())[0] == verdict


def test_rows_that_change_episodes_are_excused_and_rows_that_go_are_not(harness):
    verdicts = harness[1]

    def recording(*lengths: int):
        episodes = {str(i): reading(verdicts, length=n).episodes["a"] for i, n in enumerate(lengths)}
        return verdicts.Reading({"action": ((2,), "float32")}, 10.0, episodes)

    for now, verdict in (((4, 6), "changed-silently"), ((4, 5), "structure-silently"), ((5,), "structure-silently")):
        found = verdicts.judge(recording(5, 5), recording(*now), checksummed=False, excuse="boundaries", names=set())
        assert found[0] == verdict


def test_only_a_file_that_alone_says_the_dtype_is_excused(harness, monkeypatch):
    import fuzz_records

    mutants, _, samples = harness
    found = {}
    for format, name in (("zarr", "sample/.zarray"), ("zarr", "sample/.zgroup"), ("rlds", "sample/features.json")):
        mutant = mutants.Mutant(Path(name), "claim", b"")
        found[name] = fuzz_records._excuse(mutant, samples.SAMPLES[format])
    assert found == {"sample/.zarray": "dtype", "sample/.zgroup": "", "sample/features.json": ""}
    ends = mutants.Mutant(Path("sample/meta/episode_ends/0"), "flip", b"")
    assert fuzz_records._excuse(ends, samples.SAMPLES["zarr"]) == "boundaries"
    assert fuzz_records._excuse(ends, samples.SAMPLES["umi-zarr"]) == ""
    flipped = mutants.Mutant(Path("sample/.zarray"), "flip", b"")
    assert fuzz_records._excuse(flipped, samples.SAMPLES["zarr"]) == ""


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (BadData("f.h5", "action", "2 values", "3"), "error"),
        (RoboscaleError("f.h5: it is of another robot"), "error"),
        (RoboscaleError("shapes differ"), "vague-error"),
    ],
)
def test_an_error_must_say_which_file(harness, error: RoboscaleError, verdict: str):
    verdicts = harness[1]
    for broken in (verdicts.Reading(error=error), verdicts.Reading({}, 10.0, {"a": error})):
        found, _ = verdicts.judge(reading(verdicts), broken, checksummed=True, excuse="", names={"f.h5"})
        assert found == verdict


def test_a_reader_that_hangs_or_dies_is_found_and_replaced(harness, monkeypatch, tmp_path):
    """The harness's own worker, with a reader that sleeps, then one that kills its process."""
    import fuzz_records

    faulty = tmp_path / "faulty.py"
    faulty.write_text(
        "import os, sys, time\n"
        "print('{\"ready\": true}', flush=True)\n"
        "for line in sys.stdin:\n"
        "    seed = int(line)\n"
        "    if seed == 1: time.sleep(60)\n"
        "    if seed == 2: os._exit(9)\n"
        '    print(\'{"seed": %d, "verdict": "same", "kind": "", "file": "", "why": ""}\' % seed, flush=True)\n'
    )
    monkeypatch.setattr(fuzz_records, "__file__", str(faulty))
    found = [answer["verdict"] for answer in fuzz_records.fuzz("mcap", range(4), 0.5)]
    assert found == ["same", "hang", "crash", "same"]
