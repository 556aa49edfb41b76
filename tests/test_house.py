"""The house keeps its shape: who may import whom, no circles, true `__all__`, two files a command, short functions."""

import ast
import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from graphlib import TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import roboscale
from roboscale.cli.app import COMMANDS, app, parse
from roboscale.core import RoboscaleError
from roboscale.jobs.request import Option, Parameter, parameters

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "roboscale"
FILES = sorted(SOURCE.rglob("*.py"))

# room -> rooms it may import; see ARCHITECTURE.md. Rooms that are not there yet have their row. The parts of a divided
# room may import what stands undivided beside them (`policies.builtin` may import `policies.images`), and it them.
ALLOWED = {
    "core": set(),
    "wire": set(),
    "kinematics": {"core"},
    "dataset": {"core"},
    "sources": {"core", "dataset", "kinematics"},
    "curate": {"core", "dataset"},
    "policies": {"core", "dataset"},
    "policies.builtin": {"core", "dataset"},
    "policies.recorded": {"core", "dataset"},
    "policies.callables": {"core", "kinematics"},
    "policies.remote": {"core", "wire"},
    "worlds": {"core"},
    "worlds.simulated": {"core"},
    "worlds.learned": {"core", "dataset"},
    "worlds.perturbed": {"core"},
    "worlds.real": {"core", "kinematics"},
    "guests": {"core", "wire"},
    "trials": {"core"},
    "referees": {"core", "dataset"},
    "results": {"core"},
    "arena": {"core", "dataset", "stats", "trials", "wire"},
    "stats": {"core"},
    "report": {"core", "stats"},
    "web": {"core", "dataset", "report"},
    "testing": {"core", "dataset", "guests"},
    "cli": {"core", "jobs"},
}
ALLOWED["jobs"] = set(ALLOWED) - {"cli"}
ALLOWED["__main__"] = {"cli"}  # no room: `python -m roboscale` is the command

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(module, module) -> why it may import it, against the table."""
TERMINAL = {"__main__", "app", "commands", "console", "terminal"}
"""Modules of `cli` that are no command."""

HEAVY = {
    "torch",
    "mujoco",
    "metaworld",
    "matplotlib",
    "av",
    "websockets",
    "gymnasium",
    "safetensors",
    "ray",
    "submitit",
    "scipy",
    "h5py",
    "zarr",
    "mcap",
    "rosbags",
    "imagecodecs",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "psycopg",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    two = ".".join(parts[:2])
    return two if two in ALLOWED else (parts[0] if parts else "")


MODULES = {module_of(path): path for path in FILES}


class _Trees(Mapping[str, ast.Module]):
    """Parsed when asked for: every worker collects this file, and one runs it."""

    def __init__(self) -> None:
        self._parsed: dict[str, ast.Module] = {}

    def __getitem__(self, module: str) -> ast.Module:
        if module not in self._parsed:
            self._parsed[module] = ast.parse(MODULES[module].read_text())
        return self._parsed[module]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


TREES = _Trees()


def imports(tree: ast.AST, module: str, top_only: bool = False) -> set[str]:
    """Modules that a tree imports; with `top_only` only when the module itself is imported."""
    found = set()
    for node in top_level(tree) if top_only else statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in MODULES}
    return found


def statements(tree: ast.AST):
    """All statements, without the expressions inside, of which there are ten times as many."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            stack += found if isinstance(found := getattr(node, part, None), list) else []


def top_level(tree: ast.AST):
    """Statements that run at import: not in functions, not under TYPE_CHECKING."""
    stack = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def allowed(module: str, name: str) -> bool:
    room, other = room_of(module), room_of(name)
    if module == "roboscale":
        return other in ("core", "jobs")
    if module == "roboscale.api":
        return other == "jobs"
    beside = room.split(".")[0] == other.split(".")[0] and (room.count(".") == 0 or other.count(".") == 0)
    return other == room or beside or other in ALLOWED[room]


def test_rooms_import_only_what_the_table_allows():
    wrong = {
        (module, name)
        for module, tree in TREES.items()
        for name in imports(tree, module)
        if name.startswith("roboscale.") and not allowed(module, name)
    }
    said = [f"{m} imports {n}; {room_of(m)} may: {sorted(ALLOWED.get(room_of(m), ()))}" for m, n in sorted(wrong)]
    assert wrong == set(EXCEPTIONS), "\n".join(said)


EVERYWHERE = """
if 1:
    try:
        import a
    except E:
        import b
    else:
        import c
    finally:
        import d
else:
    import e
class C:
    async def f():
        with x:
            import g
        match x:
            case 1:
                import h
"""


def test_an_import_is_found_wherever_it_stands():
    assert imports(ast.parse(EVERYWHERE), "m") == set("abcdegh")


def test_every_room_is_in_the_table():
    assert {room_of(m) for m in TREES} - {"", "api"} <= set(ALLOWED)


def test_no_circle():
    ours = {m: {n for n in imports(TREES[m], m, top_only=True) if n in MODULES and n != m} for m in TREES}
    # a package's __init__ gathers its modules; a module that imports its own package would be the circle
    list(TopologicalSorter(ours).static_order())


def listed(module: str) -> list[str] | None:
    """`__all__` of a module."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def defined(module: str) -> set[str]:
    """Names that a module itself makes at its top."""
    found = set()
    for node in TREES[module].body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
    return found


@pytest.mark.parametrize("module", sorted(TREES))
def test_all_is_sorted_and_true(module: str):
    tree, names = TREES[module], listed(module)
    if names is None:
        assert all(isinstance(n, ast.Expr) for n in tree.body), f"{module} has no __all__"
        return
    brought = {(n.asname or n.name).split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.alias)}
    in_order = sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert names == in_order and set(names) <= brought | defined(module), f"{module}: __all__ is unsorted or untrue"


@pytest.mark.parametrize("module", sorted(TREES))
def test_functions_and_files_stay_short(module: str):
    assert MODULES[module].read_text().count("\n") <= 600
    for node in ast.walk(TREES[module]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno + 1 <= 60, f"{module}.{node.name} is too long"


def positional_dataclasses() -> set[str]:
    """Dataclasses whose constructor takes more than four fields by position."""
    found = set()
    for module, tree in TREES.items():
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
            made = [d for d in map(ast.unparse, node.decorator_list) if re.match(r"(dataclasses\.)?dataclass\b", d)]
            fields = [
                n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)
            ]
            fields = list(takewhile(lambda n: not ast.unparse(n.annotation).endswith("KW_ONLY"), fields))
            if made and "kw_only=True" not in made[0] and len(fields) > 4:
                found.add(f"{module.removeprefix('roboscale.')}.{node.name}")
    return found


def test_dataclasses_of_many_fields_are_made_by_name():
    assert positional_dataclasses() == set(), "more than four by position: kw_only, or KW_ONLY after a few"


def positional_constructors() -> set[str]:
    """Classes whose own constructor takes more than five arguments by position."""
    classes = ((module, n) for module, tree in TREES.items() for n in ast.walk(tree) if isinstance(n, ast.ClassDef))
    return {
        f"{module.removeprefix('roboscale.')}.{made.name}"
        for module, made in classes
        for n in made.body
        if isinstance(n, ast.FunctionDef)
        and n.name == "__init__"
        and len([*n.args.posonlyargs, *n.args.args]) > 6  # and itself
    }


def test_constructors_of_many_arguments_take_them_by_name():
    assert positional_constructors() == set(), "more than five by position: a * after a few"


def test_a_public_name_is_defined_once():
    homes: dict[str, set[str]] = {}
    for module in TREES:
        if MODULES[module].name != "__init__.py":
            for name in set(listed(module) or ()) & defined(module):
                homes.setdefault(name, set()).add(module.removeprefix("roboscale."))
    twice = {name: modules for name, modules in homes.items() if len(modules) > 1 and name not in TWICE}
    assert twice == {}
    assert all(len(homes.get(name, ())) > 1 for name in TWICE), "defined once: take it out of TWICE"


# Public names that may be defined more than once, and why.
TWICE = {
    "command": "the command of each module of cli",
    "detect": "each layout of HDF5 says whether a file has it",
    "is_loopback": "policies.remote and web may not import one another; each decides whom it lets in",
}


def test_importing_the_package_and_its_rooms_pulls_in_nothing_heavy():
    reached, stack = set(), ["roboscale", "roboscale.core", "roboscale.cli.app", "roboscale.worlds", "roboscale.api"]
    stack += [module for module in TREES if module.startswith("roboscale.jobs.") and module.split(".")[2] in JOB_FILES]
    while stack:
        module = stack.pop()
        if module in reached or module not in TREES:
            continue
        reached.add(module)
        for name in imports(TREES[module], module, top_only=True):
            assert name.split(".")[0] not in HEAVY, f"{module} imports {name} when the command line starts"
            stack.append(name)
            stack += [name.rsplit(".", n)[0] for n in range(1, name.count("."))]


def test_importing_the_package_alone_imports_nothing():
    code = "import sys, roboscale; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "typer", "rich", "pyarrow"} & set(loaded)


def test_no_path_edits_pickles_or_bare_excepts():
    for module, path in MODULES.items():
        text = path.read_text()
        for forbidden in ("sys.path", "pickle.load", "except:", "eval(", "torch.load"):
            pattern = rf"(?<![\w.]){re.escape(forbidden)}"
            assert not re.search(pattern, text), f"{module} contains {forbidden}"


def commands(app, prefix: str = "") -> set[str]:
    found = {
        f"{prefix}{c.name or c.callback.__name__.replace('_', '-')}" for c in app.registered_commands if not c.hidden
    }
    for group in app.registered_groups:
        found |= commands(group.typer_instance, f"{prefix}{group.name} ")
    return found


def test_every_command_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for command in commands(app):
        assert f"`roboscale {command}" in readme, f"README.md does not mention {command}"


BY_WORDS = {" ".join(command.words): command for command in COMMANDS}
JOB_FILES = {words.replace(" ", "_") for words in BY_WORDS}


def test_every_command_has_its_two_files():
    assert commands(app) == set(BY_WORDS)
    for words, command in BY_WORDS.items():
        file = words.replace(" ", "_")
        assert command.run.__module__ == f"roboscale.cli.{file}"
        assert command.request.__module__ == f"roboscale.jobs.{file}"
    assert {path.stem for path in (SOURCE / "cli").glob("*.py")} == JOB_FILES | TERMINAL | {"__init__"}


def job_of(request: type):
    """`import_dataset` takes `ImportDataset`."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", request.__name__).lower()
    return getattr(importlib.import_module(request.__module__), name, None)


@pytest.mark.parametrize("command", COMMANDS, ids=BY_WORDS)
def test_every_job_is_exported_with_its_request(command):
    job = job_of(command.request)
    assert job is not None, f"{command.request.__module__} has no job that is called as {command.request.__name__}"
    assert getattr(roboscale, job.__name__) is job and getattr(roboscale, command.request.__name__) is command.request
    assert {job.__name__, command.request.__name__} <= set(roboscale.__all__)
    assert job.__name__ not in ALLOWED, "a job has no room's name"


def test_what_the_package_exports_is_there_and_is_what_the_type_checker_sees():
    typed = {a.name for n in ast.walk(TREES["roboscale"]) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(roboscale.__all__) <= typed | {"__version__"}
    assert set(roboscale.core.__all__) <= set(roboscale.__all__)
    assert all(hasattr(roboscale, name) for name in roboscale.__all__)
    assert set(roboscale.__all__) <= set(dir(roboscale))
    assert not hasattr(roboscale, "nothing")


@pytest.mark.parametrize("command", COMMANDS, ids=BY_WORDS)
def test_the_example_of_every_job_runs(command, example_folder: Path):
    if command.words == ("policy", "train"):
        pytest.importorskip("torch", reason="training is an extra: pip install 'roboscale[train]'")
    job = job_of(command.request)
    names = {**vars(importlib.import_module(command.request.__module__))}
    (test,) = doctest.DocTestFinder(recurse=False).find(job, globs=names)
    assert test.examples, f"{job.__name__} has no example"
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


EXAMPLES = 100 if os.environ.get("ROBOSCALE_WHOLE_MATRIX") else 12  # others every time; `make fuzz`: 100
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
AWKWARD = ["", "-", "--", "-o", "--json", "--out=x", "a b", "'", '"$HOME"', "~", "\n", "-1", "*", "None", "ünï/ç"]
TEXTS = st.text(CHARACTERS, max_size=12) | st.sampled_from(AWKWARD)


def elements(parameter: Parameter) -> st.SearchStrategy:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    low, high = (parameter.about.min, parameter.about.max) if isinstance(parameter.about, Option) else (None, None)
    return {
        bool: st.booleans(),
        int: st.integers(low, high),
        float: st.floats(low, high, allow_nan=False),
        str: TEXTS,
        Path: TEXTS.map(Path),
    }[parameter.kind]


def values(parameter: Parameter) -> st.SearchStrategy:
    """Whatever the field takes; half of the time its default, where it has one."""
    some = elements(parameter)
    if parameter.many:
        some = st.lists(some, min_size=parameter.default is MISSING, max_size=3).map(tuple)
    return some if parameter.default is MISSING else st.just(parameter.default) | some


TOGETHER = {
    "shard": st.sampled_from(["0/1", "1/3"]),
    "rule": st.sampled_from(["", "first", "end", "hold 3"]),
    "seeds": st.sampled_from(["", "", "", "1000:1003", "3,1"]),
    "replicates": st.sampled_from([1, 2]),
    "policies": st.lists(st.text(), min_size=4, max_size=4).map(tuple),
    "asynchronous": st.sampled_from([0, 3]),
    "learner": st.none(),
    "rollouts": st.none(),
    "study": st.sampled_from([Path("study.toml"), Path("a b.toml")]),
}
"""Fields whose values have a grammar of their own, or must go together: hardly any drawn at random do."""


@pytest.mark.parametrize("command", COMMANDS, ids=BY_WORDS)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(data=st.data())
def test_a_request_is_what_its_command_line_asks(command, data):
    given_ = {
        p.name: data.draw(TOGETHER[p.name] if p.name in TOGETHER else values(p), label=p.name)
        for p in parameters(command.request)
    }
    try:
        request = command.request(**given_)
        args = request.to_args()
    except RoboscaleError:
        reject()  # the fields do not go together
    assert parse(args) == request
    assert parse(shlex.split(request.command)[1:]) == request
    assert request.to_args() == args
