"""Importing as a job: equal numbers from every format, the command in the proof, notes of what is left out."""

import importlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from roboscale.cli.app import parse
from roboscale.core import BadData, Field, Provenance, RoboscaleError, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.layout import Layout, load_json
from roboscale.jobs.data_import import ImportDataset, import_dataset
from roboscale.jobs.events import Note, Progress, Wrote
from roboscale.jobs.request import FROM_PYTHON
from roboscale.sources.records import open_recording


def sample(name: str, function: str, folder: Path, **more) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return getattr(importlib.import_module(f"tests.samples.{name}"), function)(folder, seed=3, **more)


# format -> (module, writer, options of its reader)
SAMPLES = {
    "lerobot-v2.1": ("lerobot", "write_v21", {}),
    "lerobot-v2.0": ("lerobot", "write_v20", {}),
    "gr00t": ("lerobot", "write_gr00t", {}),
    "rlds": ("rlds", "write", {"fps": 10}),
    "robomimic": ("hdf5", "write_robomimic", {}),
    "isaac-mimic": ("hdf5", "write_isaac_mimic", {}),
    "aloha": ("hdf5", "write_aloha", {}),
    "robomind": ("hdf5", "write_robomind", {"fps": 10}),
    "agibot": ("hdf5", "write_agibot", {}),
    "droid-raw": ("hdf5", "write_droid", {}),
    "zarr": ("zarr", "write", {"fps": 10}),
    "umi-zarr": ("zarr", "write_umi", {"fps": 10}),
    "mcap": ("mcap", "write", {"mapping": "sample"}),
}


@pytest.mark.parametrize("format", SAMPLES)
def test_every_format_becomes_a_dataset_with_equal_numbers(tmp_path: Path, format: str):
    module, writer, options = SAMPLES[format]
    target = tmp_path / "source" if writer != "write_umi" else tmp_path / "source.zarr.zip"
    if writer == "write_umi":
        source = importlib.import_module("tests.samples.zarr").write_umi(target, seed=3)
    elif module in ("lerobot", "rlds", "zarr"):
        source = getattr(importlib.import_module(f"tests.samples.{module}"), writer)(target, seed=3)
    else:
        source = sample(module, writer, target)
    if options.get("mapping"):
        options = {"mapping": importlib.import_module("tests.samples.mcap").MAPPING}
    request = ImportDataset(source=source, out=tmp_path / "out", fps=options.get("fps"), workers=0)
    done = import_dataset(request, mapping=options.get("mapping")).proof
    assert done.format == format
    recording, dataset = open_recording(source, format, **options), Dataset(tmp_path / "out")
    assert len(dataset.episodes) == len(recording.keys) >= 1
    for info, key in zip(dataset.episodes, recording.keys, strict=True):
        expected = recording.read(key)
        rows = slice(info.from_index, info.from_index + info.length)
        for name, array in expected.arrays.items():
            assert dataset.arrays(name).dtype == array.dtype
            assert np.array_equal(dataset.arrays(name)[rows], array)
        assert info.instruction == expected.instruction
        for camera, pictures in expected.pictures.items():
            assert len(dataset.decode(info.index, camera)) == len(pictures)
    numeric = [row for row in done.fields if row.name not in {c.name for c in done.cameras}]
    assert numeric and all(row.difference == 0 for row in numeric)
    assert done.command == (FROM_PYTHON if "mapping" in options else request.command)
    page, data = (Layout(tmp_path / "out").own / f"proof.{kind}" for kind in ("html", "json"))
    assert json.loads(data.read_text())["episodes"][0]["frames"] == dataset.episodes[0].length
    assert "every number as in the source" in page.read_text()


def test_the_proof_escapes_what_the_source_says(tmp_path: Path):
    spec = Spec((Field("action", (1,), "float32"),), 10)
    with DatasetWriter(tmp_path / "a", spec) as writer:
        take = writer.begin("<script>alert(1)</script>", Provenance("x"))
        take.add({"action": np.zeros(1, np.float32)})
        take.save()
    import_dataset(ImportDataset(source=tmp_path / "a", out=tmp_path / "b", workers=0))
    page = (Layout(tmp_path / "b").own / "proof.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_a_video_that_is_cut_off_is_one_clear_error(tmp_path: Path):
    source = importlib.import_module("tests.samples.lerobot").write_v21(tmp_path / "s", seed=1)
    video = sorted(source.rglob("*.mp4"))[1]
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises((BadData, RoboscaleError), match=video.name):
        import_dataset(ImportDataset(source=source, out=tmp_path / "out", workers=0))
    told: list = []
    done = import_dataset(
        ImportDataset(source=source, out=tmp_path / "kept", broken="drop", workers=0), told.append
    ).proof
    (note,) = (event.text for event in told if isinstance(event, Note) and "left out" in event.text)
    assert video.name in note
    assert len(done.episodes) == 1 and video.name in done.dropped[0][1]


def test_the_job_tells_what_it_does_and_the_proof_says_how_to_make_it_again(example_folder: Path):
    request = ImportDataset(source="recorded", out="a folder", workers=0)
    told: list = []
    import_dataset(request, told.append)
    assert [event for event in told if isinstance(event, Progress)][-1] == Progress("episodes", 3, 3, told[2].note)
    assert told[-1] == Wrote("proof", Path("a folder/meta/roboscale/proof.html"))
    for text in ((Path("a folder/meta/roboscale") / f"proof.{kind}").read_text() for kind in ("html", "json")):
        assert request.command.replace("'", "&#39;") in text or request.command in text
    command = load_json(Path("a folder/meta/roboscale/proof.json"))["command"]
    assert parse(shlex.split(command)[1:]) == request


def test_no_folder_is_no_import(example_folder: Path):
    with pytest.raises(RoboscaleError, match="OUT is missing"):
        import_dataset(ImportDataset(source="recorded"))


def test_an_import_that_failed_at_its_first_episode_does_not_block_another(tmp_path: Path):
    source = importlib.import_module("tests.samples.lerobot").write_v21(tmp_path / "source", episodes=2)
    table = source / "data/chunk-000/episode_000000.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[:200])
    request = ImportDataset(source=source, out=tmp_path / "out", workers=0)
    with pytest.raises(BadData, match="episode_000000"):
        import_dataset(request)
    table.write_bytes(whole)
    info = load_json(source / "meta/info.json")
    info["features"]["action"]["names"] = ["a", "b", "c", "d"]  # another plan than the one that failed
    (source / "meta/info.json").write_text(json.dumps(info))
    assert len(import_dataset(request).proof.episodes) == 2
    info["features"]["action"]["names"] = ["e", "f", "g", "h"]
    (source / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(BadData, match="take another folder"):
        import_dataset(request)
    assert len(Dataset(tmp_path / "out").episodes) == 2


@pytest.mark.parametrize("to", ["lerobot-v2.1", "gr00t", "rlds", "hdf5-robomimic", "zarr"])
def test_an_export_says_its_size_beforehand(tmp_path: Path, to: str):
    from roboscale.jobs.data_export import ExportDataset, export_dataset, plan_export

    source = importlib.import_module("tests.samples.lerobot").write_v21(tmp_path / "source", episodes=2)
    import_dataset(ImportDataset(source=source, out=tmp_path / "ours", workers=0))
    request, events = ExportDataset(dataset=tmp_path / "ours", out=tmp_path / "out", to=to), []
    planned = plan_export(request)["bytes"]
    export_dataset(request, events.append)
    assert f"about {planned / 1e6:.4g} MB" in next(e.text for e in events if isinstance(e, Note))
    out = tmp_path / "out"
    kept = [p for p in out.rglob("*") if p.is_file() and p.parts[-2] != "meta"] if out.is_dir() else [out]
    written = sum(path.stat().st_size for path in kept)
    assert planned / 12 < written < 12 * planned + 50_000  # 24 small frames: headers weigh as much as they
