"""roboscale's worlds as environments of LeRobot: importing this registers `--env.type=roboscale`."""

from lerobot_env_roboscale.config import RoboscaleEnvConfig
from lerobot_env_roboscale.environment import RoboscaleEnv

__all__ = ["RoboscaleEnv", "RoboscaleEnvConfig"]
