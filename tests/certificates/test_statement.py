"""Statements and pages of every kind of document."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pikepdf
import pytest
from pypdf import PdfReader, PdfWriter

from auditor.certificates.catalogue import LOCALES, language_of
from auditor.certificates.facts import DocumentFacts, Parties
from auditor.certificates.page import document_html
from auditor.certificates.render import render_certificate
from auditor.certificates.statement import parse_statement, statement_bytes
from auditor.certificates.visible import verify_visible
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.request import Outcome
from auditor.domain.verdict import Basis
from auditor.errors import CertificateError, InvalidCertificateError
from tests.certificates import examples

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "templates" / "erasure-certificate-v1.schema.json").read_text()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EVERY = pytest.mark.parametrize("facts", examples.ALL.values(), ids=examples.ALL.keys())
Make = Callable[[], DocumentFacts]


@cache  # drawing a page is slow
def drawn(facts: Make) -> tuple[str, bytes]:
    return rendered(facts())


def rendered(facts: DocumentFacts) -> tuple[str, bytes]:
    payload = statement_bytes(facts)
    predicate, digest = parse_statement(payload)["predicate"], str(Digest.of(payload))
    return document_html(predicate, digest), render_certificate(predicate, digest, b"{}", "proof")


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@EVERY
def test_every_document_fits_the_published_schema(facts: Make) -> None:
    statement = json.loads(statement_bytes(facts()))
    VALIDATOR.validate(statement["predicate"])
    for name in SCHEMA["required"]:
        less = {key: value for key, value in statement["predicate"].items() if key != name}
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(less)


@EVERY
def test_a_statement_is_read_back_and_any_other_refused(facts: Make) -> None:
    payload = statement_bytes(facts())
    assert canonical_bytes(dict(parse_statement(payload))) == payload
    statement = json.loads(payload)
    for name in statement["predicate"]:
        less = {key: value for key, value in statement["predicate"].items() if key != name}
        if name not in ("audit", "plan", "conclusion", "served"):
            with pytest.raises(CertificateError):
                parse_statement(canonical_bytes({**statement, "predicate": less}))
    for forged in (
        payload + b" ",
        payload[:-1],
        b"\xff",
        b"[]",
        canonical_bytes({**statement, "_type": "https://in-toto.io/Statement/v0.1"}),
        canonical_bytes({**statement, "subject": []}),
        canonical_bytes({**statement, "extra": 1}),
        canonical_bytes({**statement, "predicate": {**statement["predicate"], "extra": 1}}),
        canonical_bytes({**statement, "predicate": "none"}),
    ):
        with pytest.raises(CertificateError):
            parse_statement(forged)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every field of a predicate, however deep; of lists the first item."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def test_no_field_may_be_of_another_form() -> None:
    """However deep, and though the issuer's own keys sign it: refused, not stumbled over."""
    statement = json.loads(statement_bytes(examples.passed()))
    empty: dict[type, object] = {list: [], dict: {}, str: "", int: 0}
    for path in places(statement["predicate"]):
        found = type(at(statement["predicate"], path))
        for value in (empty[found], [] if found is str else ""):
            forged = copy.deepcopy(statement)
            holder = at(forged["predicate"], path[:-1])
            same_kind = found is type(value)
            holder[path[-1]] = value
            # of the right kind it may pass, but what passes has to make a page
            with suppress(CertificateError) if same_kind else pytest.raises(CertificateError):
                predicate = parse_statement(canonical_bytes(forged))["predicate"]
                document_html(predicate, str(Digest.of(b"")))
    for name in ("outcome", "approval", "locale"):
        for value in ("another", "", 1, [], {}):
            predicate = {**statement["predicate"], name: value}
            with pytest.raises(CertificateError, match=f"{name} isn't as the schema has it"):
                parse_statement(canonical_bytes({**statement, "predicate": predicate}))


@EVERY
def test_pages_show_exactly_what_was_signed(facts: Make) -> None:
    html, pdf = drawn(facts)
    verify_visible(pdf, html)
    for old, new in (
        (", concerning ", ", not concerning "),
        ("Findings under", "Findings  beyond"),
    ):
        assert old in html
        with pytest.raises(InvalidCertificateError):
            verify_visible(pdf, html.replace(old, new))
    with pytest.raises(InvalidCertificateError):
        verify_visible(pdf, html.replace(f"Case {examples.CASE} · page", "Case another · page"))
    with pytest.raises(InvalidCertificateError):
        verify_visible(b"%PDF-1.7 nothing", html)


@EVERY
def test_pages_left_out_doubled_or_out_of_place_are_refused(facts: Make) -> None:
    html, pdf = drawn(facts)
    whole = list(range(len(PdfReader(BytesIO(pdf)).pages)))
    verify_visible(_with_pages(pdf, whole), html)
    for order in (whole[:-1], [*whole, whole[-1]], whole[::-1]):
        assert order != whole
        with pytest.raises(InvalidCertificateError):
            verify_visible(_with_pages(pdf, order), html)


def _with_pages(pdf: bytes, order: list[int]) -> bytes:
    """The document with its pages left out, doubled or put in another order."""
    pages, writer, made = PdfReader(BytesIO(pdf)).pages, PdfWriter(), BytesIO()
    for number in order:
        writer.add_page(pages[number])
    writer.write(made)
    return made.getvalue()


@EVERY
def test_one_statement_gives_one_archival_accessible_pdf_of_few_pages(facts: Make) -> None:
    _, pdf = drawn(facts)
    assert pdf == rendered(facts())[1]
    with pikepdf.open(BytesIO(pdf)) as document:
        assert 1 <= len(document.pages) <= 3
        assert document.Root.MarkInfo.Marked
        assert str(document.Root.Lang) == "en"
        metadata = document.open_metadata()
        assert metadata["pdfaid:part"] == "3"
        assert metadata["pdfuaid:part"] == "1"
        assert set(document.attachments) == {"statement.dsse.json", "prepared.tlog-proof"}
        for page in document.pages:
            fonts = page.Resources.get("/Font", {})
            for font in fonts.values():
                described = font.DescendantFonts[0].FontDescriptor
                assert "/FontFile2" in described or "/FontFile3" in described


def test_names_are_printed_as_text_never_as_markup() -> None:
    facts = examples.nothing()
    named = replace(facts, parties=Parties(controller="<script>alert(1)</script>", dpo="A & B"))
    html, pdf = rendered(named)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    verify_visible(pdf, html)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 121, "a\u202eb", "a\u200bb", "e\u0301"])
def test_names_that_could_deceive_are_refused(name: str) -> None:
    with pytest.raises(CertificateError):
        Parties(controller=name, dpo="DPO")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda f: replace(f, outcome=Outcome.NOT_ERASED),
        lambda f: replace(f, conclusion=None),
        lambda f: replace(f, plan=None),
        lambda f: replace(f, model=replace(f.model, after=None)),
        lambda f: replace(f, attempts=()),
        lambda f: replace(f, issued=date(2026, 1, 1)),
        lambda f: replace(f, request=replace(f.request, decided=date(2026, 1, 1))),
        lambda f: replace(f, request=replace(f.request, subjects=0)),
        lambda f: replace(f, request=replace(f.request, training_images=None)),
        lambda f: replace(f, plan=replace(f.plan, margin=0.51)),
        lambda f: replace(f, plan=replace(f.plan, alpha=0.0)),
        lambda f: replace(f, conclusion=replace(f.conclusion, basis=Basis.NONE)),
        lambda f: replace(f, conclusion=replace(f.conclusion, basis=Basis.EXACT)),
        lambda f: replace(f, conclusion=replace(f.conclusion, decision=examples.STRADDLES)),
        lambda f: replace(f, conclusion=replace(f.conclusion, decision=examples.OUTSIDE)),
    ],
)
def test_a_document_cannot_claim_what_its_evidence_does_not_back(
    break_it: Callable[[DocumentFacts], DocumentFacts],
) -> None:
    with pytest.raises(CertificateError):
        break_it(examples.passed())


@pytest.mark.parametrize("locale", LOCALES)
def test_what_nobody_looked_up_or_ran_is_not_told(locale: str) -> None:
    """A refused request's images were never looked for; older versions told of 0, on ``none``."""
    facts = replace(examples.refused(), locale=locale)
    payload = statement_bytes(facts)
    told = json.loads(payload)["predicate"]
    assert "trainingImages" not in told["request"] and told["execution"].keys() == {"codeVersion"}
    digest = str(Digest.of(payload))
    html = document_html(told, digest)
    older = {
        **told,
        "request": {**told["request"], "trainingImages": 0},
        "execution": {**told["execution"], "device": "none"},
    }
    VALIDATOR.validate(older)
    before = document_html(older, digest)
    language = language_of(locale)
    images = language.count("{count} training image", "{count} training images", 0)
    device = language.say(
        "auditor {version}, on {device}", version=facts.code_version, device="none"
    )
    assert images in before and device in before
    assert images not in html and device not in html


def test_the_first_lines_say_what_cannot_be_excluded() -> None:
    certified = json.loads(statement_bytes(examples.passed()))["predicate"]
    assert certified["summary"][0].startswith("Up to 35 % of the influence")
    drawn = json.loads(statement_bytes(examples.exact()))["predicate"]
    assert drawn["notices"][0]["about"] == "synthetic-data"
    hidden = json.loads(statement_bytes(examples.unknowable()))["predicate"]
    assert "equivalence" not in hidden["audit"]["influence"]
    for make in examples.ALL.values():
        text = statement_bytes(make()).decode()
        for word in ("anonymous", "compliant", "erased from"):
            assert word not in text
