"""What readers of formats find beside the checks of the audit: a stable name, where it comes from, what it means.

Documentation prints this table; a test holds it against the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["READER_FINDINGS", "readers_table"]

_BAGS = "bags (MCAP, db3)"

READER_FINDINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "assumed-lens": (
            "hand videos",
            "Nobody says how the camera sees; a view of 60 degrees is assumed.",
        ),
        "assumed-rate": ("ALOHA", "Nothing says the rate; that of the format's own recorder is taken."),
        "assumed-tip": ("clips", "The tip is taken to be where UMI's gripper has it."),
        "assumed-type": (_BAGS, "A message type is not defined in the bag; ROS 2's own definition is used."),
        "checksum": (_BAGS, "A checksum is not that of its bytes."),
        "clip-not-used": ("clips", "A clip that helps a map was not used, for there is none."),
        "clock": (_BAGS, "A topic has no stamps of its own; the recorder's times are used."),
        "count": (_BAGS, "The files hold another number of messages than the index or metadata.yaml says."),
        "cut-chunks": ("zarr", "Chunks are longer than the array's shape; they are cut there."),
        "damaged-shard": ("RLDS", "A shard is broken from some record on; those before are kept."),
        "differing-field": ("HDF5", "Episodes do not agree on a field; those that differ fail."),
        "discount-varies": ("RLDS", "Discounts other than 1 are left out."),
        "doubled-stamp": (_BAGS, "Messages share a stamp; the last one is kept."),
        "event-dropped": ("--resample", "An event, such as next.done, is shown by no frame any more."),
        "gap": (_BAGS, "A topic was silent for many times its usual period."),
        "gyroscope-agrees": ("UMI", "Gyroscope and pictures agree; how far their clocks are apart."),
        "gyroscope-not-compared": ("UMI", "The gyroscope could not be held against the pictures' motion."),
        "hand-left-out": ("human", "Hands were tracked of which none was asked for."),
        "hand-twice": ("hand videos", "Two hands were called by one side in some pictures; the surer one is kept."),
        "has-image-contradicts": ("RLDS", "The metadata say that there is no picture, and there is one."),
        "index": (_BAGS, "The index of a file is broken; it was walked through instead."),
        "instruction": (_BAGS, "The topic of instructions says several texts."),
        "journal": (_BAGS, "A db3 file has a journal beside it: its recorder did not close it."),
        "known-dataset-differs": ("all", "This copy says something else than was published for the dataset."),
        "metadata": (_BAGS, "metadata.yaml cannot be read, or does not list all files."),
        "mirrored-hand": ("human", "A hand has the shape of the other one: its label or picture is mirrored."),
        "missing-action": ("RoboMIND", "What was commanded was not recorded."),
        "missing-file": (_BAGS, "metadata.yaml lists files that are not there."),
        "missing-shard": ("RLDS", "Shards that the others' names count are not there."),
        "missing-split": ("RLDS", "dataset_info.json claims a split of which no file is there."),
        "missing-task": ("RoboMIND", "There is no table of instructions."),
        "narrowed-floats": ("RLDS", "64-bit numbers were kept by TFRecord in 32 bits."),
        "no-action": ("RLDS, zarr", "There is no action, and none is made up."),
        "no-checksum": (_BAGS, "A changed byte cannot be told, for there are no checksums."),
        "no-gyroscope": ("UMI", "The telemetry has no gyroscope, so clocks cannot be compared."),
        "no-hands": ("Aria", "The recording has no tracked hands; the device's poses alone are carried."),
        "no-table-frame": ("UMI", "Nothing says where the table is; poses are in the mapping's frame."),
        "no-width": ("UMI", "The gripper's width is not there; the effector has no joints."),
        "other-action": ("RoboMIND", "What is carried over is not what the project trains on."),
        "other-joints": (_BAGS, "Messages of other joints were passed over."),
        "out-of-order": (_BAGS, "Messages came with a stamp before the last; they are sorted."),
        "placeholder-camera": ("RLDS", "The metadata say that there is no picture; what is kept is black."),
        "recorded-clock": ("own layouts, ALOHA", "The rate that was measured, beside what else says it."),
        "resampled": ("--resample", "How many frames are repeated and dropped."),
        "rows-before-start": ("own layouts", "Rows before the first value of every field are left out."),
        "scale-by-imu": ("clips", "Metres are by the accelerometer, for no printed tag was seen."),
        "shard-length": ("RLDS", "The files hold another number of episodes than dataset_info.json claims."),
        "stabilised-clip": ("UMI", "Pictures do not move as the gyroscope does: they were stabilised in the camera."),
        "stamp": (_BAGS, "Stamps stray from the recorder's clock."),
        "step-flags": ("RLDS", "is_first, is_last or is_terminal is true at another step."),
        "telemetry-broken": ("UMI", "The telemetry in the video cannot be read; the inertial sensor is left out."),
        "texts": (_BAGS, "Texts are cut, or too many to be kept."),
        "time-unit": ("captures", "The unit of the times is taken from their steps."),
        "trimmed": (_BAGS + ", fix", "Frames at an end are left out."),
        "truncated": (_BAGS, "A file is readable up to some byte; the messages before it are kept."),
        "unmapped-field": ("HDF5", "An episode holds what the others do not; it is not carried over."),
        "unreadable": (_BAGS, "An episode's file cannot be read."),
        "width-not-measured": ("UMI", "Frames in which the fingers' tags were not both seen."),
        "width-range": ("clips", "No clip opens and closes the gripper: widths do not count from closed."),
        "width-scale": ("UMI, clips", "Widths are by the printed size of the tags alone."),
        "wrong-length": ("DROID", "The metadata claim another length than the trajectory has."),
        "wrong-totals": ("robomimic", "The file claims another number of frames than its demos have."),
    }
)
"""Name -> (which readers, what it means)."""


def readers_table() -> str:
    """Markdown: one line for each finding of a reader.

    >>> readers_table().splitlines()[0]
    '| finding | of | what it means |'
    """
    lines = ["| finding | of | what it means |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {where} | {meaning} |" for name, (where, meaning) in READER_FINDINGS.items()]
    return "\n".join(lines)
