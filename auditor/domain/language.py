"""The language a document is worded in.

The code says everything in English; a catalogue (gettext) says the same in another language. What
is worded here is signed, so nothing depends on a clock or on the machine's own language.

    german = language_of("de")        # certificates/catalogue.py reads the catalogues
    german.say("Up to {share} of it", share="35 %")
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from gettext import NullTranslations

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language: its tag (BCP 47) and its catalogue."""

    locale: str = "en"
    translations: NullTranslations = field(default_factory=NullTranslations)

    def say(self, message: str, **values: object) -> str:
        """A message in this language, its named places filled; days are written out.

        >>> ENGLISH.say("received on {day}", day=date(2027, 3, 1))
        'received on 1 March 2027'
        """
        text = self.translations.gettext(message)
        return text.format(**self._written(values)) if values else text

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """The form of a message that belongs to a number, which it may name as ``{count}``.

        >>> [ENGLISH.count("{count} person", "{count} persons", number) for number in (1, 2)]
        ['1 person', '2 persons']
        """
        text = self.translations.ngettext(one, many, number)
        return text.format(count=number, **self._written(values))

    def day(self, day: date) -> str:
        """A day as people write it."""
        month = self.say(MONTHS[day.month - 1])
        if day.day == 1:
            return self.say("1 {month} {year}", month=month, year=day.year)
        return self.say("{day} {month} {year}", day=day.day, month=month, year=day.year)

    def decimals(self, text: str) -> str:
        """A decimal as it is written: with this language's mark."""
        return text.replace(".", self.translations.pgettext("decimal mark", "."))

    def _written(self, values: dict[str, object]) -> dict[str, object]:
        return {
            name: self.day(value) if isinstance(value, date) else value
            for name, value in values.items()
        }


ENGLISH = Language()
