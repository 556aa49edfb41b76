"""One row per Meta-World task: what is asked, what may be touched, what can be dropped.

Body names are those of the task's MuJoCo model (the child of the world body). A contact is *intended* when the
gripper touches a body of `touch`, or when something that is not the robot touches a body that is not in `avoid`.
Everything else counts for the peak force: the arm against anything, the gripper against the table, a wall or a
fixture, an object against an obstacle.

`carries` is the object that the task lifts. It is *dropped* when it has been lifted by 3 cm and then falls by 2 cm
without touching the gripper; where letting go above the goal is the task (`release`), that says nothing and the
measure is `None`, as it is for tasks that lift nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TASKS", "TaskInfo"]


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """See the module's text. `moves` is the free body that can leave the table; where it should, `leaves` is set."""

    instruction: str
    touch: tuple[str, ...]
    moves: str = ""
    carries: bool = False
    release: bool = False
    avoid: tuple[str, ...] = ()
    leaves: bool = False


TASKS: dict[str, TaskInfo] = {
    "assembly-v3": TaskInfo("put the ring over the standing peg", ("RoundNut",), "RoundNut", True, True),
    "basketball-v3": TaskInfo("drop the basketball into the hoop", ("bsktball",), "bsktball", True, True),
    "bin-picking-v3": TaskInfo("move the puck into the other bin", ("obj",), "obj", True, True),
    "box-close-v3": TaskInfo("put the lid onto the open box", ("boxbodytop",), "boxbodytop", True, True),
    "button-press-topdown-v3": TaskInfo("press the button down from above", ("box",)),
    "button-press-topdown-wall-v3": TaskInfo("reach over the wall, press the button down", ("box",), avoid=("wall",)),
    "button-press-v3": TaskInfo("press the button on the front side", ("box",)),
    "button-press-wall-v3": TaskInfo("reach over the wall, press the front button", ("box",), avoid=("wall",)),
    "coffee-button-v3": TaskInfo("press the coffee machine's button", ("coffee_machine",), "obj"),
    "coffee-pull-v3": TaskInfo("pull the mug from the coffee machine", ("obj",), "obj"),
    "coffee-push-v3": TaskInfo("push the mug under the coffee machine", ("obj",), "obj"),
    "dial-turn-v3": TaskInfo("turn the dial by half a turn", ("dial",)),
    "disassemble-v3": TaskInfo("lift the ring off the standing peg", ("RoundNut",), "RoundNut", True),
    "door-close-v3": TaskInfo("close the open door by its handle", ("door",)),
    "door-lock-v3": TaskInfo("lock the door by turning its bolt", ("door",)),
    "door-open-v3": TaskInfo("open the door by pulling its handle", ("door",)),
    "door-unlock-v3": TaskInfo("unlock the door by turning its bolt", ("door",)),
    "hand-insert-v3": TaskInfo("put the block down into the hole", ("obj",), "obj", True, True),
    "drawer-close-v3": TaskInfo("push the open drawer until it is shut", ("drawer",)),
    "drawer-open-v3": TaskInfo("pull the drawer open by its handle", ("drawer",)),
    "faucet-open-v3": TaskInfo("turn the faucet's handle to open it", ("faucetBase",)),
    "faucet-close-v3": TaskInfo("turn the faucet's handle to close it", ("faucetBase",)),
    "hammer-v3": TaskInfo("drive the nail in with the hammer", ("hammerbody",), "hammerbody", True),
    "handle-press-side-v3": TaskInfo("press the handle down from its side", ("box",)),
    "handle-press-v3": TaskInfo("press the handle all the way down", ("box",)),
    "handle-pull-side-v3": TaskInfo("pull the handle up from its side", ("box",)),
    "handle-pull-v3": TaskInfo("pull the handle all the way up", ("box",)),
    "lever-pull-v3": TaskInfo("pull the lever up by a quarter turn", ("lever",)),
    "pick-place-wall-v3": TaskInfo("lift the puck over the wall to the goal", ("obj",), "obj", True, avoid=("wall",)),
    "pick-out-of-hole-v3": TaskInfo("lift the puck out of the hole", ("obj",), "obj", True),
    "pick-place-v3": TaskInfo("pick up the puck and hold it at the goal", ("obj",), "obj", True),
    "plate-slide-v3": TaskInfo("slide the plate forward into the net", ("puck_channel",)),
    "plate-slide-side-v3": TaskInfo("slide the plate sideways into the net", ("puck_channel",)),
    "plate-slide-back-v3": TaskInfo("slide the plate back out of the net", ("puck_channel",)),
    "plate-slide-back-side-v3": TaskInfo("slide the plate sideways out of the net", ("puck_channel",)),
    "peg-insert-side-v3": TaskInfo("insert the peg into the hole sideways", ("peg",), "peg", True),
    "peg-unplug-side-v3": TaskInfo("pull the peg out of the wall sideways", ("plug1",), "plug1"),
    "soccer-v3": TaskInfo("push the ball into the soccer goal", ("soccer_ball",), "soccer_ball"),
    "stick-push-v3": TaskInfo("grasp the stick, push the thermos with it", ("stick",), "stick", True),
    "stick-pull-v3": TaskInfo("grasp the stick, pull the thermos with it", ("stick",), "stick", True),
    "push-v3": TaskInfo("push the puck along the table to the goal", ("obj",), "obj"),
    "push-wall-v3": TaskInfo("push the puck around the wall to the goal", ("obj",), "obj", avoid=("wall",)),
    "push-back-v3": TaskInfo("push the puck back towards the robot", ("obj",), "obj"),
    "reach-v3": TaskInfo("move the gripper to the goal point", (), "obj"),
    "reach-wall-v3": TaskInfo("reach over the wall to the goal point", (), "obj", avoid=("wall",)),
    "shelf-place-v3": TaskInfo("pick up the block, put it on the shelf", ("obj",), "obj", True, True),
    "sweep-into-v3": TaskInfo("sweep the puck into the hole", ("obj",), "obj", leaves=True),
    "sweep-v3": TaskInfo("sweep the block off the table's edge", ("obj",), "obj", leaves=True),
    "window-open-v3": TaskInfo("slide the window open by its handle", ("window",)),
    "window-close-v3": TaskInfo("slide the window shut by its handle", ("window",)),
}
"""All 50 tasks of Meta-World 3.1.1. Instructions are ours (the package has none), 25 to 50 characters each."""
