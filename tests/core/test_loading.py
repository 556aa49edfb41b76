"""A user's module is found where a person would look for it, with its neighbours, and never under a wrong name."""

import sys
from pathlib import Path

import pytest

from roboscale.core import BadData, UnknownName
from roboscale.core.loading import load_module, load_object


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import neighbour\nvalue = neighbour.value\n")
    (tmp_path / "neighbour.py").write_text("value = 1\n")
    (tmp_path / "broken.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text("from .other import value\n")
    (tmp_path / "package" / "other.py").write_text("value = 2\n")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "inner.py").write_text("value = 3\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mine:value", 1),
        ("mine.py:value", 1),
        ("./mine.py:value", 1),
        ("package.inner:value", 2),
        ("package.other:value", 2),
        ("plain.inner:value", 3),
        ("plain/inner.py:value", 3),
    ],
)
def test_files_modules_and_packages_of_the_current_folder(here: Path, text: str, value: int):
    assert load_object(text, "world") == value


def test_an_installed_module_and_an_absolute_path(here: Path):
    assert load_object("json:dumps", "world") is __import__("json").dumps
    assert load_object(f"{here / 'mine.py'}:value", "world") == 1


def test_a_module_beside_the_file_that_names_it_comes_first(here: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine.py").write_text("value = 7\n")
    assert load_module("mine", "world", elsewhere).value == 7
    assert load_module("plain.inner", "world", elsewhere).value == 3  # the current folder is the second place


def test_an_edited_file_and_its_edited_neighbour_are_read_again(here: Path):
    assert load_object("package.inner:value", "world") == 2
    assert load_object("mine.py:value", "world") == 1
    (here / "neighbour.py").write_text("value = 9\n")
    assert load_object("mine.py:value", "world") == 9
    (here / "package" / "other.py").write_text("value = 8\n")
    assert load_object("package.inner:value", "world") == 8


def test_a_users_module_never_hides_an_installed_one(here: Path):
    (here / "numpy.py").write_text("raise ValueError('the wrong one')\n")
    (here / "mine.py").write_text("import numpy\nvalue = numpy.float32(1)\n")
    assert load_object("mine.py:value", "world") == 1


@pytest.fixture
def other(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    (folder / "mine.py").write_text("import neighbour\nvalue = neighbour.value\n")
    (folder / "neighbour.py").write_text("value = 99\n")
    return folder


def test_files_of_two_folders_get_the_neighbours_of_their_own(here: Path, other: Path):
    first = load_module("mine.py", "policy")
    assert load_object(f"{other / 'mine.py'}:value", "policy") == 99
    assert first.neighbour.value == 1 and load_object("mine.py:value", "policy") == 1


def test_a_neighbour_that_would_be_taken_for_anothers_is_an_error(here: Path, other: Path):
    (here / "mine.py").write_text("def value():\n    import later\n    return later.value\n")
    (here / "later.py").write_text("value = 1\n")
    (other / "mine.py").write_text("import later\nvalue = later.value\n")
    (other / "later.py").write_text("value = 99\n")
    value = load_object("mine.py:value", "policy")
    with pytest.raises(BadData, match="import later: expected .*later.py alone, found a function in"):
        load_object(f"{other / 'mine.py'}:value", "policy")
    assert value() == 1


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("mine:valeu", UnknownName, "unknown name in mine 'valeu'; did you mean value"),
        ("mien:value", UnknownName, "unknown module 'mien'; did you mean mine"),
        ("mien.py:value", UnknownName, r"unknown world file 'mien\.py'; did you mean mine\.py"),
        ("broken:value", BadData, "not_installed_anywhere"),
        ("leaves.py:value", BadData, "found SystemExit: 3"),
        ("mine", UnknownName, "unknown world 'mine'.*module:callable"),
        ("..:value", UnknownName, "unknown module"),
        ("my world:value", UnknownName, "unknown module"),
    ],
)
def test_errors_name_what_is_wrong(here: Path, text: str, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        load_object(text, "world")


def test_what_a_file_imports_is_no_suggestion(here: Path):
    (here / "with_imports.py").write_text("import math\n\n\ndef reach(observation):\n    return math.pi\n")
    with pytest.raises(UnknownName, match="valid: reach$"):
        load_object("with_imports.py:raech_it_now", "policy")


def test_a_module_that_does_not_import_leaves_nothing_behind(here: Path):
    before = set(sys.modules)
    with pytest.raises(BadData):
        load_object("leaves.py:value", "world")
    assert set(sys.modules) == before
