"""Any world, made worse: seen late, noisily or in pieces, and where it runs on a MuJoCo model, with another model."""

from roboscale.worlds.perturbed.axes import AXES, LEVELS, Axis, axes_of, parse_cells
from roboscale.worlds.perturbed.parts import PARTS, ModelPart
from roboscale.worlds.perturbed.world import PerturbedWorld

__all__ = ["AXES", "LEVELS", "PARTS", "Axis", "ModelPart", "PerturbedWorld", "axes_of", "parse_cells"]
