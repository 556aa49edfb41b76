"""What every command that takes tables can be told about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from roboscale.core import UsageError
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.results import ReadOptions

__all__ = ["TableRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest(Request):
    """A request that reads tables; nothing of this need be said where a table leaves no doubt."""

    column: Annotated[tuple[str, ...], Option("ROLE=COLUMN, e.g. success=Erfolg, progress=score/10 or task=A+B.")] = ()
    case: Annotated[str, Option("The column that says which rows of two policies are the same case.")] = ""
    case_per_file: Annotated[bool, Option("Equal case numbers in two files are different cases.")] = False
    case_across_files: Annotated[bool, Option("Equal case numbers in two files are the same case.")] = False
    paired: Annotated[bool, Option("Rows with the same case belong together.")] = False
    independent: Annotated[bool, Option("No two rows are the same case.")] = False
    only_task: Annotated[str, Option("Only rows of this task.", flag="--task")] = ""
    only_world: Annotated[str, Option("Only rows of this world, place or robot.", flag="--world")] = ""
    sheet: Annotated[str, Option("Which sheet of a spreadsheet.")] = ""
    higher_is_better: Annotated[bool, Option("Of the progress column, larger is better.")] = False
    lower_is_better: Annotated[bool, Option("Of the progress column, smaller is better.")] = False

    def check(self) -> None:
        """UsageError for flags that contradict each other."""
        for one, other in (
            ("case_per_file", "case_across_files"),
            ("paired", "independent"),
            ("higher_is_better", "lower_is_better"),
        ):
            if getattr(self, one) and getattr(self, other):
                flags = [f"--{name.replace('_', '-')}" for name in (one, other)]
                raise UsageError(f"{flags[0]} and {flags[1]} contradict each other")

    def reading_options(self) -> ReadOptions:
        """The same, as the reader takes it. UsageError for `--column` that is no ROLE=COLUMN."""
        from roboscale.results import ReadOptions

        return ReadOptions(
            columns=self._columns(),
            case_scope="file" if self.case_per_file else "across" if self.case_across_files else "auto",
            pairing="paired" if self.paired else "independent" if self.independent else "auto",
            task=self.only_task,
            world=self.only_world,
            sheet=self.sheet,
            higher_is_better=True if self.higher_is_better else False if self.lower_is_better else None,
        )

    def _columns(self) -> Mapping[str, str]:
        """Role -> column; what is said twice of a role that several columns may have is joined.

        Raises:
            UsageError: no `ROLE=COLUMN`, a role that there is not, or two columns for a role that one column has.
        """
        from roboscale.results.names import JOINED
        from roboscale.results.roles import no_unknown_role

        columns: dict[str, str] = {}
        for text in (*self.column, *([f"case={self.case}"] if self.case else [])):
            role, sign, name = (part.strip() for part in text.partition("="))
            if not (role and sign and name):
                raise UsageError(f"--column: expected ROLE=COLUMN such as success=Erfolg, found {text!r}")
            no_unknown_role(role, name)
            known = columns.get(role, name)
            if known != name and role not in JOINED:
                raise UsageError(f"--column {role}: expected one column, found {known!r} and {name!r}")
            columns[role] = name if known == name else f"{known}+{name}"
        return columns
