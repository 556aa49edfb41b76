"""`roboscale data`: keep episodes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from roboscale.cli.console import DryRun, Json, friendly, print_json

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Keep episodes: repair.")


@app.callback()
def group() -> None:
    """Keep episodes."""


@app.command()
def repair(
    dataset: Annotated[Path, typer.Argument(help="A dataset whose recording was killed.")],
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make every saved episode readable to all loaders again; nothing is deleted, leftovers go to a quarantine."""
    with friendly():
        from roboscale.dataset import repair as repair_dataset

        report = repair_dataset(dataset, dry_run=dry_run)
        if as_json:
            return print_json(asdict(report))
        done = "would change" if report.dry_run else "changed"
        print(f"{dataset}: {report.episodes} episodes, {report.frames} frames readable; {done}: {report.changed}")
        for name in ("finished", "sealed", "quarantined"):
            print(f"  {name}: {getattr(report, name)}")
