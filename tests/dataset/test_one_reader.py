"""Opening, auditing, mending and reading are views of one reader: same words, every footer read once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder, duplicates
from roboscale.dataset.fix.plan import plan_mending
from roboscale.dataset.lerobot import load_folder, open_lerobot
from roboscale.dataset.lerobot.catalog import load_catalog
from roboscale.dataset.tables import number_dtype, open_table, plain_numbers
from tests.samples import everything


@pytest.fixture
def footers(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the footer of each file is read."""
    counts: Counter[str] = Counter()
    real = pq.ParquetFile

    def opened(source: Any, *args: Any, metadata: Any = None, **options: Any) -> Any:
        counts[str(source)] += metadata is None
        return real(source, *args, metadata=metadata, **options)

    monkeypatch.setattr(pq, "ParquetFile", opened)
    monkeypatch.setattr(pq, "read_table", None)
    monkeypatch.setattr(pq, "read_schema", None)
    return counts


def test_no_footer_is_read_twice(root: Path, footers: Counter[str]):
    dataset = Dataset(root)
    dataset.arrays("action")
    bounded = Dataset(root, memory_bytes=1)
    assert [len(bounded[frame]["action"]) for frame in (0, len(bounded) - 1)]
    recording = open_lerobot(root, lenient=True)
    assert [len(recording.read(key, ())) for key in recording.keys] == dataset.lengths.tolist()
    assert audit_folder(root, images=False).episodes == 3
    assert plan_mending(root).kept == (0, 1, 2)
    assert set(footers) == {str(path) for path in root.rglob("*.parquet") if "roboscale" not in path.parts}
    assert set(footers.values()) == {1}


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path, footers: Counter[str]):
    path = tmp_path / "rows.parquet"
    for number in (1, 2):
        pq.write_table(pa.table({"a": [number] * number}), tmp_path / "new.parquet")
        (tmp_path / "new.parquet").replace(path)
        with open_table(path) as file:
            assert file.read()["a"].to_pylist() == [number] * number
    assert footers[str(path)] == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("features", None), ("data_path", "data/{0}"), ("codebase_version", "v1.6"), ("chunks_size", 0)],
)
def test_what_is_refused_is_what_is_found(root: Path, key: str, value: Any):
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, key: value}))
    with pytest.raises(BadData) as refused:
        load_catalog(root)
    found = [one.text for one in load_folder(root)[1].findings]
    assert any(text.startswith(str(refused.value)) for text in found)  # and what is taken instead, where there is some


def test_numbers_are_those_of_arrow():
    values: list[Any] = [[1, 2, 3], [0.5, 2.5, -1.0], [True, False, True]]
    for kind in (pa.int8(), pa.int64(), pa.uint16(), pa.float16(), pa.float32(), pa.float64(), pa.bool_()):
        given = values[2] if pa.types.is_boolean(kind) else values[0 if pa.types.is_integer(kind) else 1]
        array = pa.array(np.array(given, number_dtype(kind)), kind)
        for part in (array, array.slice(1), array.slice(3)):
            expected = part.to_numpy(zero_copy_only=False)
            assert plain_numbers(part).dtype == expected.dtype
            np.testing.assert_array_equal(plain_numbers(part), expected)
    assert number_dtype(pa.string()) is None


def test_few_episodes_are_compared_as_many_are(monkeypatch: pytest.MonkeyPatch):
    points = np.random.default_rng(0).normal(size=(60, 3))
    few = set(duplicates._neighbours(points, 0.5))
    monkeypatch.setattr(duplicates, "_FEW", 10)
    assert few and few == set(duplicates._neighbours(points, 0.5))


@pytest.mark.parametrize(("words", "needless"), [("info", {"pandas", "scipy"}), ("audit", {"pandas", "scipy"})])
def test_a_look_at_a_small_set_loads_what_it_needs(root: Path, words: str, needless: set[str]):
    code = "import sys\nfrom roboscale.cli.__main__ import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)"
    command = [sys.executable, "-c", code, "data", words, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert "roboscale.dataset.lerobot" in done.stdout, done.stderr
    assert not needless & set(done.stdout.splitlines()[-1].split())


def test_a_text_that_annotations_number_is_used(tmp_path: Path):
    root = everything.write_foreign(tmp_path / "set")
    assert "task-unused" not in {one.check for one in audit_folder(root, images=False).findings}
    table = pq.read_table(root / "meta/tasks.parquet")
    pq.write_table(
        pa.table({"task_index": range(len(table) + 1), "task": [*table["task"].to_pylist(), "Wipe the table."]}),
        root / "meta/tasks.parquet",
    )
    unused = [one for one in audit_folder(root, images=False).findings if one.check == "task-unused"]
    assert len(unused) == 1 and "Wipe the table." in unused[0].text
    assert not unused[0].repair, "no command takes a text out of a table that annotations number"
