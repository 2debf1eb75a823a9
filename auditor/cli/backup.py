"""`auditor backup`: the home in one file, all of one moment, without its keys."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@home_option
@json_option
def backup(file: Path, home: Path | None, as_json: bool) -> None:
    """Copy the home into FILE (tar), without its keys.

    Keep the folder keys/ elsewhere: whoever has both can read what the vault keeps. To restore,
    unpack FILE, put keys/ beside auditor.toml and run: auditor ledger recover
    """
    from auditor.workflow.models.backup import back_up

    made = back_up(open_home(home), file)
    emit(
        {
            "file": str(file),
            "files": made.files,
            "ledger_entries": made.entries,
            "signed_entries": made.signed,
            "keys": "left out",
        },
        as_json,
    )
