"""`python -m roboscale` is the `roboscale` command."""

from roboscale.cli.__main__ import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
