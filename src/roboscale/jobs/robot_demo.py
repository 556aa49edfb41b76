"""A bench in a folder: a stand-in arm, two policies and a study of them, ready to be locked and run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Request

__all__ = ["DemoBench", "DemoRobot", "demo_robot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRobot(Request):
    """Asks for the folder of a bench."""

    words: ClassVar[tuple[str, ...]] = ("robot", "demo")

    folder: Annotated[Path, Argument("A new folder.")] = Path("bench")


@dataclass(frozen=True, slots=True)
class DemoBench(Plain):
    """What was written, and what to type next."""

    folder: str

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        study = f"{self.folder}/study.toml"
        return [
            f"wrote {self.folder}: arm.toml and sawyer.toml (stand-ins, no hardware), policies.py, study.toml",
            f"  roboscale study lock {study}",
            f"  roboscale compare {study}         opens the operator's page",
            f"  roboscale study unblind {study}   when it is over",
            f"  roboscale report {self.folder}/study.trials",
        ]


def demo_robot(request: DemoRobot) -> DemoBench:
    """Writes a stand-in arm's declaration, two policies that look for a red ball, and a study that compares them.

    >>> demo_robot(DemoRobot(folder="bench")).folder
    'bench'

    Raises:
        RoboscaleError: the folder is there already and is not empty.
    """
    import roboscale.worlds.simulated as simulated

    if request.folder.exists() and any(request.folder.iterdir()):
        raise RoboscaleError(f"{request.folder} is there already, and is not empty: name another folder")
    request.folder.mkdir(parents=True, exist_ok=True)
    source = Path(simulated.__file__).parent / "stand_in_bench"
    for name in ("arm.toml", "policies.py", "sawyer.toml", "study.toml"):
        shutil.copyfile(source / f"{name}.txt" if name.endswith(".py") else source / name, request.folder / name)
    return DemoBench(str(request.folder))
