"""Looks at the episodes of a dataset in the browser, and takes labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.web.show import Served

__all__ = ["ShowDataset", "show_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowDataset(Request):
    """Asks for the page of a dataset.

    Args:
        token: at least 16 letters, digits, `-` or `_`.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "show")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0.")]
    audit: Annotated[Path | None, Option("Findings of `data audit --json`, for the timeline.")] = None
    host: Annotated[str, Option("Address to listen on; others need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
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
    from roboscale.curate.log import LOG, CurationLog
    from roboscale.web.show import serve

    log = CurationLog(request.dataset / LOG)
    return serve(request.dataset, log, host=request.host, port=request.port, token=request.token, audit=request.audit)
