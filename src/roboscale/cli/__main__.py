"""The `roboscale` command, which is `python -m roboscale` and `python -m roboscale.cli`, too."""

import faulthandler
import os
import sys

__all__ = ["main"]

_IDLE = "20"
"""An idle thread of OpenBLAS goes to sleep after 2**n cycles. By its own default of 28 that is a tenth of a second of
every core, for each of the two copies that NumPy and SciPy bring, whenever a command starts."""


def main() -> None:
    """Entry point."""
    faulthandler.enable()  # a simulator that crashes while it is opened says where, instead of nothing
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _IDLE)  # read when NumPy is imported, so before anything of ours
    try:
        from roboscale.cli.app import app
    except KeyboardInterrupt:  # later ones have a word of their own; here nothing was begun
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    app()


if __name__ == "__main__":
    main()
