"""Which episodes are worth learning from: what people said of them, and what methods choose. Never rewrites data.

Selections are in `curate.selection` and methods in `curate.choose`, which read datasets and import SciPy.
"""

from roboscale.curate.log import CurationLog, Entry, Label

__all__ = ["CurationLog", "Entry", "Label"]
