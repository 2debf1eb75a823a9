"""`auditor model copy`: copies of a model, or of its data, that lie outside the home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.cli.request_desk import role_option
from auditor.domain.artefact import ArtefactKind, Digest
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home
    from auditor.workflow.models.inventory import Copy

_KINDS = ("source", "split", "cache", "derived-model", "export", "backup")


@click.group()
def copy() -> None:
    """Declare copies that lie outside the home, so that every erasure reaches them."""


@copy.command()
@click.argument("model")
@click.option("--kind", required=True, type=click.Choice(_KINDS))
@click.option("--digest", help="sha256:... of its bytes.")
@click.option("--name", default="", help="What you call it; kept in the vault.")
@role_option
@home_option
@json_option
def add(
    model: str,
    kind: str,
    digest: str | None,
    name: str,
    role: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Declare a copy of a model or of its data; prints the digest it is accounted for by."""
    from auditor.workflow.models.inventory import declare_copy

    opened = open_home(home)
    made = declare_copy(
        opened,
        model,
        ArtefactKind(kind),
        digest=None if digest is None else read_digest(digest),
        name=name,
        actor=role,
    )
    emit(_row(opened, made), as_json)


@copy.command("list")
@click.argument("model")
@home_option
@json_option
def list_(model: str, home: Path | None, as_json: bool) -> None:
    """List the declared copies of a model, with the last word on each."""
    from auditor.workflow.homes.registry import require_model
    from auditor.workflow.models.inventory import list_copies

    opened = open_home(home)
    require_model(opened, model)
    emit([_row(opened, made) for made in list_copies(opened, model)], as_json)


def read_digest(text: str) -> Digest:
    """A digest as it was typed.

    Raises:
        MisuseError: it is none.
    """
    try:
        return Digest.parse(text)
    except ValueError:
        raise MisuseError("a digest is sha256: and 64 digits, 0 to 9 and a to f") from None


def _row(home: Home, made: Copy) -> dict[str, object]:
    from auditor.workflow.models.inventory import name_of

    return {
        "copy": str(made.copy),
        "kind": made.kind.value,
        "name": name_of(home, made.copy),
        "fate": "" if made.fate is None else made.fate.value,
    }
