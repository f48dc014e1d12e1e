"""The rules of CONTRIBUTING.md that a program can check, and that every module can be imported."""

import ast
import importlib
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE_ROOTS = ("services", "libs", "clients/python")
LINE_LIMIT = 100
FUNCTION_LIMIT = 70
FILE_LIMIT = 400
# A longer file needs its reason here.
LONG_FILES: dict[str, str] = {}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
# Written so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")
# What a linter reads may stand beyond the limit: it belongs to its line.
PRAGMA = re.compile(r"\s+# (?:noqa|type: ignore).*$")
MACHINE_PATH = re.compile(r"(?<![\w.{}$])/(?:home|root|work|tmp|mnt|Users)/\w")
# Exact text of others: the licence, and hashes.
NOT_OURS = {"LICENSE", "requirements.lock"}


@cache
def committed() -> list[Path]:
    """List the files that git has or would take; what is ignored is nobody's style."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    paths = (ROOT / name for name in listing.split("\0") if name and name not in NOT_OURS)
    return sorted(path for path in paths if path.is_file())


def python_files() -> list[Path]:
    """List the Python files among them."""
    return [path for path in committed() if path.suffix == ".py"]


def modules() -> list[str]:
    """Name every module of the distribution; alembic's env.py runs migrations when imported."""
    names = []
    for root in PACKAGE_ROOTS:
        for path in sorted((ROOT / root).rglob("*.py")):
            parts = path.relative_to(ROOT / root).with_suffix("").parts
            if parts[-2:] != ("migrations", "env"):
                names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def shown(path: Path) -> str:
    """Name a file as a reader of the repository does."""
    return str(path.relative_to(ROOT))


def text_lines(path: Path) -> list[str]:
    """Read a file's lines; none of what is no text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def test_python_lines_fit_the_screen() -> None:
    """No line of code is longer than the limit."""
    long = [
        f"{shown(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(text_lines(path), start=1)
        if len(PRAGMA.sub("", line)) > LINE_LIMIT
    ]
    assert not long


def test_functions_are_short() -> None:
    """No function is longer than the limit, its docstring included."""
    long = [
        f"{shown(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LIMIT
    ]
    assert not long


def test_files_are_short_or_say_why() -> None:
    """No Python file is longer than the limit, unless its reason is given above."""
    long = {shown(path) for path in python_files() if len(text_lines(path)) > FILE_LIMIT}
    assert long == LONG_FILES.keys()


def test_names_say_what_is_inside() -> None:
    """No module or folder has a name under which everything could be put."""
    banned = [
        shown(path)
        for path in python_files()
        if BANNED_NAMES & {path.stem, *path.relative_to(ROOT).parts}
    ]
    assert not banned


def test_every_module_says_what_it_is_for() -> None:
    """Each Python file begins with a docstring."""
    silent = [
        shown(path)
        for path in python_files()
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent


def test_nothing_is_left_for_later() -> None:
    """No file holds a note of unfinished work."""
    unfinished = [
        f"{shown(path)}:{number}"
        for path in committed()
        for number, line in enumerate(text_lines(path), start=1)
        if UNFINISHED.search(line)
    ]
    assert not unfinished


def test_nothing_names_a_place_on_somebodys_machine() -> None:
    """No file holds an absolute path below a person's or a session's folder."""
    places = [
        f"{shown(path)}:{number}"
        for path in committed()
        for number, line in enumerate(text_lines(path), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not places


@pytest.mark.parametrize("module", modules())
def test_module_can_be_imported(module: str) -> None:
    """Importing a module works by itself and has no effect but its names."""
    importlib.import_module(module)
