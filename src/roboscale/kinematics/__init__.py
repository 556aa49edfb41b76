"""From where a tip is wanted to joints that bring it there; only `arm_model` knows a simulator, which reads arms."""

from roboscale.kinematics.damped import Reached, jacobian, reach

__all__ = ["Reached", "jacobian", "reach"]
