"""Records a robot into a LeRobotDataset v3.0 and reads it back as a policy would train on it.

The robot is made up: two joints that lag behind their commands, and a camera that sees a grey picture.
Put your driver where `MadeUpRobot` is.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter

RATE_HZ = 20
JOINTS = ("shoulder", "elbow")
STATE = Field("observation.state", (2,), "float32", unit="rad", frame="joint", layout=JOINTS)
PICTURE = Field("observation.images.front", (64, 64, 3), "uint8", layout=("height", "width", "channel"))
TIME = Field("time.front_ns", (1,), "int64", unit="ns")  # when the picture was really taken
ACTION = Field("action", (2,), "float32", unit="rad", frame="joint", layout=JOINTS, low=(-1.0, -1.0), high=(1.0, 1.0))
APPLIED = Field(
    "applied.action", (2,), "float32", unit="rad", frame="joint", layout=JOINTS
)  # what the motors were told in the end
SPEC = Spec((STATE, PICTURE, TIME, ACTION, APPLIED), RATE_HZ)


class MadeUpRobot:
    """Fake hardware: every step, the joints go half of the way to where they are sent."""

    def __init__(self) -> None:
        self.joints = np.zeros(2, np.float32)

    def observe(self) -> dict[str, np.ndarray]:
        level = int(127 + 100 * self.joints[0])
        return {
            "observation.state": self.joints.copy(),
            "observation.images.front": np.full((64, 64, 3), level, np.uint8),
            "time.front_ns": np.array([time.monotonic_ns()]),
        }

    def send(self, command: np.ndarray) -> np.ndarray:
        applied = command.clip(-1, 1)
        self.joints += (applied - self.joints) / 2
        return applied


def record(root: Path) -> None:
    provenance = Provenance("teleop.example", embodiment="two made-up joints", operator="a sine wave")
    with DatasetWriter(root, SPEC, robot_type="made_up") as writer:
        for number in range(3):
            robot = MadeUpRobot()
            take = writer.begin("wave the arm from one side to the other", provenance)
            for step in range(40):
                seen = robot.observe()  # what was seen before the command
                command = np.array([1.2 * np.sin(step / 5), 0.3], np.float32)
                take.add({**seen, "action": command, "applied.action": robot.send(command)})
            if number == 1:
                take.discard()  # the operator was not happy; nothing of it stays
            else:
                print(f"saved {take.save(Outcome('success', steps=40))}: it survives kill -9 from here on")


def read(root: Path) -> None:
    windows = {"observation.state": [-0.05, 0.0], "action": [i / RATE_HZ for i in range(8)]}
    dataset = Dataset(root, delta_timestamps=windows)
    print(f"{len(dataset.episodes)} episodes, {len(dataset)} frames at {dataset.fps} Hz")
    frame = dataset[36]  # near the end of the first episode: the window runs over it
    print("past states", frame["observation.state"].shape, "picture", frame["observation.images.front"].shape)
    print("future actions", frame["action"].shape, "of which padding", int(frame["action_is_pad"].sum()))
    clipped = np.abs(dataset.arrays("action") - dataset.arrays("applied.action")).max(axis=1) > 0
    print(f"{clipped.sum()} of {len(dataset)} commands were clipped by the robot; both are kept")
    print("action q99", np.round(dataset.statistics("action").quantile(0.99), 3))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "waving")
        read(Path(folder) / "waving")
