"""Opening the home for one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home


def open_home(root: Path | None) -> Home:
    """The home for the command that runs; it lets go of its database when the command ends.

    A ledger that takes no more entries is told on stderr: looking at the home is still possible.

    Raises:
        HomeError: no home there, or settings that make no sense.
    """
    from auditor.workflow.homes.home import open_home as opening

    home = opening(root)
    click.get_current_context().call_on_close(home.close)
    if reason := home.read_only:
        click.echo(f"auditor: read-only: {reason}; see: auditor ledger recover", err=True)
    return home
