"""The certificate as an HTML page, made from the signed predicate and nothing else.

The renderer prints this page and the offline verifier makes it again to compare, so nothing here
may know a clock, a configuration or a renderer. Templates are sandboxed and escape all values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from auditor.certificates import labels
from auditor.certificates.catalogue import language_of
from auditor.certificates.figure import influence_axis, qr_path, rosette
from auditor.domain.language import Language
from auditor.shipped import shipped

_TEMPLATE = "certificate.html.j2"
_MINUS = re.compile(r"(?<![\w-])-(?=[\d.]|inf)")
_ALGORITHM = re.compile(r"ML-DSA-\d+")
_DECIMAL = re.compile(r"[+−-]?\d+(\.\d+)?")
_IDLE_ZEROS = re.compile(r"(\.\d\d\d*?)0+(?!\d)")


def document_html(predicate: Mapping[str, Any], statement_digest: str) -> str:
    """The page of one document.

    Args:
        predicate: of a statement that `parse_statement` has read.
        statement_digest: ``sha256:...`` of the signed payload, printed and put in the QR code.
    """
    language = language_of(predicate["locale"])
    case = predicate["request"]["case"]
    side, path = qr_path(f"case {case}\n{statement_digest}")
    return template(language, _TEMPLATE).render(
        p=predicate,
        footer=footer(case, language),
        statement_digest=statement_digest,
        figure=influence_axis(predicate, language),
        inventory=_inventory(predicate["inventory"]),
        ornament=rosette(44, 5, 18) + rosette(34, 3, 12),
        qr={"side": side, "path": path},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What stands at the foot of every page, before its number and between that and their count."""

    before: str
    between: str


def footer(case: str, language: Language) -> Footer:
    """The foot of a case's pages."""
    return Footer(before=language.say("Case {case} · page", case=case), between=language.say("of"))


@cache
def shipped_text(name: str) -> str:
    """A shipped template or style sheet."""
    return (shipped("templates") / name).read_text(encoding="utf-8")


@cache
def template(language: Language, name: str) -> Template:
    """A shipped template, ready to be filled in one language; read and compiled once."""
    return environment(language).from_string(shipped_text(name))


def environment(language: Language) -> ImmutableSandboxedEnvironment:
    """Where templates are filled: sandboxed, escaping, in one language."""
    made = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(
        _=language.say,
        count=language.count,
        labels=labels,
        group_name=partial(labels.group, language),
    )
    made.filters.update(
        day=lambda text: language.day(date.fromisoformat(text)),
        decimal=partial(_decimal, language),
        grouped=_in_groups,
        groups=lambda names: ", ".join(
            labels.group(language, *name.split(" ", maxsplit=1)) for name in names
        ),
        label=language.say,
        minus=_minus,
        unbroken=_unbroken,
        word=lambda token, table: labels.word(language, table, token),
    )
    return made


def _inventory(artefacts: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Artefacts of one kind, fate and ground in one line, with their number."""
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for item in artefacts:
        review = item.get("review", "")
        key = (item["kind"], item["fate"], item["ground"], review)
        line = lines.setdefault(key, {**item, "review": review, "count": 0})
        line["count"] += 1
    return list(lines.values())


def _in_groups(digest: str) -> str:
    """A digest in groups of eight, so that a person can read it out.

    >>> _in_groups("sha256:0123456789abcdef")
    'sha256 01234567 89abcdef'
    """
    algorithm, _, value = digest.partition(":")
    groups = (value[start : start + 8] for start in range(0, len(value), 8))
    return " ".join((algorithm, *groups))


def _decimal(language: Language, value: object) -> str:
    """A decimal as it is printed: no idle zeros, the signs of the language and of print.

    >>> from auditor.domain.language import ENGLISH
    >>> [_decimal(ENGLISH, text) for text in ("-0.1300", "1.0000", 473, "layer4.1")]
    ['−0.13', '1.00', '473', 'layer4.1']
    """
    text = str(value)
    if not _DECIMAL.fullmatch(text):
        return text
    return language.decimals(_minus(_IDLE_ZEROS.sub(r"\1", text)))


def _minus(text: str) -> str:
    """With the minus sign that belongs in print.

    >>> _minus("-0.003 (-0.018 to +0.012)"), _minus("never-seen")
    ('−0.003 (−0.018 to +0.012)', 'never-seen')
    """
    return _MINUS.sub("−", text)


def _unbroken(text: str) -> Markup:
    """With the names of algorithms on one line.

    >>> _unbroken("<ML-DSA-65>")
    Markup('&lt;<span class="number">ML-DSA-65</span>&gt;')
    """
    return Markup(_ALGORITHM.sub(r'<span class="number">\g<0></span>', str(escape(text))))
