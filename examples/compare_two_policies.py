"""Which of two policies is better? The same held-out cases for both, until the evidence decides.

A policy is a function of yours, or a text as after `roboscale eval --policy`.
"""

import numpy as np

from roboscale import compare

STATE = "observation.environment_state"


def timid(observation: dict) -> np.ndarray:
    """Goes towards the goal with a tenth of the speed that is allowed."""
    state = observation[STATE]
    motion = 10 * (state[36:39] - state[0:3])
    return np.append(0.1 * motion.clip(-1, 1), 0.0)


if __name__ == "__main__":
    compared = compare(timid, "noisy:expert:0.1", observes=[STATE], task="reach-v3,push-v3", budget=40)
    verdict = compared.verdict
    print(compared.sentence)
    print(f"decided after {verdict.n} pairs, {verdict.discordant} of them discordant")
    for name, estimate in verdict.estimates.items():
        print(f"{name:16} {estimate}")
