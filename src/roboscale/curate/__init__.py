"""Which episodes are worth learning from: what people said of them, and what methods choose. Never rewrites data.

The methods themselves are in `curate.choose`, which imports SciPy.
"""

from roboscale.curate.log import CurationLog, Entry, Label
from roboscale.curate.method import EpisodeView, Method, Scored
from roboscale.curate.selection import Chosen, Left, Selection, read_selection

__all__ = [
    "Chosen",
    "CurationLog",
    "Entry",
    "EpisodeView",
    "Label",
    "Left",
    "Method",
    "Scored",
    "Selection",
    "read_selection",
]
