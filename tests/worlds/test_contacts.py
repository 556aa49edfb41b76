"""Damage on a scene small enough to know the answer: a finger, an object, a wall and a table in real MuJoCo."""

import pytest

from roboscale.worlds.simulated.contacts import DAMAGE, ContactTable, DamageMeter
from roboscale.worlds.simulated.headless import import_mujoco

SCENE = """
<mujoco><option timestep="0.002"/><worldbody>
  {table}
  <body name="base" pos="0 0 .3">
    <body name="arm"><joint name="right_j0" type="slide" axis="1 0 0" range="-1 1" limited="true"/>
      <geom name="arm" type="box" size=".02 .02 .02" mass="1"/>
      <body name="finger" pos="0 0 -.1"><joint name="lift" type="slide" axis="0 0 1" range="-1 1"/>
        <geom name="finger" type="box" size=".02 .02 .05" mass=".2"/></body></body></body>
  <body name="obj" pos="{obj}"><freejoint/><geom name="obj" type="box" size=".02 .02 .02" mass=".1"/></body>
  <body name="wall" pos="{wall}"><geom name="wall" type="box" size=".02 .2 .2"/></body>
</worldbody></mujoco>"""
ENDLESS = '<geom name="table" type="plane" size="1 1 .1"/>'
SMALL = '<geom name="table" type="box" size=".3 .3 .05" pos="0 0 -.05"/>'


def measure(
    obj: str = ".5 0 .02", wall: str = "-.8 0 .2", steps: int = 40, qpos: dict | None = None, table: str = ENDLESS
):
    mujoco = import_mujoco()
    model = mujoco.MjModel.from_xml_string(SCENE.format(obj=obj, wall=wall, table=table))
    data = mujoco.MjData(model)
    contacts = ContactTable(model, "base", {"finger"}, {"obj"}, {"wall"})
    meter = DamageMeter(mujoco, model, contacts, "obj", drops=True, leaves=False)
    for name, value in (qpos or {}).items():
        data.joint(name).qpos = value
    mujoco.mj_forward(model, data)
    meter.start(data)
    forces = []
    for _ in range(steps):
        mujoco.mj_step(model, data)
        meter.update(data)
        forces.append(meter.gripper_n)
    return meter, forces


def test_nothing_touched_is_zero():
    meter, _ = measure(steps=5)
    assert meter.measures()["peak_force"] == 0.0 and meter.measures()["dropped"] == 0.0


def test_an_object_resting_on_the_table_is_intended():
    assert measure(steps=40, qpos={"lift": 0.2})[0].measures()["peak_force"] == 0.0


def test_the_gripper_on_its_object_is_intended_and_felt():
    meter, forces = measure(obj="0 0 .02", steps=120, qpos={"lift": -0.1})
    assert meter.measures()["peak_force"] == 0.0
    assert max(forces) > 1.0  # at least the weight of the 0.2 kg finger


def test_the_gripper_on_the_table_is_not_intended():
    meter, _ = measure(steps=200, qpos={"lift": -0.14})
    assert meter.measures()["peak_force"] > 1.0


def test_the_object_against_an_obstacle_is_not_intended():
    meter, _ = measure(obj=".45 0 .3", wall=".45 0 .05", steps=300, qpos={"lift": 0.2})
    assert meter.measures()["peak_force"] > 0.5


def test_a_joint_at_its_limit_is_counted_by_step():
    meter, _ = measure(steps=7, qpos={"right_j0": 0.995})
    assert meter.measures()["joint_limit_steps"] == 7


def test_an_object_that_falls_below_the_table_is_off_it():
    for steps in (1, 90):
        meter, _ = measure(obj=".2 0 .02", steps=steps, table=SMALL)
        assert meter.measures()["off_table"] == 0.0, "it lies on the table"
    begun, _ = measure(obj=".5 0 .02", steps=20, table=SMALL)
    assert begun.measures()["off_table"] == 0.0, "it has just begun to fall"
    beside, _ = measure(obj=".5 0 .02", steps=90, table=SMALL)
    assert beside.measures()["off_table"] == 1.0
    put_down, _ = measure(obj=".2 0 .4", steps=200, table=SMALL)
    assert put_down.measures()["off_table"] == 0.0, "it began above the table and came to lie on it"
    fallen, _ = measure(obj=".5 0 -.4", wall="-.8 0 .2", steps=1)
    assert fallen.measures()["off_table"] == 0.0  # it started there
    with pytest.raises(KeyError):
        measure(qpos={"no such joint": 0})


def test_a_model_without_an_arm_has_no_joint_limits_to_reach():
    mujoco = import_mujoco()
    model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom name='floor' size='1 1 1'/></worldbody></mujoco>")
    meter = DamageMeter(mujoco, model, ContactTable(model, "base", (), (), ()), "", drops=False, leaves=False)
    data = mujoco.MjData(model)
    meter.start(data)
    meter.update(data)
    assert meter.measures() == {"peak_force": 0.0, "dropped": None, "off_table": None, "joint_limit_steps": None}


def test_which_contacts_are_meant_and_which_are_the_grippers():
    """Every pair of geoms: the gripper may touch its object, nothing may touch an obstacle but what it stands on, and
    the gripper's force is what it does to others, not what its own parts do to each other."""
    mujoco = import_mujoco()
    model = mujoco.MjModel.from_xml_string(SCENE.format(obj="0 0 1", wall="1 0 1", table=SMALL))
    table = ContactTable(model, "base", {"finger"}, {"obj"}, {"wall"})
    names = [model.geom(g).name for g in range(model.ngeom)]
    assert sorted(names) == ["arm", "finger", "obj", "table", "wall"]

    def meant(a: str, b: str) -> bool:
        robot = {"arm", "finger"}
        if robot >= {a, b} or {a, b} <= {"obj", "table"}:
            return True
        if "wall" in (a, b):
            return {a, b} <= {"wall", "table"}
        return {a, b} == {"finger", "obj"}

    for i, a in enumerate(names):
        for j, b in enumerate(names):
            assert table.intended[i, j] == meant(a, b), (a, b)
            assert table.grip[i, j] == ((a == "finger") != (b == "finger")), (a, b)
            assert table.watched[i, j] == (not meant(a, b) or ((a == "finger") != (b == "finger")))


def test_what_is_measured_is_what_is_declared():
    assert set(measure(steps=1)[0].measures()) == {m.name for m in DAMAGE}
