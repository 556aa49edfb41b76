"""What cameras and tasks might better be called, by words that public datasets use. Proposes, and never renames.

The words were read off Open X-Embodiment, LeRobot's community sets, ALOHA, DROID and BridgeData V2; a name that is not
among them is not wrong, only unknown here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roboscale.core import Field
from roboscale.core.plain import Plain
from roboscale.dataset.audit.texts import PLACEHOLDERS

__all__ = ["CAMERA_WORDS", "Naming", "camera_namings", "task_namings"]

CAMERA_WORDS = {
    "front": "front primary static agentview third ext exterior",
    "top": "top overhead high up above bird birdview ceiling topdown",
    "side": "side lateral",
    "wrist": "wrist hand eih gripper arm ee eef end effector",
    "head": "head ego egocentric chest torso",
    "back": "back behind rear",
}
"""Role -> words in names of cameras that look from there."""
_SIDES = ("left", "right")
_HOLDERS = frozenset(
    ["laptop", "phone", "webcam", "iphone", "realsense", "zed", "usb", "logitech", "opencv", "macbook", "pc", "mobile"]
)
_VERBS = (
    "pick place put push pull open close stack unstack pour wipe fold unfold turn rotate insert remove press lift "
    "move slide sweep grasp grab take hang hand give sort assemble screw unscrew flip cover plug unplug reach drop "
    "transfer stir cut wash clean fill empty scoop throw hold rotate align"
)
_NOUNS = (
    "block cube cup bowl plate drawer door cloth towel box bottle can lid pot pan spoon fork knife peg hole button "
    "handle table shelf basket bin tray lego marker pen tape banana apple carrot eggplant sponge rope cable charger "
    "shirt sock ball ring tower bag book mug glass kettle oven microwave fridge sink faucet lever switch window"
)
_JOINING = (
    "the a an of on in into to from onto with and then up down left right out off over under it is next between "
    "behind front back top middle side red green blue yellow white black orange brown pink purple grey gray small "
    "large big robot arm gripper object all one two three both for by at away upright"
)
_WORDS = frozenset(f"{_VERBS} {_NOUNS} {_JOINING}".split())
_NEAR = 0.8  # share of letters that two words have in common, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming(Plain):
    """A name that could say more, and what it might be called; no proposal where only a person can know.

    Args:
        what: `camera` or `task`.
    """

    what: str
    name: str
    reason: str
    proposals: tuple[str, ...] = ()


def camera_namings(cameras: Sequence[Field]) -> Iterator[Naming]:
    """Cameras whose names do not say from where they look; those with a declared role are left alone.

    >>> [n.proposals for n in camera_namings([Field("observation.images.cam_high", (8, 8, 3), "uint8")])]
    [('top',)]
    >>> [n.reason for n in camera_namings([Field("observation.images.laptop", (8, 8, 3), "uint8")])]
    ['it says what holds the camera, not from where it looks']
    """
    for field in cameras:
        name = field.name.removeprefix("observation.images.")
        words = re.findall(r"[a-z]+", name.lower())
        sides = [word for word in words if word in _SIDES]
        roles = [role for role, known in CAMERA_WORDS.items() if {*words} & {*known.split()}]
        best = "_".join([*sides[:1], *roles[:1]])
        if field.role or name == best:
            continue
        if {*words} & _HOLDERS and not best:
            yield Naming(
                what="camera", name=field.name, reason="it says what holds the camera, not from where it looks"
            )
        elif not best:
            proposals = tuple(CAMERA_WORDS)
            yield Naming(
                what="camera", name=field.name, reason="it does not say from where it looks", proposals=proposals
            )
        else:
            reason = f"public datasets mostly say {best}"
            yield Naming(what="camera", name=field.name, reason=reason, proposals=(best,))


def task_namings(tasks: Sequence[str]) -> Iterator[Naming]:
    """Sentences that say nothing, or with words that look misspelt.

    >>> [n.proposals for n in task_namings(["pik up the cup", "test"])]
    [('pick up the cup',), ()]
    """
    for task in tasks:
        words = re.findall(r"[^\W\d_]+", task)
        if not words or {word.lower() for word in words} <= PLACEHOLDERS:
            yield Naming(what="task", name=task, reason="it does not say what is done, e.g. pick up the red cup")
            continue
        if len(words) == 1 and task.isascii():
            yield Naming(what="task", name=task, reason="one word: say what is done to what")
            continue
        near = {word: _near(word.lower(), verb=place == 0) for place, word in enumerate(words)}
        misspelt = {word: other for word, other in near.items() if other}
        if misspelt:
            proposal = task
            for word, other in misspelt.items():
                proposal = re.sub(rf"\b{re.escape(word)}\b", other, proposal)
            reason = f"misspelt? {', '.join(misspelt)}"
            yield Naming(what="task", name=task, reason=reason, proposals=(proposal,))


def _near(word: str, *, verb: bool) -> str:
    """The known word that this one is a slip of; empty where it is known, inflected, short or like none."""
    stems = {word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ing"), word.removesuffix("ed")}
    if stems & _WORDS or len(word) < 3 or not word.isascii():
        return ""
    near = difflib.get_close_matches(word, _VERBS.split() if verb else sorted(_WORDS), n=1, cutoff=_NEAR)
    return near[0] if near and near[0][0] == word[0] else ""
