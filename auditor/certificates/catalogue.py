"""The message catalogues that documents are worded by: templates/messages/*.po (GNU gettext).

They are read as they are written, so what a translator changes holds at once, in a working copy as
in an installed package. Like the template, a catalogue belongs to a template's version and isn't
changed once that is released: a verifier words the page anew by it.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations
from io import BytesIO

from auditor.domain.language import ENGLISH, Language
from auditor.errors import CertificateError
from auditor.shipped import shipped

LOCALES = ("en", "de", "fr", "es")


@cache
def language_of(locale: str, paper: str = "") -> Language:
    """A language by its tag.

    Args:
        locale: BCP 47.
        paper: a kind of paper with a catalogue of its own, which is looked into before that of
            certificates and records.

    Raises:
        CertificateError: documents aren't written in it.
    """
    if locale not in LOCALES:
        raise CertificateError(f"documents are written in {', '.join(LOCALES)} only")
    if locale == ENGLISH.locale:
        return ENGLISH
    translations = _catalogue(f"{locale}.po", locale)
    if paper:
        own = _catalogue(f"{paper}/{locale}.po", locale)
        own.add_fallback(translations)
        translations = own
    return Language(locale=locale, translations=translations)


def _catalogue(name: str, locale: str) -> GNUTranslations:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = shipped("templates") / "messages" / name
    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=locale))
    compiled.seek(0)
    return GNUTranslations(compiled)


def percent(share: float, language: Language) -> str:
    """A share as a percentage without needless digits.

    >>> percent(0.35, language_of("en")), percent(0.1254, language_of("de"))
    ('35 %', '12,54 %')
    """
    return language.decimals(f"{100 * share:.2f}".rstrip("0").rstrip(".")) + " %"
