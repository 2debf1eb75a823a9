"""What is printed ends on the page: beyond its edge a name is read, and not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from weasyprint import HTML
from weasyprint.formatting_structure.boxes import TextBox

from auditor.certificates import render
from auditor.certificates.facts import DocumentFacts, Parties
from auditor.certificates.page import document_html
from auditor.certificates.statement import parse_statement, statement_bytes
from auditor.domain.artefact import Digest
from auditor.domain.evidence import Evidence
from auditor.domain.printable import LONGEST_NAME
from tests.certificates import examples

LONG = "W" * LONGEST_NAME
MARGIN = 15 / 25.4 * 96  # of the margin's 18 mm, three may be hung into


def with_long_names(facts: DocumentFacts) -> DocumentFacts:
    """No name of a party, model or group has a place to break at."""
    attempts = tuple(
        rung
        if rung.audit is None
        else replace(rung, audit=replace(rung.audit, evidence=_long_groups(rung.audit.evidence)))
        for rung in facts.attempts
    )
    return replace(
        facts,
        parties=Parties(controller=LONG, dpo=LONG),
        model=replace(facts.model, name=LONG, architecture=LONG),
        attempts=attempts,
    )


def _long_groups(evidence: Evidence) -> Evidence:
    auc = evidence.auc
    groups = tuple(replace(group, value=LONG) for group in auc.subgroups)
    return replace(evidence, auc=replace(auc, subgroups=groups))


@pytest.mark.parametrize("made", [examples.passed, examples.nothing])
def test_a_long_name_ends_on_the_page(made: Callable[[], DocumentFacts]) -> None:
    payload = statement_bytes(examples.in_language(with_long_names(made()), "fr"))
    html = document_html(parse_statement(payload)["predicate"], str(Digest.of(payload)))
    document = HTML(string=html, url_fetcher=render._ShippedOnly(), base_url="shipped:").render(
        font_config=render._fonts(), stylesheets=[render._style("certificate.css")]
    )
    for page in document.pages:
        for box in page._page_box.descendants():
            if isinstance(box, TextBox):
                assert box.position_x + box.width <= page.width - MARGIN, box.text
