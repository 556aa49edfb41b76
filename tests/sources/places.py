"""Stand-ins, on this machine, of places that take files: the Hub's API as its client uses it, and s3."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

SHA = "5e" * 20


class Place(ThreadingHTTPServer):
    """What was put, by path; `fails_after` requests that carry content, every further one is refused."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.put: list[str] = []
        self.fails_after: int | None = None
        self.private: bool | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def tired(self) -> bool:
        return self.fails_after is not None and len(self.put) >= self.fails_after


class Handler(BaseHTTPRequestHandler):
    server: Place
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def json(self, data: object, status: int = 200) -> None:
        self.answer(status, json.dumps(data).encode(), Content_Type="application/json")


class Hub(Handler):
    """Creates a dataset, takes large files by LFS and one commit; what it has is not asked for again."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        siblings = [{"rfilename": name} for name in [".gitattributes", *self.server.files]]
        if self.server.private is None or not path.startswith("/api/datasets/me/cups"):
            self.json({"error": "Repository not found"}, 404)
        elif "/tree/" in path:
            self.json([{"type": "file", "path": n, "size": len(d), "oid": SHA} for n, d in self.server.files.items()])
        else:
            self.json({"id": "me/cups", "sha": SHA, "private": self.server.private, "siblings": siblings})

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self.body()
        if path == "/api/repos/create":
            said = json.loads(body)
            self.server.private = bool(said.get("private")) or said.get("visibility") == "private"
            self.json({"url": f"{self.server.url}/datasets/me/cups", "name": "me/cups", "id": "me/cups"})
        elif path == "/api/validate-yaml":  # of the card
            self.json({"errors": [], "warnings": []})
        elif path == "/api/datasets/me/cups/preupload/main":
            files = json.loads(body)["files"]
            modes = {f["path"]: "lfs" if f["path"].endswith((".parquet", ".mp4")) else "regular" for f in files}
            self.json({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]})
        elif path == "/datasets/me/cups.git/info/lfs/objects/batch":
            self.json({"transfer": "basic", "objects": [self._object(o) for o in json.loads(body)["objects"]]})
        elif path == "/api/datasets/me/cups/commit/main":
            for line in map(json.loads, body.splitlines()):
                said = line["value"]
                if line["key"] == "file":
                    self.server.files[said["path"]] = base64.b64decode(said["content"])
                elif line["key"] == "lfsFile":
                    self.server.files[said["path"]] = self.server.large[said["oid"]]
            self.json({"commitUrl": f"{self.server.url}/datasets/me/cups/commit/{SHA}", "commitOid": SHA})
        else:
            self.json({"error": path}, 404)

    def _object(self, asked: dict) -> dict:
        known = asked["oid"] in self.server.large
        upload = {} if known else {"actions": {"upload": {"href": f"{self.server.url}/lfs/{asked['oid']}"}}}
        return {"oid": asked["oid"], "size": asked["size"], **upload}

    def do_PUT(self) -> None:
        data, oid = self.body(), self.path.rsplit("/", 1)[-1]
        if self.server.tired:
            self.json({"error": "out of service"}, 403)
            return
        assert hashlib.sha256(data).hexdigest() == oid
        self.server.put.append(oid)
        self.server.large[oid] = data
        self.answer(200)


class S3(Handler):
    """Objects of any bucket: put whole or in parts, listed, looked at."""

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        data, name, query = self.body(), unquote(parts.path).lstrip("/"), parse_qs(parts.query)
        data = _unchunked(data) if "aws-chunked" in self.headers.get("Content-Encoding", "") else data
        if self.server.tired:
            self.answer(403, b"<Error><Code>AccessDenied</Code><Message>enough</Message></Error>")
            return
        self.server.put.append(name)
        key = f"{name}#{query['partNumber'][0]}" if "partNumber" in query else name
        (self.server.large if "partNumber" in query else self.server.files)[key] = data
        self.answer(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        name = unquote(parts.path).lstrip("/")
        self.body()
        if "uploads" in parse_qs(parts.query, keep_blank_values=True):
            bucket, _, key = name.partition("/")
            text = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>u1</UploadId>"
            self._xml("InitiateMultipartUploadResult", text)
            return
        pieces = [self.server.large.pop(k) for k in sorted(k for k in self.server.large if k.startswith(f"{name}#"))]
        self.server.files[name] = b"".join(pieces)
        self._xml("CompleteMultipartUploadResult", f"<Key>{escape(name)}</Key><ETag>e</ETag>")

    def do_DELETE(self) -> None:
        self.answer(204)

    def do_HEAD(self) -> None:
        data = self.server.files.get(unquote(urlsplit(self.path).path).lstrip("/"))
        if data is None:
            self.answer(404)
        else:
            self.answer(200, data, Last_Modified="Sat, 28 Nov 2026 00:00:00 GMT")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        bucket, query = unquote(parts.path).strip("/").split("/")[0], parse_qs(parts.query)
        prefix = f"{bucket}/{query.get('prefix', [''])[0]}"
        rows = [
            f"<Contents><Key>{escape(n.removeprefix(f'{bucket}/'))}</Key><Size>{len(d)}</Size>"
            "<LastModified>2026-11-28T00:00:00.000Z</LastModified></Contents>"
            for n, d in sorted(self.server.files.items())
            if n.startswith(prefix)
        ]
        self._xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{''.join(rows)}")

    def _xml(self, tag: str, inside: str) -> None:
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        text = f'<?xml version="1.0" encoding="UTF-8"?><{tag} xmlns="{space}">{inside}</{tag}>'
        self.answer(200, text.encode(), Content_Type="application/xml")


def _unchunked(data: bytes) -> bytes:
    """The content of `aws-chunked`: each chunk's size in hexadecimal, a line end, the chunk, a line end."""
    out = b""
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            break
        out, data = out + data[:size], data[size + 2 :]
    return out


@contextmanager
def place(handler: type[Handler]) -> Iterator[Place]:
    """A server of one of the two while the block runs."""
    server = Place(handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
