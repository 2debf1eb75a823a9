"""The signed statement: in-toto Statement v1 over the weights, as canonical bytes.

`facts.DocumentFacts` says what goes in, `predicate.predicate_of` gives it its form, and
docs/predicate.md explains every field. What comes out is signed as it is (DSSE) and never made
anew to verify.

    payload = statement_bytes(facts)           # -> sign_envelope(PAYLOAD_TYPE, payload, signers)
    predicate = parse_statement(payload)["predicate"]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from auditor.certificates.facts import DocumentFacts
from auditor.certificates.predicate import predicate_of
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.printable import hides
from auditor.domain.request import Outcome
from auditor.errors import CertificateError
from auditor.shipped import shipped

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:auditor:erasure-certificate:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SCHEMA = "erasure-certificate-v1.schema.json"
LARGEST_STATEMENT = 1 << 20
ENVELOPE = "statement.dsse.json"  # the attachment that holds the signed statement
PROOF = "prepared.tlog-proof"  # the attachment that proves it is in the ledger


def statement_bytes(facts: DocumentFacts) -> bytes:
    """Canonical bytes of the statement; its subject is the weights the document speaks of."""
    model = facts.model
    version = model.after or model.before
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {
                    "name": f"{model.name}/{version.version}/weights",
                    "digest": {version.weights.algorithm: version.weights.value},
                }
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate_of(facts),
        }
    )


def parse_statement(payload: bytes) -> Mapping[str, Any]:
    """Read a statement, refusing whatever `statement_bytes` couldn't have written.

    Raises:
        CertificateError: too large, not canonical JSON, another type, text that hides something,
            a field missing, unknown or of another form, or a section at odds with the outcome.
    """
    statement = read_canonical(payload)
    if set(statement) != {"_type", "subject", "predicateType", "predicate"}:
        raise CertificateError("the statement has missing or unknown fields")
    if (statement["_type"], statement["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise CertificateError("this is a statement of another type")
    _check_form(statement["predicate"])
    _check_outcome(statement["predicate"])
    _check_subject(statement)
    return statement


def read_canonical(payload: bytes) -> dict[str, Any]:
    """The fields of any statement of ours, whatever it is about.

    Raises:
        CertificateError: too large, not canonical JSON, or text that hides something.
    """
    if len(payload) > LARGEST_STATEMENT:
        raise CertificateError("the statement is larger than any that is ever issued")
    try:
        statement = json.loads(payload.decode("utf-8"))
        canonical = canonical_bytes(statement)
    except (ValueError, TypeError, RecursionError):
        raise CertificateError("the statement is not canonical JSON") from None
    if canonical != payload or not isinstance(statement, dict):
        raise CertificateError("the statement is not canonical JSON")
    if any(map(hides, _texts(statement))):
        raise CertificateError("the statement holds invisible or control characters")
    return statement


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _check_form(predicate: object) -> None:
    """Hold every field, however deep, to the published schema."""
    fault = best_match(_schema().iter_errors(predicate))
    if fault is not None:
        place = ".".join(map(str, fault.absolute_path))[:80] or "sections"
        raise CertificateError(f"the predicate's {place} isn't as the schema has it")


@cache
def _schema() -> Draft202012Validator:
    content = (shipped("templates") / SCHEMA).read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(content))


def _check_outcome(predicate: Mapping[str, Any]) -> None:
    """What the schema doesn't tell: sections that hang on the outcome."""
    certified = predicate["outcome"] == Outcome.CERTIFIED
    if predicate["documentType"] != ("certificate" if certified else "record"):
        raise CertificateError("the document's type is at odds with its outcome")
    if "served" in predicate and not certified:
        raise CertificateError("only a certificate says which weights are served")
    judged = certified or predicate["outcome"] == Outcome.NOT_ERASED
    if judged != ("conclusion" in predicate) or (certified and "audit" not in predicate):
        raise CertificateError("the document's conclusion is at odds with its outcome")


def _check_subject(statement: Mapping[str, Any]) -> None:
    try:
        model = statement["predicate"]["model"]
        ((named),) = statement["subject"]
        version = model.get("after", model["before"])
        stated = Digest(value=named["digest"]["sha256"])
        matches = str(stated) == version["weights"] and len(named["digest"]) == 1
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CertificateError("the statement's subject can't be read") from None
    if not matches:
        raise CertificateError("the statement's subject is not the model its predicate speaks of")
