"""Serving the page: on this machine unless somebody asks for more, and then only with a token."""

from __future__ import annotations

import contextlib
import getpass
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from roboscale.core.errors import InfrastructureError, SpecMismatch
from roboscale.web.show.api import make_app
from roboscale.web.show.guard import is_loopback

__all__ = ["listen", "make_server", "serve"]

_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_TOKEN_LENGTH = 16


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    audit: Path | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serves the page of a dataset until Ctrl-C.

    Args:
        root: folder of a LeRobotDataset v3.0.
        host: address to listen on; beyond this machine every address needs a token.
        port: 0 for any that is free.
        token: at least 16 letters, digits, `-` or `_`; made when `host` needs one and none is given.
        audit: JSON file of findings to draw on the timeline.
        ready: called with the page's address as soon as it can be opened.

    Raises:
        BadData: the dataset or the audit is broken.
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    token = _checked_token(host, token)
    app = make_app(root, token=token, audit=audit, names=(host, socket.gethostname()), author=_author())
    with listen(host, port) as listener:
        if ready is not None:
            ready(_address(host, listener, token))  # whoever connects now waits in the listener's queue
        with contextlib.suppress(KeyboardInterrupt):
            make_server(app).run(sockets=[listener])


def make_server(app: Starlette) -> uvicorn.Server:
    """A server for an open socket; silent, and quick to end."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; InfrastructureError when the address or port cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InfrastructureError(f"cannot listen on {host} port {port}: {reason}") from error


def _checked_token(host: str, token: str | None) -> str | None:
    if token is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(token) < _TOKEN_LENGTH or not set(token) <= _TOKEN_CHARACTERS:
        raise SpecMismatch(f"token: expected at least {_TOKEN_LENGTH} letters, digits, - or _, found {len(token)}")
    return token


def _address(host: str, listener: socket.socket, token: str | None) -> str:
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{listener.getsockname()[1]}/{token + '/' if token else ''}"


def _author() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run under a number without a name
        return ""
