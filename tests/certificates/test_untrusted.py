"""Names and pages with which somebody tries to make a document do or show something else."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from auditor.certificates import render
from auditor.certificates.facts import (
    DocumentFacts,
    Parties,
)
from auditor.certificates.page import document_html
from auditor.certificates.predicate import predicate_of
from auditor.certificates.render import render_certificate
from auditor.certificates.run_facts import SkippedRung
from auditor.certificates.statement import ENVELOPE, PROOF, parse_statement, statement_bytes
from auditor.domain.canonical import canonical_bytes
from auditor.errors import CertificateError, DataError, InvalidCertificateError
from auditor.learning.manifest import read_manifest
from tests.certificates.examples import passed
from tests.domain.test_printable import FORMULAS, UNSEEN

DIGEST = f"sha256:{'5' * 64}"
MARKUP = (
    "<img src='http://127.0.0.1:9/a'>",
    "</td></style><script>x()</script>",
    '"><link rel=attachment href="file:///etc/hosts">',
    "&lt;b&gt; &amp; <!-- A -->",
    "{{ 7 * 7 }} {{ ''.__class__ }}",
    "{% include 'a' %}{% raw %}",
    "{case} {0.__class__} %(case)s",
)


class Tags(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def named(name: str) -> DocumentFacts:
    """A certificate whose names are all this one."""
    facts = passed()
    return replace(
        facts,
        parties=Parties(controller=name, dpo=name),
        model=replace(facts.model, name=name, architecture=name),
        device=name,
    )


@pytest.mark.parametrize("name", MARKUP)
def test_markup_in_a_name_is_printed_and_does_nothing(name: str) -> None:
    plain = Tags(document_html(predicate_of(named("St. Example")), DIGEST))
    marked = Tags(document_html(predicate_of(named(name)), DIGEST))
    assert marked.tags == plain.tags
    assert marked.text.count(name) == plain.text.count("St. Example") >= 4


def test_markup_from_a_manifest_is_printed_and_does_nothing() -> None:
    facts = passed()
    audit = facts.attempts[0].audit
    assert audit is not None
    regression = audit.evidence.auc
    hostile = "<b>{{ 7 * 7 }}</b>"
    groups = tuple(replace(group, value=hostile) for group in regression.subgroups)
    evidence = replace(
        audit.evidence,
        auc=replace(regression, subgroups=groups, too_small=(f"site {hostile}",)),
    )
    attempt = replace(facts.attempts[0], audit=replace(audit, evidence=evidence))
    changed = replace(
        facts,
        attempts=(attempt,),
        skipped=(SkippedRung(method=hostile, reason=hostile),),
    )
    before = Tags(document_html(predicate_of(replace(facts, skipped=changed.skipped)), DIGEST))
    page = Tags(document_html(predicate_of(changed), DIGEST))
    assert page.tags == before.tags
    assert page.text.count(hostile) >= before.text.count(hostile) + 2


def test_markup_is_drawn_as_it_was_signed() -> None:
    name = " ".join((MARKUP[0], MARKUP[4], MARKUP[6]))
    pdf = render_certificate(predicate_of(named(name)), DIGEST, b"{}", "proof")
    drawn = "".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)
    assert "".join(name.split()) in "".join(drawn.split())
    assert [*PdfReader(BytesIO(pdf)).attachments] == [ENVELOPE, PROOF]


@pytest.mark.parametrize("name", ["Νοσοκομείο", "Больница", "Szpital Łódź"])
def test_names_in_letters_of_the_shipped_fonts_can_be_verified(name: str) -> None:
    assert render_certificate(predicate_of(named(name)), DIGEST, b"{}", "proof")


@pytest.mark.parametrize("name", ["مستشفى", "בית חולים"])
def test_what_no_verifier_could_read_is_not_issued(name: str) -> None:
    """Letters that are drawn from right to left; the document would be INVALID."""
    with pytest.raises(CertificateError, match="no verifier could read") as caught:
        render_certificate(predicate_of(named(name)), DIGEST, b"{}", "proof")
    assert not isinstance(caught.value, InvalidCertificateError)
    assert name not in str(caught.value)


@pytest.mark.parametrize("name", [*UNSEEN.values(), *FORMULAS])
def test_names_that_mislead_never_reach_a_document(name: str) -> None:
    with pytest.raises(CertificateError) as caught:
        Parties(controller=name, dpo="DPO office")
    with pytest.raises(CertificateError):
        Parties(controller="St. Example", dpo=name)
    assert name not in str(caught.value)
    with pytest.raises(CertificateError):
        replace(passed().model, name=name)


@pytest.mark.parametrize("hidden", sorted(UNSEEN.keys() - {"no-break space"}))
def test_a_statement_that_hides_something_is_refused_though_signed(hidden: str) -> None:
    statement = json.loads(statement_bytes(passed()))
    statement["predicate"]["controller"]["name"] = UNSEEN[hidden]
    try:
        payload = canonical_bytes(statement)
    except (UnicodeError, ValueError):  # half a pair is no text at all
        return
    with pytest.raises(CertificateError, match="invisible or control"):
        parse_statement(payload)


@pytest.mark.parametrize("column", ["site", "sex"])
@pytest.mark.parametrize("name", [UNSEEN["right-to-left override"], FORMULAS[0], "x" * 121])
def test_a_group_named_to_mislead_is_refused_with_its_manifest(
    tmp_path: Path, column: str, name: str
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        f"image_path,subject_id,label,{column}\na.png,1,0,St. Example\nb.png,2,1,{name}\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=rf"row 3: {column} ") as caught:
        read_manifest(manifest)
    assert name not in str(caught.value)


@pytest.mark.parametrize(
    "page",
    [
        "<img src='{}'>",
        "<style>@import url({});</style>",
        "<link rel=stylesheet href='{}'>",
        "<link rel=attachment href='{}'>",
        "<p style='background: url({})'>x</p>",
        "<svg width=9 height=9><image href='{}' width=9 height=9 /></svg>",
        "<style>@font-face {{ font-family: x; src: url({}) }} p {{ font-family: x }}</style><p>x",
        "<object data='{}'></object>",
        "<embed src='{}'>",
    ],
)
@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a", "file:///etc/hosts", "data:,a"])
def test_a_page_that_asks_for_anything_is_not_drawn(
    monkeypatch: pytest.MonkeyPatch, page: str, address: str
) -> None:
    monkeypatch.setattr(render, "document_html", lambda *_: page.format(address))
    with pytest.raises(CertificateError, match="may not load"):
        render_certificate({"issued": "2026-11-24", "locale": "en"}, DIGEST, b"{}", "proof")


@pytest.mark.parametrize("address", ["shipped:../certificate.css", "shipped:", "a.png", "//host/a"])
def test_only_the_shipped_fonts_are_served(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(render, "document_html", lambda *_: f"<img src='{address}'>")
    with pytest.raises(CertificateError, match="may not load"):
        render_certificate({"issued": "2026-11-24", "locale": "en"}, DIGEST, b"{}", "proof")
