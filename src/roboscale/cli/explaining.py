"""What the arrays of a recording seem to mean: evidence and a draft that its user corrects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roboscale.cli.console import print_json
from roboscale.cli.importing import open_source
from roboscale.sources.records import detect

__all__ = ["explain_source"]

_BAGS = ("mcap", "rosbag-db3")


def explain_source(
    source: Path, format: str, declaration: Path | None, options: Mapping[str, Any], as_json: bool
) -> None:
    """Prints a drafted mapping for a bag, evidence and a drafted declaration for everything else."""
    if (format or detect(source)) in _BAGS and "mapping" not in options:
        from roboscale.sources.records.mcap import explain

        draft = explain(source)
        print_json({"mapping": draft}) if as_json else print(draft)
        return
    from roboscale.sources.records.explain import explain as explain_arrays

    found = explain_arrays(open_source(source, format, declaration, options).recording)
    if as_json:
        return print_json({**found.to_json(), "declaration": found.to_toml()})
    print(found.to_text())
    print("\n# A declaration to correct, and to pass with --declare:")
    print(found.to_toml())
