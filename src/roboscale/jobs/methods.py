"""What a paper says of how a result came about: a paragraph and BibTeX, from the methods that the result names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roboscale import __version__
from roboscale.core.plain import Plain

__all__ = ["Methods", "methods_of"]

_OURS = """@software{{roboscale,
  title = {{roboscale: scale action data for robot policies, and weigh the policies}},
  version = {{{version}}}
}}"""


@dataclass(frozen=True, slots=True)
class Methods(Plain):
    """A paragraph for a paper, and the entries that it cites, as BibTeX."""

    paragraph: str
    bibtex: str

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        from roboscale.report.terminal import wrapped

        return [*wrapped(self.paragraph), "", *self.bibtex.splitlines()]


def methods_of(result: Any) -> Methods:
    """How a result came about, for a paper.

    >>> from roboscale import weigh_counts
    >>> methods_of(weigh_counts("12/20")).paragraph[:60]
    'Success rates have Clopper-Pearson intervals, which cover th'

    Args:
        result: what a job returned, or its JSON; every `method` in it is told, and `alpha` and `level` where said.
    """
    from roboscale.stats.bibliography import BIBTEX
    from roboscale.stats.references import cite

    data = result if isinstance(result, Mapping) else result.to_json()
    known, unknown = cite(_values(data, ("method", "methods_used")))
    sentences = [one.sentence + (f" [{', '.join(one.keys)}]." if one.keys else ".") for one in known]
    sentences += [f"Further: {name}." for name in unknown]
    levels = sorted({value for value in _values(data, ("level",)) if isinstance(value, float)})
    alphas = sorted({value for value in _values(data, ("alpha",)) if isinstance(value, float)})
    if levels:
        sentences.append(f"Intervals are at {' and '.join(f'{100 * level:g}' for level in levels)} %.")
    if alphas:
        sentences.append(f"Tests are at alpha {' and '.join(f'{alpha:g}' for alpha in alphas)}.")
    sentences.append(f"Computed with roboscale {__version__}.")
    keys = dict.fromkeys(key for one in known for key in one.keys)
    entries = [*(BIBTEX[key] for key in keys), _OURS.format(version=__version__)]
    return Methods(" ".join(sentences), "\n\n".join(entries))


def _values(data: Any, names: tuple[str, ...]) -> Iterator[Any]:
    """Every value under one of these names, at any depth, also in lists; estimates of nothing are left out."""
    if isinstance(data, Mapping):
        if "low" in data and data.get("value", 0) is None and not data.get("n"):
            return
        for key, value in data.items():
            if key in names and isinstance(value, (list, tuple)):
                yield from value
            elif key in names and isinstance(value, (str, float)):
                yield value
            else:
                yield from _values(value, names)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _values(value, names)
