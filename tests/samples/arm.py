"""A small arm of six hinges as MJCF and as URDF: a yaw and two pitches carry a wrist that rolls, pitches and rolls."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_arm_mjcf", "write_arm_urdf"]

_LINKS = (  # name, place in the link before, axis, range in radians, capsule along z in metres
    ("yaw", 0.1, "0 0 1", (-3.0, 3.0), 0.1),
    ("lift", 0.1, "0 1 0", (-2.0, 2.0), 0.3),
    ("elbow", 0.3, "0 1 0", (-2.8, 2.8), 0.25),
    ("roll", 0.25, "0 0 1", (-3.0, 3.0), 0.05),
    ("pitch", 0.05, "0 1 0", (-2.8, 2.8), 0.05),
    ("turn", 0.05, "0 0 1", (-3.0, 3.0), 0.05),
)


def write_arm_mjcf(file: Path, *, tip: str = "tcp") -> Path:
    """With shapes that collide and a floor that is no part of it. Gives `file` back."""
    inside = f'<site name="{tip}" pos="0 0 0.08"/>'
    for name, up, axis, (low, high), length in reversed(_LINKS):
        shape = f'<geom type="capsule" size="0.03" fromto="0 0 0.02 0 0 {length}"/>'
        joint = f'<joint name="{name}" axis="{axis}" range="{low} {high}" limited="true"/>'
        inside = f'<body name="{name}_link" pos="0 0 {up}">{joint}{shape}{inside}</body>'
    base = '<body name="base"><geom type="box" size="0.08 0.08 0.05" pos="0 0 0.05"/>'
    floor = '<geom type="plane" size="2 2 0.1"/>'
    compiler = '<compiler angle="radian" autolimits="true"/>'
    file.write_text(f"<mujoco>{compiler}<worldbody>{floor}{base}{inside}</body></worldbody></mujoco>")
    return file


def write_arm_urdf(file: Path, *, speed: float = 2.5, mesh: str = "") -> Path:
    """The same arm; every joint has a speed. Gives `file` back.

    Args:
        mesh: name of a file that the hand's shape is said to be; empty for none.
    """
    parts, before = ['<link name="base"/>'], "base"
    for name, up, axis, (low, high), _ in _LINKS:
        parts.append(f'<link name="{name}_link"/>')
        limit = f'<limit lower="{low}" upper="{high}" velocity="{speed}" effort="1"/>'
        ends = f'<parent link="{before}"/><child link="{name}_link"/><origin xyz="0 0 {up}"/><axis xyz="{axis}"/>'
        parts.append(f'<joint name="{name}" type="revolute">{ends}{limit}</joint>')
        before = f"{name}_link"
    shape = f'<collision><geometry><mesh filename="package://own/{mesh}"/></geometry></collision>' if mesh else ""
    ends = f'<parent link="{before}"/><child link="tcp"/><origin xyz="0 0 0.08"/>'
    parts += [f'<link name="tcp">{shape}</link>', f'<joint name="tip" type="fixed">{ends}</joint>']
    file.write_text(f'<robot name="own">{"".join(parts)}</robot>')
    return file
