"""Letters: whole in every language, true to the case, and nobody's name on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from string import Formatter

import pikepdf
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from pypdf import PdfReader

from auditor.certificates import letter as letters
from auditor.certificates import letter_wording as words
from auditor.certificates.catalogue import LOCALES, language_of
from auditor.certificates.letter import (
    CATALOGUE,
    Ending,
    Kept,
    LetterFacts,
    Sender,
    has_rights,
    letter_html,
    letter_of,
    letter_pdf,
    letter_text,
)
from auditor.domain.language import Language
from auditor.domain.request import DecisionReason, LetterKind, Outcome, PauseReason, Regime
from auditor.domain.verdict import Basis
from auditor.errors import CertificateError
from auditor.shipped import shipped
from auditor.workflow.desk.rules import _EXTENSIONS, _REFUSALS
from tests.certificates.conformance import shortcomings
from tests.certificates.messages import constants, in_template, said
from tests.certificates.test_languages import Marking, unmarked

SENDER = Sender(
    controller="Klinikum Lindenau",
    dpo="Dr. Kowalczyk",
    address=("Am Alten Park 3", "04177 Leipzig"),
    contact=("datenschutz@lindenau.example",),
    authority=("Die Aufsicht", "Am Ring 7"),
)
KEPT = (
    Kept(what="training-data", why="medical-record-retention", review=date(2030, 2, 1)),
    Kept(what="request-payload", why="gdpr-5-2-accountability"),
)
ENDINGS = {
    "exact": Ending(outcome=Outcome.CERTIFIED, basis=Basis.EXACT, kept=KEPT),
    "statistical": Ending(
        outcome=Outcome.CERTIFIED, basis=Basis.STATISTICAL_COHORT, margin=0.35, kept=KEPT
    ),
    "individual": Ending(
        outcome=Outcome.CERTIFIED, basis=Basis.STATISTICAL_INDIVIDUAL, margin=0.35
    ),
    "not tried": Ending(outcome=Outcome.NOT_ERASED, tried=False),
    "settled before": Ending(outcome=Outcome.NOTHING_TO_UNLEARN, earlier=("0123456789abcdef",)),
    **{outcome.value: Ending(outcome=outcome) for outcome in words.OUTCOMES},
}


def facts(kind: LetterKind, locale: str = "en", **changes: object) -> LetterFacts:
    made = LetterFacts(
        kind=LetterKind.ACKNOWLEDGED,
        locale=locale,
        sender=SENDER,
        case="0123456789abcdef",
        regime=Regime.GDPR,
        received=date(2027, 1, 31),
        written=date(2027, 2, 2),
        due=date(2027, 3, 1),
        restricted=date(2027, 2, 1),
    )
    if kind is LetterKind.REFUSED:
        changes = {"reason": DecisionReason.RESEARCH, **changes}
    if kind is LetterKind.CLOSED:
        changes = {"ending": ENDINGS["statistical"], **changes}
    return replace(made, kind=kind, **changes)  # type: ignore[arg-type]  # of many types


def every_letter(locale: str) -> Iterator[LetterFacts]:
    """One of each that the desk can write, by law, reason and ending."""
    for regime in Regime:
        for kind in LetterKind:
            yield facts(kind, locale, regime=regime)
        for reason in _REFUSALS[regime]:
            yield facts(
                LetterKind.REFUSED, locale, regime=regime, reason=reason, review=date(2028, 1, 1)
            )
        for reason in _EXTENSIONS:
            yield facts(LetterKind.EXTENDED, locale, regime=regime, reason=reason)
        for ending in ENDINGS.values():
            yield facts(LetterKind.CLOSED, locale, regime=regime, ending=ending)
    yield facts(LetterKind.ACKNOWLEDGED, locale, doubted=True)
    for paused in PauseReason:
        yield facts(LetterKind.ACKNOWLEDGED, locale, regime=Regime.UK_GDPR, paused=paused)
    yield facts(LetterKind.RESTRICTION_LIFTED, locale, lifted=date(2027, 2, 2))


def own_catalogue(locale: str) -> Catalog:
    with (shipped("templates") / "messages" / CATALOGUE / f"{locale}.po").open("rb") as file:
        return read_po(file, locale=locale)


def messages() -> set[str]:
    found = {*constants(words), *in_template("letter.html.j2")}
    for module in (letters, words):
        found |= {*said(Path(str(module.__file__)))}
    assert all(isinstance(message, str) for message in found)
    return {str(message) for message in found}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("locale", [each for each in LOCALES if each != "en"])
def test_every_message_has_its_translation(locale: str) -> None:
    language = language_of(locale, CATALOGUE)
    own = {item.id: item for item in own_catalogue(locale) if item.id}
    for message in messages():
        sought = own[message].string if message in own else language.say(message)
        if not re.fullmatch(r"\d+ CFR .*|Cal\. .*|\{what\}: \{why\}", message):
            assert sought != message, message
    assert {item for item in own if item not in messages()} == set()
    for message, item in own.items():
        assert item.string.strip() and not item.fuzzy, message
        assert places(item.string) == places(message), message
        assert item.string.endswith(".") == message.endswith("."), message
        assert item.string.replace("\u00a0", " ").isprintable(), message


def test_every_word_comes_through_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    marking = Language(locale="en", translations=Marking())
    monkeypatch.setattr(letters, "language_of", lambda *_: marking)
    for made in every_letter("en"):
        left = unmarked(letter_text(letter_of(made)))
        for line in (*SENDER.address, *SENDER.contact, *SENDER.authority):
            left = left.replace(line, "")
        left = left.replace(SENDER.controller, "").replace(SENDER.dpo, "").replace(made.case, "")
        assert re.findall(r"[^\W\d_]+", left) == [], made.kind


@pytest.mark.parametrize("locale", LOCALES)
def test_letters_are_plain_and_promise_nothing(locale: str) -> None:
    seen = set()
    for made in every_letter(locale):
        text = letter_text(letter_of(made))
        assert not re.search(r"[{}]|complian|anonym|guarant|garant|gelöscht", text, re.IGNORECASE)
        assert max(map(len, text.splitlines())) <= 76
        assert made.case in text or made.kind is LetterKind.RECIPIENT_NOTICE
        seen.add(text)
    assert len(seen) > 40


@pytest.mark.parametrize("kind", LetterKind)
def test_only_letters_by_which_less_is_done_name_authority_and_court(kind: LetterKind) -> None:
    text = " ".join(letter_text(letter_of(facts(kind))).split())
    rights = kind in (LetterKind.REFUSED, LetterKind.CLOSED)
    assert has_rights(kind) == rights
    for named in ("Die Aufsicht", "Article 77 GDPR", "Article 79 GDPR"):
        assert (named in text) == rights


def test_a_time_limit_is_the_one_that_runs_and_none_where_none_does() -> None:
    for kind in (LetterKind.ACKNOWLEDGED, LetterKind.GRANTED, LetterKind.EXTENDED):
        assert "by 1 March 2027" in letter_text(letter_of(facts(kind)))
        assert "at the latest" not in letter_text(letter_of(facts(kind, due=None)))
    for kind in set(LetterKind) - {
        LetterKind.ACKNOWLEDGED,
        LetterKind.GRANTED,
        LetterKind.EXTENDED,
    }:
        assert "March 2027" not in letter_text(letter_of(facts(kind)))


def test_while_the_clock_stands_still_a_letter_asks_and_promises_no_day() -> None:
    texts = set()
    for paused in PauseReason:
        made = facts(LetterKind.ACKNOWLEDGED, regime=Regime.UK_GDPR, paused=paused)
        texts.add(letter_text(letter_of(made)))
        assert "at the latest" not in letter_text(letter_of(made))
    assert len(texts) == len(PauseReason)
    asked = letter_text(letter_of(facts(LetterKind.ACKNOWLEDGED, doubted=True)))
    assert "was you who asked" in asked


def test_a_refusal_gives_reason_provision_and_review() -> None:
    made = facts(LetterKind.REFUSED, reason=DecisionReason.LEGAL_CLAIMS, review=date(2028, 1, 1))
    text = " ".join(letter_text(letter_of(made)).split())
    assert "establish, exercise or defend legal claims" in text
    assert "Article 17(3)(e) GDPR" in text and "by 1 January 2028" in text
    british = letter_of(replace(made, regime=Regime.UK_GDPR))
    assert "Article 17(3)(e) UK GDPR" in letter_text(british)


def test_a_closing_letter_says_no_more_than_the_verdict() -> None:
    texts = {
        name: " ".join(letter_text(letter_of(facts(LetterKind.CLOSED, ending=ending))).split())
        for name, ending in ENDINGS.items()
    }
    unseen = [name for name, text in texts.items() if "can go unseen among the others" in text]
    assert unseen == ["statistical"] and "Up to 35 %" in texts["individual"]
    assert "We tried" in texts["not-erased"] and "We tried" not in texts["not tried"]
    assert "is not settled by that" in texts["not tried"]
    assert "Up to 35 %" in texts["statistical"] and "bit for bit" not in texts["statistical"]
    assert "bit for bit" in texts["exact"] and "%" not in texts["exact"]
    assert "no certificate is issued" in texts["not-erased"]
    assert "nothing for it to forget" in texts["nothing-to-unlearn"]
    before = texts["settled before"]  # an ancestor of the model was trained on them
    assert "By our records" in before and "of case 0123456789abcdef" in before
    assert "for it to forget" not in before  # its certificate may leave up to a margin
    assert "was not measured" not in before
    for name, text in texts.items():
        stays = "the medical record must be kept; looked at again on 1 February 2030" in text
        assert stays == (name in ("exact", "statistical"))


def test_a_restriction_is_about_to_be_lifted_or_was() -> None:
    ahead = letter_text(letter_of(facts(LetterKind.RESTRICTION_LIFTED)))
    behind = letter_text(letter_of(facts(LetterKind.RESTRICTION_LIFTED, lifted=date(2027, 2, 2))))
    assert "before we do" in ahead and "lifted on" not in ahead
    assert "lifted on 2 February 2027" in behind and "before we do" not in behind


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.silent += tag in ("style", "title")
        self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        self.text += "" if self.silent else data


def words_of(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text))


@pytest.mark.parametrize("locale", LOCALES)
def test_page_and_text_say_the_same(locale: str) -> None:
    for made in every_letter(locale):
        letter = letter_of(made)
        reader = Seen()
        reader.feed(letter_html(letter))
        case = language_of(locale, CATALOGUE).say("Case")
        assert words_of(reader.text) == sorted([*words_of(letter_text(letter)), case])


@pytest.mark.parametrize("locale", LOCALES)
def test_a_letter_is_an_accessible_pdf_of_one_page_and_its_bytes_stay(locale: str) -> None:
    letter = letter_of(facts(LetterKind.REFUSED, locale, review=date(2028, 1, 1)))
    pdf = letter_pdf(letter)
    assert pdf == letter_pdf(letter)
    assert shortcomings(pdf) == ["no figure at all"]  # a letter has none
    with pikepdf.open(BytesIO(pdf)) as document:
        assert str(document.Root.Lang) == locale
        assert len(document.pages) == 1
    drawn = PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert letter.subject in drawn and letter.case in drawn


def test_what_is_handed_in_is_escaped_and_fetches_nothing() -> None:
    sender = replace(SENDER, address=('<img src="http://127.0.0.1:9/x">', "{{ 7 * 7 }}"))
    html = letter_html(letter_of(replace(facts(LetterKind.GRANTED), sender=sender)))
    assert "<img" not in html and "{{ 7 * 7 }}" in html
    assert letter_pdf(letter_of(replace(facts(LetterKind.GRANTED), sender=sender)))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (LetterKind.REFUSED, {"reason": DecisionReason.NONE}),
        (LetterKind.REFUSED, {"sender": replace(SENDER, authority=())}),
        (LetterKind.CLOSED, {"ending": None}),
        (LetterKind.RESTRICTION_LIFTED, {"restricted": None}),
    ],
)
def test_a_letter_without_what_it_is_about_is_none(
    kind: LetterKind, changes: dict[str, object]
) -> None:
    with pytest.raises(CertificateError):
        facts(kind, "en", **changes)


def test_a_sender_is_printable() -> None:
    with pytest.raises(CertificateError):
        replace(SENDER, address=("two\nlines",))
    with pytest.raises(CertificateError):
        language_of("it", CATALOGUE)
