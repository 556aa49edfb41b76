"""What `zarr.json` of format 3 says, in the words of format 2: what both can say is read by the same code.

Read are numbers in regular grids of chunks, as bytes or packed by zstd, gzip or Blosc, which is what zarr-python 3
writes unless it is told otherwise. Shards, checksums of chunks and transposed chunks are refused by name.
Source: https://zarr-specs.readthedocs.io/en/latest/v3/core/v3.0.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roboscale.core import BadData

__all__ = ["in_words_of_version_2"]

_NUMBERS = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_NUMBERS += ("float16", "float32", "float64")
_PACKED = ("zstd", "gzip", "blosc")


def in_words_of_version_2(file: object, raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The metadata of an array as `.zarray` has them, and what its chunks' keys begin with.

    Raises:
        BadData: it says something that is not read; names the key.
    """
    grid, keys = (
        _named(file, raw, "chunk_grid", ("regular",)),
        _named(file, raw, "chunk_key_encoding", ("default", "v2")),
    )
    kind = raw.get("data_type")
    if kind not in _NUMBERS:
        raise BadData(file, "data_type", f"one of {', '.join(_NUMBERS)}", str(kind)[:80])
    codecs = raw.get("codecs")
    if not isinstance(codecs, list) or not codecs or raw.get("storage_transformers"):
        raise BadData(file, "codecs", "a list of codecs, and no storage_transformers", str(codecs)[:80])
    first = _named(file, {"codecs": codecs[0]}, "codecs", ("bytes",))
    packed = [_named(file, {"codecs": one}, "codecs", _PACKED) for one in codecs[1:]]
    if len(packed) > 1:
        raise BadData(file, "codecs", "bytes, and one codec that packs them", [one["name"] for one in packed])
    order = {"big": ">", "little": "<"}.get(str(first.get("endian", "little")), "<")
    separator = keys.get("separator", "/" if keys["name"] == "default" else ".")
    said = {
        "zarr_format": 2,
        "shape": raw.get("shape"),
        "chunks": grid.get("chunk_shape"),
        "dtype": np.dtype(kind).newbyteorder(order).str,
        "order": "C",
        "dimension_separator": separator,
        "compressor": {"id": packed[0]["name"]} if packed else None,
        "filters": None,
        "fill_value": raw.get("fill_value"),
    }
    return said, f"c{separator}" if keys["name"] == "default" else ""


def _named(file: object, raw: Mapping[str, Any], key: str, valid: tuple[str, ...]) -> dict[str, Any]:
    """`{"name": ..., "configuration": {...}}` as one mapping; BadData unless its name is one of these."""
    one = raw.get(key)
    name = one.get("name") if isinstance(one, dict) else None
    if name not in valid:
        raise BadData(file, key, f"one of {', '.join(valid)}", str(name or one)[:80])
    inside = one.get("configuration")  # type: ignore[union-attr]
    return {**(inside if isinstance(inside, dict) else {}), "name": name}
