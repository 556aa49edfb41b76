"""LeRobot datasets of v2.0, v2.1, v3 and GR00T: one lenient reader, of which everything that opens one is a view."""

from roboscale.dataset.lerobot.folder import Folder, lerobot_format, load_folder
from roboscale.dataset.lerobot.opening import open_lerobot
from roboscale.dataset.lerobot.recording import LeRobotRecording

__all__ = ["Folder", "LeRobotRecording", "lerobot_format", "load_folder", "open_lerobot"]
