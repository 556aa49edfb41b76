"""What a picture costs with each rendering setting: why `fast` is the default for what policies see.

    python -m benchmarks.rendering [--task pick-place-v3] [--size 96] [--frames 30]

Prints processor milliseconds a frame for shadows, multisampling and reflections on and off, per camera.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

from roboscale.core import cases
from roboscale.worlds.simulated.headless import SceneRenderer, import_mujoco
from roboscale.worlds.simulated.metaworld import CAMERAS, MetaWorld, MetaWorldScene


def cost(running: MetaWorldScene, size: int, frames: int, camera: str, settings: tuple[bool, bool, bool]) -> float:
    """Median processor milliseconds of one frame."""
    mujoco = import_mujoco()
    shadows, multisampling, reflections = settings
    env = running._rig.env
    reflectance = env.model.mat_reflectance.copy()
    renderer = SceneRenderer(env.model, size, size, "good" if multisampling else "fast")
    env.model.mat_reflectance[:] = 0.3 if reflections else 0.0
    scene = renderer._renderer.scene
    scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
    scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = reflections
    times = []
    for _ in range(frames):
        start = time.process_time()
        renderer.render(env.data, CAMERAS[camera])
        times.append(1000 * (time.process_time() - start))
    renderer.close()
    env.model.mat_reflectance[:] = reflectance
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="pick-place-v3")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--frames", type=int, default=30)
    args = parser.parse_args()
    world = MetaWorld()
    running = world.start(cases(args.task, 1, 0, "eval")[0])
    print(f"{args.task}, {args.size} x {args.size}, processor ms a frame (median of {args.frames})")
    print("| shadows | multisampling | reflections | front | wrist |\n|---|---|---|---|---|")
    for settings in itertools.product((True, False), repeat=3):
        words = " | ".join("on" if s else "off" for s in settings)
        costs = " | ".join(f"{cost(running, args.size, args.frames, c, settings):.1f}" for c in CAMERAS)
        print(f"| {words} | {costs} |", flush=True)
    world.close()


if __name__ == "__main__":
    main()
