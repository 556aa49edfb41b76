"""A teleoperator that follows a file: `--teleop.type=roboscale_script --teleop.file=way.json`.

The file is a list of positions, {"turn.pos": 10.0, ...}, in the units of the robot. It is gone through once for every
call, and begun again at its end, so that a bench can be tried without a person.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

__all__ = ["RoboscaleScript", "RoboscaleScriptConfig"]


@TeleoperatorConfig.register_subclass("roboscale_script")
@dataclass(kw_only=True)
class RoboscaleScriptConfig(TeleoperatorConfig):
    """The file of positions."""

    file: str = "way.json"


class RoboscaleScript(Teleoperator):
    """Says the next position of its file, whoever asks."""

    config_class = RoboscaleScriptConfig
    name = "roboscale_script"

    def __init__(self, config: RoboscaleScriptConfig) -> None:
        super().__init__(config)
        self.config = config
        self._at = 0
        self._connected = False
        self._way: list[dict[str, float]] = json.loads(Path(config.file).read_text("utf-8"))
        if not self._way:
            raise ValueError(f"{config.file}: expected a list of positions, found none")

    @cached_property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(self._way[0], float)

    @property
    def feedback_features(self) -> dict[str, Any]:
        return {}

    @property
    def is_connected(self) -> bool:
        return self._connected

    def connect(self, calibrate: bool = True) -> None:
        self._connected = True

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        """There is nothing to."""

    def configure(self) -> None:
        """There is nothing to."""

    def get_action(self) -> dict[str, Any]:
        row = self._way[self._at % len(self._way)]
        self._at += 1
        return {name: float(value) for name, value in row.items()}

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """It feels nothing."""

    def disconnect(self) -> None:
        self._connected = False
