"""Worker processes import the script that started them: what a script without a guard would do there is stopped."""

from __future__ import annotations

import multiprocessing
import sys

__all__ = ["require_main"]


def require_main() -> None:
    """Ends a worker process that is only importing the user's script, with one line that says how to mend it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(
            'this script starts processes when it is imported: put what it does under if __name__ == "__main__":',
            file=sys.stderr,
        )
        raise SystemExit(1)
