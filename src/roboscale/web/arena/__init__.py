"""The arena's server and its pages. Handed whom to ask; knows nothing of how matches are drawn or kept."""

from roboscale.web.arena.api import ArenaDesk, make_arena_app, serve_arena_app

__all__ = ["ArenaDesk", "make_arena_app", "serve_arena_app"]
