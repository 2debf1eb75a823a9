"""The report on a quarter as a page, made from the signed statement and nothing else.

The verifier makes it again to compare, so nothing here knows a clock, a setting or a renderer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.certificates import quarter_wording as words
from auditor.certificates.catalogue import language_of
from auditor.certificates.figure import rosette
from auditor.certificates.page import Footer, template
from auditor.certificates.quarter import CATALOGUE, FEWER, files_of
from auditor.certificates.small_numbers import LEAST
from auditor.domain.language import Language

_TEMPLATE = "quarter.html.j2"


def report_html(statement: Mapping[str, Any], statement_digest: str) -> str:
    """The page of one report.

    Args:
        statement: that `parse_report` has read.
        statement_digest: ``sha256:...`` of the signed payload.
    """
    predicate = statement["predicate"]
    language = language_of(predicate["locale"], CATALOGUE)
    quarter = predicate["quarter"]
    return template(language, _TEMPLATE).render(
        p=predicate,
        files=files_of(statement),
        footer=Footer(
            before=language.say("Quarter {quarter} · page", quarter=quarter),
            between=language.say("of"),
        ),
        title=language.say(words.TITLE),
        tables=[
            {
                "title": language.say(words.TABLES[table["name"]]),
                "rows": [_row(row, language) for row in table["rows"]],
            }
            for table in predicate["tables"]
        ],
        statement_digest=statement_digest,
        ornament=rosette(44, 5, 18) + rosette(34, 3, 12),
    )


def _row(row: Mapping[str, Any], language: Language) -> dict[str, str]:
    count = row["count"]
    few = language.say("fewer than {least}", least=LEAST)
    return {"what": _joined(row["names"], language), "count": few if count == FEWER else count}


def _joined(names: Sequence[str], language: Language) -> str:
    """Names that are counted together."""
    listed = [language.say(words.ROWS[name]) for name in names]
    if len(listed) == 1:
        return listed[0]
    return language.say("together: {names}", names="; ".join(listed))
