"""`auditor request letter`: what the desk writes to patients, and to recipients of their data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from auditor.cli.opening import open_home
from auditor.cli.output import GivenText, emit, home_option, json_option
from auditor.cli.request_desk import day_of, role_option
from auditor.domain.request import LetterKind
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.certificates.letter import Letter


@click.command()
@click.argument("case")
@click.option(
    "--kind", required=True, type=click.Choice([kind.value for kind in LetterKind]), help="Which."
)
@click.option(
    "--language", type=click.Choice(["en", "de", "fr", "es"]), help="Its language.  [settings]"
)
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="FILE.pdf or FILE.txt."
)
@click.option("--sent", help="Day it left, YYYY-MM-DD: puts that on the books.")
@click.option(
    "--address-from",
    "address",
    type=GivenText(encoding="utf-8"),
    help="File with the address it went to; - for standard input. Kept in the vault, not printed.",
)
@role_option
@home_option
@json_option
def letter(
    case: str,
    kind: str,
    language: str | None,
    target: Path,
    sent: str | None,
    address: TextIO | None,
    role: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Write a letter on a case as it stands, as PDF or plain text, by the name of the file.

    It names nobody: the address belongs in the window of the envelope. A letter that the case
    contradicts is refused.
    """
    from auditor.certificates.letter import letter_of
    from auditor.workflow.desk.letters import letter_facts, record_sent
    from auditor.workflow.homes.files import write_file

    made_by = _MAKERS.get(target.suffix.lower())
    if made_by is None:
        raise MisuseError("name the letter FILE.pdf or FILE.txt")
    if not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    if address is not None and sent is None:
        raise MisuseError("--address-from is kept with a letter that was sent; say when: --sent")
    to = _address(address)
    opened = open_home(home)
    facts = letter_facts(
        opened,
        case,
        LetterKind(kind),
        language or opened.config.locale,
        sent=None if sent is None else day_of(sent, "--sent"),
    )
    document = made_by(letter_of(facts))
    write_file(target, document)
    told = {"case": case, "letter": kind, "language": facts.locale, "file": str(target)}
    if sent is not None:
        event = record_sent(opened, case, facts, document, address=to, role=role)
        told |= {"sent": str(event.on), "document": str(event.document)}
    emit(told, as_json)


def _address(file: TextIO | None) -> str:
    """Where the letter went, read before anything is written."""
    from auditor.workflow.desk.letters import require_address

    try:
        return "" if file is None else require_address(file.read().strip())
    except UnicodeDecodeError:
        raise MisuseError("--address-from isn't text in UTF-8; convert the file") from None


def _text(letter: Letter) -> bytes:
    from auditor.certificates.letter import letter_text

    return letter_text(letter).encode("utf-8")


def _pdf(letter: Letter) -> bytes:
    from auditor.certificates.letter import letter_pdf

    return letter_pdf(letter)


_MAKERS: dict[str, Callable[[Letter], bytes]] = {".txt": _text, ".pdf": _pdf}
