"""`python -m roboscale.cli` is the `roboscale` command."""

from roboscale.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
