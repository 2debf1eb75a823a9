"""Letters of the desk: facts to words, words to a page or to plain text.

letter = letter_of(facts)          # what it says, in the language of the facts
letter_text(letter)                # as plain text
letter_html(letter)                # as a page, which `render.print_page` prints
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from auditor.certificates import labels
from auditor.certificates import letter_wording as words
from auditor.certificates.catalogue import language_of, percent
from auditor.certificates.facts import require_printable
from auditor.certificates.page import template
from auditor.certificates.wording import HIPAA_BANNER
from auditor.domain.language import Language
from auditor.domain.request import DecisionReason, LetterKind, Outcome, PauseReason, Regime
from auditor.domain.verdict import Basis
from auditor.errors import CertificateError

CATALOGUE = "letters"

_TEMPLATE = "letter.html.j2"
_STYLE = "letter.css"
_COLUMNS = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who writes: the controller (Art. 4(7) GDPR) as its settings name it, line by line.

    Attributes:
        dpo: who signs.
        contact: how the data protection officer is reached (Art. 13(1)(b) GDPR).
        authority: that complaints go to (Art. 77 GDPR).
    """

    controller: str
    dpo: str
    address: tuple[str, ...]
    contact: tuple[str, ...]
    authority: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what can't be printed as what it is (CertificateError)."""
        for line in (self.controller, self.dpo, *self.address, *self.contact, *self.authority):
            require_printable("a line of the sender", line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Copies that stay: tokens of what and why, and the day of review where there is one."""

    what: str
    why: str
    review: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a case ended, as its signed document says.

    Attributes:
        margin: of residual influence, a share; None where the basis isn't statistical.
        tried: a method was run.
        earlier: cases in which the request, or part of it, was settled before.
    """

    outcome: Outcome
    basis: Basis = Basis.NONE
    margin: float | None = None
    tried: bool = True
    earlier: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFacts:
    """All that one letter rests on. No name or address of the person it goes to.

    Attributes:
        written: the day on the letter.
        due: last day of the time limit that runs, None where none does.
        reason: of the refusal or the extension.
        review: day by which an exemption is looked at again.
        doubted: the identity of whoever asked isn't established.
        paused: what the clock stands still for (Art. 12A UK GDPR); None where it runs.
        restricted: since when processing is, or was, restricted.
        lifted: when that ended; None before.
        ending: of a closed case.
    """

    kind: LetterKind
    locale: str
    sender: Sender
    case: str
    regime: Regime
    received: date
    written: date
    due: date | None = None
    reason: DecisionReason = DecisionReason.NONE
    review: date | None = None
    doubted: bool = False
    paused: PauseReason | None = None
    restricted: date | None = None
    lifted: date | None = None
    ending: Ending | None = None

    def __post_init__(self) -> None:
        """Refuse a letter without what it is about (CertificateError)."""
        if self.kind is LetterKind.CLOSED and self.ending is None:
            raise CertificateError("a closing letter says how the case ended")
        if self.kind is LetterKind.RESTRICTION_LIFTED and self.restricted is None:
            raise CertificateError("there is no restriction that could be lifted")
        if self.kind is LetterKind.REFUSED and self.reason not in words.REASONS:
            raise CertificateError("a refusal gives its reason (Article 12(4) GDPR)")
        if has_rights(self.kind) and not self.sender.authority:
            raise CertificateError("this letter names the authority that complaints go to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a letter says, worded.

    Attributes:
        listed: items under the last of `paragraphs`; may be empty.
        authority: lines under the last of `after`; may be empty.
        closing: paragraphs after those.
    """

    locale: str
    sender: Sender
    case: str
    written: date
    day: str
    subject: str
    salutation: str
    paragraphs: tuple[str, ...]
    listed: tuple[str, ...]
    after: tuple[str, ...]
    authority: tuple[str, ...]
    closing: tuple[str, ...]
    reach: str
    farewell: str
    office: str


def has_rights(kind: LetterKind) -> bool:
    """Whether a letter tells where to complain: one by which less may be done than was asked."""
    return kind in (LetterKind.REFUSED, LetterKind.CLOSED)


def letter_of(facts: LetterFacts) -> Letter:
    """The letter in words.

    Raises:
        CertificateError: letters aren't written in that language.
    """
    language = language_of(facts.locale, CATALOGUE)
    say, rights = language.say, has_rights(facts.kind)
    enclosed = facts.ending is not None
    return Letter(
        locale=facts.locale,
        sender=facts.sender,
        case=facts.case,
        written=facts.written,
        day=language.day(facts.written),
        subject=say(words.SUBJECTS[facts.kind]),
        salutation=say(words.SALUTATION),
        paragraphs=tuple(_body(facts, language)),
        listed=tuple(_kept(facts, language)),
        after=(
            *((say(words.ENCLOSED),) if enclosed else ()),
            *((say(words.COMPLAINT[facts.regime]),) if rights else ()),
        ),
        authority=facts.sender.authority if rights else (),
        closing=(say(words.REMEDY[facts.regime]),) if rights else (),
        reach=say(words.CONTACT),
        farewell=say(words.FAREWELL),
        office=say("Data protection officer"),
    )


def letter_text(letter: Letter) -> str:
    """The letter as plain text, in lines of at most 76 columns."""
    sender = letter.sender
    blocks = (
        "\n".join((sender.controller, *sender.address)),
        letter.day,
        f"{letter.subject} ({letter.case})",
        letter.salutation,
        *map(_filled, letter.paragraphs),
        "\n".join(_filled(item, first="- ", other="  ") for item in letter.listed),
        *map(_filled, letter.after),
        textwrap.indent("\n".join(letter.authority), "    "),
        *map(_filled, letter.closing),
        letter.reach + "\n" + textwrap.indent("\n".join(sender.contact), "    "),
        letter.farewell,
        f"{sender.dpo}\n{letter.office}",
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def letter_html(letter: Letter) -> str:
    """The letter as a page."""
    return template(language_of(letter.locale, CATALOGUE), _TEMPLATE).render(letter=letter)


def letter_pdf(letter: Letter) -> bytes:
    """The page as PDF/A-3a and PDF/UA-1; the same letter always gives the same bytes.

    Raises:
        CertificateError: the page can't be drawn.
    """
    from auditor.certificates.render import print_page

    html = letter_html(letter)
    return print_page(html, style=_STYLE, issued=letter.written, identifier=html.encode("utf-8"))


def _filled(text: str, first: str = "", other: str = "") -> str:
    return textwrap.fill(
        text,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _body(facts: LetterFacts, language: Language) -> Iterator[str]:
    say = language.say
    if facts.kind is LetterKind.RECIPIENT_NOTICE:
        yield from map(say, words.NOTICE)
        yield from _provision(words.RECIPIENTS.get(facts.regime), language)
        return
    received = say(words.RECEIVED[facts.regime], received=facts.received)
    yield f"{received} {say(words.ASKED)}"
    if facts.regime is Regime.HIPAA:
        yield say(HIPAA_BANNER)
    match facts.kind:
        case LetterKind.ACKNOWLEDGED:
            yield say(words.NUMBER, case=facts.case)
            yield from map(say, _waited_for(facts))
            if facts.restricted is not None and facts.lifted is None:
                yield say(words.RESTRICTED)
            yield from _due(facts, language)
        case LetterKind.GRANTED:
            yield from map(say, words.GRANTED)
            yield from _due(facts, language)
        case LetterKind.EXTENDED:
            reason = words.REASONS.get(facts.reason)
            yield " ".join(map(say, filter(None, (words.EXTENDED, reason))))
            yield from _due(facts, language)
            yield from _provision(words.CITATIONS.get((facts.regime, facts.reason)), language)
        case LetterKind.REFUSED:
            yield f"{say(words.REFUSED)} {say(words.REASONS[facts.reason])}"
            if facts.review is not None:
                yield say(words.REVIEW, review=facts.review)
            yield from _provision(words.CITATIONS.get((facts.regime, facts.reason)), language)
        case LetterKind.CLOSED:
            yield from _ending(facts, language)
        case LetterKind.RESTRICTION_LIFTED:
            yield say(words.WAS_RESTRICTED, since=facts.restricted)
            lifted = facts.lifted
            yield say(words.LIFTING) if lifted is None else say(words.LIFTED, lifted=lifted)
            yield from _provision(words.RESTRICTION.get(facts.regime), language)


def _waited_for(facts: LetterFacts) -> Iterator[str]:
    """What has to come from the person first."""
    if facts.doubted or facts.paused is PauseReason.IDENTITY:
        yield words.IDENTITY
    if facts.paused is PauseReason.CLARIFICATION:
        yield words.CLARIFICATION
    if facts.paused is PauseReason.FEE:
        yield words.FEE


def _due(facts: LetterFacts, language: Language) -> Iterator[str]:
    if facts.due is not None and facts.paused is None:  # a day that moves is no promise
        yield language.say(words.DUE, due=facts.due)


def _provision(citation: str | None, language: Language) -> Iterator[str]:
    if citation is not None:
        yield language.say(words.PROVISION, citation=language.say(citation))


def _ending(facts: LetterFacts, language: Language) -> Iterator[str]:
    ending = facts.ending
    if ending is None:
        return
    if ending.outcome is Outcome.NOT_ERASED and not ending.tried:
        yield from map(language.say, words.NOT_TRIED)
    elif ending.outcome is Outcome.NOTHING_TO_UNLEARN and ending.earlier:
        yield from map(language.say, words.NOTHING_MORE)
    elif ending.outcome is not Outcome.CERTIFIED:
        yield from map(language.say, words.OUTCOMES[ending.outcome])
    elif ending.basis is Basis.EXACT:
        yield from map(language.say, words.EXACT)
    elif ending.margin is not None:
        margin = percent(ending.margin, language)
        yield from (language.say(line, margin=margin) for line in words.STATISTICAL)
        if ending.basis is Basis.STATISTICAL_COHORT:
            yield language.say(words.OF_SEVERAL)
    if ending.earlier:
        yield language.say(words.EARLIER, cases=", ".join(ending.earlier))
    if ending.kept:
        yield language.say(words.RETAINED)


def _kept(facts: LetterFacts, language: Language) -> Iterator[str]:
    for item in () if facts.ending is None else facts.ending.kept:
        what = labels.word(language, labels.ARTEFACTS, item.what)
        why = labels.word(language, labels.REASONS, item.why)
        if item.review is None:
            yield language.say(words.RETAINED_ONE, what=what, why=why)
        else:
            yield language.say(words.RETAINED_UNTIL, what=what, why=why, review=item.review)
