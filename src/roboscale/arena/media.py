"""Pictures and films of an arena, as files called after their content. What comes in is decoded and written anew.

A film is uploaded in pieces, each at the place where the last one ended, so that an upload goes on after whatever
interrupted it. Nothing that was uploaded is ever served as it came.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from PIL import Image

from roboscale.core import BadData
from roboscale.dataset.pictures import decode_picture
from roboscale.dataset.video import Encoder, check_size, open_video

__all__ = ["MediaStore"]

_NAME = re.compile(r"[0-9a-f]{32}")
_MOST_PICTURE = 4 * 2**20
_MOST_FILM = 64 * 2**20
_MOST_PIXELS = 1920 * 1200
_MOST_FRAMES = 20_000


class MediaStore:
    """A folder of pictures (`<digest>.jpg`) and films (`<digest>.mp4`).

    Args:
        folder: made where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "uploads"
        self._parts.mkdir(parents=True, exist_ok=True)

    def keep_picture(self, blob: bytes) -> str:
        """The digest under which a JPEG or PNG is kept, written anew as a JPEG.

        Raises:
            BadData: it is too large, or no picture.
        """
        if len(blob) > _MOST_PICTURE:
            raise BadData("picture", "size", f"at most {_MOST_PICTURE} bytes", len(blob))
        picture = decode_picture(blob, "picture", "bytes")
        if picture.shape[0] * picture.shape[1] > _MOST_PIXELS:
            raise BadData("picture", "size", f"at most {_MOST_PIXELS} pixels", list(picture.shape))
        written = io.BytesIO()
        Image.fromarray(picture).save(written, "JPEG", quality=90)
        return self._keep(written.getvalue(), "jpg")

    def received(self, upload: str) -> int:
        """How many bytes of a film have come."""
        part = self._part(upload)
        return part.stat().st_size if part.exists() else 0

    def receive(self, upload: str, offset: int, piece: bytes) -> int:
        """Adds a piece of a film; how many bytes have come then. A piece that came before is no error.

        Raises:
            BadData: it begins behind what has come, or the film grows too large.
        """
        have = self.received(upload)
        if offset > have:
            raise BadData("film", "offset", f"at most {have}, which is what has come", offset)
        new = piece[have - offset :]
        if have + len(new) > _MOST_FILM:
            raise BadData("film", "size", f"at most {_MOST_FILM} bytes", have + len(new))
        with self._part(upload).open("ab") as file:
            file.write(new)
        return have + len(new)

    def keep_film(self, upload: str) -> str:
        """The digest under which an uploaded film is kept, encoded anew.

        Raises:
            BadData: what came is no film, or it is too large or too long.
        """
        part = self._part(upload)
        made = self._parts / f"{secrets.token_hex(8)}.mp4"
        try:
            _encode_anew(part, made)
            digest = self._keep(made.read_bytes(), "mp4")
        finally:
            made.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        return digest

    def path(self, name: str) -> Path | None:
        """The file `<digest>.jpg` or `<digest>.mp4`; `None` where there is none."""
        stem, _, suffix = name.partition(".")
        if not _NAME.fullmatch(stem) or suffix not in ("jpg", "mp4"):
            return None
        path = self.folder / f"{stem}.{suffix}"
        return path if path.is_file() else None

    def _part(self, upload: str) -> Path:
        if not _NAME.fullmatch(upload):
            raise BadData("film", "name", "32 hex digits", upload[:60])
        return self._parts / f"{upload}.part"

    def _keep(self, blob: bytes, suffix: str) -> str:
        digest = hashlib.sha256(blob).hexdigest()[:32]
        path = self.folder / f"{digest}.{suffix}"
        if not path.exists():
            partial = self._parts / f"{secrets.token_hex(8)}.new"
            partial.write_bytes(blob)
            partial.replace(path)  # whole, or not at all
        return digest


def _encode_anew(source: Path, out: Path) -> None:
    if not source.exists():
        raise BadData("film", "bytes", "a film", "nothing")
    encoder: Encoder | None = None
    try:
        with open_video(source) as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 10)
            check_size("film", (stream.height, stream.width, 3))
            if stream.height * stream.width > _MOST_PIXELS:
                raise BadData("film", "size", f"at most {_MOST_PIXELS} pixels", f"{stream.width}x{stream.height}")
            for number, frame in enumerate(container.decode(stream)):
                if number >= _MOST_FRAMES:
                    raise BadData("film", "frames", f"at most {_MOST_FRAMES}", "more")
                picture = np.asarray(frame.to_ndarray(format="rgb24"))
                if encoder is None:
                    encoder = Encoder(out, picture.shape, min(max(round(rate, 3), 1.0), 120.0), "h264")
                encoder.add(picture)
        if encoder is None:
            raise BadData("film", "frames", "at least one", "none")
        encoder.close()
    except BaseException as error:
        if encoder is not None:
            with suppress(av.FFmpegError):
                encoder.abort()
        if isinstance(error, av.FFmpegError | ValueError | MemoryError):
            raise BadData("film", "bytes", "a film that can be decoded", str(error)[:120]) from error
        raise
