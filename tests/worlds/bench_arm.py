"""A declared robot of two joints and a tiny camera that writes every setpoint down."""

import json
from pathlib import Path

DRIVER = '''
"""A joint that goes where it is sent, and writes every setpoint down."""
import json, time
from pathlib import Path
import numpy as np

class Arm:
    def __init__(self, log, fails=""):
        self.log, self.fails, self.frozen = Path(log), fails, False
        self.at = np.array([0.1, 0.0])
    def note(self, what, values=()):
        with self.log.open("a") as file:
            file.write(json.dumps([what, time.monotonic(), list(map(float, values))]) + "\\n")
    def connect(self):
        if self.fails == "connect" or (self.log.parent / "unplugged").exists():
            raise OSError("no such port")
        self.note("connect")
    def read(self):
        if self.fails == "read" and self.at[0] > 0.15:
            raise OSError("cable out")
        picture = np.full((16, 18, 3), 0 if self.fails == "camera" else time.monotonic_ns() % 251, np.uint8)
        return {"observation.state": self.at.astype(np.float32), "observation.images.front": picture}
    def send(self, action):
        if self.fails == "send" and action[0] > 0.13:
            raise OSError("motor 3 is hot")
        self.at = np.array(action)
        self.note("send", action)
    def flange(self, joints):
        return np.array([joints[0], joints[1], 0.0])
    def stop(self):
        self.note("stop")
    def disconnect(self):
        self.note("disconnect")
'''
ARM = """
name = "arm"
driver = "driver.py:Arm"
rate_hz = 20.0
horizon = 12
[options]
log = "{folder}/calls.jsonl"
fails = "{fails}"
[tasks]
reach = "move the tip of the arm to the red ball"
[[joints]]
name = "x"
unit = "m"
low = -1.0
high = 1.0
velocity = 0.25
acceleration = 4.0
jump = 0.2
home = 0.0
[[joints]]
name = "y"
unit = "m"
low = -1.0
high = 1.0
velocity = 0.25
acceleration = 4.0
jump = 0.2
home = 0.0
[[cameras]]
name = "front"
height = 16
width = 18
[workspace]
low = [-0.9, -0.9, -0.1]
high = [0.9, 0.9, 0.1]
speed = 0.25
[watchdog]
lease_s = 0.15
camera_s = 0.3
"""


def declare(folder: Path, fails: str = "") -> Path:
    (folder / "driver.py").write_text(DRIVER)
    (folder / "arm.toml").write_text(ARM.format(folder=folder, fails=fails))
    return folder / "arm.toml"


def declare_many(folder: Path, names: list[str], two_hands: bool) -> Path:
    """The same with so many joints and no camera; two hands are moved by the first three joints of either half."""
    text = (declare(folder)).read_text()
    joint = text[text.index("[[joints]]") : text.index("[[joints]]", text.index("[[joints]]") + 1)]
    joints = "".join(joint.replace('"x"', f'"{name}"') for name in names)
    box = "[workspace]\nlow = [-2, -2, -2]\nhigh = [2, 2, 2]\n" if two_hands else ""
    head = text[: text.index("[[joints]]")].replace("horizon = 12", "horizon = 400")
    (folder / "arm.toml").write_text(head + joints + box)
    half = len(names) // 2
    hand = f"np.array([joints[:3], joints[{half}:{half + 3}]])"
    driver = DRIVER.replace("np.array([0.1, 0.0])", f"np.zeros({len(names)})")
    driver = driver.replace("np.array([joints[0], joints[1], 0.0])", hand)
    driver = driver.replace(', "observation.images.front": picture', "")
    (folder / "driver.py").write_text(driver if two_hands else driver.replace("def flange", "def _flange"))
    return folder / "arm.toml"


def sent(folder: Path) -> list[tuple[float, float]]:
    """Time and first joint of every setpoint."""
    lines = map(json.loads, (folder / "calls.jsonl").read_text().splitlines())
    return [(at, values[0]) for what, at, values in lines if what == "send"]


def calls(folder: Path) -> list[str]:
    return [json.loads(line)[0] for line in (folder / "calls.jsonl").read_text().splitlines()]
