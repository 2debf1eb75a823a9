"""The signed report on a quarter: facts to statement (docs/quarter.md, field by field).

An in-toto Statement v1 whose subjects are the list of cases and the findings on each, as files
beside it. The statement itself holds counts alone, none of them small (`small_numbers`): it may
leave the house, the files may not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from auditor import __version__
from auditor.certificates import quarter_wording as words
from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import Parties, SealFacts
from auditor.certificates.small_numbers import LEAST, Cell, Part, linked, tells, told
from auditor.certificates.statement import STATEMENT_TYPE, read_canonical
from auditor.domain.artefact import Digest
from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.domain.language import Language
from auditor.errors import CertificateError
from auditor.proof.checkpoint import Checkpoint
from auditor.shipped import shipped

PREDICATE_TYPE = "urn:auditor:quarter-report:v1"
SCHEMA = "quarter-report-v1.schema.json"
CATALOGUE = "quarter"
STATE = "ledger.checkpoint"  # the attachment that holds the signed state reported on
FEWER = f"<{LEAST}"

_LATE = frozenset({"late"})
_OPEN: Part = ("outcomes", frozenset({"open"}))
_NO_LIMIT: Part = ("answers", frozenset({"no-limit"}))
_LINKS: tuple[tuple[Part, Part], ...] = (
    (_OPEN, ("flow", frozenset({"received", "carried-over"}))),
    (_NO_LIMIT, ("regimes", frozenset({"hipaa"}))),
    (_NO_LIMIT, ("outcomes", frozenset({"withdrawn"}))),
)
"""What two tables count alike: what isn't closed, and what no law sets a time limit to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A file that the report speaks of, by name and digest."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterFacts:
    """All that one report states.

    Attributes:
        quarter: as in 2026Q4; `first` and `last` are its days, both included.
        number: of the report on that quarter, from 1.
        issued: day of issue by UTC, as the days of the keys that sign.
        as_of: day on the controller's calendar by which it is told.
        ledger: the state that every case was read from.
        cases: the list of cases.
        findings: what was found on each.
        total: how many cases there are.
        tables: partitions of the cases by name: how many of them are what. Those of ``lateness``
            are the late ones only; ``standing`` has two rows, so that nothing can be told from it
            and another table together.
    """

    quarter: str
    first: date
    last: date
    number: int
    issued: date
    as_of: date
    locale: str
    parties: Parties
    ledger: Checkpoint
    cases: ReportFile
    findings: ReportFile
    total: int
    tables: Mapping[str, Mapping[str, int]]
    seal: SealFacts

    def __post_init__(self) -> None:
        """Refuse counts that don't add up, or a quarter that hasn't begun (CertificateError)."""
        late = self.tables["answers"].get("late", 0)
        for name, counts in self.tables.items():
            if sum(counts.values()) != (late if name == "lateness" else self.total):
                raise CertificateError(f"the counts of {name} don't add up to the cases there are")
            if unknown := set(counts) - set(words.ROWS):
                raise CertificateError(f"the report has no word for {min(unknown)}")
        if self.as_of < self.first:
            raise CertificateError("a quarter that hasn't begun can't be reported on")


def report_bytes(facts: QuarterFacts) -> bytes:
    """Canonical bytes of the statement."""
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": file.name, "digest": {file.digest.algorithm: file.digest.value}}
                for file in (facts.cases, facts.findings)
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": _predicate(facts),
        }
    )


def parse_report(payload: bytes) -> Mapping[str, Any]:
    """Read a statement, refusing whatever `report_bytes` couldn't have written.

    Raises:
        CertificateError: too large, not canonical JSON, another type, text that hides something,
            or a field missing, unknown or of another form.
    """
    statement = read_canonical(payload)
    fault = best_match(_schema().iter_errors(statement))
    if fault is not None:
        place = ".".join(map(str, fault.absolute_path))[:80] or "its fields"
        raise CertificateError(f"the statement is no report on a quarter: see {place}")
    return statement


def files_of(statement: Mapping[str, Any]) -> tuple[ReportFile, ...]:
    """The files that a statement `parse_report` has read speaks of: cases, then findings."""
    return tuple(
        ReportFile(name=each["name"], digest=Digest(value=each["digest"]["sha256"]))
        for each in statement["subject"]
    )


@cache
def _schema() -> Draft202012Validator:
    return Draft202012Validator(
        json.loads((shipped("templates") / SCHEMA).read_text(encoding="utf-8"))
    )


def _predicate(facts: QuarterFacts) -> dict[str, Canonical]:
    language = language_of(facts.locale, CATALOGUE)
    return {
        "quarter": facts.quarter,
        "first": facts.first.isoformat(),
        "last": facts.last.isoformat(),
        "number": facts.number,
        "issued": facts.issued.isoformat(),
        "asOf": facts.as_of.isoformat(),
        "locale": facts.locale,
        "software": f"auditor {__version__}",
        "controller": {
            "name": facts.parties.controller,
            "dataProtectionOfficer": facts.parties.dpo,
        },
        "ledger": {
            "origin": facts.ledger.origin,
            "size": facts.ledger.size,
            "root": facts.ledger.root.hex(),
        },
        "cases": _count(told(facts.total)),
        "late": "yes" if facts.tables["answers"].get("late", 0) else "no",
        "tables": [
            {"name": name, "rows": [_row(cell) for cell in cells]}
            for name, cells in _tables(facts).items()
            if cells
        ],
        "seal": {"level": facts.seal.level, "trustedTime": facts.seal.trusted_time},
        "summary": list(_summary(facts, language)),
        "completeness": language.say(
            words.COMPLETE, cases=facts.cases.name, findings=facts.findings.name
        ),
        "nonClaims": list(_non_claims(facts, language)),
    }


def _tables(facts: QuarterFacts) -> dict[str, tuple[Cell, ...]]:
    """The tables as they may be told; why answers were late only where how many were may be.

    None of fewer than `LEAST` cases: the mere names of its rows would tell of each.
    """
    cells = linked(facts.tables, _LINKS)
    told_late = tells(cells["answers"], _LATE)
    return {
        name: each
        for name, each in cells.items()
        if sum(facts.tables[name].values()) >= LEAST and (told_late or name != "lateness")
    }


def _row(cell: Cell) -> Canonical:
    return {"names": list(cell.names), "count": _count(cell.count)}


def _count(count: int | None) -> str:
    return FEWER if count is None else str(count)


def _summary(facts: QuarterFacts, language: Language) -> Iterable[str]:
    say = language.say
    yield say(words.COVERS, first=facts.first, last=facts.last, issued=facts.as_of)
    if facts.as_of <= facts.last:
        yield say(words.NOT_OVER)
    total = told(facts.total)
    if total == 0:
        yield say(words.NO_CASE)
        return
    yield say(words.FEW_CASES, least=LEAST) if total is None else say(words.CASES, cases=total)
    answers = facts.tables["answers"]
    late, unanswered = answers.get("late", 0), answers.get("unanswered", 0)
    why_told = "lateness" in _tables(facts)
    some_late = say(words.SOME_LATE) if why_told else say(words.SOME_LATE_UNTOLD)
    if late:
        yield some_late
    if unanswered:
        yield say(words.SOME_UNANSWERED)
    if not (late or unanswered or answers.get("for-a-person", 0)):
        yield say(words.NONE_LATE)
    if facts.tables.get("standing", {}).get("no-longer-vouched-for", 0):
        yield say(words.SOME_NOT_VOUCHED_FOR)
    yield say(words.SUPPRESSED, least=LEAST)


def _non_claims(facts: QuarterFacts, language: Language) -> Iterable[str]:
    yield from map(language.say, words.NON_CLAIMS)
    if facts.seal.trusted_time == "none":
        yield language.say(words.NO_TRUSTED_TIME)
