"""The report on a quarter as a PDF that carries its own evidence, not yet sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from auditor.certificates.catalogue import language_of
from auditor.certificates.quarter import CATALOGUE, STATE
from auditor.certificates.quarter_page import report_html
from auditor.certificates.render import Enclosed, print_page, require_readable
from auditor.certificates.statement import ENVELOPE, PROOF

_STYLE = "certificate.css"


def render_report(
    statement: Mapping[str, Any], statement_digest: str, envelope: bytes, proof: str, state: str
) -> bytes:
    """Print the report and attach what it is checked by; the same bytes whenever asked.

    Args:
        statement: in the envelope.
        statement_digest: ``sha256:...`` of the signed statement.
        envelope: the DSSE envelope as signed.
        proof: C2SP tlog-proof of the `quarter-reported` entry.
        state: signed checkpoint of the ledger's state that is reported on.

    Raises:
        CertificateError: the page can't be drawn, or not so that its text can be verified.
    """
    predicate = statement["predicate"]
    say = language_of(predicate["locale"], CATALOGUE).say
    enclosed = (
        (ENVELOPE, envelope, "Data", say("The signed statement")),
        (PROOF, proof.encode("utf-8"), "Supplement", say("Its ledger proof")),
        (STATE, state.encode("utf-8"), "Supplement", say("The ledger's signed state")),
    )
    html = report_html(statement, statement_digest)
    pdf = print_page(
        html,
        style=_STYLE,
        issued=date.fromisoformat(predicate["issued"]),
        identifier=envelope,
        enclosed=[
            Enclosed(name=name, content=content, relationship=relationship, description=about)
            for name, content, relationship, about in enclosed
        ],
    )
    require_readable(pdf, html)
    return pdf
