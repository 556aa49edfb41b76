"""The house keeps its shape: who may import whom, no circles, true `__all__`, documented commands, short functions."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "roboscale"
FILES = sorted(SOURCE.rglob("*.py"))

# room -> rooms it may import; see ARCHITECTURE.md. `cli` and `api` are wiring: all may be imported, by nobody.
ALLOWED = {
    "core": set(),
    "dataset": {"core"},
    "sources": {"core"},
    "sources.records": {"core", "dataset"},
    "sources.simulation": {"core", "dataset"},
    "stats": {"core"},
    "worlds": {"core"},
    "trials": {"core"},
    "wire": set(),
    "policies": {"core", "dataset"},
    "policies.builtin": {"core", "dataset"},
    "policies.callables": {"core"},
    "policies.recorded": {"core"},
    "policies.remote": {"core", "wire"},
    "curate": {"core", "dataset"},
    "testing": {"core", "dataset"},
    "report": {"core", "stats"},
}
WIRING = {"cli", "api", "web"}
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
    "scipy",
    "h5py",
    "zarr",
    "mcap",
    "rosbags",
    "imagecodecs",
    "starlette",
    "uvicorn",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    two = ".".join(parts[:2])
    return two if two in ALLOWED else (parts[0] if parts else "")


MODULES = {module_of(path): path for path in FILES}
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def imports(tree: ast.AST, module: str, top_only: bool = False) -> set[str]:
    """Modules that a tree imports; with `top_only` only when the module itself is imported."""
    found = set()
    nodes = ast.walk(tree) if not top_only else top_level(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in MODULES}
    return found


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


@pytest.mark.parametrize("module", sorted(TREES))
def test_rooms_import_only_what_the_table_allows(module: str):
    room = room_of(module)
    for name in imports(TREES[module], module):
        if not name.startswith("roboscale.") or room in WIRING:
            continue
        other = room_of(name)
        assert other == room or other.split(".")[0] == room or other in ALLOWED.get(room, set()), (
            f"{module} imports {name}: {room} may import {sorted(ALLOWED.get(room, ()))}"
        )


def test_every_room_is_in_the_table():
    rooms = {room_of(m).split(".")[0] for m in TREES} - {"", "__version__"}
    assert rooms <= set(ALLOWED) | WIRING


def test_no_circle():
    ours = {m: {n for n in imports(TREES[m], m, top_only=True) if n in MODULES and n != m} for m in TREES}
    # a package's __init__ gathers its modules; a module that imports its own package would be the circle
    list(TopologicalSorter(ours).static_order())


@pytest.mark.parametrize("module", sorted(TREES))
def test_all_is_sorted_and_true(module: str):
    tree = TREES[module]
    listed = None
    defined = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                defined |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
                if isinstance(target, ast.Name) and target.id == "__all__":
                    listed = ast.literal_eval(node.value)
    if listed is None:
        empty = all(isinstance(n, ast.Expr) for n in tree.body)
        assert empty, f"{module} has no __all__"
        return
    in_order = sorted(listed, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert listed == in_order and set(listed) <= defined, f"{module}: __all__ is unsorted or untrue"


@pytest.mark.parametrize("module", sorted(TREES))
def test_functions_and_files_stay_short(module: str):
    assert MODULES[module].read_text().count("\n") <= 800
    for node in ast.walk(TREES[module]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno + 1 <= 100, f"{module}.{node.name} is too long"


def test_importing_the_package_and_its_rooms_pulls_in_nothing_heavy():
    reached, stack = set(), ["roboscale", "roboscale.core", "roboscale.cli.app", "roboscale.worlds", "roboscale.api"]
    while stack:
        module = stack.pop()
        if module in reached or module not in TREES:
            continue
        reached.add(module)
        for name in imports(TREES[module], module, top_only=True):
            assert name.split(".")[0] not in HEAVY, f"{module} imports {name} when the command line starts"
            stack.append(name)
            stack += [name.rsplit(".", n)[0] for n in range(1, name.count("."))]


def test_no_path_edits_pickles_or_bare_excepts():
    for module, path in MODULES.items():
        text = path.read_text()
        for forbidden in ("sys.path", "pickle.load", "except:", "eval(", "torch.load"):
            pattern = rf"(?<![\w.]){re.escape(forbidden)}"
            assert not re.search(pattern, text), f"{module} contains {forbidden}"


def commands(app, prefix: str = "roboscale") -> set[str]:
    found = {f"{prefix} {c.name or c.callback.__name__.replace('_', '-')}" for c in app.registered_commands}
    for group in app.registered_groups:
        found |= commands(group.typer_instance, f"{prefix} {group.name}")
    return found


def test_every_command_is_in_the_readme():
    from roboscale.cli.app import app

    readme = (ROOT / "README.md").read_text()
    for command in commands(app):
        assert f"`{command}" in readme, f"README.md does not mention {command}"
