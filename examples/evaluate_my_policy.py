import numpy as np

from roboscale import evaluate

STATE = "observation.environment_state"


def towards_goal(observation: dict) -> np.ndarray:
    state = observation[STATE]  # hand at 0:3, goal at 36:39, metres
    motion = 10 * (state[36:39] - state[0:3])
    return np.append(motion, 0.0).clip(-1, 1)  # dx, dy, dz, gripper


if __name__ == "__main__":
    print(evaluate(towards_goal, observes=[STATE], task="reach-v3", trials=20))
