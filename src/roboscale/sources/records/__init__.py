"""What others recorded, read as it is: LeRobot, RLDS, HDF5, zarr, ROS bags."""

from roboscale.sources.records.formats import FORMATS, detect, open_recording

__all__ = ["FORMATS", "detect", "open_recording"]
