"""The documentation says what is so: code compiles, commands exist, links lead somewhere, examples are the files."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command

from roboscale.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


class Block(NamedTuple):
    """A fenced block: where it is, its language, the file that it claims to show, and what is in it."""

    where: str
    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', text, re.DOTALL | re.MULTILINE):
            line = text[: match.start()].count("\n") + 2
            found.append(Block(f"{page.relative_to(ROOT)}:{line}", match[1], match[2] or "", match[3]))
    return found


BLOCKS = blocks()


def of(language: str) -> list[pytest.param]:
    return [pytest.param(b, id=b.where) for b in BLOCKS if b.language == language]


@pytest.mark.parametrize("block", of("python"))
def test_python_blocks_compile_and_import_what_exists(block: Block):
    tree = ast.parse(block.text, block.where)
    compile(tree, block.where, "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("roboscale"):
            module = __import__(node.module, fromlist=["name"])
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block.where}: {node.module} has no {alias.name}"


def test_every_fence_is_read():
    fences = sum(len(re.findall(r"^```", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert fences == 2 * len(BLOCKS), "a fenced block without a language, or one that is not closed"


@pytest.mark.parametrize("block", [pytest.param(b, id=b.where) for b in BLOCKS if b.title])
def test_titled_blocks_are_the_files(block: Block):
    assert block.text == (ROOT / block.title).read_text(), f"{block.where} is not {block.title}"


def test_the_readme_shows_an_example_of_at_most_fifteen_lines():
    shown = [b for b in BLOCKS if b.where.startswith("README.md") and b.title == "examples/evaluate_my_policy.py"]
    assert len(shown) == 1 and shown[0].text.count("\n") <= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_to_files(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target} leads nowhere"


def resolve(words: list[str]):
    """The command that `roboscale WORDS` names, with the words that are left."""
    command = get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no such command: {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def command_lines() -> list[pytest.param]:
    found = []
    for block in (b for b in BLOCKS if b.language == "bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["roboscale"]:
                found.append(pytest.param(words[1:], id=f"{block.where} {' '.join(words[1:3])}"))
    return found


@pytest.mark.parametrize("words", command_lines())
def test_command_lines_parse(words: list[str]):
    command, rest = resolve(words)
    command.make_context(command.name, rest).close()  # parses and converts every word, and runs nothing


def inline_commands() -> set[str]:
    return {line for page in PAGES for line in re.findall(r"`roboscale ([a-z][^`\n]*)`", page.read_text())}


@pytest.mark.parametrize("line", sorted(inline_commands()))
def test_commands_in_the_text_exist(line: str):
    command, rest = resolve(shlex.split(line.split("|")[0]))
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert {word for word in rest if word.startswith("-")} <= known


def test_every_command_has_a_section():
    def names(command, prefix: str) -> set[str]:
        if not hasattr(command, "commands"):
            return {prefix}
        shown = {name: sub for name, sub in command.commands.items() if not sub.hidden}  # old names are hidden
        return {n for name, sub in shown.items() for n in names(sub, f"{prefix} {name}")}

    text = (ROOT / "docs/commands.md").read_text()
    missing = {name for name in names(get_command(app), "roboscale") if f"\n## `{name}`\n" not in text}
    assert not missing


def test_modules_tests_and_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        text = page.read_text()
        for module in re.findall(r"python -m (benchmarks\.\w+)", text):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), f"{page.name}: {module}"
        for path in re.findall(r"`((?:src|tests|examples|benchmarks|scripts)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        for target in re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE):
            assert f"\n{target}:" in makefile, f"{page.name}: make {target}"


def test_the_architecture_has_the_import_table_that_is_enforced():
    tree = ast.parse((ROOT / "tests/test_house.py").read_text())
    (enforced,) = [
        eval(compile(ast.Expression(node.value), "test_house.py", "eval"))
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ALLOWED"
    ]
    section = (ROOT / "ARCHITECTURE.md").read_text().split("### Who may import whom")[1].split("`jobs` may import")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section, re.MULTILINE)
    assert {room: set(re.findall(r"`([\w.]+)`", allowed)) for room, allowed in rows} == enforced


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_figure_is_left_open(page: Path):
    assert not re.findall(r"FIGURE:\w+", page.read_text())


class Requests(HTMLParser):
    """Collects what a browser would fetch by itself."""

    FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        fetched = [value for name, value in attrs if (tag, name) in self.FETCHED]
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            fetched.append(values.get("href"))
        self.urls += [url for url in fetched if url]


def test_the_site_builds_and_fetches_nothing_from_elsewhere(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))  # with the page for a wrong address
    for page in pages:
        requests = Requests()
        requests.feed(page.read_text())
        outside = [url for url in requests.urls if re.match(r"(https?:)?//", url)]
        assert not outside, f"{page.name} fetches {outside}"
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style.name


def test_the_navigation_lists_every_page():
    listed = re.findall(r"^  - .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_the_table_of_checks_is_the_one_in_the_code():
    from roboscale.dataset.checks import checks_table

    assert checks_table() in (ROOT / "docs/data.md").read_text(), "paste what checks_table() prints"
