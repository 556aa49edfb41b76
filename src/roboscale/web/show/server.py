"""Serving the page: on this machine unless somebody asks for more, and then only with a token."""

from __future__ import annotations

import contextlib
import getpass
import secrets
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from roboscale.core.errors import InfrastructureError, SpecMismatch
from roboscale.web.show.api import make_app
from roboscale.web.show.guard import is_loopback
from roboscale.web.show.labels import LabelLog

__all__ = ["Served", "listen", "make_server", "serve", "serve_app"]

_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_TOKEN_LENGTH = 16
_MESSAGE_BYTES = 16_384  # of one message of a websocket


class Served:
    """A page that is being served, until it is closed. A context manager.

    Args:
        url: where it can be opened.
    """

    def __init__(self, url: str, server: uvicorn.Server, listener: socket.socket) -> None:
        self.url = url
        self._server, self._listener = server, listener
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when the page is closed, by whomever; Ctrl-C closes it, too."""
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join()
        self.close()

    def close(self) -> None:
        """Ends the serving; those who are being answered get their answer."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(
    root: Path,
    log: LabelLog,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    audit: Path | None = None,
) -> Served:
    """Serves the page of a dataset in a thread; it can be opened as soon as this returns.

    Args:
        root: folder of a LeRobotDataset v3.0.
        log: is told every label.
        host: address to listen on; beyond this machine every address needs a token.
        port: 0 for any that is free.
        token: at least 16 letters, digits, `-` or `_`; made when `host` needs one and none is given.
        audit: JSON file of findings to draw on the timeline.

    Raises:
        BadData: the dataset or the audit is broken.
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    return serve_app(partial(make_app, root, log, audit=audit, author=_author()), host=host, port=port, token=token)


def serve_app(
    make: Callable[..., Starlette],
    *,
    host: str,
    port: int,
    token: str | None,
    sockets: bool = False,
    needs_token: bool = True,
) -> Served:
    """Serves any page in a thread; beyond this machine every address needs a token. Arguments and errors as `serve`.

    Args:
        make: given `token` and `names`, the application.
        sockets: whether it talks over websockets.
        needs_token: whether addresses need one beyond this machine; not where whatever is no secret is open to
            everybody, and everything else asks for an account's token.
    """
    token = checked_token(host, token) if needs_token or token is not None else None
    app = make(token=token, names=(host, socket.gethostname()))
    listener = listen(host, port)  # whoever connects before the server runs waits in the listener's queue
    return Served(served_at(host, listener, token), make_server(app, sockets), listener)


def make_server(app: Starlette, sockets: bool = False, certificate: tuple[Path, Path] | None = None) -> uvicorn.Server:
    """A server for an open socket; silent, and quick to end.

    Args:
        sockets: whether it also speaks websockets.
        certificate: PEM files of a certificate and its key, for https.
    """
    file, key = certificate or (None, None)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio" if sockets else "none",
        ws_max_size=_MESSAGE_BYTES,
        timeout_graceful_shutdown=2,
        ssl_certfile=file,
        ssl_keyfile=key,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; InfrastructureError when the address or port cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InfrastructureError(f"cannot listen on {host} port {port}: {reason}") from error
    # asyncio does this only for sockets that name their protocol, and this one's is 0. Without it an answer's second
    # packet waits 40 ms for the first one to be acknowledged. What is accepted inherits it.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def checked_token(host: str, token: str | None) -> str | None:
    """The token, made where the host needs one; SpecMismatch for one that is short or fits into no address."""
    if token is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(token) < _TOKEN_LENGTH or not set(token) <= _TOKEN_CHARACTERS:
        raise SpecMismatch(f"token: expected at least {_TOKEN_LENGTH} letters, digits, - or _, found {len(token)}")
    return token


def served_at(host: str, listener: socket.socket, token: str | None, secure: bool = False) -> str:
    """Where the page can be opened; `secure` by https."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http{'s' if secure else ''}://{name}:{listener.getsockname()[1]}/{token + '/' if token else ''}"


def _author() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run under a number without a name
        return ""
