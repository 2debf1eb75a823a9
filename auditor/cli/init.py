"""`auditor init`: create a home and say what the regulator needs to know of it."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.output import emit, home_option, json_option


@click.command()
@click.option("--controller", required=True, help="Name of the hospital, as on certificates.")
@click.option("--dpo", required=True, help="Name or office of the data protection officer.")
@click.option("--country", default="", help='For public holidays, e.g. "DE".  [weekends only]')
@click.option(
    "--time-zone", default="UTC", show_default=True, help='Whose days count, e.g. "Europe/Berlin".'
)
@click.option("--database", default="", help="postgresql:// address.  [SQLite in the home]")
@home_option
@json_option
def init(
    controller: str,
    dpo: str,
    country: str,
    time_zone: str,
    database: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Create a home: settings, keys, ledger and the trust file.

    Give the printed fingerprint to the regulator by another way than the certificates. Whoever is
    to decide needs keys: auditor keys new FILE, then auditor keys add FILE.pub --role desk
    """
    from auditor.workflow.homes.home import create_home

    made = create_home(
        home,
        controller=controller,
        dpo=dpo,
        country=country,
        time_zone=time_zone,
        database=database,
        desk_signed=True,
    )
    emit(
        {
            "home": str(made.root),
            "trust": str(made.trust_path),
            "fingerprint": made.trust_fingerprint,
        },
        as_json,
    )
