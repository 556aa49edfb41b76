"""What runs in the toy guest as a world: a point that moves to a goal, and does what its task says."""

import os
import signal
import sys
import time

import numpy as np

from roboscale.guests.side.faults import Refusal


class World:
    def __init__(self, task, size=8, pictures=2, speed=1.0):
        print("opening", task, flush=True)
        if task == "nowhere":
            raise Refusal("no such task; there is point")
        self.task, self.size, self.speed = task, size, speed
        self.cameras = [f"observation.images.camera{i}" for i in range(pictures)]

    def describe(self):
        pictures = [{"name": n, "shape": [self.size, self.size, 3], "dtype": "uint8"} for n in self.cameras]
        said = {
            "tasks": {self.task: "move the point to the goal"},
            "observation": [
                {"name": "observation.state", "shape": [2], "dtype": "float32"},
                {"name": "observation.goal", "shape": [2], "dtype": "float32"},
                *pictures,
            ],
            "action": {"shape": [2], "dtype": "float32", "low": [-0.2, -0.2], "high": [0.2, 0.2]},
            "rate_hz": 10.0, "horizon": 50, "version": "1",
            "measures": [{"name": "success", "unit": "bool"}, {"name": "distance", "unit": "m", "series": True}],
            "variations": ["light"], "deterministic": True, "pictures": True, "hold": [0.0, 0.0],
            "success_terms": {"distance": "distance <= 0.1"}, "notes": ["a toy"],
        }  # fmt: skip
        if self.task == "stranger":
            said["price"] = 1
        if self.task == "silent":
            del said["horizon"]
        return said

    def start(self, task, start, variation):
        print("a reset prints", flush=True)
        return Scene(self, start, 0 if variation == "nominal" else int(variation.partition(":")[2]))

    def expert(self, seed):
        return lambda seen: np.clip(seen["observation.goal"] - seen["observation.state"], -0.2, 0.2)


class Scene:
    def __init__(self, world, seed, light):
        self.world, self.light, self.steps = world, light, 0
        self.at, self.goal = np.zeros(2), np.random.default_rng(seed).uniform(-1, 1, 2)

    def observe(self, names):
        numbers = {"observation.state": self.at, "observation.goal": self.goal}
        if self.world.task == "nan":
            numbers["observation.state"] = self.at * np.nan
        if self.world.task == "shape":
            numbers["observation.state"] = np.zeros(3)
        drawn = {n: self.draw(i) for i, n in enumerate(self.world.cameras) if n in names}
        if self.world.task == "channels first":
            drawn = {n: p.transpose(2, 0, 1) for n, p in drawn.items()}
        return dict(numbers, **drawn)

    def draw(self, camera):
        picture = np.full((self.world.size, self.world.size, 3), 10 * camera + self.light + 9, np.uint8)
        picture[0, 0] = self.steps % 256
        return picture

    def step(self, action):
        print("a step prints", flush=True)
        self.fault()
        self.steps += 1
        self.at = self.at + self.world.speed * action
        return {"terminated": False, "applied": action / 2} if self.world.task == "applied" else None

    def fault(self):
        does = self.world.task if self.steps == 2 else ""
        if does == "die":
            print("the last word", file=sys.stderr, flush=True)
            os._exit(9)
        if does == "memory":
            os.kill(os.getpid(), signal.SIGKILL)
        if does == "hang":
            time.sleep(1000)
        if does == "raise":
            raise ValueError("the simulation diverged")

    def measures(self):
        distance = float(np.linalg.norm(self.at - self.goal))
        if self.world.task == "unmeasured":
            return {"success": None, "distance": distance}
        return {"success": distance <= 0.1, "distance": distance}

    def picture(self, width, height):
        return np.full((height, width, 3), 7, np.uint8)

    def close(self):
        if self.world.task == "bad end":
            os._exit(4)
