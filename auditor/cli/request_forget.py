"""`auditor request forget`: who asked isn't known any more; what became of it stays."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option


@click.command()
@click.argument("cases", nargs=-1, required=True, metavar="CASE...")
@home_option
@json_option
def forget(cases: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Destroy identifiers, letters, addresses and documents of closed or withdrawn cases.

    What the ledger says stays, and so do certificates and the exclusion list. Refused while
    anything still needs to know whom a case concerns; then nothing is done on the cases after it.
    """
    from auditor.workflow.models.forgetting import forget_request

    opened = open_home(home)
    emit(
        [
            {"case": case, "payloads": forget_request(opened, case), "identifiers": "forgotten"}
            for case in cases
        ],
        as_json,
    )
