"""Looks at the episodes of a dataset in the browser, and takes labels; or writes them for another viewer."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import SpecMismatch
from roboscale.core.extras import require_packages
from roboscale.jobs.data_export import ExportDataset, Exported, export_dataset
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.web.show import Served

__all__ = ["ShowDataset", "show_dataset", "write_for_viewers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowDataset(Request):
    """Asks for the page of a dataset, or for the files of another viewer.

    Args:
        selection: scores of a method, and the frames that it leaves out; `data curate --labels` overrules it.
        rerun, foxglove: a new folder for one file an episode; no page is served then.
        token: at least 16 letters, digits, `-` or `_`.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "show")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0.")]
    audit: Annotated[Path | None, Option("Findings of `data audit --json`, for the timeline.")] = None
    selection: Annotated[Path | None, Option("File of `data curate`: scores and cuts on the timeline.")] = None
    host: Annotated[str, Option("Address to listen on; others need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
    rerun: Annotated[Path | None, Option("Write files for Rerun's viewer into this new folder instead.")] = None
    foxglove: Annotated[Path | None, Option("Write files for Foxglove into this new folder instead.")] = None
    token: Annotated[str | None, Option("Secret in the address; made up where one is needed.")] = None


def show_dataset(request: ShowDataset, on_event: OnEvent = ignore) -> Served:
    """Serves the page in a thread; labels go to `meta/roboscale/curation.jsonl` in the dataset, nothing else does.

    >>> with show_dataset(ShowDataset(dataset=Path("recorded"))) as page:
    ...     print(page.url)
    http://127.0.0.1:...

    Returns:
        The page: its `url`, `wait()` until somebody closes it or presses Ctrl-C, and `close()`.

    Raises:
        BadData: the dataset, the audit or the labels are broken.
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    if request.rerun or request.foxglove:
        raise SpecMismatch(
            "show_dataset serves the page; write_for_viewers writes the files of --rerun and --foxglove"
        )
    require_packages("a page", "starlette")
    from roboscale.curate.log import LOG, CurationLog
    from roboscale.jobs.recordings import require_ours
    from roboscale.web.show import serve

    require_ours(request.dataset)
    log = CurationLog(request.dataset / LOG)
    served = partial(serve, request.dataset, log, host=request.host, port=request.port, token=request.token)
    if request.selection is None:
        return served(audit=request.audit)
    from roboscale.jobs.selecting import selection_findings

    said = selection_findings(request.selection, request.dataset)
    audited = json.loads(request.audit.read_text("utf-8"))["findings"] if request.audit is not None else []
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "findings.json"
        both.write_text(json.dumps({"findings": [*audited, *(one.to_json() for one in said)]}), "utf-8")
        return served(audit=both)  # it is read before this returns


def write_for_viewers(request: ShowDataset, on_event: OnEvent = ignore) -> tuple[Exported, ...]:
    """Writes the files that `--rerun` and `--foxglove` ask for, and opens each with that viewer's own reader.

    >>> done = write_for_viewers(ShowDataset(dataset=Path("recorded"), foxglove=Path("episodes")))
    >>> [(one.format, one.episodes) for one in done]
    [('mcap', 3)]

    Raises:
        BadData: as `export_dataset`.
    """
    asked: tuple[tuple[Path | None, Literal["rrd", "mcap"]], ...]
    asked = ((request.rerun, "rrd"), (request.foxglove, "mcap"))
    return tuple(
        export_dataset(ExportDataset(dataset=request.dataset, out=out, to=to), on_event) for out, to in asked if out
    )
