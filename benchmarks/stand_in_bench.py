"""What the benchmarks of the bench share: a stand-in arm whose motors are a process of their own, and other processes.

The declaration is the one that `roboscale robot demo` writes; only the driver is another.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from roboscale.jobs.robot_demo import DemoRobot, demo_robot

__all__ = ["PolicyServer", "free_port", "make_bench", "stop_process"]

_ARM = 'driver = "roboscale.worlds.simulated.stand_in_arm:StandInArm"'
_MOTORS = 'driver = "roboscale.worlds.simulated.stand_in_motors:StandInMotors"'


def make_bench(folder: Path, *, horizon: int, height: int = 144, width: int = 192) -> Path:
    """The demo's bench in a folder, driven through a socket; its `arm.toml`.

    Args:
        height, width: of the camera; 0 for none.
    """
    demo_robot(DemoRobot(folder=folder))
    file = folder / "arm.toml"
    text = file.read_text().replace(_ARM, _MOTORS).replace("horizon = 120", f"horizon = {horizon}")
    text = re.sub(r"\[\[cameras\]\]\n(?:\w+ = .*\n)+", "", text)
    if height:
        text += f'\n[[cameras]]\nname = "top"\nheight = {height}\nwidth = {width}\n'
    options = {"address": f'"{folder / "motors.sock"}"', "log": f'"{folder / "flange.txt"}"'}
    options |= {"height": str(height), "width": str(width)}
    text += "\n[options]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
    file.write_text(text)
    return file


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PolicyServer:
    """`roboscale policy serve` on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, policy: str) -> None:
        self._folder, self._policy, self.port = folder, policy, free_port()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"openpi://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once clients can connect."""
        words = ["-m", "roboscale.cli", "policy", "serve", self._policy, "--port", str(self.port)]
        with (self._folder / "servers.txt").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words], cwd=self._folder, stdout=log, stderr=log, text=True
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                raise SystemExit(f"{self._policy} is not served: {(self._folder / 'servers.txt').read_text()[-2000:]}")
            time.sleep(0.05)
        raise SystemExit(f"{self._policy} is not served within 60 s")

    def kill(self) -> float:
        """Kills it at once; when, monotonic seconds."""
        assert self.process is not None, "it was started"
        self.process.kill()
        at = time.monotonic()
        self.process.wait()
        return at


def stop_process(process: subprocess.Popen[str] | None) -> None:
    """Ends a process that may have ended."""
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()
