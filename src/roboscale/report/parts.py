"""What every offline page is put together from: the template environment, assets, data as JSON, figures as inline SVG.

Knows how parts get into a page safely, not which page it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from roboscale.report.canvas import GRID, INK, MUTED, PALETTE, PAPER

__all__ = ["as_data", "asset", "csp_hash", "environment", "inline_svg"]


def environment(filters: Mapping[str, Callable[..., Any]]) -> jinja2.Environment:
    """Templates of this room; strings may hold anything: they are escaped. A name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("roboscale.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= filters
    return made


def asset(name: str) -> str:
    """A file beside the templates, as text."""
    return resources.files("roboscale.report").joinpath("templates", name).read_text(encoding="utf-8")


def csp_hash(script: str) -> str:
    """Source expression of the content security policy that allows exactly this script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def as_data(data: Any) -> Markup:
    """JSON that no string in it can end early."""
    encoded = json.dumps(data, ensure_ascii=True, default=str)
    return Markup(encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def inline_svg(svg: str, prefix: str) -> Markup:
    """An SVG document as a part of the page: ids made unique, colours and font those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r'<svg\1 aria-hidden="true" focusable="false"', svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    return Markup(re.sub(r'style="[^"<>]*"', lambda found: _themed(found[0]), svg))


def _themed(style: str) -> str:
    variables = {INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper"}
    variables |= {hue: f"p{i}" for i, hue in enumerate(PALETTE)}
    for hue, name in variables.items():
        style = style.replace(hue, f"var(--{name})")
    return re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font)", style)
