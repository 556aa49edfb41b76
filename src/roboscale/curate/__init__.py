"""Which episodes are worth learning from: what people said of them. Never rewrites data."""

from roboscale.curate.log import CurationLog, Entry, Label

__all__ = ["CurationLog", "Entry", "Label"]
