"""What the versions of PyAV do differently comes out the same; `make ends` runs all tests on the oldest and newest."""

import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from roboscale.dataset import pyav
from roboscale.dataset.video import Encoder

VIDEO = "videos/observation.images.wrist/chunk-000/file-000.mp4"


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 17, reason="this PyAV cannot be asked for the index")
def test_packets_read_one_by_one_say_what_the_index_says(root: Path, monkeypatch: pytest.MonkeyPatch):
    with av.open(str(root / VIDEO)) as container:
        index = pyav.index_of(root / VIDEO, container.streams.video[0])
    assert len(index) == 18 and [is_key for _, is_key, _ in index[:4]] == [True, False, True, False]
    assert index[-1][2] <= (root / VIDEO).stat().st_size
    monkeypatch.setattr(pyav, "_MAJOR", 16)
    assert pyav.index_of(root / VIDEO, None) == index


def test_a_rate_that_the_file_does_not_say_is_none():
    unset = type("Unset", (SimpleNamespace,), {"__bool__": lambda self: False})(numerator=0, denominator=1)
    assert pyav.fraction(None) is None and pyav.fraction(unset) is None
    assert pyav.fraction(Fraction(30000, 1001)) == Fraction(30000, 1001)


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_no_encoder_makes_threads_real_time(tmp_path: Path, codec: str):
    """SVT-AV1 does so for root, and everything that the process starts afterwards would be real-time, too."""
    encoder = Encoder(tmp_path / "a.mp4", (32, 32, 3), 10, codec)
    for _ in range(3):
        encoder.add(np.zeros((32, 32, 3), np.uint8))
    threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    encoder.close()
    assert not {os.sched_getscheduler(thread) for thread in threads} & {os.SCHED_FIFO, os.SCHED_RR}
