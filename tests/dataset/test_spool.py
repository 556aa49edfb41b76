"""Rows that are kept in a file come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.dataset import spool
from roboscale.dataset.spool import Spool

FIELDS = {
    "state": ((3,), np.float32),
    "time": ((1,), np.int64),
    "touched": ((), np.bool_),
    "depth": ((4, 5), np.float16),
}


def rows(length: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(length)
    return [
        {n: (100 * rng.normal(size=shape)).astype(dtype) for n, (shape, dtype) in FIELDS.items()}
        for _ in range(length)
    ]


@given(
    length=st.integers(0, 40), block=st.integers(1, 20), names=st.permutations(list(FIELDS)), count=st.integers(1, 4)
)
@settings(max_examples=60, deadline=None)
def test_rows_come_back_in_order(tmp_path_factory, length: int, block: int, names: list[str], count: int):
    path = tmp_path_factory.mktemp("spool") / "rows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_ROWS", block)
        kept, said = Spool(path, FIELDS), rows(length)
    for row in said:
        kept.add(row)
        row["state"][:] = -1  # whoever gave it may write into it
    again = rows(length)
    assert len(kept) == length and path.exists() == (length > block)
    for _ in range(2):
        parts = list(kept.blocks(names[:count]))
        assert sum(len(p[names[0]]) for p in parts) == length
        for name in names[:count] if length else ():
            whole = np.concatenate([part[name] for part in parts])
            assert whole.dtype == FIELDS[name][1]
            np.testing.assert_array_equal(whole, [row[name] for row in again])
    kept.close()
    assert not path.exists()


def test_what_is_in_memory_is_bounded_by_bytes_and_by_rows(tmp_path: Path):
    large = Spool(tmp_path / "large", {"depth": ((480, 640), np.float32)})
    assert large._block["depth"].nbytes <= spool._BYTES
    huge = Spool(tmp_path / "huge", {"depth": ((1000, 1000), np.float64)})
    assert len(huge._block["depth"]) == 1
    small = Spool(tmp_path / "small", {"state": ((1,), np.float32)})
    assert len(small._block["state"]) == spool._ROWS
