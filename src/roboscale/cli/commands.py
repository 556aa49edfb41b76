"""A command is a request and a thin function that shows what the job made of it.

    def run(request: Rank, terminal: Terminal) -> None:
        \"\"\"The help of the command.\"\"\"
        done = rank(request, terminal.event)
        terminal.show(done.to_json(), done.text)

    command = Command(Rank, run)

The command line comes from the request's fields; `--json`, `--dry-run` and `--methods` are added where the command
has them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import typer
import typer.core

from roboscale.cli.console import friendly, say
from roboscale.cli.terminal import Terminal, terminal
from roboscale.core import UnknownName, UsageError
from roboscale.jobs.request import Argument, Option, Parameter, Request, parameters
from roboscale.jobs.strangers import staying_alive

__all__ = ["Command", "request_of"]

R = TypeVar("R", bound=Request)

_PARSING = object()  # stands in a context whose command is only to be understood


@dataclass(frozen=True, kw_only=True)
class Command(Generic[R]):
    """A command of the terminal.

    Args:
        request: what its words become.
        run: asks the job and shows the result; its docstring is the help, its number, if any, the exit code.
        json: whether it has `--json`.
        dry_run: whether it has `--dry-run`; then `run` looks at `terminal.dry_run`.
        methods: whether it has `--methods`: a paragraph for a paper and BibTeX; see `jobs.methods`.
        formerly: an older last word, under which it still runs, hidden, and says what it is called now.
    """

    request: type[R] = field(kw_only=False)
    run: Callable[[R, Terminal], int | None] = field(kw_only=False)
    json: bool = True
    dry_run: bool = False
    methods: bool = False
    formerly: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return self.request.words

    def add_to(self, app: typer.Typer) -> None:
        """Registers the command under the last of its words."""

        def call(context: typer.Context, **values: Any) -> Any:
            asked = {name: values.pop(name, False) for name in ("as_json", "dry_run", "methods")}
            if context.obj is _PARSING:
                return self.request(**values)
            with friendly(), terminal(**asked) as opened, staying_alive():
                code = self.run(self.request(**values), opened)
            if code:
                raise typer.Exit(code)

        typed = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        typed += [_typed(parameter) for parameter in parameters(self.request)]
        if self.json:
            typed.append(_flag("as_json", "--json", "Print the result as JSON on stdout."))
        if self.dry_run:
            typed.append(_flag("dry_run", "--dry-run", "Say what would be done, and do nothing."))
        if self.methods:
            typed.append(_flag("methods", "--methods", "Add a paragraph on the methods for a paper, and BibTeX."))
        call.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in typed}
        app.command(self.words[-1], cls=_Words, help=inspect.cleandoc(self.run.__doc__ or ""))(call)
        if self.formerly:

            def old(context: typer.Context, **values: Any) -> Any:
                now = " ".join(self.words)
                say(f"roboscale {' '.join((*self.words[:-1], self.formerly))} is called {now} now")
                return call(context, **values)

            old.__signature__ = call.__signature__  # type: ignore[attr-defined]
            old.__annotations__ = call.__annotations__
            app.command(self.formerly, cls=_Words, hidden=True)(old)


def _flag(name: str, flag: str, help: str) -> inspect.Parameter:
    return _typed(Parameter(name=name, kind=bool, default=False, about=Option(help, flag=flag)))


def _typed(parameter: Parameter) -> inspect.Parameter:
    """The parameter as typer wants it."""
    kind: Any = list[parameter.kind] if parameter.many else parameter.kind  # type: ignore[name-defined]
    kind = kind | None if parameter.optional else kind
    default = [] if parameter.default == () else parameter.default
    about: Any
    if isinstance(parameter.about, Argument):
        about = typer.Argument(help=parameter.about.help)
    elif parameter.kind in (int, float):
        about = typer.Option(
            *parameter.flags, help=parameter.about.help, parser=_number_of(parameter), metavar=_metavar(parameter)
        )
    else:
        flags = parameter.flags
        if parameter.kind is bool and parameter.default:
            flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}",)
        about = typer.Option(*flags, help=parameter.about.help)
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=Annotated[kind, about],
    )


def _number_of(parameter: Parameter) -> Callable[[Any], Any]:
    """What reads a number of an option; its error says what was typed."""

    def number(text: Any) -> Any:
        if not isinstance(text, str):
            return text  # a default
        try:
            return parameter.number(text)
        except UsageError as error:
            raise typer.BadParameter(str(error)) from error

    return number


def _metavar(parameter: Parameter) -> str:
    about = parameter.about
    ends = (about.min, about.max) if isinstance(about, Option) else (None, None)
    low, high = ("" if end is None else f"{end:g}" for end in ends)
    name = "INTEGER" if parameter.kind is int else "FLOAT"
    return f"{name} {low}..{high}" if low or high else name


_BELOW_0 = re.compile(r"-\d[\d.,]*\s*/\s*-?\d+")


class _Words(typer.core.TyperCommand):
    """Knows that `-3/20` is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        wrong = next((word for word in args if _BELOW_0.fullmatch(word)), "")
        if wrong:
            raise typer.BadParameter(f"expected counts of at least 0 such as 3/20, found {wrong!r}")
        return super().parse_args(ctx, args)


@cache
def _whole(app: typer.Typer) -> Any:
    """The application with all its commands, which takes typer 50 ms to put together."""
    return typer.main.get_command(app)


def request_of(args: Sequence[str], app: typer.Typer, commands: Sequence[Command[Any]]) -> Request:
    """The request that these words, without `roboscale`, would make. Nothing is run.

    Raises:
        UnknownName: no command begins so.
        RoboscaleError: a value that the request does not take; typer's own errors for what it does not understand.
    """
    if not any(tuple(args[: len(command.words)]) == command.words for command in commands):
        raise UnknownName("command", " ".join(args[:2]), [" ".join(command.words) for command in commands])
    request = _whole(app).main(list(args), "roboscale", standalone_mode=False, obj=_PARSING)
    if not isinstance(request, Request):
        raise UnknownName("command", " ".join(args), [])  # it asked for help
    return request
