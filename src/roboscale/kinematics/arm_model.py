"""An arm of a MuJoCo or URDF file as functions of its joints: where its tip is, and whether it touches itself.

Only what moves the tip is an arm's joint: fingers behind it keep still. Knows no task and draws nothing.

    panda   of example-robot-data where that is installed, else of gymnasium-robotics
    ur5     of example-robot-data
    FILE    MJCF (.xml) or URDF (.urdf); meshes that MuJoCo does not read (.dae) are left out, which is said
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, RoboscaleError, UnknownName

__all__ = ["ARMS", "ArmModel", "load_arm"]

Array = NDArray[np.float64]

ARMS = ("panda", "ur5")
"""Arms that are known by name; any other is a file."""

_TIPS = ("end_effector", "attachment_site", "grip_site", "tcp", "tool0", "panda_hand_tcp", "pinch", "ee_link")
_ROBOTS = "cmeel.prefix/share/example-robot-data/robots"
_URDF = MappingProxyType(
    {
        "panda": "panda_description/urdf/panda_collision.urdf",
        "ur5": "ur_description/urdf/ur5_robot.urdf",
    }
)
_PANDA_RAD_S = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)  # Franka Emika, control parameters, constants
_ASSUMED_RAD_S = 2.0
_SAMPLES = 64
_ALWAYS = 0.9  # of random joints: parts that touch as often are built so
_FULL_TURN = 2 * np.pi  # range of a joint without limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A model's file, or its XML with the files that it names; joint speeds by name; and what is to be said."""

    origin: str
    path: Path | None = None
    text: str = ""
    assets: Mapping[str, bytes] = field(default_factory=dict)
    speeds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ArmModel:
    """Joints (D,) -> the tip. Made by `load_arm`.

    Args:
        name: as it was asked for.
        source: the model.
        tip: a site or body; empty takes a usual name.
        speed: radians a second of every joint, instead of the file's; `None` takes that.

    Attributes:
        joints: names of the D joints between base and tip.
        low, high: (D,) their limits; a full turn each way where there is none.
        speed: (D,) radians a second, at most.
        digest: of everything that the model is made of.
        notes: what was left out or assumed.
    """

    def __init__(self, name: str, source: _Source, *, tip: str, speed: float | None) -> None:
        import mujoco

        self._mj = mujoco
        try:
            self._model = (
                mujoco.MjModel.from_xml_string(source.text, dict(source.assets))
                if source.path is None
                else mujoco.MjModel.from_xml_path(str(source.path))
            )
        except ValueError as error:
            raise BadData(source.origin, "model", "an arm that MuJoCo reads", str(error)[:300]) from error
        self._data = mujoco.MjData(self._model)
        self.name, self.origin = name, source.origin
        self._site, self._body = self._tip(tip)
        self._place = self._moving()
        at = [int(self._model.jnt_qposadr[i]) for i in self._place]
        self._at = np.array(at, np.int64)
        self.joints = tuple(self._model.joint(i).name or f"joint {i}" for i in self._place)
        limited = self._model.jnt_limited[self._place].astype(bool)
        ranges = self._model.jnt_range[self._place].astype(np.float64)
        self.low = np.where(limited, ranges[:, 0], -_FULL_TURN)
        self.high = np.where(limited, ranges[:, 1], _FULL_TURN)
        notes = list(source.notes)
        self.speed = self._speeds(source.speeds, speed, notes)
        self._robot = self._own_bodies()
        self._built_so: set[tuple[int, int]] = set()
        self._built_so = self._always_touching(notes)
        self.notes = tuple(notes)
        self.digest = self._digest(tip)

    def forward(self, joints: Array) -> tuple[Array, Array]:
        """Where the tip is in the base frame: (3,) metres and its rotation (3, 3)."""
        self._data.qpos[self._at] = joints
        self._mj.mj_kinematics(self._model, self._data)
        place = self._data.site_xpos[self._site] if self._site >= 0 else self._data.xpos[self._body]
        turn = self._data.site_xmat[self._site] if self._site >= 0 else self._data.xmat[self._body]
        return place.copy(), turn.reshape(3, 3).copy()

    def touches_itself(self, joints: Array) -> bool:
        """Whether parts of the arm overlap that do not always do; a table or a floor in the file is no part of it."""
        return bool(self._contacts(joints) - self._built_so)

    def _contacts(self, joints: Array) -> set[tuple[int, int]]:
        self._data.qpos[self._at] = joints
        self._mj.mj_fwdPosition(self._model, self._data)
        pairs = set()
        for contact in self._data.contact:
            a, b = (int(self._model.geom_bodyid[g]) for g in contact.geom)
            if contact.dist < 0 and a in self._robot and b in self._robot:
                pairs.add((min(a, b), max(a, b)))
        return pairs

    def _tip(self, asked: str) -> tuple[int, int]:
        """Number of the site, or -1, and of its body."""
        sites = [self._model.site(i).name for i in range(self._model.nsite)]
        bodies = [self._model.body(i).name for i in range(self._model.nbody)]
        for name in (asked,) if asked else _TIPS:
            if name in sites:
                number = sites.index(name)
                return number, int(self._model.site_bodyid[number])
            if name in bodies:
                return -1, bodies.index(name)
        if asked:
            raise UnknownName(f"tip of {self.origin}", asked, [n for n in (*sites, *bodies[1:]) if n])
        have = ", ".join(n for n in (*sites, *bodies[1:]) if n)[:300]
        raise BadData(self.origin, "tip", f"a site or body called one of {', '.join(_TIPS)}, or --arm-tip", have)

    def _moving(self) -> NDArray[np.int64]:
        """Joints from the base to the tip, in order."""
        found: list[int] = []
        body = self._body
        while body:
            first, count = int(self._model.body_jntadr[body]), int(self._model.body_jntnum[body])
            found = [*range(first, first + count), *found]
            body = int(self._model.body_parentid[body])
        hinges = (self._mj.mjtJoint.mjJNT_HINGE, self._mj.mjtJoint.mjJNT_SLIDE)
        if not found or any(self._model.jnt_type[i] not in hinges for i in found):
            kinds = f"{len(found)} joints, one of them free or a ball" if found else "no joint before the tip"
            raise BadData(self.origin, "joints", "an arm on a fixed base, of hinges and slides", kinds)
        return np.array(found, np.int64)

    def _speeds(self, known: Mapping[str, float], asked: float | None, notes: list[str]) -> Array:
        if asked is not None:
            return np.full(len(self.joints), asked)
        speeds = np.array([known.get(name, 0.0) for name in self.joints])
        silent = [name for name, value in zip(self.joints, speeds, strict=True) if value <= 0]
        if silent:
            notes.append(
                f"{self.name}: no speed is stated for {len(silent)} of {len(self.joints)} joints; "
                f"{_ASSUMED_RAD_S:g} rad/s is assumed (--joint-speed)"
            )
        return np.where(speeds > 0, speeds, _ASSUMED_RAD_S)

    def _own_bodies(self) -> set[int]:
        """Everything that hangs on the same base as the tip."""
        root = self._body
        while int(self._model.body_parentid[root]):
            root = int(self._model.body_parentid[root])
        own = {root}
        for body in range(root + 1, self._model.nbody):  # a parent has a lower number than its children
            if int(self._model.body_parentid[body]) in own:
                own.add(body)
        return own

    def _always_touching(self, notes: list[str]) -> set[tuple[int, int]]:
        """Neighbours whose hulls overlap whatever the joints do."""
        rng = np.random.default_rng(0)
        count: dict[tuple[int, int], int] = {}
        for _ in range(_SAMPLES):
            for pair in self._contacts(rng.uniform(self.low, self.high)):
                count[pair] = count.get(pair, 0) + 1
        always = {pair for pair, n in count.items() if n >= _ALWAYS * _SAMPLES}
        if always:
            names = "; ".join(" and ".join(self._model.body(i).name for i in pair) for pair in sorted(always))
            notes.append(f"{self.name}: parts that overlap in any posture are not called a collision: {names}")
        if not any(self._model.geom_contype[g] for g in range(self._model.ngeom)):
            notes.append(f"{self.name}: the model has no shapes that collide, so that no collision is seen")
        return always

    def _digest(self, tip: str) -> str:
        """Of the compiled model with its meshes, the tip and the speeds: whatever can change an answer."""
        compiled = np.zeros(self._mj.mj_sizeModel(self._model), np.uint8)
        self._mj.mj_saveModel(self._model, None, compiled)
        return hashlib.sha256(compiled.tobytes() + self.speed.tobytes() + tip.encode()).hexdigest()


def load_arm(arm: str, *, tip: str = "", speed: float | None = None) -> ArmModel:
    """An arm by its name (`ARMS`) or its file.

    Args:
        tip: name of the site or body whose pose is asked for; a usual one is looked for when empty.
        speed: radians a second, for every joint.

    Raises:
        RoboscaleError: an arm that is known by its name and not installed; says what brings it.
        BadData: no such file, a file that is no arm, or one whose tip has no usual name.
        UnknownName: the file has no such tip.
    """
    return ArmModel(arm, _source(arm), tip=tip, speed=speed)


def _source(arm: str) -> _Source:
    if arm in ARMS:
        place = _installed("example-robot-data", f"{_ROBOTS}/{_URDF[arm]}")
        if place is not None:
            return _urdf(place, _package("example-robot-data"))
        kitchen = _installed("gymnasium-robotics", "gymnasium_robotics/envs/assets/kitchen_franka/franka_assets")
        if arm == "panda" and kitchen is not None:
            return _kitchen_panda(kitchen)
        known = "pip install example-robot-data" + (" or pip install 'roboscale[gym]'" if arm == "panda" else "")
        raise RoboscaleError(f"--arm {arm}: its model is not installed: {known}; or name a file (MJCF or URDF)")
    path = Path(arm)
    if not path.is_file():
        raise BadData(path, "arm", f"a file of an arm (MJCF or URDF), or one of {', '.join(ARMS)}", "nothing")
    if path.suffix.lower() not in (".xml", ".mjcf", ".urdf"):
        raise BadData(path, "arm", "MJCF (.xml) or URDF (.urdf)", path.suffix or "no ending")
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise BadData(path, "arm", "MJCF (.xml) or URDF (.urdf)", f"no XML: {error}") from error
    if root.tag == "robot":
        return _urdf(path, str(path))
    if root.tag != "mujoco":
        raise BadData(path, "arm", "an XML whose root is mujoco or robot", root.tag)
    return _Source(origin=str(path), path=path)


def _installed(package: str, inside: str) -> Path | None:
    """Where a package keeps a file or folder; `None` where either is missing."""
    try:
        place = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        return None
    return place if place.exists() else None


def _kitchen_panda(folder: Path) -> _Source:
    """The Panda of gymnasium-robotics' kitchen, without the kitchen."""
    spec = (
        '<mujoco model="panda"><include file="assets.xml"/><worldbody><include file="chain.xml"/></worldbody></mujoco>'
    )
    assets: dict[str, bytes] = {name: (folder / name).read_bytes() for name in ("assets.xml", "chain.xml")}
    listed = ET.fromstring(assets["assets.xml"])
    for compiler in listed.iter("compiler"):
        compiler.attrib.pop("meshdir", None)
    for asset in listed.iter("asset"):
        for mesh in list(asset.iter("mesh")):
            file = folder / "meshes" / mesh.get("file", "")
            inside = mesh.get("file", "").replace("/", "_")
            mesh.set("file", inside)
            assets[inside] = file.read_bytes()
    assets["assets.xml"] = ET.tostring(listed)
    speeds = {f"robot:panda0_joint{i + 1}": value for i, value in enumerate(_PANDA_RAD_S)}
    return _Source(text=spec, assets=assets, speeds=speeds, origin=_package("gymnasium-robotics"))


def _package(name: str) -> str:
    return f"{name} {distribution(name).version}"


def _urdf(path: Path, origin: str) -> _Source:
    """As MuJoCo reads it: links stay apart, pictures are dropped, and meshes lie beside each other."""
    root = ET.parse(path).getroot()
    assets: dict[str, bytes] = {}
    left: list[str] = []
    for link in root.iter("link"):
        for visual in link.findall("visual"):
            link.remove(visual)
        for number, shape in enumerate(link.findall("collision")):
            shape.set("name", f"{link.get('name')} {number}")  # MuJoCo complains of shapes with one name
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            file = _mesh_file(path, mesh.get("filename", ""))
            if file.suffix.lower() not in (".stl", ".obj", ".msh") or not file.is_file():
                link.remove(shape)
                left.append(file.name)
                continue
            name = f"{len(assets)}_{file.name}"
            mesh.set("filename", name)
            assets[name] = file.read_bytes()
    for extra in root.findall("mujoco"):
        root.remove(extra)
    said = {"fusestatic": "false", "strippath": "false", "boundmass": "0.001", "boundinertia": "0.000001"}
    ET.SubElement(ET.SubElement(root, "mujoco"), "compiler", said)
    speeds = {
        str(joint.get("name")): float(limit.get("velocity", 0))
        for joint in root.iter("joint")
        if (limit := joint.find("limit")) is not None
    }
    notes = (f"{path.name}: shapes that cannot be read do not collide: {', '.join(left[:20])}",) if left else ()
    return _Source(text=ET.tostring(root, "unicode"), assets=assets, speeds=speeds, origin=origin, notes=notes)


def _mesh_file(path: Path, name: str) -> Path:
    """The file of a mesh: beside the URDF, or of a package in one of the folders above it."""
    if not name.startswith("package://"):
        return path.parent / name.removeprefix("file://")
    inside = name.removeprefix("package://")
    for folder in path.absolute().parents:
        if (folder / inside).is_file():
            return folder / inside
    return path.parent / Path(inside).name
