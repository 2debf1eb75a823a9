"""What every command shares: the home and JSON options, printing results, and progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from auditor.errors import AuditorError
from auditor.given import read_given, require_ends
from auditor.learning.progress import Progress

Notice = Callable[[str], None]

LARGEST_PAPER = 64 << 20
"""Bytes of a certificate, a trust file, a proof: far more than any of ours has."""

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="The home folder.  [$AUDITOR_HOME, else ./.auditor]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class UnreadableError(AuditorError):
    """A file named on the command line can't be read."""


def read_input(path: Path, most: int | None = LARGEST_PAPER) -> bytes:
    """A file named on the command line, of at most so many bytes.

    Raises:
        UnreadableError: it can't be read, or is larger.
    """
    try:
        return read_given(path, most)
    except OSError as error:
        raise UnreadableError(f"can't read {path}: {error.strerror}") from None


class GivenText(click.File):
    """A text file named on the command line, - for standard input; no pipe or device."""

    def convert(
        self,
        value: str | os.PathLike[str] | IO[Any],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> IO[Any]:
        """Open it, once it is known that this doesn't wait."""
        if isinstance(value, (str, os.PathLike)) and value != "-":
            try:
                require_ends(Path(value))
            except OSError as error:
                self.fail(f"can't read {value!s}: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)


def read_lines(file: IO[str]) -> tuple[str, ...]:
    """Lines of a text file named on the command line, or of standard input, without their ends.

    Raises:
        UnreadableError: it isn't UTF-8.
    """
    try:
        return tuple(line.rstrip("\r\n") for line in file)
    except UnicodeDecodeError:
        raise UnreadableError(f"{file.name} is not UTF-8; save it as UTF-8 text") from None


def emit(result: Mapping[str, object] | Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print a result: JSON, one ``name  value`` line a field, or a table of rows."""
    if as_json:
        click.echo(_json(result))
    elif isinstance(result, Mapping):
        width = max((len(name) for name in result), default=0)
        for name, value in result.items():
            click.echo(f"{name.replace('_', ' '):{width}}  {_text(value)}")
    else:
        _table(result)


def _json(result: object) -> str:
    text = json.dumps(result, indent=2, ensure_ascii=False, default=str)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file's name in another encoding
        return json.dumps(result, indent=2, default=str)
    return text


@contextmanager
def progress_reporter() -> Iterator[tuple[Progress, Notice]]:
    """A progress bar on a terminal, plain lines elsewhere; always on stderr."""
    if sys.stderr.isatty():
        yield from _bar()
    else:
        yield _lines()


def _table(rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        click.echo("nothing to list", err=True)
        return
    names = list(rows[0])
    cells = [[_text(row.get(name, "")) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in ([name.replace("_", " ") for name in names], *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _bar() -> Iterator[tuple[Progress, Notice]]:
    from rich import progress as bars
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with bars.Progress(*columns, TimeElapsedColumn(), console=console) as shown:
        tasks: dict[str, TaskID] = {}

        def progress(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = shown.add_task(label, total=total)
            shown.update(tasks[label], completed=done, total=total)

        yield progress, lambda text: console.print(text, markup=False, highlight=False)


def _lines() -> tuple[Progress, Notice]:
    """About four lines for each piece of work."""

    def progress(label: str, done: int, total: int) -> None:
        if done == total or (done and done % max(1, total // 4) == 0):
            click.echo(f"{label}: {done} of {total}", err=True)

    return progress, lambda text: click.echo(text, err=True)
