"""The operator's page at a bench: set the scene up, run, score. Blind: it is never told which policy is which."""

from roboscale.web.bench.api import Desk, DeskPage, make_bench_app, serve_bench

__all__ = ["Desk", "DeskPage", "make_bench_app", "serve_bench"]
