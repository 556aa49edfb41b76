"""How the command line talks of errors: one line on stderr for what a user can mend, and a word on how to go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from roboscale.core import RoboscaleError, UsageError
from roboscale.core.extras import missing_extra

__all__ = ["friendly", "say"]


def say(text: str) -> None:
    """A line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def friendly() -> Iterator[None]:
    """Turns our own errors, the disk's and those of a missing extra into one line and exit code 1 (2 for a
    `UsageError`), and Ctrl-C into a word on how to go on."""
    try:
        yield
    except RoboscaleError as error:
        say(f"error: {error}")
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from error
    except ModuleNotFoundError as error:
        if (advice := missing_extra(error)) is None:
            raise
        say(f"error: {advice}")
        raise typer.Exit(1) from error
    except BrokenPipeError:
        raise  # whoever read stdout has gone: not an error of ours
    except OSError as error:
        say(f"error: {error.filename or 'disk'}: {error.strerror or error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        say("interrupted; what was finished is saved, and the same command goes on from there")
        raise typer.Exit(130) from error
