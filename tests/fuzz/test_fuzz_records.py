"""A small share of `make fuzz`, and a proof that the harness can tell the verdicts apart."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.sources.records.formats import FORMATS
from tests.fuzz import fuzz_records
from tests.fuzz.fuzz_mutants import KINDS, Mutant, mutate
from tests.fuzz.fuzz_samples import SAMPLES
from tests.fuzz.fuzz_verdicts import Episode, Reading, judge

ROOT = Path(__file__).parents[2]
MUTANTS = 12  # `make fuzz`: 10,000


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tests.fuzz.fuzz_records", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


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


def test_every_format_has_a_sample():
    assert list(SAMPLES) == list(FORMATS)


def test_a_seed_names_one_mutant(tmp_path):
    (tmp_path / "a").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "b").write_text('{"shape": [3, 4], "dtype": "float32"}' * 9)
    files = [tmp_path / "a", tmp_path / "b"]
    kinds = set()
    for seed in range(200):
        first = mutate(files, seed)
        assert first == mutate(files, seed)
        kinds.add(first.kind)
    assert kinds == set(KINDS)


def reading(*, length: int = 5, value: float = 0.0, dtype: str = "float32", said: str = ""):
    values = np.full((length, 2), value, dtype)
    return Reading(
        {"action": ((2,), dtype)},
        10.0,
        {"a": Episode(length, {"action": values}, {}, "push")},
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
def test_verdicts(change: dict, checksummed: bool, verdict: str):
    broken = reading(**change)
    found, _ = judge(reading(), broken, checksummed=checksummed, excuse="", names={"f.h5"})
    assert found == verdict


def test_what_no_reader_can_tell_is_counted_but_no_failure():
    other = reading(dtype="int32")
    for excuse, verdict in (
        ("dtype", "changed-silently"),
        ("absent", "structure-silently"),
        ("", "structure-silently"),
    ):
        assert judge(reading(), other, checksummed=False, excuse=excuse, names=set())[0] == verdict
    both = reading()
    both.episodes["b"] = both.episodes["a"]
    for excuse, verdict in (
        ("absent", "changed-silently"),
        ("dtype", "structure-silently"),
        ("", "structure-silently"),
    ):
        assert judge(both, reading(), checksummed=False, excuse=excuse, names=set())[0] == verdict


def test_rows_that_change_episodes_are_excused_and_rows_that_go_are_not():
    def recording(*lengths: int):
        episodes = {str(i): reading(length=n).episodes["a"] for i, n in enumerate(lengths)}
        return Reading({"action": ((2,), "float32")}, 10.0, episodes)

    for now, verdict in (((4, 6), "changed-silently"), ((4, 5), "structure-silently"), ((5,), "structure-silently")):
        found = judge(recording(5, 5), recording(*now), checksummed=False, excuse="boundaries", names=set())
        assert found[0] == verdict


def test_only_a_file_that_alone_says_the_dtype_is_excused():
    found = {}
    for format, name in (("zarr", "sample/.zarray"), ("zarr", "sample/.zgroup"), ("rlds", "sample/features.json")):
        mutant = Mutant(Path(name), "claim", b"")
        found[name] = fuzz_records._excuse(mutant, SAMPLES[format])
    assert found == {"sample/.zarray": "dtype", "sample/.zgroup": "", "sample/features.json": ""}
    ends = Mutant(Path("sample/meta/episode_ends/0"), "flip", b"")
    assert fuzz_records._excuse(ends, SAMPLES["zarr"]) == "boundaries"
    assert fuzz_records._excuse(ends, SAMPLES["umi-zarr"]) == ""
    flipped = Mutant(Path("sample/.zarray"), "flip", b"")
    assert fuzz_records._excuse(flipped, SAMPLES["zarr"]) == ""


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (BadData("f.h5", "action", "2 values", "3"), "error"),
        (RoboscaleError("f.h5: it is of another robot"), "error"),
        (RoboscaleError("shapes differ"), "vague-error"),
    ],
)
def test_an_error_must_say_which_file(error: RoboscaleError, verdict: str):
    for broken in (Reading(error=error), Reading({}, 10.0, {"a": error})):
        found, _ = judge(reading(), broken, checksummed=True, excuse="", names={"f.h5"})
        assert found == verdict


def test_a_reader_that_hangs_or_dies_is_found_and_replaced(monkeypatch, tmp_path):
    """The harness's own worker, with a reader that sleeps, then one that kills its process."""
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
    monkeypatch.setattr(fuzz_records, "_WORKER", (sys.executable, str(faulty)))
    found = [answer["verdict"] for answer in fuzz_records.fuzz("mcap", range(4), 0.5)]
    assert found == ["same", "hang", "crash", "same"]
