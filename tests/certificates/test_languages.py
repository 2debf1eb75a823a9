"""Documents in four languages: nothing untranslated, nothing lost, all of it checked."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import cache
from gettext import NullTranslations
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from string import Formatter

import pikepdf
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from auditor.certificates import non_claims, page, predicate, wording
from auditor.certificates.catalogue import LOCALES, language_of
from auditor.certificates.facts import DocumentFacts
from auditor.certificates.page import document_html
from auditor.certificates.render import render_certificate
from auditor.certificates.statement import parse_statement, statement_bytes
from auditor.certificates.verify import Status
from auditor.certificates.visible import verify_visible
from auditor.domain.artefact import Digest
from auditor.domain.language import Language
from auditor.errors import CertificateError, InvalidCertificateError
from auditor.policies.evaluate import evaluate
from auditor.shipped import shipped
from auditor.workflow.homes.home import create_home, open_home
from tests.certificates import examples
from tests.certificates.conftest import issue_record
from tests.certificates.messages import every_message
from tests.cli.conftest import stock
from tests.policies import road

OTHERS = [locale for locale in LOCALES if locale != "en"]
IN_OTHERS = pytest.mark.parametrize("locale", OTHERS)
# What stands in no catalogue: names, numbers, signs.
UNWORDED = re.compile(
    r"Universitätsklinikum Lindenau|Dr\. Margarethe Kowalczyk-Ólafsdóttir|sha256|[0-9a-f]{8,16}"
    r"|gdpr|hipaa|our-hospital|p =|auditor|tb-chest|small-resnet|cpu|\bs\b|sex F|17"
)


@cache
def catalogue_of(locale: str) -> Catalog:
    with (shipped("templates") / "messages" / f"{locale}.po").open("rb") as file:
        return read_po(file, locale=locale)


def forms(message: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@IN_OTHERS
def test_no_message_lacks_a_translation_and_none_is_left_over(locale: str) -> None:
    known = {item.id for item in catalogue_of(locale) if item.id and item.context is None}
    assert set(every_message()) - known == set()
    assert known - set(every_message()) == set()


@IN_OTHERS
def test_translations_name_the_same_places(locale: str) -> None:
    for item in catalogue_of(locale):
        if not item.id or item.context is not None:
            continue
        first = forms(item.id)[0]
        assert not item.fuzzy
        assert len(forms(item.string)) == (1 if isinstance(item.id, str) else 2), item.id
        for text in forms(item.string):
            assert text.strip() and text.replace("\u00a0", " ").isprintable(), item.id
            # a singular may write its number out
            assert places(text) | {"count"} == places(first) | {"count"}, item.id
            assert text.endswith(".") == first.endswith("."), item.id


@IN_OTHERS
def test_numbers_and_days_are_written_as_the_language_does(locale: str) -> None:
    language = language_of(locale)
    assert language.decimals("-0.13") == "-0,13"
    first, other = ("1. März", "2. März") if locale == "de" else ("1er mars", "2 mars")
    if locale == "es":
        first, other = "1 de marzo de", "2 de marzo de"
    for number, text in ((1, first), (2, other)):
        assert language.day(date(2027, 3, number)).replace("\u00a0", " ") == f"{text} 2027"


def test_other_languages_are_refused() -> None:
    for locale in ("", "EN", "it", "../de", "de_AT"):
        with pytest.raises(CertificateError):
            language_of(locale)


class Marking(NullTranslations):
    """A language that only marks what it was asked to say."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


class Said(HTMLParser):
    """Everything that a page says to the eye or to a screen reader."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "path", "circle", "line", "rect"):
            self._inside.append(tag)
        spoken = ("aria-label", "alt", "data-foot", "data-of")
        self.texts += [value or "" for name, value in attrs if name in spoken]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self._inside:
            self.texts.append(data)


def unmarked(text: str) -> str:
    """What stands outside of every mark."""
    kept, depth = [], 0
    for character in text:
        depth += character == "⟦"
        if depth == 0:
            kept.append(character)
        depth -= character == "⟧"
    return "".join(kept)


@pytest.mark.parametrize("name", examples.ALL)
def test_every_word_of_a_page_comes_through_the_catalogue(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marking = Language(locale="en", translations=Marking())
    for module in (page, predicate, wording, non_claims):
        monkeypatch.setattr(module, "language_of", lambda _: marking)
    facts = examples.ALL[name]()
    entries = road.road(regime=facts.request.regime, ground=facts.request.ground)
    findings = evaluate(road.packs_for(facts.request.regime), road.facts(entries), marking)
    payload = statement_bytes(replace(facts, findings=findings))
    reader = Said()
    reader.feed(document_html(parse_statement(payload)["predicate"], "sha256:" + "0" * 64))
    left = UNWORDED.sub("", unmarked(" ".join(reader.texts)))
    assert re.findall(r"[^\W\d_]+", left) == []


def test_a_home_of_another_language_issues_documents_in_it(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum Lindenau", dpo="Datenschutz")
    settings = home.root / "auditor.toml"
    settings.write_text(settings.read_text().replace('locale = "en"', 'locale = "de"'))
    home.close()
    home = open_home(home.root)
    try:
        stock(home)
        issued = issue_record(home)
        report = issued.verify()
    finally:
        home.close()
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason
    assert report.predicate is not None
    assert report.predicate["summary"][0].startswith("Der Antrag wurde abgelehnt")
    (finding,) = (f for f in report.predicate["findings"] if f["rule"] == "GDPR-12-4-REFUSE")
    assert "Der Antrag ging am " in finding["explanation"]


def html_of(facts: DocumentFacts) -> str:
    payload = statement_bytes(facts)
    return document_html(parse_statement(payload)["predicate"], str(Digest.of(payload)))


def made(facts: DocumentFacts) -> tuple[str, bytes]:
    payload = statement_bytes(facts)
    said, digest = parse_statement(payload)["predicate"], str(Digest.of(payload))
    return document_html(said, digest), render_certificate(said, digest, b"{}", "proof")


@IN_OTHERS
def test_a_document_in_another_language_shows_what_was_signed(locale: str) -> None:
    html, pdf = made(examples.in_language(examples.exact(), locale))
    verify_visible(pdf, html)
    english = html_of(examples.in_language(examples.exact(), "en"))
    with pytest.raises(InvalidCertificateError):
        verify_visible(pdf, english)
    with pikepdf.open(BytesIO(pdf)) as document:
        assert str(document.Root.Lang) == locale
        assert len(document.pages) <= 5
