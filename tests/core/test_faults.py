"""The same exception is the policy's fault or the machine's, wherever the policy runs, so that crashing never pays."""

from __future__ import annotations

import errno
import socket
import urllib.error
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pytest

from roboscale.core import ActionChunk, InfrastructureError, PolicyError, SpecMismatch
from roboscale.core.faults import check_chunk, fault_of, faults_of


def named(module: str, name: str, base: type[Exception] = RuntimeError, **attributes: Any) -> Exception:
    """An exception as a library that is not installed here would raise it."""
    return type(name, (base,), {"__module__": module, **attributes})("it said so")


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


class Response:
    def __init__(self, status: int) -> None:
        self.status_code = status


MACHINE = [
    MemoryError(),
    ConnectionResetError("gone"),
    BrokenPipeError(),
    TimeoutError("no answer"),
    socket.gaierror(-2, "Name or service not known"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    BrokenProcessPool("a child died"),
    KeyboardInterrupt(),
    named("torch", "OutOfMemoryError"),
    named("torch.cuda", "OutOfMemoryError"),
    RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"),
    RuntimeError("CUDA error: unspecified launch failure"),
    type("XlaRuntimeError", (RuntimeError,), {})("RESOURCE_EXHAUSTED: Out of memory"),
    named("requests.exceptions", "ConnectionError", OSError),
    named("requests.exceptions", "ReadTimeout", type(named("requests.exceptions", "Timeout", OSError))),
    named("httpx", "ConnectError", type(named("httpx", "TransportError"))),
    named("websockets.exceptions", "ConnectionClosedError", type(named("websockets.exceptions", "ConnectionClosed"))),
    named("grpc", "RpcError"),
    named("requests.exceptions", "HTTPError", OSError, response=Response(503)),
    urllib.error.URLError("refused"),
    urllib.error.HTTPError("http://lab", 502, "Bad Gateway", {}, None),
    caused(RuntimeError("the model failed"), MemoryError()),
    InfrastructureError("the arm is off"),
]
OWN = [
    KeyError("y"),
    IndexError("list index out of range"),
    ZeroDivisionError(),
    AssertionError(),
    RecursionError(),
    NotImplementedError(),
    StopIteration(),
    SystemExit(1),
    FileNotFoundError(errno.ENOENT, "No such file"),
    PermissionError(errno.EACCES, "Permission denied"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    RuntimeError("CUDA error: device-side assert triggered"),
    type("XlaRuntimeError", (RuntimeError,), {})("INVALID_ARGUMENT: shapes"),
    named("requests.exceptions", "HTTPError", OSError, response=Response(404)),
    named("mine", "ConnectionClosed"),
    SpecMismatch("a zero quaternion is no rotation"),
    caused(MemoryError.__base__("plain"), KeyError("y")),
    PolicyError("I do not know"),
]


@pytest.mark.parametrize("error", MACHINE, ids=lambda e: f"{type(e).__name__} {e}")
def test_the_machine_s_faults_are_void(error: BaseException):
    assert type(fault_of(error, "policy a")) is InfrastructureError


@pytest.mark.parametrize("error", OWN, ids=lambda e: f"{type(e).__name__} {e}")
def test_its_own_faults_are_failures(error: BaseException):
    assert type(fault_of(error, "policy a")) is PolicyError


def test_a_fault_says_who_and_what_and_keeps_the_original():
    error = KeyError("y")
    fault = fault_of(error, "policy a")
    assert str(fault) == "policy a raised KeyError: 'y'"
    assert fault.__cause__ is error
    assert fault_of(fault, "policy b") is fault
    assert str(fault_of(ZeroDivisionError(), "policy a")) == "policy a raised ZeroDivisionError"


def test_a_page_of_text_becomes_its_first_line():
    assert str(fault_of(RuntimeError("\nfirst\n  second\n"), "policy a")) == "policy a raised RuntimeError: first"


def test_writing_into_an_observation_is_told_how_to_mend():
    array = np.zeros(2)
    array.flags.writeable = False
    with pytest.raises(PolicyError, match="observations are read-only: copy first"), faults_of("policy a"):
        array[0] = 1
    with pytest.raises(PolicyError, match="observations are read-only: copy first"), faults_of("policy a"):
        array += 1


def test_an_interrupt_leaves_as_it_is():
    with pytest.raises(KeyboardInterrupt), faults_of("policy a"):
        raise KeyboardInterrupt


def test_whatever_is_raised_is_caught():
    class Odd(BaseException):
        pass

    for kind in (Odd, SystemExit):
        with pytest.raises(PolicyError, match=f"policy a raised {kind.__name__}"), faults_of("policy a"):
            raise kind


def test_what_passes_is_left_alone():
    with pytest.raises(SpecMismatch), faults_of("policy a", passing=(SpecMismatch,)):
        raise SpecMismatch("no such field")


def test_only_the_rows_that_are_executed_are_checked():
    actions = np.array([[0.0, 1.0], [np.nan, np.inf]])
    assert check_chunk(ActionChunk(actions, execute=1), "policy a").execute == 1
    with pytest.raises(PolicyError, match=r"policy a returned float64\[2, 2\].*found 2 of 4 that are NaN"):
        check_chunk(ActionChunk(actions), "policy a")
    with pytest.raises(PolicyError, match="found bool"):
        check_chunk(ActionChunk(np.array([[True]])), "policy a")
