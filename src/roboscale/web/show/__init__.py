"""A page that plays the episodes of a dataset and takes labels. Nothing on it asks anything of another machine."""

from roboscale.web.show.api import make_app
from roboscale.web.show.server import Served, serve

__all__ = ["Served", "make_app", "serve"]
