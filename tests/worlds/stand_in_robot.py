"""A robot without hardware: one joint that goes where it is sent, a camera, and a list of what was called."""

import numpy as np

from roboscale.core import Field, Spec

JOINT = Field("observation.state", (1,), "float32", unit="rad", layout=("joint",))
CAMERA = Field("observation.images.front", (4, 6, 3), "uint8", layout=("height", "width", "channel"))
TARGET = Field("action", (1,), "float32", unit="rad", layout=("joint",), low=(-1.0,), high=(1.0,))


class StandInRobot:
    """`fails` names the calls that raise, `limit` is where it clips by itself."""

    name = "stand-in"
    version = "driver 1"
    tasks = {"point": "point the arm at the red cross"}
    observation_spec = Spec((JOINT, CAMERA), 20.0)
    action_spec = Spec((TARGET,), 20.0)
    horizon = 40
    hold = (0.0,)

    def __init__(self, limit: float = 0.5, port: str = "/dev/one") -> None:
        self.limit, self._port = limit, port
        self._joint, self._moving = 0.0, False
        self._picture = np.full(CAMERA.shape, 200, np.uint8)  # one buffer, filled again at every read
        self._calls: list[str] = []
        self._fails: set[str] = set()

    def _do(self, call: str) -> None:
        self._calls.append(call)
        if call in self._fails:
            raise OSError("cable out")

    def connect(self) -> None:
        self._do("connect")

    def read(self) -> dict[str, np.ndarray]:
        self._do("read")
        self._picture += 1
        return {JOINT.name: np.array([self._joint], np.float32), CAMERA.name: self._picture}

    def send(self, action: np.ndarray) -> np.ndarray:
        self._do("send")
        self._moving = True
        np.clip(action, -self.limit, self.limit, out=action)
        self._joint = float(action[0])
        return action

    def stop(self) -> None:
        self._do("stop")
        self._moving = False

    def disconnect(self) -> None:
        self._do("disconnect")
