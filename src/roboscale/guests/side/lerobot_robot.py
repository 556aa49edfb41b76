"""A LeRobot `Robot` as something that can be asked: connected, read, sent to positions. Plugins as they are installed.

Runs with LeRobot 0.4.4 and 0.6. Knows LeRobot's flat keys, `<motor>.pos` and cameras, and no units: what a number
means is the declaration's to say, on the other side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.lerobot_policy import mend_torchvision

__all__ = ["LeRobotRobot", "known_types"]


class LeRobotRobot:
    """One robot, made from a configuration; nothing is connected yet.

    Args:
        config: `type`, as LeRobot calls it (`so101_follower`), and whatever its configuration takes.
        calibrate: LeRobot may ask questions at a terminal, where an arm is not calibrated; never by default.
    """

    def __init__(self, config: dict[str, Any], calibrate: bool = False) -> None:
        mend_torchvision()
        import draccus
        import lerobot.robots
        from lerobot.robots import RobotConfig, make_robot_from_config

        known = known_types(lerobot.robots, RobotConfig)
        if config.get("type") not in known:
            raise Refusal(f"type: expected one of {', '.join(known)}, found {config.get('type')!r}")
        try:
            made = draccus.decode(RobotConfig, config)
        except Exception as error:
            raise Refusal(f"the configuration of {config['type']}: {type(error).__name__}: {error}") from error
        self._robot, self._calibrate = make_robot_from_config(made), calibrate

    def describe(self) -> dict[str, Any]:
        """Keys of what is read and sent: `float`, or the shape of a picture."""
        import lerobot

        return {
            "name": str(self._robot.name),
            "class": f"{type(self._robot).__module__}.{type(self._robot).__qualname__}",
            "observation": {key: _kind(value) for key, value in self._robot.observation_features.items()},
            "action": {key: _kind(value) for key, value in self._robot.action_features.items()},
            "versions": {"lerobot": getattr(lerobot, "__version__", "")},
        }

    def on_connect(self, message: dict[str, Any]) -> None:
        """Connects. Where it is not calibrated, and nobody may be asked, that is an error and no question."""
        self._robot.connect(calibrate=self._calibrate)
        if not self._robot.is_calibrated:
            self._robot.disconnect()
            raise RuntimeError("it is not calibrated: lerobot-calibrate does that, once, with a person at the arm")

    def on_read(self, message: dict[str, Any]) -> dict[str, Any]:
        """Everything now: numbers by their keys, pictures (height, width, 3)."""
        seen = self._robot.get_observation()
        return {key: np.asarray(value) if np.ndim(value) == 3 else float(value) for key, value in seen.items()}

    def on_send(self, message: dict[str, Any]) -> dict[str, float]:
        """Sends positions; what was really sent, which LeRobot itself forgets."""
        sent = self._robot.send_action({key: float(value) for key, value in message["action"].items()})
        return {key: float(value) for key, value in sent.items()}

    def on_disconnect(self, message: dict[str, Any]) -> None:
        """Gives the robot back; some arms then switch their torque off."""
        self._robot.disconnect()


def known_types(package: Any, config: Any) -> list[str]:
    """Types that LeRobot and its plugins register; LeRobot's own, in `package`, are imported for that."""
    import importlib
    import pkgutil

    from lerobot.utils import import_utils

    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            try:
                importlib.import_module(f"{package.__name__}.{module.name}")
            except Exception:  # noqa: BLE001 - one whose bus is not installed is not offered
                continue
    for name in ("register_third_party_plugins", "register_third_party_devices"):
        register = getattr(import_utils, name, None)
        if register is not None:
            register()
            break
    return sorted(config.get_known_choices())


def _kind(value: Any) -> Any:
    return [int(n) for n in value] if isinstance(value, tuple) else "float"
