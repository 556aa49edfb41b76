"""A policy by where it is: `module:name` or `path/to/file.py:name`."""

from __future__ import annotations

from types import ModuleType

from roboscale.core import BadData, Policy, UnknownName
from roboscale.core.loading import load_module
from roboscale.policies.callables.making import as_policy

__all__ = ["load_callable"]


def load_callable(text: str) -> Policy:
    """The policy named by `module:name` or `path/to/file.py:name`; `name` may have dots.

    A module is looked for in the current directory, then among the installed ones. `name` may be whatever `as_policy`
    takes; the policy is called `text`.

    Raises:
        UnknownName: no such file, module or name; says the near ones.
        BadData: the module does not import, or the name is nothing that can act.
        SpecMismatch: it takes what nobody gives.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UnknownName("policy", text, ["module:callable", "file.py:callable"])
    thing: object = load_module(where, "policy")
    for part in name.split("."):
        if not hasattr(thing, part):
            raise UnknownName(f"name in {where}", name, [n for n in dir(thing) if not n.startswith("_")])
        thing = getattr(thing, part)
    if isinstance(thing, (ModuleType, int, float, str, bytes, list, dict, tuple, set, type(None))):
        raise BadData(where, name, "a policy or a function", type(thing).__name__)
    try:
        return as_policy(thing, name=text)
    except BadData as error:
        if error.file == text:  # what making it raised
            raise BadData(where, name, error.expected, error.found) from error
        raise
