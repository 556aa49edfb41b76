"""A LeRobot `Teleoperator` as something that can be asked where its joints are. Plugins as they are installed.

Runs with LeRobot 0.4.4 and 0.6. Knows LeRobot's flat keys, `<motor>.pos`, and no units.
"""

from __future__ import annotations

from typing import Any

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.lerobot_policy import mend_torchvision
from roboscale.guests.side.lerobot_robot import known_types

__all__ = ["LeRobotLeader"]


class LeRobotLeader:
    """One teleoperator, made from a configuration; nothing is connected yet.

    Args:
        config: `type`, as LeRobot calls it (`so101_leader`), and whatever its configuration takes.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        mend_torchvision()
        import draccus
        import lerobot.teleoperators
        from lerobot.teleoperators import TeleoperatorConfig, make_teleoperator_from_config

        known = known_types(lerobot.teleoperators, TeleoperatorConfig)
        if config.get("type") not in known:
            raise Refusal(f"type: expected one of {', '.join(known)}, found {config.get('type')!r}")
        try:
            made = draccus.decode(TeleoperatorConfig, config)
        except Exception as error:
            raise Refusal(f"the configuration of {config['type']}: {type(error).__name__}: {error}") from error
        self._leader = make_teleoperator_from_config(made)

    def describe(self) -> dict[str, Any]:
        """Keys of what it gives."""
        import lerobot

        features = self._leader.action_features
        names = features.get("names", features) if isinstance(features, dict) else features
        return {
            "name": str(self._leader.name),
            "action": [str(name) for name in names],
            "versions": {"lerobot": getattr(lerobot, "__version__", "")},
        }

    def on_connect(self, message: dict[str, Any]) -> None:
        """Connects. Where it is not calibrated, and nobody may be asked, that is an error and no question."""
        self._leader.connect(calibrate=False)
        if not self._leader.is_calibrated:
            self._leader.disconnect()
            raise RuntimeError("it is not calibrated: lerobot-calibrate does that, once, with a person at the arm")

    def on_read(self, message: dict[str, Any]) -> dict[str, float]:
        """Where it is now, by its keys."""
        return {key: float(value) for key, value in self._leader.get_action().items()}

    def on_disconnect(self, message: dict[str, Any]) -> None:
        """Gives it back."""
        self._leader.disconnect()
