"""How the command line talks: results on stdout, everything else on stderr, one line for an error a user can mend."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from roboscale.core import RoboscaleError
from roboscale.jobs.files import write_json

__all__ = [
    "DryRun",
    "Json",
    "Seed",
    "Workers",
    "WorldName",
    "count_bar",
    "friendly",
    "parse_shard",
    "print_json",
    "say",
    "write_json",
]

Seed = Annotated[int, typer.Option(help="Seed of the cases; the same seed gives the same trials.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Workers = Annotated[
    int | None, typer.Option(help="Worlds in processes of their own; 0 runs them in this one. Default: the cores.")
]
WorldName = Annotated[str, typer.Option("--world", help="A world of `roboscale world list`, or a TOML declaration.")]


def say(text: str) -> None:
    """A line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON document on stdout. NaN is no JSON and raises ValueError."""
    print(json.dumps(data, indent=2, allow_nan=False))


@contextmanager
def friendly() -> Iterator[None]:
    """Turns our own errors and the disk's into one line and exit code 1, and Ctrl-C into a word on how to go on."""
    try:
        yield
    except RoboscaleError as error:
        say(f"error: {error}")
        raise typer.Exit(1) from error
    except BrokenPipeError:
        raise  # whoever read stdout has gone: not an error of ours
    except OSError as error:
        say(f"error: {error.filename or 'disk'}: {error.strerror or error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        say("interrupted; what was finished is saved, and the same command goes on from there")
        raise typer.Exit(130) from error


@contextmanager
def count_bar(label: str, total: int | None) -> Iterator[Any]:
    """A progress bar on stderr; yields `advance(count=1, note="")`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total, note="")

        def advance(count: int = 1, note: str = "") -> None:
            bars.update(task, advance=count, note=note)

        yield advance


def parse_shard(text: str) -> tuple[int, int]:
    """`i/n` as two numbers; RoboscaleError otherwise."""
    left, _, right = text.partition("/")
    if not (left.isdigit() and right.isdigit()):
        raise RoboscaleError(f"--shard: expected i/n such as 0/4, found {text!r}")
    return int(left), int(right)
