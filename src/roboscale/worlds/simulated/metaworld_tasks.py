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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    "assembly-v3": TaskInfo(
        instruction="put the ring over the standing peg",
        touch=("RoundNut",),
        moves="RoundNut",
        carries=True,
        release=True,
    ),
    "basketball-v3": TaskInfo(
        instruction="drop the basketball into the hoop",
        touch=("bsktball",),
        moves="bsktball",
        carries=True,
        release=True,
    ),
    "bin-picking-v3": TaskInfo(
        instruction="move the puck into the other bin", touch=("obj",), moves="obj", carries=True, release=True
    ),
    "box-close-v3": TaskInfo(
        instruction="put the lid onto the open box",
        touch=("boxbodytop",),
        moves="boxbodytop",
        carries=True,
        release=True,
    ),
    "button-press-topdown-v3": TaskInfo(instruction="press the button down from above", touch=("box",)),
    "button-press-topdown-wall-v3": TaskInfo(
        instruction="reach over the wall, press the button down", touch=("box",), avoid=("wall",)
    ),
    "button-press-v3": TaskInfo(instruction="press the button on the front side", touch=("box",)),
    "button-press-wall-v3": TaskInfo(
        instruction="reach over the wall, press the front button", touch=("box",), avoid=("wall",)
    ),
    "coffee-button-v3": TaskInfo(
        instruction="press the coffee machine's button", touch=("coffee_machine",), moves="obj"
    ),
    "coffee-pull-v3": TaskInfo(instruction="pull the mug from the coffee machine", touch=("obj",), moves="obj"),
    "coffee-push-v3": TaskInfo(instruction="push the mug under the coffee machine", touch=("obj",), moves="obj"),
    "dial-turn-v3": TaskInfo(instruction="turn the dial by half a turn", touch=("dial",)),
    "disassemble-v3": TaskInfo(
        instruction="lift the ring off the standing peg", touch=("RoundNut",), moves="RoundNut", carries=True
    ),
    "door-close-v3": TaskInfo(instruction="close the open door by its handle", touch=("door",)),
    "door-lock-v3": TaskInfo(instruction="lock the door by turning its bolt", touch=("door",)),
    "door-open-v3": TaskInfo(instruction="open the door by pulling its handle", touch=("door",)),
    "door-unlock-v3": TaskInfo(instruction="unlock the door by turning its bolt", touch=("door",)),
    "hand-insert-v3": TaskInfo(
        instruction="put the block down into the hole", touch=("obj",), moves="obj", carries=True, release=True
    ),
    "drawer-close-v3": TaskInfo(instruction="push the open drawer until it is shut", touch=("drawer",)),
    "drawer-open-v3": TaskInfo(instruction="pull the drawer open by its handle", touch=("drawer",)),
    "faucet-open-v3": TaskInfo(instruction="turn the faucet's handle to open it", touch=("faucetBase",)),
    "faucet-close-v3": TaskInfo(instruction="turn the faucet's handle to close it", touch=("faucetBase",)),
    "hammer-v3": TaskInfo(
        instruction="drive the nail in with the hammer", touch=("hammerbody",), moves="hammerbody", carries=True
    ),
    "handle-press-side-v3": TaskInfo(instruction="press the handle down from its side", touch=("box",)),
    "handle-press-v3": TaskInfo(instruction="press the handle all the way down", touch=("box",)),
    "handle-pull-side-v3": TaskInfo(instruction="pull the handle up from its side", touch=("box",)),
    "handle-pull-v3": TaskInfo(instruction="pull the handle all the way up", touch=("box",)),
    "lever-pull-v3": TaskInfo(instruction="pull the lever up by a quarter turn", touch=("lever",)),
    "pick-place-wall-v3": TaskInfo(
        instruction="lift the puck over the wall to the goal",
        touch=("obj",),
        moves="obj",
        carries=True,
        avoid=("wall",),
    ),
    "pick-out-of-hole-v3": TaskInfo(
        instruction="lift the puck out of the hole", touch=("obj",), moves="obj", carries=True
    ),
    "pick-place-v3": TaskInfo(
        instruction="pick up the puck and hold it at the goal", touch=("obj",), moves="obj", carries=True
    ),
    "plate-slide-v3": TaskInfo(instruction="slide the plate forward into the net", touch=("puck_channel",)),
    "plate-slide-side-v3": TaskInfo(instruction="slide the plate sideways into the net", touch=("puck_channel",)),
    "plate-slide-back-v3": TaskInfo(instruction="slide the plate back out of the net", touch=("puck_channel",)),
    "plate-slide-back-side-v3": TaskInfo(
        instruction="slide the plate sideways out of the net", touch=("puck_channel",)
    ),
    "peg-insert-side-v3": TaskInfo(
        instruction="insert the peg into the hole sideways", touch=("peg",), moves="peg", carries=True
    ),
    "peg-unplug-side-v3": TaskInfo(
        instruction="pull the peg out of the wall sideways", touch=("plug1",), moves="plug1"
    ),
    "soccer-v3": TaskInfo(
        instruction="push the ball into the soccer goal", touch=("soccer_ball",), moves="soccer_ball"
    ),
    "stick-push-v3": TaskInfo(
        instruction="grasp the stick, push the thermos with it", touch=("stick",), moves="stick", carries=True
    ),
    "stick-pull-v3": TaskInfo(
        instruction="grasp the stick, pull the thermos with it", touch=("stick",), moves="stick", carries=True
    ),
    "push-v3": TaskInfo(instruction="push the puck along the table to the goal", touch=("obj",), moves="obj"),
    "push-wall-v3": TaskInfo(
        instruction="push the puck around the wall to the goal", touch=("obj",), moves="obj", avoid=("wall",)
    ),
    "push-back-v3": TaskInfo(instruction="push the puck back towards the robot", touch=("obj",), moves="obj"),
    "reach-v3": TaskInfo(instruction="move the gripper to the goal point", touch=(), moves="obj"),
    "reach-wall-v3": TaskInfo(
        instruction="reach over the wall to the goal point", touch=(), moves="obj", avoid=("wall",)
    ),
    "shelf-place-v3": TaskInfo(
        instruction="pick up the block, put it on the shelf", touch=("obj",), moves="obj", carries=True, release=True
    ),
    "sweep-into-v3": TaskInfo(instruction="sweep the puck into the hole", touch=("obj",), moves="obj", leaves=True),
    "sweep-v3": TaskInfo(instruction="sweep the block off the table's edge", touch=("obj",), moves="obj", leaves=True),
    "window-open-v3": TaskInfo(instruction="slide the window open by its handle", touch=("window",)),
    "window-close-v3": TaskInfo(instruction="slide the window shut by its handle", touch=("window",)),
}
"""All 50 tasks of Meta-World 3.1.1. Instructions are ours (the package has none), 25 to 50 characters each."""
