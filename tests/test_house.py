"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from auditor.domain import event
from auditor.domain.upcast import UPCASTERS

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "auditor").rglob("*.py"))
LONGEST = 350

ENGINE = ("torch", "torchvision", "numpy", "scipy", "PIL", "pydicom", "safetensors")
VERIFIER_NEVER = (*ENGINE, "sqlmodel", "sqlalchemy", "weasyprint")
COMMANDS = {
    "": VERIFIER_NEVER,
    "backup": ENGINE,
    "init": ENGINE,
    "demo": ENGINE,
    "model": ENGINE,
    "qualify": ENGINE,
    "report": ENGINE,
    "request": ENGINE,
    "run": ENGINE,
    "bank": ENGINE,
    "certificate": ENGINE,
    "verification": ENGINE,
    "verify": VERIFIER_NEVER,
    "ledger": ENGINE,
    "policy": ENGINE,
    "keys": ENGINE,
}

_PROBE = """
import json, sys
from auditor.cli.main import main
sys.argv = ["auditor", *{words!r}, "--help"]
code = main()
print(json.dumps([code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.name == "__init__.py" and path.parent != ROOT / "auditor"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_importing_a_room_pulls_in_no_neighbours(path: Path) -> None:
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "auditor" / "domain").glob("*.py")), ROOT / "auditor" / "errors.py"],
    ids=lambda path: path.name,
)
def test_the_domain_is_the_standard_library_only(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "auditor"}
    assert _imported(path) <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_machine_is_named_in_the_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not any(prefix in text for prefix in ("/home/", "/Users/", "/root/", str(ROOT)))


@pytest.mark.parametrize(("command", "never"), COMMANDS.items())
def test_starting_a_command_loads_only_what_it_needs(command: str, never: tuple[str, ...]) -> None:
    words = [command] if command else []
    run = subprocess.run(
        [sys.executable, "-c", _PROBE.format(words=words)],
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(run.stdout.splitlines()[-1])
    assert code == 0
    assert not set(never) & set(modules)


def test_every_command_is_probed_above() -> None:
    from auditor.cli.main import main

    listed = subprocess.run(
        [sys.executable, "-m", "auditor.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = {
        line.split()[0] for line in listed.partition("Commands:")[2].splitlines() if line.strip()
    }
    assert main is not None
    assert commands == set(COMMANDS) - {""}


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """What each command, and each below it, says of itself."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _helps(below, click.Context(below, info_name=name, parent=context))


def test_no_command_tells_a_user_what_is_for_a_programmer() -> None:
    from auditor.cli.main import cli

    told = dict(_helps(cli, click.Context(cli, info_name="auditor")))
    assert len(told) > 100
    section = re.compile(r"Raises:|Args:|Returns:|Attributes:|\b\w+Error\b|``")
    assert not {command for command, words in told.items() if section.search(words)}


def test_every_event_kind_stands_in_the_one_table_of_them() -> None:
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip(" `") for line in text.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted([*event.KINDS, *UPCASTERS])


def _imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
