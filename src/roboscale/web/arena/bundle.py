"""The board as one document that opens from a file and asks nobody: the served page with its answers inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

__all__ = ["bundled_page"]


def bundled_page(answers: Mapping[str, Any]) -> str:
    """The page of the board; pictures and films are files in `media/` beside it.

    Args:
        answers: address -> what the server would say, in JSON types, e.g. `api/board`.
    """
    files = resources.files("roboscale.web.arena").joinpath("static")
    page, style, script = (
        files.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "style.css", "app.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # 'self' is what a file may load beside itself.
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "media-src 'self'; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(answers, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    charset = '<meta charset="utf-8">'
    for old, new in (
        (charset, f'{charset}\n<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        ('<link rel="icon" href="icon.svg">', '<link rel="icon" href="data:,">'),
        ('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>"),
        (
            '<script type="module" src="app.js"></script>',
            f'<script id="bundle" type="application/json">{data}</script>\n<script type="module">{script}</script>',
        ),
    ):
        before, found, after = page.partition(old)
        assert found, f"the page has no {old}"
        page = before + new + after
    return page
