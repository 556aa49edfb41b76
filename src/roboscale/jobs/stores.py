"""What every command asks that reads or writes a store of trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.request import Argument, Option

if TYPE_CHECKING:
    from roboscale.jobs.trying import Trying
    from roboscale.trials.log import Run

__all__ = ["RunId", "Store", "folder_of", "run_request"]

Store = Annotated[str, Argument("Folder, FILE.db or postgresql://... of the trials.")]
RunId = Annotated[str, Option("Which run, by the beginning of its id. Default: the newest.")]


def folder_of(store: str) -> Path | None:
    """The folder beside the trials, for pages and files; `None` for a database elsewhere."""
    if "://" in store and not store.startswith("sqlite:///"):
        return None
    path = Path(store.removeprefix("sqlite:///"))
    return path.parent if path.suffix == ".db" else path


def run_request(run: Run, **changed: Any) -> Trying:
    """The request that a run was asked with.

    Raises:
        RoboscaleError: it was asked from Python, with objects that no text can name.
        BadData: it is not a request of this version.
    """
    from roboscale.jobs.compare import Compare
    from roboscale.jobs.eval import Evaluate

    if run.command is None:
        raise RoboscaleError(f"run {run.id[:8]} was made from Python with objects: only that script can go on with it")
    kinds: Mapping[str, type[Trying]] = {"eval": Evaluate, "compare": Compare}
    try:
        return kinds[run.request["command"]](**{**run.request["fields"], **changed})
    except (KeyError, TypeError) as error:
        raise BadData("run", run.id[:8], "a request of eval or compare", repr(error)) from error
