"""`roboscale trials`: what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roboscale.cli.console import DryRun, Json, friendly, print_json, write_json

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Trials: merge, export.")


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="The file that receives them; made if missing.")],
    shards: Annotated[list[Path], typer.Argument(help="trials.db files of the shards.")],
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Put the trials of several shards into one file. A trial that two shards know differently is an error."""
    with friendly():
        from roboscale.trials import TrialStore

        if dry_run:
            return print(f"would merge {', '.join(map(str, shards))} into {out}")
        with TrialStore(out) as store:
            added, total = store.merge(shards), len(store)
        print_json({"added": added, "total": total}) if as_json else print(f"{added} trials added, {total} in {out}")


@app.command()
def export(
    trials: Annotated[Path, typer.Argument(help="A trials.db.")],
    out: Annotated[Path, typer.Argument(help="Where LeRobot's eval_info.json is written.")],
    policy: Annotated[str, typer.Option(help="Name of the policy, where the file holds several.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Write the trials of one policy as LeRobot's eval_info.json."""
    with friendly():
        from roboscale.core import BadData, UnknownName
        from roboscale.stats import wilson
        from roboscale.trials import TrialStore, to_eval_info

        if not trials.is_file():
            raise BadData(trials, "file", "a SQLite file of trials", "no file")
        with TrialStore(trials) as store:
            final = {(t.policy, t.case): t for t in store}  # the last attempt of each
        names = sorted({name for name, _ in final})
        chosen = policy or (names[0] if len(names) == 1 else "")
        if chosen not in names:
            raise UnknownName("policy in the trials", chosen, names)
        if dry_run:
            return print(f"would write {out} for {chosen}")
        write_json(out, to_eval_info([t for (name, _), t in final.items() if name == chosen], wilson))
