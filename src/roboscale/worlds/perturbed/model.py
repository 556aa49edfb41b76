"""Changes a MuJoCo model in place: lights, cameras, colours, friction, masses, sizes, the table, where things
lie, what stands about.

Every function takes what is kept first and gives nothing back: `Changes.undo` restores the model to the last bit. A
change that does nothing in this scene (nothing loose to make larger) is an error, never a cell that looks robust.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, convert_rotation, rotation_matrix
from roboscale.core.simulation import Simulation
from roboscale.worlds.perturbed.changes import Changes
from roboscale.worlds.perturbed.parts import PARTS
from roboscale.worlds.perturbed.patterns import blotches, random_colour, stripes

__all__ = ["apply_values", "idle_axes"]

_CLEAR_M = 0.07  # a distractor stands at least so far from whatever can be moved
_RING_M = (0.12, 0.35)  # and so far from their middle
_PATTERNS = (None, stripes, blotches)


def apply_values(
    sim: Simulation, values: Mapping[str, float], draw: Callable[[str, int], np.random.Generator]
) -> Changes:
    """Changes a scene's model.

    Args:
        values: name of a value of `PARTS` -> what it is to be.
        draw: axis and number of a set -> what its colours and places are drawn from.

    Raises:
        InfrastructureError: an axis has nothing to act on in this scene.
    """
    changes = Changes()
    asked: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        asked.setdefault(PARTS[name].axis, {})[name.partition(".")[2]] = value
    idle = idle_axes(sim)
    try:
        for axis, act in _ACTIONS.items():
            if axis in asked:
                if idle.get(axis):
                    raise InfrastructureError(f"{axis} changes nothing here: {idle[axis]}")
                act(sim, changes, asked[axis], draw(axis, round(asked[axis].get("set", 0.0))))
    except BaseException:
        changes.undo()
        raise
    return changes


def idle_axes(sim: Simulation) -> dict[str, str]:
    """Axis -> why it changes nothing in this scene; only those that do not."""
    idle = {}
    if not _loose(sim.model):
        idle["size"] = idle["initial_spread"] = "nothing lies loose"
    if not len(_movable(sim.model)):
        idle["mass"] = "nothing but the robot can be moved"
    if sim.raise_table is None:
        idle["table_height"] = "the world does not know its table"
    return idle


# ---- which body is what


def _roots(model: Any) -> NDArray[np.int64]:
    """The top-level body that each body belongs to, (nbody,)."""
    return np.asarray(model.body_rootid, np.int64)


def _robot(model: Any) -> set[int]:
    """Top-level bodies that an actuator moves, and those that follow a hand that is dragged (mocap)."""
    roots = _roots(model)
    joints = model.actuator_trnid[:, 0][np.isin(model.actuator_trntype, (0, 1))]
    moved = {int(roots[model.jnt_bodyid[j]]) for j in joints if 0 <= j < model.njnt}
    return moved | {int(roots[b]) for b in np.flatnonzero(model.body_mocapid >= 0)}


def _movable(model: Any) -> NDArray[np.int64]:
    """Bodies that have a joint in their tree and are not the robot's."""
    roots, robot = _roots(model), _robot(model)
    with_joint = {int(roots[b]) for b in model.jnt_bodyid} - robot - {0}
    return np.flatnonzero(np.isin(roots, list(with_joint)))


def _loose(model: Any) -> list[int]:
    """Top-level bodies that a free joint lets go anywhere."""
    free = np.flatnonzero(model.jnt_type == 0)  # mjJNT_FREE
    robot = _robot(model)
    return [int(b) for b in model.jnt_bodyid[free] if int(_roots(model)[b]) not in robot]


def _robot_geoms(model: Any) -> NDArray[np.bool_]:
    return np.isin(_roots(model)[model.geom_bodyid], list(_robot(model)))


# ---- what is seen


def _light(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    model = sim.model
    bright, warmth = asked.get("brightness", 1.0), asked.get("warmth", 0.0)
    tint = bright * np.array([1 + warmth, 1.0, 1 - warmth])
    head = model.vis.headlight
    for colours in (model.light_ambient, model.light_diffuse, model.light_specular):
        if colours.size:
            changes.keep(colours)[:] = colours * tint
    for colour in (head.ambient, head.diffuse, head.specular):
        changes.keep(colour)[:] = colour * tint
    turn = math.radians(asked.get("turn", 0.0))
    if turn and model.nlight:
        about = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
        centre = np.array(model.stat.center)
        fixed = model.light_bodyid == 0
        changes.keep(model.light_pos)[fixed] = (model.light_pos[fixed] - centre) @ about.T + centre
        changes.keep(model.light_dir)[fixed] = model.light_dir[fixed] @ about.T
    _see_again(sim, changes)


def _camera(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    model = sim.model
    shift = np.array([asked.get(axis, 0.0) for axis in "xyz"])
    yaw, pitch = (math.radians(asked.get(name, 0.0)) for name in ("yaw", "pitch"))
    turned = _turned(yaw, pitch)
    for camera in np.flatnonzero(model.cam_bodyid == 0):
        frame = rotation_matrix(model.cam_quat[camera], "quat_wxyz")
        changes.keep(model.cam_pos)[camera] = model.cam_pos[camera] + frame @ shift
        changes.keep(model.cam_quat)[camera] = convert_rotation(frame @ turned, "matrix", "quat_wxyz")
        changes.keep(model.cam_fovy)[camera] = model.cam_fovy[camera] + asked.get("fov", 0.0)
    view = model.vis.global_
    changes.keep_attribute(view, "fovy")
    view.fovy = view.fovy + asked.get("fov", 0.0)
    before = dict(sim.views)

    def back() -> None:
        sim.views.update(before)
        sim.show_views()

    changes.then(back)
    for name, choice in before.items():
        if not isinstance(choice, str):
            sim.views[name] = _moved_free(choice, shift, yaw, pitch)
    sim.show_views()
    _see_again(sim, changes)


def _moved_free(choice: Mapping[str, Any], shift: NDArray[np.float64], yaw: float, pitch: float) -> dict[str, Any]:
    """A free camera moved in its own frame (x right, y up, z backward, m) and turned; it keeps its distance."""
    azimuth, elevation = math.radians(choice["azimuth"]), math.radians(choice["elevation"])
    forward = _forward(azimuth, elevation)
    right = np.array([math.sin(azimuth), -math.cos(azimuth), 0.0])
    eye = np.asarray(choice["lookat"], float) - choice["distance"] * forward
    eye = eye + shift[0] * right + shift[1] * np.cross(right, forward) - shift[2] * forward
    azimuth, elevation = azimuth + yaw, elevation + pitch
    lookat = eye + choice["distance"] * _forward(azimuth, elevation)
    turned = {"azimuth": math.degrees(azimuth), "elevation": math.degrees(elevation)}
    return {**choice, **turned, "lookat": tuple(float(x) for x in lookat)}


def _forward(azimuth: float, elevation: float) -> NDArray[np.float64]:
    level = math.cos(elevation)
    return np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])


def _turned(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Rotation in a camera's frame (x right, y up, looking along -z): yaw left about y, then pitch up about x."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    yawed, pitched = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]), np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turned: NDArray[np.float64] = yawed @ pitched
    return turned


def _see_again(sim: Simulation, changes: Changes) -> None:
    """Lights and cameras of the data follow the model, now and when it is put back; the physics does not read them."""
    import mujoco

    mujoco.mj_camlight(sim.model, sim.data)
    changes.at_last(lambda: mujoco.mj_camlight(sim.model, sim.data))


def _texture(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    model, share = sim.model, asked.get("colour", 0.0)
    spared = _robot_geoms(model)
    materials = sorted({int(m) for m in model.geom_matid[~spared] if m >= 0})
    for material in materials:
        rgba = changes.keep(model.mat_rgba)[material]
        rgba[:3] = (1 - share) * rgba[:3] + share * random_colour(rng)
    for geom in np.flatnonzero(~spared & (model.geom_matid < 0)):
        rgba = changes.keep(model.geom_rgba)[geom]
        rgba[:3] = (1 - share) * rgba[:3] + share * random_colour(rng)
    draw = _PATTERNS[min(round(asked.get("pattern", 0.0)), len(_PATTERNS) - 1)]
    if draw is not None:
        textures = {int(t) for material in materials for t in np.ravel(model.mat_texid[material]) if t >= 0}
        for texture in sorted(textures):
            pixels = _pixels(model, texture)
            height, width, channels = pixels.shape
            changes.keep(pixels)[..., : min(3, channels)] = draw(rng, height, width)[..., : min(3, channels)]
        changes.at_last(sim.redraw)
        sim.redraw()


def _pixels(model: Any, texture: int) -> NDArray[np.uint8]:
    """A texture's own memory, (height, width, channels)."""
    shape = tuple(int(n[texture]) for n in (model.tex_height, model.tex_width, model.tex_nchannel))
    start = int(model.tex_adr[texture])
    return model.tex_data[start : start + math.prod(shape)].reshape(shape)  # type: ignore[no-any-return]


def _distractors(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    count = max(0, round(asked.get("count", 0.0)))
    model, data = sim.model, sim.data
    movable = _movable(model)
    places = data.xpos[movable][:, :2] if len(movable) else np.array([model.stat.center[:2]])
    middle, ground = places.mean(0), _ground(sim)
    made: list[dict[str, Any]] = []
    for _ in range(1000):
        if len(made) == count:
            break
        angle, far, half = rng.uniform(0, 2 * np.pi), rng.uniform(*_RING_M), rng.uniform(0.015, 0.03)
        place = middle + far * np.array([np.cos(angle), np.sin(angle)])
        others = np.array([*places, *(one["pos"][:2] for one in made)])
        if np.linalg.norm(others - place, axis=1).min() < _CLEAR_M:
            continue
        kind = int(rng.choice([2, 5, 6]))  # mjGEOM_SPHERE, CYLINDER, BOX
        rgba = np.array([*random_colour(rng), 1.0], np.float32)
        pos = np.array([*place, ground + half])
        made.append({"type": kind, "size": np.full(3, half), "pos": pos, "mat": np.eye(3).ravel(), "rgba": rgba})
    before = list(sim.extras)

    def back() -> None:
        sim.extras[:] = before

    changes.then(back)
    sim.extras.extend(made)


def _ground(sim: Simulation) -> float:
    """Height of what loose things lie on, m: where the lowest of them ends; else of what can be moved; else 0."""
    model, data = sim.model, sim.data
    loose = _loose(model)
    geoms = np.flatnonzero(np.isin(_roots(model)[model.geom_bodyid], loose or list(_movable(model))))
    if not len(geoms):
        return 0.0
    return float(min(_lowest(model, data.geom_xpos[g], data.geom_xmat[g], g) for g in geoms)) if loose else 0.0


def _lowest(model: Any, place: NDArray[np.float64], turned: NDArray[np.float64], geom: Any) -> float:
    """Height of the lowest point of a geom's box, m."""
    box = model.geom_aabb[geom]
    rotation = turned.reshape(3, 3)
    return float(place[2] + rotation[2] @ box[:3] - np.abs(rotation[2]) @ box[3:])


# ---- what is felt


def _friction(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    factor = asked.get("factor", 1.0)
    changes.keep(sim.model.geom_friction)[:, 0] *= factor
    if sim.model.npair:
        changes.keep(sim.model.pair_friction)[:, :2] *= factor


def _mass(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    import mujoco

    model, factor = sim.model, asked.get("factor", 1.0)
    changes.keep_constants(model)
    stat = {name: getattr(model.stat, name) for name in ("meanmass", "meansize", "extent")}
    centre = np.array(model.stat.center)
    movable = _movable(model)
    model.body_mass[movable] *= factor
    model.body_inertia[movable] *= factor
    mujoco.mj_setConst(model, mujoco.MjData(model))
    for name, value in stat.items():  # what pictures depend on stays
        setattr(model.stat, name, value)
    model.stat.center[:] = centre


def _size(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    """Scales loose bodies about their origins; their mass stays, and they stand where they stood."""
    import mujoco

    model, data, factor = sim.model, sim.data, asked.get("factor", 1.0)
    changes.keep_constants(model)
    loose = _loose(model)
    meshes: set[int] = set()
    for root in loose:
        bodies = np.flatnonzero(_roots(model) == root)
        geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies))
        before = min((_lowest(model, data.geom_xpos[g], data.geom_xmat[g], g) for g in geoms), default=0.0)
        inner = bodies[bodies != root]
        model.body_pos[inner] *= factor
        model.body_ipos[bodies] *= factor
        model.body_inertia[bodies] *= factor**2
        for rows in (model.geom_pos, model.geom_size, model.geom_rbound, model.geom_aabb):
            rows[geoms] *= factor
        sites = np.isin(model.site_bodyid, bodies)
        model.site_pos[sites] *= factor
        meshes |= {int(m) for m in model.geom_dataid[geoms] if m >= 0}
        _scale_boxes(model, changes, bodies, factor)
        mujoco.mj_kinematics(model, data)
        after = min((_lowest(model, data.geom_xpos[g], data.geom_xmat[g], g) for g in geoms), default=0.0)
        joint = int(model.body_jntadr[root])
        data.qpos[model.jnt_qposadr[joint] + 2] += before - after
    for mesh in sorted(meshes):
        start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        changes.keep(model.mesh_vert[start : start + count])[:] *= factor
        boxes = _rows(model.mesh_bvhadr[mesh], model.mesh_bvhnum[mesh])
        changes.keep(model.bvh_aabb[boxes])[:] *= factor
    if meshes:
        changes.at_last(sim.redraw)
        sim.redraw()
    _moved(sim)


def _initial_spread(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    """Shifts loose bodies in the plane, m; the next case sets its own joints, so that nothing has to be put back."""
    for root in _loose(sim.model):
        joint = int(sim.model.jnt_qposadr[int(sim.model.body_jntadr[root])])
        sim.data.qpos[joint : joint + 2] += (asked.get("x", 0.0), asked.get("y", 0.0))
    _moved(sim)


def _scale_boxes(model: Any, changes: Changes, bodies: NDArray[np.int64], factor: float) -> None:
    """The boxes of a body's own tree, in which MuJoCo looks for contacts."""
    for body in bodies:
        boxes = _rows(model.body_bvhadr[body], model.body_bvhnum[body])
        if boxes.start >= 0 and boxes.stop > boxes.start:
            changes.keep(model.bvh_aabb[boxes])[:] *= factor


def _rows(start: Any, count: Any) -> slice:
    return slice(int(start), int(start) + int(count))


def _table_height(sim: Simulation, changes: Changes, asked: Mapping[str, float], rng: np.random.Generator) -> None:
    assert sim.raise_table is not None, "asked where the world knows its table"
    model = sim.model
    shift = asked.get("shift", 0.0)
    roots = np.unique(_roots(model))
    standing = np.array([b for b in roots if b and int(b) not in _robot(model)], int)
    changes.keep(model.body_pos)[standing, 2] += shift
    fixed = model.site_bodyid == 0
    changes.keep(model.site_pos)[fixed, 2] += shift
    for root in _loose(model):
        sim.data.qpos[model.jnt_qposadr[int(model.body_jntadr[root])] + 2] += shift
    changes.then(sim.raise_table(shift))
    _moved(sim)


def _moved(sim: Simulation) -> None:
    """Positions of the data follow the model, and the world looks again."""
    import mujoco

    mujoco.mj_forward(sim.model, sim.data)
    sim.refresh()


_ACTIONS = {
    "table_height": _table_height,
    "size": _size,
    "initial_spread": _initial_spread,
    "mass": _mass,
    "friction": _friction,
    "light": _light,
    "texture": _texture,
    "camera": _camera,
    "distractors": _distractors,
}
"""In the order in which they act: what moves things comes before what is seen of them."""
