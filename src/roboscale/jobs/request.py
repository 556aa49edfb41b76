"""What is asked of a job, as text and numbers; every request knows the command line that asks the same.

A field says what it means to the command line in its annotation:

    class Rank(Request):
        words = ("rank",)
        sources: Annotated[tuple[str, ...], Argument("Files to read.")]
        level: Annotated[float, Option("Confidence level.", min=0.5, max=0.999)] = 0.95

Types are str, int, float, bool, Path, a `Literal` of texts, one of these or `None` (then the default is `None`), and a
tuple of any length of one of these (then the default is `()`; an argument without a default needs at least one).
"""

from __future__ import annotations

import math
import numbers
import os
import shlex
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from roboscale.core import RoboscaleError, UsageError
from roboscale.core.errors import UnknownChoice

__all__ = ["FROM_PYTHON", "Argument", "Option", "Parameter", "Request", "made_by", "parameters"]

FROM_PYTHON = "made from Python"
"""What a page says instead of a command when the job was given objects, which no command line can spell."""

_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A field that the command line takes by its place."""

    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A field that the command line takes by its name.

    Args:
        flag: `--name` or `--name/-n`; by default the field's name. A flag that is on by default also has `--no-name`.
        min, max: bounds of a number, both allowed.
        choices: valid texts; those of a `Literal` need not be said again.
    """

    help: str = field(kw_only=False)
    flag: str = ""
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field of a request.

    Args:
        kind: str, int, float, bool or Path; of each element where there are `many`.
        default: `MISSING` where the field must be given.
        optional: whether it may be `None`.
        choices: valid texts; empty where any will do.
    """

    name: str
    kind: type
    default: Any
    about: Argument | Option
    optional: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """The option's names, the long one first; none for an argument."""
        if isinstance(self.about, Argument):
            return ()
        return tuple((self.about.flag or f"--{self.name.replace('_', '-')}").split("/"))

    @property
    def title(self) -> str:
        """How messages call it."""
        return self.flags[0] if self.flags else self.name.upper()

    def checked(self, value: Any) -> Any:
        """The value in its own type; RoboscaleError (UnknownChoice for a choice) says what is wrong with it."""
        if value is None and self.optional:
            return None
        if not self.many:
            return self._one(value)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise RoboscaleError(f"{self.title}: expected a tuple, found {value!r}")
        values = tuple(self._one(one) for one in value)
        if not values and self.default is MISSING:
            raise RoboscaleError(f"{self.title}: expected at least one, found none")
        return values

    def _one(self, value: Any) -> Any:
        made = _converted(self.kind, value)
        if made is None or (isinstance(made, (str, Path)) and "\0" in str(made)):
            raise RoboscaleError(f"{self.title}: expected {_KINDS[self.kind]}, found {value!r}")
        if self.choices and made not in self.choices:
            raise UnknownChoice(self.title, made, self.choices)
        if isinstance(self.about, Option) and isinstance(made, (int, float)):
            low, high = self.about.min, self.about.max
            if (low is not None and made < low) or (high is not None and made > high):
                bounds = (f"at least {low}", f"at most {high}")
                said = " and ".join(b for b, bound in zip(bounds, (low, high), strict=True) if bound is not None)
                raise RoboscaleError(f"{self.title}: expected {said}, found {made}")
        return made

    def number(self, text: str) -> float | int:
        """The number that somebody typed; `60%` and `0,6` are 0.6 where the number is a share.

        Raises:
            UsageError: it is none, or outside its bounds; names what was typed.
        """
        low, high = (self.about.min, self.about.max) if isinstance(self.about, Option) else (None, None)
        share = self.kind is float and high is not None and high <= 1
        value = _read(text, self.kind, percent=share)
        if value is not None and (low is None or value >= low) and (high is None or value <= high):
            return value
        ends = [(word, end) for word, end in (("at least", low), ("at most", high)) if end is not None]
        bounds = " and ".join(f"{word} {int(end) if self.kind is int else f'{end:g}'}" for word, end in ends)
        said = f"expected {_KINDS[self.kind]}{f' of {bounds}' if bounds else ''}, found {text!r}"
        meant = share and value is not None and 1 < value <= 100
        raise UsageError(f"{said} (percent is written {text.strip()}%)" if meant else said)

    def to_args(self, value: Any) -> list[str]:
        """An option's words; none for its default."""
        if value == self.default or value is None:
            return []
        if self.kind is bool:
            return [self.flags[0] if value else f"--no-{self.flags[0].removeprefix('--')}"]
        words: list[str] = []
        for one in value if self.many else (value,):
            text = _text(one)
            words += [f"{self.flags[0]}={text}"] if text.startswith("-") else [self.flags[0], text]
        return words


def _converted(kind: type, value: Any) -> Any:
    """The value as `kind`, where that loses nothing; `None` otherwise."""
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if kind is Path:
        return Path(value) if isinstance(value, (str, os.PathLike)) else None
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is int:
        return int(value) if isinstance(value, numbers.Integral) else None
    return float(value) if isinstance(value, numbers.Real) and not math.isnan(value) else None


def _read(text: str, kind: type, *, percent: bool) -> float | int | None:
    """The number a text is, with a point or a comma; `None` where it is none."""
    plain = text.strip().replace("\u2212", "-")
    hundredth = percent and plain.endswith("%")
    plain = plain.removesuffix("%").rstrip() if hundredth else plain
    try:
        if kind is int:
            return int(plain)
        value = float(plain.replace(",", ".") if plain.count(",") == 1 and "." not in plain else plain)
    except ValueError:
        return None
    return None if math.isnan(value) else round(value / 100, 15) if hundredth else value


def _text(value: str | int | float | Path) -> str:
    """As the command line writes it; a number that is read back is the same."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a job: text and numbers, checked when it is made.

    Lists become tuples and texts become paths, where a field wants these.

    Raises:
        RoboscaleError, UnknownChoice: a value that the field does not take.
    """

    words: ClassVar[tuple[str, ...]]
    """The command that asks this, e.g. `("data", "import")`."""

    def __post_init__(self) -> None:
        for parameter in parameters(type(self)):
            object.__setattr__(self, parameter.name, parameter.checked(getattr(self, parameter.name)))
        self.check()

    def check(self) -> None:
        """For subclasses: raises RoboscaleError for what the fields together cannot be."""

    def to_args(self) -> list[str]:
        """The words after `roboscale` that ask the same; what has its default is left out.

        Raises:
            RoboscaleError: an argument is `None` and a later one is not, which no command line can say.
        """
        options, arguments = [], []
        for parameter in parameters(type(self)):
            value = getattr(self, parameter.name)
            if parameter.flags:
                options += parameter.to_args(value)
            else:
                arguments.append((parameter, value))
        while arguments and arguments[-1][1] == arguments[-1][0].default:
            arguments.pop()
        places: list[str] = []
        for parameter, value in arguments:
            if value is None:
                raise RoboscaleError(f"{parameter.title} is missing, and {arguments[-1][0].title} is given")
            places += [_text(one) for one in (value if parameter.many else (value,))]
        if any(text.startswith("-") for text in places):
            return [*self.words, *options, "--", *places]
        return [*self.words, *places, *options]

    @property
    def command(self) -> str:
        """The command line that asks the same, quoted for a shell."""
        return shlex.join(["roboscale", *self.to_args()])

    @property
    def command_anywhere(self) -> str:
        """As `command`, with absolute paths; addresses stay as they are."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: _absolute(value) for name, value in values.items()}).command


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    is_address = isinstance(value, Path) and value.parts and value.parts[0].endswith(":")
    return value.absolute() if isinstance(value, Path) and not is_address else value


def made_by(request: Request, *objects: object) -> str:
    """What a page says of its making: the command, or `FROM_PYTHON` when the job was given objects besides."""
    return request.command if all(one is None for one in objects) else FROM_PYTHON


def parameters(request: type[Request]) -> tuple[Parameter, ...]:
    """The fields of a request, in order. TypeError for one that no command line could ask."""
    hints = get_type_hints(request, include_extras=True)
    return tuple(_parameter(f"{request.__name__}.{f.name}", hints[f.name], f.default) for f in fields(request))


def _parameter(where: str, hint: Any, default: Any) -> Parameter:
    abouts = [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, (Argument, Option))]
    if get_origin(hint) is not Annotated or len(abouts) != 1:
        raise TypeError(f"{where}: expected Annotated[type, Option(...)] or Annotated[type, Argument(...)]")
    (about,), kind = abouts, hint.__origin__
    optional = get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind)
    if optional:
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    many = get_origin(kind) is tuple
    if many:
        kind, *rest = get_args(kind)
        if rest != [...]:
            raise TypeError(f"{where}: expected tuple[type, ...]")
    choices = about.choices if isinstance(about, Option) else ()
    if get_origin(kind) is Literal:
        kind, choices = str, get_args(kind)
    unsayable = (optional and default is not None) or (many and default not in ((), MISSING)) or (many and optional)
    if kind not in _KINDS or unsayable or (kind is bool and (many or not isinstance(default, bool))):
        raise TypeError(f"{where}: the command line cannot ask for every value of {hint}")
    if isinstance(about, Option) and many and default is MISSING:
        raise TypeError(f"{where}: an option that repeats needs the default ()")
    name = where.rpartition(".")[2]
    return Parameter(name=name, kind=kind, default=default, about=about, optional=optional, many=many, choices=choices)
