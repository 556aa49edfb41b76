"""Whose fault an exception in a policy is: its own (the trial is a failure), or of what carries it (void).

One rule for a policy in this process, behind a server and in a guest, so that crashing never pays. What a policy's
code raises is the policy's mistake, apart from a machine that ran out of something and a connection that was lost.
Libraries are known by the names of their exceptions; none is imported.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from roboscale.core.errors import InfrastructureError, PolicyError
from roboscale.core.policy import ActionChunk

__all__ = ["check_chunk", "fault_of", "faults_of", "in_a_line", "is_infrastructure"]

_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "ENOMEM", "EMFILE", "ENFILE", "EROFS", "ENODEV", "ENXIO", "ESTALE", "EREMOTEIO"),
        *("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)
_NAMES = frozenset(
    {
        ("torch", "OutOfMemoryError"),
        ("torch", "AcceleratorError"),
        ("cupy_backends", "CUDARuntimeError"),
        ("cupy", "OutOfMemoryError"),
        ("tensorflow", "ResourceExhaustedError"),
        ("tensorflow", "UnavailableError"),
        ("requests", "ConnectionError"),
        ("requests", "Timeout"),
        ("requests", "ChunkedEncodingError"),
        ("urllib3", "HTTPError"),
        ("urllib", "URLError"),
        ("http", "HTTPException"),
        ("httpx", "TransportError"),
        ("httpcore", "NetworkError"),
        ("httpcore", "TimeoutException"),
        ("aiohttp", "ClientConnectionError"),
        ("websockets", "ConnectionClosed"),
        ("websockets", "InvalidHandshake"),
        ("websocket", "WebSocketException"),
        ("grpc", "RpcError"),
        ("zmq", "ZMQBaseError"),
        ("openai", "APIConnectionError"),
        ("anthropic", "APIConnectionError"),
        ("concurrent", "BrokenExecutor"),
        ("asyncio", "IncompleteReadError"),
    }
)
"""(first part of the module, class) of exceptions that speak of the machine or of a connection."""

_PHRASES = ("cuda out of memory", "cuda error", "cudnn_status_alloc_failed", "cublas_status_alloc_failed")
"""What the RuntimeErrors of older torch say when memory or a device is gone."""

_XLA = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")


def is_infrastructure(error: BaseException) -> bool:
    """Whether the machine or a connection is to blame; of an error raised `from` another one, that one counts too."""
    return any(_of_the_machine(e) for e in _causes(error))


def fault_of(error: BaseException, who: str) -> PolicyError | InfrastructureError:
    """What was raised inside a policy, as what it means for the trial, with the original as its cause.

    A `PolicyError` and an `InfrastructureError` are returned as they are. `who` begins the message, e.g. `policy a`.
    """
    if isinstance(error, (PolicyError, InfrastructureError)):
        return error
    kind = InfrastructureError if is_infrastructure(error) else PolicyError
    fault = kind(f"{who} raised {in_a_line(error)}{_hint(error)}")
    fault.__cause__ = error
    return fault


@contextmanager
def faults_of(who: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Whatever a policy's code raises inside leaves as `fault_of` says; an interrupt by the user leaves as it is.

    Args:
        who: begins the message.
        passing: exceptions that mean something to the caller and are left alone.
    """
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except passing:
        raise
    except BaseException as error:  # noqa: BLE001  a stranger's code raises what it likes, SystemExit too
        raise fault_of(error, who)  # noqa: B904  it has its cause


def check_chunk(chunk: ActionChunk, who: str) -> ActionChunk:
    """The chunk; PolicyError unless the rows to execute are finite numbers of shape (H, D)."""
    rows = np.asarray(chunk.rows)
    if rows.dtype.kind not in "iuf":
        raise PolicyError(f"{who} returned {rows.dtype}{list(rows.shape)}: expected numbers, found {rows.dtype}")
    bad = int((~np.isfinite(rows)).sum())
    if bad:
        raise PolicyError(
            f"{who} returned {rows.dtype}{list(rows.shape)}: expected finite numbers, "
            f"found {bad} of {rows.size} that are NaN or infinite"
        )
    return chunk


def in_a_line(error: BaseException) -> str:
    """Type and first line of the message: what people read first of an exception that may say a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__


def _of_the_machine(error: BaseException) -> bool:
    if isinstance(error, (InfrastructureError, MemoryError, ConnectionError, TimeoutError, KeyboardInterrupt)):
        return True
    if "device-side assert" in str(error):
        return False  # an index out of range in the policy's own kernel
    status = _http_status(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno in _ERRNOS):
        return True
    names = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(error).__mro__}
    if names & _NAMES:
        return True
    if type(error).__name__ in ("XlaRuntimeError", "JaxRuntimeError"):
        return str(error).startswith(_XLA)
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _PHRASES)


def _http_status(error: BaseException) -> int | None:
    """The status of an answer that was an error, as requests, httpx, urllib and clients of web services keep it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if type(status) is int and 400 <= status < 600:
                return status
    return None


def _hint(error: BaseException) -> str:
    """What to do about it, where that is known."""
    if isinstance(error, ValueError) and "read-only" in str(error):
        return "; observations are read-only: copy first"
    return ""
