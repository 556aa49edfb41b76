"""Files for other people's viewers: their own readers find what the dataset holds."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from PIL import Image
from typer.testing import CliRunner

from roboscale import ExportDataset, ShowDataset, export_dataset, show_dataset, write_for_viewers
from roboscale.cli.app import app
from roboscale.core import BadData, Field, Outcome, Provenance, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter

CAMERA = "observation.images.front"
LENGTHS = (5, 8)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = Spec(
        (
            Field("observation.state", (2,), "float32", layout=("x", "y")),
            Field(CAMERA, (32, 48, 3), "uint8"),
            Field("action", (3,), "float32"),
            Field("contact", (2, 2), "bool"),
        ),
        10,
    )
    root, rng = tmp_path_factory.mktemp("viewers") / "set", np.random.default_rng(0)
    with DatasetWriter(root, spec) as writer:
        for length in LENGTHS:
            take = writer.begin("Push the red block onto the mat.", Provenance("test", licence="CC-BY-4.0"))
            for t in range(length):
                picture = np.zeros((32, 48, 3), np.uint8)
                picture[:, :24], picture[:, 24:] = (200, 30 + 10 * t, 40), (20, 60, 180)
                values = {
                    n: rng.normal(size=s).astype(np.float32) for n, s in (("observation.state", 2), ("action", 3))
                }
                take.add({**values, CAMERA: picture, "contact": rng.random((2, 2)) < 0.5})
            take.save(Outcome("success"))
    return root


def test_mcaps_own_reader_finds_every_number_text_and_picture(recorded: Path, tmp_path: Path):
    done = export_dataset(ExportDataset(dataset=recorded, out=tmp_path / "out", to="mcap"))
    assert done.largest_difference == {"observation.state": 0.0, "action": 0.0, "contact": 0.0}
    assert (done.episodes, done.frames, done.instructions, done.not_there) == (2, 13, 2, ())
    dataset = Dataset(recorded)
    with (tmp_path / "out/episode_000001.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        rows = [(s.name, c.topic, m.log_time, json.loads(m.data)) for s, c, m in reader.iter_messages()]
        (about,) = reader.iter_metadata()
    states = [(at, message) for _, topic, at, message in rows if topic == "/observation.state"]
    assert [at for at, _ in states] == [100_000_000 * t for t in range(8)]
    found = np.array([[m["x"], m["y"]] for _, m in states], np.float32)
    assert np.array_equal(found, dataset.arrays("observation.state")[5:])
    pictures = [m for schema, _, _, m in rows if schema == "foxglove.CompressedImage"]
    assert len(pictures) == 8 and pictures[3]["timestamp"] == {"sec": 0, "nsec": 300_000_000}
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[3]["data"]))), np.int16)
    assert np.abs(shown - dataset.decode(1, CAMERA)[3]).mean() < 3
    assert [m["message"] for schema, *_, m in rows if schema == "foxglove.Log"] == ["Push the red block onto the mat."]
    assert about.metadata["licence"] == "CC-BY-4.0" and about.metadata["success"] == "true"


def test_what_is_not_finite_is_null_and_no_other_number():
    from roboscale.sources.records.mcap.export import _difference, _message
    from roboscale.sources.records.playback import TimedValues

    values = np.array([[0.5, np.nan], [np.inf, 0.25]], np.float32)
    for names in ((), ("x", "y")):
        track = TimedValues(np.arange(2), values, names)
        messages = [_message(track, row) for row in values]
        assert json.loads(json.dumps(messages, allow_nan=False)) == messages
        assert _difference(track, messages) == 0
        assert _difference(TimedValues(np.arange(2), np.nan_to_num(values), names), messages) == np.inf


def test_a_changed_file_is_not_called_exact(recorded: Path, tmp_path: Path):
    from roboscale.sources.records.mcap.export import compare_mcap, export_mcap

    dataset = Dataset(recorded)
    export_mcap(dataset, tmp_path / "out")
    first, second = sorted((tmp_path / "out").iterdir())
    second.write_bytes(first.read_bytes())
    with pytest.raises(BadData, match="pictures"):
        compare_mcap(dataset, tmp_path / "out")


def test_reruns_own_reader_finds_every_number_text_and_picture(recorded: Path, tmp_path: Path):
    chunk = pytest.importorskip("rerun.chunk")
    done = export_dataset(ExportDataset(dataset=recorded, out=tmp_path / "out", to="rrd"))
    assert done.largest_difference == {"observation.state": 0.0, "action": 0.0, "contact": 0.0}
    assert (done.episodes, done.frames, done.not_there) == (2, 13, ())
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == ["episode_000000.rrd", "episode_000001.rrd"]
    found = {}
    for one in chunk.RrdReader(tmp_path / "out/episode_000001.rrd").stream():
        batch = one.to_record_batch()
        for name in batch.schema.names:
            found.setdefault((one.entity_path, name), []).extend(batch.column(name).to_pylist())
    assert np.array_equal(
        np.array(found["/action", "Scalars:scalars"], np.float32), Dataset(recorded).arrays("action")[5:]
    )
    assert len(found[f"/{CAMERA}", "EncodedImage:blob"]) == 8
    assert found["/task", "TextLog:text"] == [["Push the red block onto the mat."]]
    assert found["/observation.state", "SeriesLines:names"] == [["x", "y"]]
    assert found["/__properties/roboscale", "licence"] == [["CC-BY-4.0"]]


def test_show_writes_for_a_viewer_and_says_how_to_open_it(recorded: Path, tmp_path: Path):
    out = tmp_path / "for foxglove"
    done = CliRunner().invoke(app, ["data", "show", str(recorded), "--foxglove", str(out)])
    assert done.exit_code == 0, done.stderr
    assert f"open them: files '{out}'/*.mcap in Foxglove" in done.stderr and "JPEG" in done.stderr
    assert len(list(out.glob("*.mcap"))) == 2
    request = ShowDataset(dataset=recorded, foxglove=out)
    with pytest.raises(BadData, match="nothing there"):
        write_for_viewers(request)
    with pytest.raises(SpecMismatch, match="write_for_viewers"):
        show_dataset(request)
