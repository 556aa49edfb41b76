"""What runs in the toy guest: it does what its arguments say."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from roboscale.guests.side.faults import Refusal


class Policy:
    def __init__(self, path="", does="", rows=2):
        print("opening", path, flush=True)
        if does == "mistake":
            raise Refusal("no such checkpoint")
        if does == "raise at start":
            raise ValueError("broken weights")
        if does == "die at start":
            os._exit(3)
        if does == "hang at start":
            time.sleep(1000)
        if does == "child":
            self.child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        self.does, self.rows, self.seen = does, rows, {}

    def describe(self):
        takes = {
            "observation.state": {"shape": [2], "kind": "STATE"},
            "observation.images.top": {"shape": [3, 4, 5], "kind": "VISUAL"},
        }
        notes = [os.environ.get("TOY", ""), str(os.getpid()), str(getattr(getattr(self, "child", None), "pid", 0))]
        versions = {"roboscale": "yes" if _sees_roboscale() else "no"}
        return {
            "kind": "toy", "takes": takes, "action": [2], "history": 2 if self.does == "history" else 1,
            "rows": self.rows, "notes": notes, "versions": versions,
        }  # fmt: skip

    def on_act(self, message):
        print("asked", flush=True)
        if self.does == "die":
            print("the last word", file=sys.stderr, flush=True)
            os._exit(9)
        if self.does == "memory":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "hang":
            time.sleep(1000)
        if self.does == "raise":
            raise ValueError("nonsense")
        return [self.one(asked) for asked in message["asked"]]

    def one(self, asked):
        if asked["instruction"] == "fail":
            return "RuntimeError: this one fails"
        state = asked["observation"]["observation.state"]
        assert asked["observation"]["observation.images.top"].dtype == np.uint8
        return np.stack([state.reshape(-1, 2)[-1] + asked["step"]] * self.rows).astype(np.float32)


def _sees_roboscale():
    try:
        import roboscale.core  # noqa: F401
    except ImportError:
        return False
    return True


class Check:
    def describe(self):
        return ["it starts", "it answers"]
