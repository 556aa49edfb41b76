"""Opens what is to be audited, spreads the work over workers, and writes the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from roboscale.cli.console import write_text
from roboscale.cli.importing import open_source
from roboscale.core import RoboscaleError
from roboscale.dataset.audit import AuditReport, V3Recording, audit, audit_folder, film_strips, is_v3
from roboscale.dataset.engine import Engine, run

__all__ = ["audit_source", "write_page"]


def audit_source(
    source: Path,
    *,
    against: Sequence[Path] = (),
    images: bool = True,
    declaration: Path | None = None,
    options: dict[str, Any] | None = None,
    workers: int | None = None,
    engine: Engine = "processes",
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Audits a dataset, or a recording of any format that is read. What is broken is reported, not raised."""
    others = [open_source(path).recording for path in against]

    def spread(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        return run(function, list(items), workers=workers, engine=engine)

    if is_v3(source):
        opener: Any = partial(V3Recording, source)
        return audit_folder(source, against=others, images=images, progress=progress, opener=opener, run=spread)
    opened = open_source(source, "", declaration, options)
    return audit(
        opened.recording,
        against=others,
        images=images,
        progress=progress,
        opener=opened.open,
        run=spread,
    )


def write_page(source: Path, report: AuditReport, page: Path) -> None:
    """The report as one offline HTML page, with film strips where pictures are concerned."""
    from roboscale.report.audit import audit_page

    try:
        recording: Any = V3Recording(source) if is_v3(source) else open_source(source).recording
        strips = film_strips(recording, report)
    except RoboscaleError:
        strips = {}  # what cannot be opened has no pictures; the findings say so
    write_text(page, audit_page(report, strips))
