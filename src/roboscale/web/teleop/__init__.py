"""The page of a person who drives: cameras, keys, and one lease of control."""

from roboscale.web.teleop.api import Cockpit, StepShown, make_teleop_app, serve_teleop
from roboscale.web.teleop.page_process import PageProcess, PictureBoard

__all__ = ["Cockpit", "PageProcess", "PictureBoard", "StepShown", "make_teleop_app", "serve_teleop"]
