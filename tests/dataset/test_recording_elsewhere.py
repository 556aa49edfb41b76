"""Takes that another process encodes: the same bytes, nothing left out, and a killed process costs one take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from roboscale.core import BadData, Field, InfrastructureError, Outcome, Provenance, RoboscaleError, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter, RecordingProcess, elsewhere

SPEC = Spec(
    (
        Field("observation.state", (3,), "float32"),
        Field("flag", (1,), "bool"),
        Field("observation.images.top", (32, 48, 3), "uint8", layout=("height", "width", "channel")),
    ),
    20,
)
PROVENANCE = Provenance(source="test", details={"case": "one"})


def frame(k: int) -> dict[str, np.ndarray]:
    picture = np.full((32, 48, 3), 40, np.uint8)
    picture[:, k % 40 : k % 40 + 8] = (200, 30, 30)
    return {
        "observation.state": np.array([k, 2 * k, 0.5], np.float32),
        "flag": np.array([k % 3 == 0]),
        "observation.images.top": picture,
    }


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def process(room: Path) -> Iterator[RecordingProcess]:
    """One process for all tests here, with a ring of eight frames."""
    slots, elsewhere._SLOTS = elsewhere._SLOTS, (8, 8)
    with DatasetWriter(room / "set", SPEC) as writer, RecordingProcess(writer) as made:
        yield made
    elsewhere._SLOTS = slots


def pending(process: RecordingProcess) -> tuple[str, ...]:
    return process.writer.episode_ids


def test_what_is_recorded_elsewhere_is_what_is_recorded_here(process: RecordingProcess, room: Path):
    """Sixty frames through a ring of eight, faster than they are encoded: none is left out."""
    with DatasetWriter(room / "here", SPEC) as writer:
        ours, theirs = writer.begin("go there", PROVENANCE), process.begin("go there", PROVENANCE)
        for k in range(60):
            theirs.add(frame(k))
        for k in range(60):
            ours.add(frame(k))
        assert len(theirs) == 60
        ours.save(Outcome("success", steps=60))
        id_ = theirs.save(Outcome("success", steps=60))
    assert pending(process)[-1] == id_ == theirs.id
    process.writer.seal()
    here, there = Dataset(room / "here").episode(0), Dataset(room / "set").episode(0)
    for name in ("observation.state", "flag", "observation.images.top"):
        np.testing.assert_array_equal(np.asarray(there.arrays[name]), np.asarray(here.arrays[name]))
    known = Dataset(room / "set").episodes[0]
    assert known.provenance.details == {"case": "one"} and known.outcome.steps == 60
    with pytest.raises(RoboscaleError, match="is saved"):
        theirs.add(frame(0))


def test_a_frame_that_does_not_fit_is_refused_and_the_take_goes_on(process: RecordingProcess):
    take = process.begin("go there", PROVENANCE)
    take.add(frame(0))
    with pytest.raises(SpecMismatch, match="frame 1: the spec has no more"):
        take.add({**frame(1), "more": np.zeros(1)})
    with pytest.raises(BadData, match="finite numbers"):
        take.add({**frame(1), "observation.state": np.full(3, np.nan, np.float32)})
    take.add(frame(1))
    before = pending(process)
    take.discard()
    assert pending(process) == before
    with pytest.raises(RoboscaleError, match="is discarded"):
        take.save()
    empty = process.begin("go there", PROVENANCE)
    with pytest.raises(BadData, match="frames: expected at least 1"):
        empty.save()


def test_a_killed_process_costs_the_take_that_ran(process: RecordingProcess):
    first = process.begin("go there", PROVENANCE)
    first.add(frame(0))
    kept = first.save(Outcome("success"))
    take = process.begin("go there", PROVENANCE)
    take.add(frame(0))
    psutil.Process(process.process_id).kill()
    with pytest.raises(InfrastructureError, match="the take that ran is lost, the .* saved episodes are not"):
        for _ in range(200):
            take.add(frame(1))
            time.sleep(0.01)  # as a step loop would come
    with pytest.raises(RoboscaleError, match="is lost"):
        take.save()
    take.discard()
    again = process.begin("go there", PROVENANCE)
    again.add(frame(0))
    again.save(Outcome("success"))
    assert kept in pending(process) and pending(process)[-1] == again.id
