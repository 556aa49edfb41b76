import numpy as np


class RobotConfig:
    def __init__(self, port="", **more):
        self.port, self.more = port, more

    @staticmethod
    def get_known_choices():
        return {"toy_arm": RobotConfig}


class Toy:
    """Two motors in degrees and a camera; it clips at 30 degrees, and says so."""

    name = "toy_arm"

    def __init__(self, config):
        self.config, self.at, self.is_calibrated = config, [10.0, 50.0], config.port != "uncalibrated"

    observation_features = {"shoulder.pos": float, "gripper.pos": float, "top": (8, 10, 3)}
    action_features = {"shoulder.pos": float, "gripper.pos": float}

    def connect(self, calibrate=True):
        assert calibrate is False, "nobody sits at a terminal"
        if self.config.port == "gone":
            raise OSError("no such port")

    def get_observation(self):
        return {"shoulder.pos": self.at[0], "gripper.pos": self.at[1], "top": np.full((8, 10, 3), 7, np.uint8)}

    def send_action(self, action):
        self.at = [min(action["shoulder.pos"], 30.0), action["gripper.pos"]]
        return {"shoulder.pos": self.at[0], "gripper.pos": self.at[1]}

    def disconnect(self):
        print("given back")


def make_robot_from_config(config):
    return Toy(config)
