"""Any world, seen late, noisily or in pieces: variations of a case that need no model of the world."""

from roboscale.worlds.perturbed.axes import AXES, LEVELS, Axis, axes_of, parse_cells
from roboscale.worlds.perturbed.world import PerturbedWorld

__all__ = ["AXES", "LEVELS", "Axis", "PerturbedWorld", "axes_of", "parse_cells"]
