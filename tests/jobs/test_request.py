"""Requests check themselves and say how the command line asks the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest

from roboscale.cli.app import COMMANDS
from roboscale.core import RoboscaleError, UnknownName
from roboscale.jobs.request import FROM_PYTHON, Argument, Option, Request, made_by, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Request):
    words: ClassVar[tuple[str, ...]] = ("do", "this")

    sources: Annotated[tuple[Path, ...], Argument("What is read.")]
    out: Annotated[Path | None, Argument("What is written.")] = None
    level: Annotated[float, Option("A share.", min=0.5, max=0.999)] = 0.95
    name: Annotated[str, Option("A name.", flag="--called/-c")] = ""
    tag: Annotated[tuple[str, ...], Option("Any number.")] = ()
    way: Annotated[Literal["left", "right"], Option("Where to.")] = "left"
    proof: Annotated[bool, Option("Prove it.")] = True
    loud: Annotated[bool, Option("Say it.")] = False
    count: Annotated[int | None, Option("How many.")] = None

    def check(self) -> None:
        if self.loud and not self.proof:
            raise RoboscaleError("--loud needs --proof")


def test_what_has_its_default_is_left_out():
    assert Ask(sources=("a",)).to_args() == ["do", "this", "a"]
    assert Ask(sources=("a",)).command == "roboscale do this a"


def test_every_other_value_is_said():
    asked = Ask(sources=("a", "b c"), out="o", level=0.9, name="n", tag=("x", "y"), way="right", proof=False, count=0)
    words = ["--level", "0.9", "--called", "n", "--tag", "x", "--tag", "y", "--way", "right", "--no-proof"]
    assert asked.to_args() == ["do", "this", "a", "b c", "o", *words, "--count", "0"]
    assert asked.command.startswith("roboscale do this a 'b c' o")


def test_a_dash_is_no_option():
    asked = Ask(sources=("-a", "--"), name="-n", loud=True)
    assert asked.to_args() == ["do", "this", "--called=-n", "--loud", "--", "-a", "--"]


@pytest.mark.parametrize("value", [0.1 + 0.2 + 0.3, 2 / 3, np.float64(0.7), np.float32(0.6), 0.5])
def test_a_number_is_said_to_the_last_digit(value):
    (word,) = Ask(sources=("a",), level=value).to_args()[4:]
    assert float(word) == value and type(Ask(sources=("a",), level=value).level) is float


def test_lists_texts_and_numpy_numbers_become_what_the_field_holds():
    asked = Ask(sources=["a"], out="b/c", count=np.int64(3), tag=["x"])
    assert asked == Ask(sources=(Path("a"),), out=Path("b/c"), count=3, tag=("x",))
    assert type(asked.count) is int and isinstance(asked.out, Path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"level": 0.2}, "--level: expected at least 0.5 and at most 0.999, found 0.2"),
        ({"level": float("nan")}, "--level: expected a number, found nan"),
        ({"level": "0.9"}, "--level: expected a number, found '0.9'"),
        ({"level": True}, "--level: expected a number, found True"),
        ({"count": 1.5}, "--count: expected a whole number, found 1.5"),
        ({"name": None}, "--called: expected a text, found None"),
        ({"name": "a\0b"}, "--called: expected a text"),
        ({"tag": "abc"}, "--tag: expected a tuple, found 'abc'"),
        ({"proof": 1}, "--proof: expected True or False, found 1"),
        ({"sources": ()}, "SOURCES: expected at least one, found none"),
        ({"sources": (3,)}, "SOURCES: expected a path, found 3"),
        ({"loud": True, "proof": False}, "--loud needs --proof"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_one_clear_line(fields: dict[str, Any], message: str):
    with pytest.raises(RoboscaleError) as caught:
        Ask(**{"sources": ("a",), **fields})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_choice_that_is_none_gets_the_near_ones():
    with pytest.raises(UnknownName, match="unknown --way 'rigth'; did you mean right"):
        Ask(sources=("a",), way="rigth")


def test_objects_leave_no_command():
    asked = Ask(sources=("a",))
    assert made_by(asked) == made_by(asked, None) == "roboscale do this a"
    assert made_by(asked, len) == made_by(asked, None, {}) == FROM_PYTHON


def test_an_argument_cannot_be_left_out_before_another():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Two(Request):
        words: ClassVar[tuple[str, ...]] = ("two",)
        first: Annotated[str | None, Argument("One.")] = None
        second: Annotated[str | None, Argument("Two.")] = None

    assert Two(first="a").to_args() == ["two", "a"]
    with pytest.raises(RoboscaleError, match="FIRST is missing, and SECOND is given"):
        Two(second="b").to_args()


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (str, "plain"),
        (Annotated[str, "no meaning"], ""),
        (Annotated[str | None, Option("a text or none")], "given"),
        (Annotated[tuple[str, ...], Option("repeats")], ("given",)),
        (Annotated[tuple[str, str], Option("two")], ("a", "b")),
        (Annotated[dict, Option("a dictionary")], None),
        (Annotated[bool | None, Option("three states")], None),
    ],
    ids=str,
)
def test_a_field_that_no_command_line_can_ask_for_is_refused(kind: Any, default: Any):
    namespace = {"__annotations__": {"field": kind, "words": "ClassVar[tuple[str, ...]]"}, "field": default}
    made = dataclass(frozen=True, slots=True, kw_only=True)(
        type("Made", (Request,), {**namespace, "words": ("made",)})
    )
    with pytest.raises(TypeError, match=r"Made\.field"):
        parameters(made)


def test_a_request_can_be_an_element_of_a_set():
    assert len({Ask(sources=("a",)), Ask(sources=["a"]), Ask(sources=("b",))}) == 2


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_every_number_says_how_small_it_may_be(command):
    """-1 workers once waited for ever."""
    numbers = [p for p in parameters(command.request) if p.kind in (int, float) and isinstance(p.about, Option)]
    assert [p.name for p in numbers if p.about.min is None] in ([], ["seed"])
