"""Bytes as text: UTF-8 and what marks itself; other encodings where the names of the table's columns prove them."""

from __future__ import annotations

import re
from pathlib import Path

from roboscale.core import BadData
from roboscale.results.names import COLUMNS, strength

__all__ = ["decoded"]

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LEGACY = {
    "cp932": "Shift-JIS",
    "gb18030": "GB 18030",
    "cp949": "EUC-KR",
    "cp1251": "Windows-1251",
    "cp1252": "Windows-1252",
    "mac-roman": "Mac Roman",
}
_TYPOGRAPHY = frozenset(b"\x80\x82\x84\x85\x8c\x91\x92\x93\x94\x95\x96\x97\x99\x9c")
"""Quotes, dashes and the like of Windows-1252; other bytes below 0xa0 speak for another encoding."""
_CELLS = re.compile(r"[,;\t|\r\n]")
_LOOKED_AT = 4096
_NO_WESTERN_WORD = re.compile(rb"[\xa0-\xff]{3}")
"""Words of Western Europe have two letters with accents side by side at most."""


def decoded(path: Path, data: bytes) -> tuple[str, list[str]]:
    """The text, and what was assumed of its encoding.

    Raises:
        BadData: it is no text, or in an encoding that nothing proves.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _as(path, data, encoding), [f"read as {encoding.upper()}"]
    if data[:200].count(0) * 3 > len(data[:200]):
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        return _as(path, data, encoding), [f"read as {encoding.upper()}, which its bytes look like"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        proven = _proven(data)
        if proven:
            return data.decode(proven), [f"not UTF-8: read as {_LEGACY[proven]}, in which names of columns are known"]
        return _western(path, data, error), [
            "not UTF-8: read as Windows-1252, so that letters with accents may be others"
        ]


def _proven(data: bytes) -> str:
    """The encoding in which most names of columns are known, beyond those in plain ASCII; empty where none or two."""
    scores: dict[str, int] = {}
    for encoding in _LEGACY:
        try:
            text = data.decode(encoding)[:_LOOKED_AT]
        except UnicodeDecodeError:
            continue
        cells = {cell.strip().strip("\"'") for cell in _CELLS.split(text) if not cell.isascii()}
        scores[encoding] = sum(any(strength(role, cell) is not None for role in COLUMNS) for cell in cells)
    most = max(scores.values(), default=0)
    best = [encoding for encoding, score in scores.items() if score == most]
    return best[0] if most and len(best) == 1 else ""


def _western(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    text = data.decode("cp1252", "replace")
    if any((ord(sign) < 32 and sign not in "\t\r\n\f") or sign in "\x7f\ufffd" for sign in text):
        raise BadData(path, "file", "text in UTF-8, or a kind of table that is known", error) from error
    strange = any(0x80 <= byte < 0xA0 and byte not in _TYPOGRAPHY for byte in data)
    if strange or _NO_WESTERN_WORD.search(data):
        raise BadData(path, "file", "text in UTF-8 (save it as such)", f"another encoding: {error}") from error
    return text


def _as(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise BadData(path, "file", encoding.upper(), error) from error
