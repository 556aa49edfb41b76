"""From where a tip is wanted to joints that bring it there. Knows functions of joints, no robot and no simulator."""

from roboscale.kinematics.damped import Reached, jacobian, reach

__all__ = ["Reached", "jacobian", "reach"]
