"""Qualifications on the books: begun, ended, and which of them is current. Needs no engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from auditor.certificates.run_facts import CitedQualification
from auditor.certificates.signatures import PERFORMER, signed_by
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.qualification import Profile, Qualification
from auditor.errors import ProofError, TamperedError
from auditor.learning.store import destroy_file
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, load_case, model_stream, record

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:auditor:method-qualification:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What verdicts are reached by, see `auditor.verification.plan.Plan`."""

    margin: float
    alpha: float
    required_power: float


def begin(
    home: Home, model: str, weights: Digest, method: str, profile: Profile
) -> ev.QualificationStarted:
    """The qualification under way, or a new one; that it was begun is on the books first."""
    started: list[ev.QualificationStarted] = []
    ended: set[int] = set()
    for item in home.ledger.replay(model_stream(model)):
        match item.event:
            case ev.QualificationStarted(method=name) as event if name == method:
                started.append(event)
            case ev.MethodQualified(method=name, number=number) if name == method:
                ended.add(number)
    if started and started[-1].number not in ended:
        last = started[-1]
        if (last.weights, last.profile) == (weights, profile):
            return last
    event = ev.QualificationStarted(
        model=model, weights=weights, method=method, profile=profile, number=len(started) + 1
    )
    record(home, model_stream(model), event, f"qualification-{method}-{event.number}")
    return event


def enter(home: Home, report: Qualification) -> ev.MethodQualified:
    """Sign the report, keep it and put its digest on the books."""
    event = ev.MethodQualified(
        model=report.model,
        weights=report.weights,
        recipe=report.recipe,
        commitment=report.data,
        method=report.method,
        profile=report.profile,
        number=report.number,
        code=report.code,
        report=home.store.put(_signed(home, report)),
        shortfalls=report.shortfalls,
        valid_until=report.valid_until,
    )
    record(home, model_stream(report.model), event, f"qualified-{report.method}-{report.number}")
    return event


def _signed(home: Home, report: Qualification) -> bytes:
    """A DSSE envelope round an in-toto statement about the weights in service."""
    statement = canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {
                    "name": f"{report.model}/weights",
                    "digest": {report.weights.algorithm: report.weights.value},
                }
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": plain(report),
        }
    )
    return sign_envelope(PAYLOAD_TYPE, statement, home.statement_signers)


def read_report(home: Home, report: Digest) -> Qualification:
    """A signed report from the store, its signatures checked.

    Raises:
        TamperedError: what is stored isn't a report of this home.
        ProofError: a signature doesn't hold, or its key is revoked.
    """
    envelope = home.store.get(report)
    keys = signed_by(envelope, home.trust, PERFORMER)  # they may have been rotated since
    statement = json.loads(verify_envelope(envelope, [key.verifier() for key in keys]).payload)
    if statement["predicateType"] != PREDICATE_TYPE:
        raise TamperedError(f"{report} is no report of a qualification")
    return typed(Qualification, statement["predicate"])


def find_current(
    home: Home,
    model: str,
    method: str,
    *,
    recipe: Digest,
    data: Digest,
    code: Digest,
    terms: Terms,
    today: date,
) -> ev.MethodQualified | None:
    """The qualification that a verdict on a cohort may rest on.

    It is the method's last one for this recipe and data, it found no shortfall, the code that
    decides is still the same, its period isn't over, and it was tried by the same terms.

    Args:
        terms: of the verdict. A wider margin shows nothing of what the method leaves within a
            narrower one, nor a narrower one of the fakes that pass a wider; a report that asked for
            less power allowed for a laboratory that sees less.

    Raises:
        LedgerError, TamperedError: the report isn't in the store as it was signed.
    """
    found = [
        item.event
        for item in home.ledger.replay(model_stream(model))
        if isinstance(item.event, ev.MethodQualified)
        and (item.event.method, item.event.recipe, item.event.commitment) == (method, recipe, data)
    ]
    if not found:
        return None
    last = found[-1]
    current = not last.shortfalls and last.code == code and today <= last.valid_until
    return last if current and _tried_by(home, last.report, terms) else None


def cite(home: Home, model: str, report: Digest) -> CitedQualification:
    """A report as a certificate cites it: which one it was, and how many before it fell short.

    Raises:
        TamperedError: the model's stream doesn't name it.
    """
    ended = [
        item.event
        for item in home.ledger.replay(model_stream(model))
        if isinstance(item.event, ev.MethodQualified)
    ]
    for cited in ended:
        if cited.report == report:
            sound = {
                item.number
                for item in ended
                if item.method == cited.method
                and item.number < cited.number
                and not item.shortfalls
            }
            short = cited.number - 1 - len(sound)
            return CitedQualification(report=report, number=cited.number, short=short)
    raise TamperedError(f"{report} is on no book of the model's qualifications")


def _tried_by(home: Home, report: Digest, terms: Terms) -> bool:
    try:
        tried = read_report(home, report)
    except ProofError:  # its key was revoked: nobody vouches for it any more
        return False
    same = (tried.margin, tried.alpha) == (terms.margin, terms.alpha)
    return same and tried.required_power >= terms.required_power


def requested_patients(home: Home, model: str) -> frozenset[str]:
    """Ids that any request about the model names; they are never surrogates."""
    named: set[str] = set()
    for stream in home.ledger.streams(CASE_PREFIX):
        requested = load_case(home, stream.removeprefix(CASE_PREFIX)).requested
        if requested is None or requested.model != model:
            continue
        if home.vault.holds(requested.payload):
            named.update(subjects_of(home, requested))
    return frozenset(named)


def clear(folder: Path) -> None:
    """Destroy what a qualification trained."""
    for path in folder.glob("*"):
        destroy_file(path)
    if folder.exists():
        folder.rmdir()
