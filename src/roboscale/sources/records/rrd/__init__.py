"""Episodes for Rerun's viewer: written, and read back by Rerun's own reader; no source of imports."""

from __future__ import annotations

from roboscale.sources.records.rrd.export import compare_rrd, export_rrd

__all__ = ["compare_rrd", "export_rrd"]
