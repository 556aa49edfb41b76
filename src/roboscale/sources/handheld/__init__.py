"""Handheld grippers, phones and headsets: trajectories that others have computed, telemetry, tags."""
