"""Names of a hand's joints, and in which order others write them.

Ours are anatomical: `wrist`, `palm`, `<finger>.<joint>`. A thumb has cmc, mcp, ip, tip; a finger has base (of its
metacarpal), mcp, pip, dip, tip. An order that is not in this table is declared joint by joint; none is guessed.

Sources: MediaPipe hand landmarks; MANO and smplx vertex ids; projectaria_tools `HandLandmark`; EgoDex's README and
Apple's `HandSkeleton.JointName`; WebXR Hand Input `XRHandJoint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from roboscale.core import UnknownName

__all__ = ["EGODEX_JOINTS", "NEEDED", "ORDERS", "known_joints", "order_of"]

_FINGERS = ("index", "middle", "ring", "little")


def _fingers(joints: Sequence[str], fingers: Sequence[str] = _FINGERS) -> tuple[str, ...]:
    return tuple(f"{finger}.{joint}" for finger in fingers for joint in joints)


_THUMB = tuple(f"thumb.{joint}" for joint in ("cmc", "mcp", "ip", "tip"))
_MANO = (
    "wrist",
    *_fingers(("mcp", "pip", "dip"), ("index", "middle", "little", "ring")),
    *_THUMB[:3],
)

ORDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mediapipe": ("wrist", *_THUMB, *_fingers(("mcp", "pip", "dip", "tip"))),
        "mano16": _MANO,
        "mano21": (*_MANO, "thumb.tip", *_fingers(("tip",))),
        "aria": (
            *("thumb.tip", "index.tip", "middle.tip", "ring.tip", "little.tip", "wrist"),
            *("thumb.mcp", "thumb.ip"),
            *_fingers(("mcp", "pip", "dip")),
            "palm",
        ),
        "webxr": ("wrist", *_THUMB, *_fingers(("base", "mcp", "pip", "dip", "tip"))),
        "openxr": ("palm", "wrist", *_THUMB, *_fingers(("base", "mcp", "pip", "dip", "tip"))),
    }
)
"""Order of key points -> our names. `mediapipe` is also OpenPose's and that of most estimators that give 21 points."""

_APPLE = {"Metacarpal": "base", "Knuckle": "mcp", "IntermediateBase": "pip", "IntermediateTip": "dip", "Tip": "tip"}

EGODEX_JOINTS: Mapping[str, str] = MappingProxyType(
    {
        "Hand": "wrist",
        "ThumbKnuckle": "thumb.cmc",
        "ThumbIntermediateBase": "thumb.mcp",
        "ThumbIntermediateTip": "thumb.ip",
        "ThumbTip": "thumb.tip",
        **{
            f"{finger.title()}Finger{theirs}": f"{finger}.{ours}"
            for finger in _FINGERS
            for theirs, ours in _APPLE.items()
        },
    }
)
"""Name below `transforms/`, after `left` or `right` -> ours."""

NEEDED = ("wrist", "index.mcp", "little.mcp", "thumb.tip", "index.tip")
"""What a palm frame and a pinch are made of."""


def known_joints() -> tuple[str, ...]:
    """Every name that a declared order may use."""
    return ("wrist", "palm", *_THUMB, *_fingers(("base", "mcp", "pip", "dip", "tip")))


def order_of(said: str | Sequence[str]) -> tuple[str, ...]:
    """The names of an order, by its name or joint by joint.

    >>> order_of("aria")[5], order_of("mediapipe")[5]
    ('wrist', 'index.mcp')

    Raises:
        UnknownName: no such order or joint.
    """
    if isinstance(said, str):
        if said not in ORDERS:
            raise UnknownName("order of joints", said, ORDERS)
        return ORDERS[said]
    for name in said:
        if name not in known_joints():
            raise UnknownName("joint", name, known_joints())
    return tuple(said)
