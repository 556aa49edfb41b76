"""The page of a person who drives: cameras, keys, and one lease of control."""

from roboscale.web.teleop.api import Cockpit, StepShown, make_teleop_app, serve_teleop

__all__ = ["Cockpit", "StepShown", "make_teleop_app", "serve_teleop"]
