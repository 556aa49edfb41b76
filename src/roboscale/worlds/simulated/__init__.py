"""Simulated worlds, one leaf file per simulator."""
