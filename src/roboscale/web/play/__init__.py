"""The page that steers an imagined scene, beside the true one."""

from roboscale.web.play.api import PlayTable, make_play_app, serve_play

__all__ = ["PlayTable", "make_play_app", "serve_play"]
