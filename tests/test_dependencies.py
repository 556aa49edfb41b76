"""What is imported is declared, and what is declared is imported: pyproject.toml says the truth in both directions."""

import ast
import re
import sys
import tomllib
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "roboscale"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# import name -> what it is installed as, where the two differ
INSTALLED_AS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "google": "protobuf",
    "ppi_py": "ppi-python",
    "rerun": "rerun-sdk",
    "ruamel": "ruamel-yaml",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}

# extra -> the modules that may need it to be imported at all, and those that import it when they are asked to work
LEAVES = {
    "data": (
        "arena/media.py",
        "curate/",
        "dataset/",
        "jobs/arena_desk.py",
        "jobs/arena_episodes.py",
        "jobs/arena_evaluating.py",
        "jobs/arena_rehearsal.py",
        "jobs/arena_robot.py",
        "jobs/augmenting_pictures.py",
        "jobs/curating.py",
        "jobs/export_formats.py",
        "jobs/fixing.py",
        "jobs/import_proof.py",
        "jobs/merging.py",
        "jobs/mixing.py",
        "jobs/selecting.py",
        "policies/builtin/",
        "report/audit.py",
        "report/video.py",
        "sources/capture/",
        "sources/handheld/",
        "sources/human/",
        "sources/pictures.py",
        "sources/records/",
        "web/show/",
        "worlds/learned/",
    ),
    "worlds": ("worlds/environments.py", "worlds/perturbed/", "worlds/simulated/"),
    "sim": ("worlds/simulated/metaworld.py", "worlds/simulated/headless.py"),
    "train": ("policies/builtin/", "dataset/loader.py", "worlds/learned/fitting.py"),
    "records": ("sources/capture/", "sources/handheld/", "sources/human/", "sources/records/"),
    "rerun": ("sources/records/rrd/",),
    "postgres": ("trials/log/engines.py",),
    "ray": ("dataset/engine.py",),
    "remote": ("dataset/remote.py",),
    "web": ("jobs/arena_desk.py", "web/"),
    "webrtc": ("web/teleop/call.py",),
    "zmq": ("policies/remote/dialects/groot.py",),
}
ASKED = {
    "cameras": (
        "jobs/collect_calibrate.py",
        "dataset/privacy.py",
        "sources/handheld/calibrating.py",
        "sources/handheld/finger_tags.py",
        "sources/handheld/mapping/looking.py",
        "sources/handheld/mapping/tag_poses.py",
        "sources/handheld/tag_sheet.py",
        "worlds/real/cameras.py",
    ),
    "data": ("jobs/contributing.py", "sources/addresses/sending.py", "sources/teleop/views.py"),
    "hands": ("sources/human/landmarks.py",),
    "mapping": ("sources/handheld/mapping/solving.py",),
    "https": ("web/show/certificate.py",),
    "hub": ("sources/addresses/sending.py",),
    "pages": ("report/",),
    "ray": ("jobs/cluster.py",),
    "remote": ("sources/addresses/fetching.py", "sources/addresses/sending.py"),
    "slurm": ("jobs/cluster.py",),
    "sim": ("kinematics/arm_model.py", "worlds/perturbed/"),
    "tables": ("results/files.py",),
    "train": ("cli/measuring.py", "cli/training.py", "dataset/reader.py", "jobs/"),
}

# declared, and used without an import
TOOLS = {
    "gym-pusht": "a world's declaration names it",
    "gymnasium-robotics": "a world's declaration names it",
    "mkdocs-material": "make docs",
    "mypy": "make lint",
    "pytest-timeout": "make test",
    "pytest-xdist": "make test",
    "ruff": "make lint",
    "setuptools": "builds the wheel that tests look into",
}
# imported by scripts that run in an environment of their own, or in an interpreter that a variable names
ELSEWHERE = {"coverage", "lerobot", "ml-dtypes", "numba", "openpi-client", "sklearn", "torchcodec", "torchvision"}


OURS = {"roboscale", "tests", "benchmarks", "scripts", "browser", "report"} | {
    path.stem for path in ROOT.glob("scripts/**/*.py")
}


def name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


BASE = {name_of(text) for text in PROJECT["dependencies"]}
OPTIONAL = PROJECT["optional-dependencies"]


def brought_by(extra: str) -> set[str]:
    """What an extra installs, with what it takes from other extras of ours."""
    names = set()
    for text in OPTIONAL[extra]:
        ours = re.fullmatch(r"roboscale\[([\w,]+)\]", text)
        names |= set().union(*map(brought_by, ours[1].split(","))) if ours else {name_of(text)}
    return names


EXTRAS = {extra: brought_by(extra) for extra in OPTIONAL}
FOR_USERS = {name for extra, names in EXTRAS.items() if extra not in ("test", "docs") for name in names}


@cache
def third_party(name: str) -> str:
    """What has to be installed for `import name`; empty for Python's own modules and ours."""
    top = name.split(".")[0]
    return "" if top in sys.stdlib_module_names or top in OURS else name_of(INSTALLED_AS.get(top, top))


@cache
def imports(path: Path, *, at_import: bool = False) -> frozenset[str]:
    """Modules that a file imports; with `at_import` those that it needs to be imported itself."""
    nodes, names = [ast.parse(path.read_text())], set()
    while nodes:
        node = nodes.pop()
        if at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", "") == "importorskip"
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(ast.literal_eval(node.args[0]))
    return frozenset(names)


def packages(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {third_party(name) for path in files for name in imports(path)} - {""}


def extras_of(path: Path, *tables: dict[str, tuple[str, ...]]) -> set[str]:
    """Packages of the extras that a module may need."""
    inside = path.relative_to(SOURCE).as_posix()
    return {
        n for table in tables for extra, leaves in table.items() if inside.startswith(leaves) for n in EXTRAS[extra]
    }


def brought_by_guests(path: Path) -> set[str]:
    """What runs inside a guest may need what the guest's lock brings."""
    if not path.is_relative_to(SOURCE / "guests/side"):
        return set()
    locks = (SOURCE / "guests/known").glob("*/lock.txt")
    return {name_of(line) for lock in locks for line in lock.read_text().split()}


FILES = sorted(SOURCE.rglob("*.py"))


@cache
def file_of(module: str) -> Path | None:
    path = SOURCE.parent.joinpath(*module.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.exists()), None)


def test_every_import_is_declared_where_it_is_needed():
    wrong = []
    for path in FILES:
        needed = {third_party(name) for name in imports(path)} - {""}
        undeclared = needed - BASE - extras_of(path, LEAVES, ASKED) - brought_by_guests(path)
        if undeclared:
            wrong.append(f"{path.relative_to(SOURCE)} imports {', '.join(sorted(undeclared))}, which is not declared")
    assert not wrong, "\n".join(wrong)


def test_what_is_no_extras_leaf_can_be_imported_with_the_base_alone():
    for path in FILES:
        allowed = BASE | extras_of(path, LEAVES)
        stack, reached = [path], set()
        while stack:
            file = stack.pop()
            if file in reached:
                continue
            reached.add(file)
            names = imports(file, at_import=True)
            more = {third_party(name) for name in names} - {""} - allowed
            assert not more, f"importing {path.relative_to(SOURCE)} needs {', '.join(sorted(more))} ({file.name})"
            stack += [ours for name in names if name.startswith("roboscale") and (ours := file_of(name))]


def test_a_missing_package_names_an_extra_that_brings_it():
    from roboscale.core.extras import EXTRA_OF

    assert {third_party(module) for module in EXTRA_OF} == FOR_USERS - BASE - set(TOOLS)
    for module, extra in EXTRA_OF.items():
        assert third_party(module) in EXTRAS[extra], f"roboscale[{extra}] does not bring {module}"
    assert EXTRAS["all"] == FOR_USERS


def test_every_declared_dependency_is_imported():
    assert packages("src") >= (BASE | FOR_USERS) - set(TOOLS)
    everywhere = packages("src", "tests", "benchmarks", "scripts")
    assert everywhere >= (EXTRAS["test"] | EXTRAS["docs"]) - set(TOOLS)
    unused = set(TOOLS) - BASE - FOR_USERS - EXTRAS["test"] - EXTRAS["docs"]
    assert not unused, f"{unused} are tools that nobody declares"


def test_tests_benchmarks_scripts_and_examples_need_only_what_set_up_installs():
    line = re.search(r"test\) .* extras=([\w,]+)", (ROOT / "scripts/setup.sh").read_text())
    installed = BASE.union(*(EXTRAS[extra] for extra in line[1].split(",")))
    assert packages("tests", "benchmarks", "scripts", "examples") <= installed | ELSEWHERE


def test_every_declared_package_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {name_of(line) for line in lines}
    assert lines == sorted(lines, key=str.lower) and len(pinned) == len(lines)
    assert BASE.union(*EXTRAS.values()) <= pinned


def test_what_is_pinned_installs_on_debian_12():
    """Its Python is 3.11.2, and a pin that asks for a later 3.11 stops set-up there."""
    for line in (ROOT / "constraints.txt").read_text().split():
        name, _, pin = line.partition("==")
        with suppress(PackageNotFoundError):
            metadata = distribution(name).metadata
            least = re.search(r">=\s*3\.11\.(\d+)", metadata["Requires-Python"] or "")
            assert metadata["Version"] != pin or not least or int(least[1]) <= 2, f"{line}: {least[0]}"
