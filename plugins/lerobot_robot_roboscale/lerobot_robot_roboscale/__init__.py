"""roboscale's stand-in arm as a robot of LeRobot: `--robot.type=roboscale_stand_in`.

The arm lives in a process of its own, which is started beforehand in roboscale's environment:

    python -m roboscale.worlds.simulated.stand_in_motors SOCKET

Positions are degrees, as LeRobot's are. This package knows the socket's messages and nothing else of roboscale.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from lerobot.robots import Robot, RobotConfig

__all__ = ["RoboscaleStandIn", "RoboscaleStandInConfig"]

JOINTS = ("turn", "lift", "bend")
WAIT_S = 2.0


@RobotConfig.register_subclass("roboscale_stand_in")
@dataclass(kw_only=True)
class RoboscaleStandInConfig(RobotConfig):
    """Where the arm listens, and its camera `top` (0 for none, as the arm was started)."""

    address: str = "motors.sock"
    height: int = 144
    width: int = 192


class RoboscaleStandIn(Robot):
    """Three joints and a camera."""

    config_class = RoboscaleStandInConfig
    name = "roboscale_stand_in"

    def __init__(self, config: RoboscaleStandInConfig) -> None:
        super().__init__(config)
        self.config = config
        self.cameras: dict[str, Any] = {}
        self._socket: socket.socket | None = None

    @cached_property
    def observation_features(self) -> dict[str, Any]:
        seen: dict[str, Any] = {f"{joint}.pos": float for joint in JOINTS}
        return {**seen, "top": (self.config.height, self.config.width, 3)} if self.config.height else seen

    @cached_property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    def connect(self, calibrate: bool = True) -> None:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(WAIT_S)
        made.connect(self.config.address)
        self._socket = made

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        """It is."""

    def configure(self) -> None:
        """There is nothing to."""

    def get_observation(self) -> dict[str, Any]:
        said, pixels = self._ask("read")
        seen: dict[str, Any] = {
            f"{joint}.pos": math.degrees(angle) for joint, angle in zip(JOINTS, said["state"], strict=True)
        }
        if self.config.height:
            shape = (self.config.height, self.config.width, 3)
            seen["top"] = np.frombuffer(pixels, np.uint8).reshape(shape).copy()
        return seen

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self._ask("send", [math.radians(float(action[f"{joint}.pos"])) for joint in JOINTS])
        return {f"{joint}.pos": float(action[f"{joint}.pos"]) for joint in JOINTS}

    def disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, what: str, value: Any = None) -> tuple[dict[str, Any], bytes]:
        if self._socket is None:
            raise ConnectionError(f"{self.name} is not connected")
        body = json.dumps([what, value]).encode()
        self._socket.sendall(struct.pack("<I", len(body)) + body)
        said = json.loads(self._receive())
        return said, self._receive() if said["pixels"] else b""

    def _receive(self) -> bytes:
        (size,) = struct.unpack("<I", self._exactly(4))
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        assert self._socket is not None
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise ConnectionError(f"{self.name}: the arm has gone")
            parts += part
        return bytes(parts)
