"""Addresses as sources, against a stand-in on this machine that speaks the Hub's API; archives of every kind."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import BadData, InfrastructureError
from roboscale.dataset import Dataset
from roboscale.sources.addresses import address_of, fetch, is_archive, parse_hub, unpacked
from tests.samples.lerobot import write_v21

runner = CliRunner()
SHA = "4f" * 20


class Hub(ThreadingHTTPServer):
    """Answers for one dataset, `owner/name`, three files a page; notes what it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked, self.spoilt = folder, list[str](), dict[str, bytes]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.server.asked.append(path)
        if path in ("/api/datasets/owner/name/revision/main", "/api/datasets/owner/name/revision/v1"):
            self._json({"sha": SHA, "cardData": {"license": "mit", "language": ["en", "de"]}})
        elif path == f"/api/datasets/owner/name/tree/{SHA}":
            self._page(int(query.get("cursor", ["0"])[0]))
        elif path.startswith((f"/datasets/owner/name/resolve/{SHA}/", "/files/")):
            name = path.split(f"{SHA}/", 1)[-1].removeprefix("/files/")
            file = self.server.folder / name
            data = self.server.spoilt.get(name, file.read_bytes() if file.is_file() else None)
            self._send(404, b"") if data is None else self._send(200, data)
        else:
            self._json({"error": "Repository not found"}, 404)

    def _page(self, begin: int) -> None:
        files = sorted(p for p in self.server.folder.rglob("*") if p.is_file())
        entries = []
        for file in files[begin : begin + 3]:
            data = file.read_bytes()
            entry = {"type": "file", "path": str(file.relative_to(self.server.folder)), "size": len(data)}
            if file.suffix in (".mp4", ".parquet"):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
            entries.append(entry)
        following = f"{self.server.url}/api/datasets/owner/name/tree/{SHA}?cursor={begin + 3}"
        self._json(entries, link=f'<{following}>; rel="next"' if begin + 3 < len(files) else "")

    def _json(self, data: object, status: int = 200, link: str = "") -> None:
        self._send(status, json.dumps(data).encode(), link)

    def _send(self, status: int, data: bytes, link: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub(write_v21(tmp_path / "served", episodes=2))
    (server.folder / "README.md").write_text("---\nlicense: mit\n---\n# A set\n")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://datasets/owner/name", ("owner/name", "main", "")),
        ("hf:/datasets/owner/name@v1.0/sub/set", ("owner/name", "v1.0", "sub/set")),
        ("https://huggingface.co/datasets/owner/name/tree/main/sub", ("owner/name", "main", "sub")),
        ("https://huggingface.co/datasets/name", ("name", "main", "")),
        ("https://example.org/datasets/owner/name", None),
    ],
)
def test_addresses_of_the_hub(address: str, expected: object):
    assert parse_hub(address) == expected


def test_a_path_is_no_address(tmp_path: Path):
    assert address_of(tmp_path) == "" and address_of("C:relative") == ""
    assert address_of(Path("hf://datasets/a/b")) == "hf://datasets/a/b"
    assert address_of(Path("s3://bucket/key")) == "s3://bucket/key"


def test_info_fetches_metadata_alone(hub: Hub):
    result = runner.invoke(app, ["data", "info", "hf://datasets/owner/name", "--json"])
    assert result.exit_code == 0, result.stderr
    info = json.loads(result.stdout)
    assert (info["episodes"], info["frames"], info["licence"], info["languages"]) == (2, 24, "MIT", ["en", "de"])
    assert info["megabytes"] > sum(p.stat().st_size for p in hub.folder.glob("videos/*/*/*.mp4")) / 1e6
    assert not info["findings"] and not [path for path in hub.asked if path.endswith((".mp4", ".parquet"))]


def test_import_and_audit_of_an_address(hub: Hub, tmp_path: Path):
    words = ["data", "import", "hf://datasets/owner/name@v1", str(tmp_path / "out"), "--workers", "0"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert f"@{SHA}" in result.stderr and len(Dataset(tmp_path / "out").episodes) == 2
    assert (
        "hf:/datasets/owner/name@v1" in json.loads((tmp_path / "out/meta/roboscale/proof.json").read_text())["command"]
    )
    asked = len([path for path in hub.asked if "/resolve/" in path])
    result = runner.invoke(app, ["data", "audit", "hf://datasets/owner/name@v1", "--workers", "0", "--no-images"])
    assert result.exit_code == 0, result.stdout
    assert len([path for path in hub.asked if "/resolve/" in path]) == asked, "what is here is not fetched again"


def test_what_the_server_sends_is_verified(hub: Hub):
    video = next(hub.folder.glob("videos/*/*/*.mp4"))
    name, size = str(video.relative_to(hub.folder)), video.stat().st_size
    hub.spoilt[name] = bytes(size)
    with pytest.raises(BadData, match="sha256"):
        fetch("hf://datasets/owner/name")
    hub.spoilt[name] = bytes(size - 1)
    with pytest.raises(InfrastructureError, match=f"{size} bytes were announced, {size - 1} arrived"):
        fetch("hf://datasets/owner/name")
    hub.spoilt.clear()
    hub.asked.clear()
    root = fetch("hf://datasets/owner/name").root
    assert (root / name).read_bytes() == video.read_bytes() and not list(root.rglob("*.incomplete.*"))
    assert not [path for path in hub.asked if path.endswith("info.json")], "it goes on where it stopped"


def test_what_is_not_there_or_not_reached(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BadData, match="HTTP 404.*HF_TOKEN"):
        fetch("hf://datasets/owner/other")
    with pytest.raises(BadData, match="some below nothing"):
        fetch("hf://datasets/owner/name/nothing")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = runner.invoke(app, ["data", "info", "hf://datasets/owner/name"])
    assert result.exit_code == 1 and "cannot be fetched" in result.stderr


def test_an_archive_behind_https(hub: Hub, tmp_path: Path):
    packed = tmp_path / "served" / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(write_v21(tmp_path / "zipped", episodes=2).rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    result = runner.invoke(app, ["data", "info", f"{hub.url}/files/set.zip"])
    assert result.exit_code == 0 and "lerobot-v2.1, 2 episodes, 24 frames" in result.stdout, result.stderr


def test_a_bucket_by_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("ROBOSCALE_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    memory.put(str(write_v21(tmp_path / "set", episodes=2)), "/bucket/set", recursive=True)
    result = runner.invoke(app, ["data", "import", "memory://bucket/set", str(tmp_path / "out"), "--workers", "0"])
    assert result.exit_code == 0, result.stderr
    memory.rm("/bucket", recursive=True)


def _tar(source: Path, target: Path, mode: str = "w:gz") -> Path:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        archive.add(source, source.name)
    return target


def _split(path: Path, names: list[str]) -> None:
    data = path.read_bytes()
    size = -(-len(data) // len(names))
    for number, name in enumerate(names):
        path.with_name(path.name + name).write_bytes(data[number * size : (number + 1) * size])
    path.unlink()


@pytest.mark.parametrize("names", [[], [".part-aa", ".part-ab", ".part-ac"], [".001", ".002"], [".part00", ".part01"]])
@pytest.mark.parametrize("ending", ["tar.gz", "tar", "tar.xz"])
def test_archives_and_their_parts(tmp_path: Path, names: list[str], ending: str):
    source, folder = write_v21(tmp_path / "set", episodes=2), tmp_path / "packed"
    folder.mkdir()
    packed = _tar(source, folder / f"set.{ending}", {"tar.gz": "w:gz", "tar": "w", "tar.xz": "w:xz"}[ending])
    if names:
        _split(packed, names)
    assert is_archive(folder)
    root = unpacked(folder, tmp_path / "cache")
    assert {p.relative_to(root) for p in root.rglob("*")} == {p.relative_to(source) for p in source.rglob("*")}


@pytest.mark.parametrize("names", [[".001", ".002", ".003"], [".part-aa", ".part-ab", ".part-ac"]])
def test_a_missing_part_is_named(tmp_path: Path, names: list[str]):
    folder = tmp_path / "packed"
    folder.mkdir()
    _split(_tar(write_v21(tmp_path / "set", episodes=1), folder / "set.tar.gz"), names)
    (folder / f"set.tar.gz{names[1]}").unlink()
    with pytest.raises(BadData, match="without a gap"):
        unpacked(folder, tmp_path / "cache")


@pytest.mark.parametrize("ending", ["tar.gz", "tar", "tar.xz"])
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_archive_gives_nothing_instead_of_its_first_files(tmp_path: Path, ending: str, damage: str):
    """`tarfile` takes whatever is no header for the end, and looks at no checksum of what it did not need."""
    modes = {"tar.gz": "w:gz", "tar": "w", "tar.xz": "w:xz"}
    packed = _tar(write_v21(tmp_path / "set", episodes=2), tmp_path / f"set.{ending}", modes[ending])
    with tarfile.open(packed) as archive:
        at = archive.getmembers()[-1].offset if ending == "tar" else packed.stat().st_size * 2 // 3
    data = bytearray(packed.read_bytes())
    data[at : at + 64] = bytes(255 - byte for byte in data[at : at + 64])
    packed.write_bytes(data if damage == "flipped" else data[:at])
    with pytest.raises(BadData, match="archive"):
        unpacked(packed, tmp_path / "cache")


def test_a_folder_of_many_archives_is_one_set(tmp_path: Path):
    source, folder = write_v21(tmp_path / "set", episodes=2), tmp_path / "packed"
    folder.mkdir()
    for part in ("meta", "data", "videos"):
        _tar(source / part, folder / f"{part}.tar.gz")
    assert (unpacked(folder, tmp_path / "cache") / "meta/info.json").is_file()


def test_an_archive_does_not_lead_outside(tmp_path: Path):
    import io

    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../../outside.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(BadData, match="stays in its folder"):
        unpacked(tmp_path / "evil.tar", tmp_path / "cache")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as zipped:
        zipped.writestr("../outside.txt", "evil")
    with pytest.raises(BadData, match="archive|member"):
        unpacked(tmp_path / "evil.zip", tmp_path / "cache")
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(40))
    with pytest.raises(BadData, match="archive"):
        unpacked(tmp_path / "cut.tar.gz", tmp_path / "cache")
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_zarr_store_in_a_zip_is_no_archive(tmp_path: Path):
    from tests.samples.zarr import write_umi

    assert not is_archive(write_umi(tmp_path / "umi.zarr.zip"))
    assert not is_archive(write_v21(tmp_path / "set", episodes=1))
