"""`roboscale report`: one self-contained page from a folder of trials."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboscale.cli.console import DryRun, Json, friendly, print_json, say

if TYPE_CHECKING:
    from roboscale.cli.judging import Judged

__all__ = ["command_of", "report"]


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of `roboscale eval` or `roboscale compare`.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page; by default report.html in the folder.")
    ] = None,
    videos: Annotated[int, typer.Option(min=0, help="Cases per task to film.")] = 4,
    dataset: Annotated[list[Path], typer.Option(help="Datasets to describe.")] = [],  # noqa: B006
    training: Annotated[list[Path], typer.Option(help="Checkpoints whose training to show.")] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Which run to show, where the folder holds several.")] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write one self-contained HTML page: verdict, rates, videos, evidence, damage, data, versions."""
    with friendly():
        from roboscale.cli.judging import load_judged
        from roboscale.cli.reporting import dataset_summary, report_data, training_curve
        from roboscale.report.html import render_report

        page = out or folder / "report.html"
        if dry_run:
            return say(f"would write {page} from {folder / 'trials.db'}")
        judged = load_judged(folder, seed)
        data = report_data(
            judged,
            title=" against ".join(judged.request.policies),
            command=command_of(judged, folder),
            created=datetime.date.today().isoformat(),
            videos_per_task=videos,
            datasets=[dataset_summary(path) for path in dataset],
            training=[training_curve(path, path.name) for path in training],
        )
        page.write_text(render_report(data), encoding="utf-8")
        print_json(data.to_json()) if as_json else print(page)


def command_of(judged: Judged, folder: Path) -> str:
    """The command line that reproduces these trials."""
    request = judged.request
    where = f"--world {request.world} --tasks {','.join(request.tasks)} --seed {request.seed} --out {folder}"
    if len(request.policies) == 1:
        return f"roboscale eval --policy {request.policies[0]} --trials {request.trials} {where}"
    budget = request.trials * len(request.tasks)
    return f"roboscale compare {' '.join(request.policies)} --budget {budget} {where}"
