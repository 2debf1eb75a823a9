"""The certificate as an HTML page, made from the signed predicate and nothing else.

The renderer prints this page and the offline verifier makes it again to compare, so nothing here
may know a clock, a configuration or a renderer. Templates are sandboxed and escape all values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from auditor.certificates import labels
from auditor.certificates.figure import influence_axis, qr_path, rosette
from auditor.shipped import shipped

_TEMPLATE = "certificate.html.j2"
_STYLE = "certificate.css"
_MINUS = re.compile(r"(?<![\w-])-(?=[\d.]|inf)")
_IDLE_ZEROS = re.compile(r"(\.\d\d\d*?)0+(?!\d)")


def document_html(predicate: Mapping[str, Any], statement_digest: str) -> str:
    """The page of one document.

    Args:
        predicate: of a statement that `parse_statement` has read.
        statement_digest: ``sha256:...`` of the signed payload, printed and put in the QR code.
    """
    case = predicate["request"]["case"]
    templates = shipped("templates")
    environment = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(grouped=_in_groups, signed=_signed, words=labels.words)
    template = environment.from_string((templates / _TEMPLATE).read_text(encoding="utf-8"))
    side, path = qr_path(f"case {case}\n{statement_digest}")
    return template.render(
        p=predicate,
        labels=labels,
        style=(templates / _STYLE).read_text(encoding="utf-8"),
        footer=footer_label(case),
        statement_digest=statement_digest,
        figure=influence_axis(predicate),
        inventory=_inventory(predicate["inventory"]),
        ornament=rosette(44, 5, 18) + rosette(34, 3, 12),
        qr={"side": side, "path": path},
    )


def footer_label(case: str) -> str:
    """What stands at the foot of every page, before its number."""
    return f"Case {case}"


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


def _signed(decimal: object) -> str:
    """Decimals as they are printed: no idle zeros, and the minus sign that belongs in print.

    >>> _signed("-0.1300"), _signed("1.0000"), _signed("-0.003 [-0.018, +0.012]")
    ('−0.13', '1.00', '−0.003 [−0.018, +0.012]')
    >>> _signed("never-seen")
    'never-seen'
    """
    return _MINUS.sub("−", _IDLE_ZEROS.sub(r"\1", str(decimal)))
