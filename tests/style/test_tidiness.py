"""The house rules that a machine can see. Each exception says why it is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tollkeeper"
SOURCES = sorted(
    path
    for folder in ("src", "tests", "bench", "clients")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".sql") and "node_modules" not in path.parts
)
PYTHON = [path for path in SOURCES if path.suffix == ".py"]
ROOMS = sorted(path for path in PACKAGE.iterdir() if any(path.glob("*.py")))

LONGEST_FILE = 500
LONGEST_FUNCTION = 60

# `path` or `path:function`, and the reason why splitting it would read worse.
LONG = {
    "src/tollkeeper/db/schema.sql": "the whole schema on one page is its purpose",
}

NAMELESS_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
MONEY = re.compile(r"(^|_)(nanos|money|amount|cost|price|balance|credit|held|posted)(_|s?$)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|NotImplementedError)\b")
LOOKS_AWAY = re.compile(r"\bpytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")
UNNAMED_EXCUSE = re.compile(r"# (type: ignore|pyright: ignore)(?!\[)|# noqa(?!:)")


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def found_in(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{short(path)}:{number}: {line.strip()}"
        for path in paths
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def too_long() -> dict[str, int]:
    long = {}
    for path in SOURCES:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > LONGEST_FILE:
            long[short(path)] = lines
    for path in PYTHON:
        for function in functions(path):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > LONGEST_FUNCTION:
                long[f"{short(path)}:{function.name}"] = lines
    return long


def test_files_and_functions_are_short() -> None:
    assert {place: lines for place, lines in too_long().items() if place not in LONG} == {}


def test_every_excuse_for_length_names_a_file_that_is_there() -> None:
    assert [place for place in LONG if not (ROOT / place.partition(":")[0]).exists()] == []


def test_file_names_say_what_is_inside() -> None:
    assert [
        short(path) for path in SOURCES if NAMELESS_NAMES & set(re.split(r"[_.]", path.name))
    ] == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_says_what_it_is(room: Path) -> None:
    readme = room / "README.md"
    assert readme.exists(), f"{short(room)} has no README.md"
    assert readme.read_text("utf-8").startswith("# ")


def test_no_float_touches_money() -> None:
    assert [
        f"{short(path)}: {ast.unparse(node)}"
        for path in PYTHON
        if path.is_relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if float_of_money(node)
    ] == []


def float_of_money(node: ast.AST) -> bool:
    """A call `float(amount)`, or a name such as `cost_nanos` that is annotated as a float."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
        return any(names_money(part) for part in ast.walk(node))
    if isinstance(node, ast.AnnAssign):
        return says_float(node.annotation) and names_money(node.target)
    if isinstance(node, ast.arg):
        return says_float(node.annotation) and bool(MONEY.search(node.arg))
    return False


def says_float(annotation: ast.expr | None) -> bool:
    return annotation is not None and "float" in re.findall(r"\w+", ast.unparse(annotation))


def names_money(node: ast.AST) -> bool:
    name = getattr(node, "attr", None) or getattr(node, "id", None) or ""
    return bool(MONEY.search(name))


@pytest.mark.parametrize(
    ("line", "is_fault"),
    [
        ("float(row.amount_nanos)", True),
        ("cost: float = 0", True),
        ("def pay(amount: float | None): ...", True),
        ("def wait(seconds: float): ...", False),
        ("float(text)", False),
        ("cost: int = 0", False),
    ],
)
def test_a_float_of_money_is_seen(line: str, *, is_fault: bool) -> None:
    assert any(float_of_money(node) for node in ast.walk(ast.parse(line))) is is_fault


def test_nothing_is_left_for_later() -> None:
    assert found_in(UNFINISHED, SOURCES) == []


def test_no_test_looks_away() -> None:
    assert found_in(LOOKS_AWAY, PYTHON) == []


def test_every_silenced_warning_is_named() -> None:
    assert found_in(UNNAMED_EXCUSE, PYTHON) == []


def test_modules_of_tests_have_names_of_their_own() -> None:
    """They are imported by their bare names, from every folder of tests at once."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_patterns_let_no_line_break_pass_at_the_end() -> None:
    """Python's `$` also matches before a last line break; the API's document shows a `$`."""
    loose = re.compile(r"""pattern=r?["'][^"']*[$]["']""")
    assert [short(path) for path in SOURCES if loose.search(path.read_text("utf-8"))] == []
