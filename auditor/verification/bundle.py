"""Evidence bundles: an audit with all that is needed to repeat it, in one file.

A NumPy archive without pickles: ``manifest`` (canonical JSON: plan, evidence, decision, and the
ledger's proof that these are the recorded ones), and, where the controller chose to hand them over,
every model's scores on every image. With them anyone repeats the verdict by numpy and scipy alone.
``roles`` are for whoever is handed the models, too, and holds the data: they say which image had
which role, so that the scores can be measured again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isclose, isnan
from typing import TypeVar

import numpy as np

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.evidence import Evidence
from auditor.domain.verdict import Decision
from auditor.errors import EvidenceError, InvalidCertificateError
from auditor.verification.archive import Arrays, pack, unpack
from auditor.verification.engine import assess
from auditor.verification.engine_code import engine_digest
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Plan
from auditor.verification.readiness import Readiness, declared_power, prepare
from auditor.verification.scores import Scores, scores_arrays, scores_of

_FORMAT = "auditor-evidence-bundle/v1"
_MANIFEST, _ROLES = "manifest", "roles"

NEAR = 0.01  # of a residual influence, or of its size

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of the audit.

    Attributes:
        place: of the case's plan among those of its quarter.
        recorded: digest of evidence and decision, as the ledger's `candidate-verified` holds it.
        evidence: without its lines per patient where nothing is handed over to replay it by.
        proof: tlog-proof of that entry.
        format: of the bundle.
    """

    plan: Plan
    place: int
    recorded: Digest
    evidence: Evidence
    decision: Decision
    proof: str
    format: str = _FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which image had which role in the audit, each by the digest of its file.

    They tell whoever holds the data who was forgotten, and nobody else.

    Attributes:
        data: what the plan's commitment to the data set was made of, in hexadecimal; it holds the
            data set's own digest.
        forgotten: in the order of the audit, as are ``retained`` and ``unseen``.
    """

    data: str
    forgotten: tuple[Digest, ...]
    retained: tuple[Digest, ...]
    unseen: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A bundle as it was read.

    Attributes:
        roles: None where it was made without.
        arrays: of the scores (`scores_from`), empty where they are withheld.
    """

    manifest: Manifest
    roles: Roles | None
    arrays: Arrays


class Agreement(StrEnum):
    """How a repeated audit stands to the recorded one."""

    BIT_FOR_BIT = "bit for bit"
    NEAR = "the same verdict, and a residual influence within 0.01 or 1 %"
    OTHER = "another verdict, or another residual influence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A repeated audit.

    Attributes:
        identical: plan, evidence and decision are the recorded ones bit for bit.
        same_code: by the very code, Python and packages that the plan was pinned under.
    """

    evidence: Evidence
    decision: Decision
    identical: bool
    same_code: bool


def outcome_bytes(evidence: Evidence, decision: Decision) -> bytes:
    """What is stored of an audit, and hashed into the ledger."""
    return canonical_bytes({"evidence": plain(evidence), "decision": plain(decision)})


def outcome_digest(evidence: Evidence, decision: Decision) -> Digest:
    """Digest of `outcome_bytes`."""
    return Digest.of(outcome_bytes(evidence, decision))


def pack_scores(readiness: Readiness, candidate: Measurements) -> bytes:
    """Every model's scores on every image, and who is who: for the controller's own store."""
    return pack(scores_arrays(scores_of(readiness, candidate)))


def pack_bundle(manifest: Manifest, *, scores: bytes | None, roles: Roles | None = None) -> bytes:
    """The bundle; without scores and roles nothing in it speaks of a single image or patient."""
    arrays = {} if scores is None else unpack(scores)
    if scores is None and roles is None:
        manifest = replace(manifest, evidence=replace(manifest.evidence, patients=()))
    texts = {_MANIFEST: manifest} | ({} if roles is None else {_ROLES: roles})
    packed = {
        name: np.frombuffer(canonical_bytes(plain(value)), dtype=np.uint8)
        for name, value in texts.items()
    }
    return pack({**packed, **arrays})


def read_bundle(data: bytes) -> Bundle:
    """What a bundle holds.

    Raises:
        EvidenceError: not a bundle, larger than any, or of another version of auditor.
    """
    arrays = unpack(data)
    if _MANIFEST not in arrays:
        raise EvidenceError("the bundle has no manifest; export it again")
    manifest = _text(Manifest, arrays.pop(_MANIFEST).tobytes())
    roles = _text(Roles, arrays.pop(_ROLES).tobytes()) if _ROLES in arrays else None
    if manifest.format != _FORMAT:
        raise EvidenceError(f"not a bundle of the form {_FORMAT}")
    return Bundle(manifest=manifest, roles=roles, arrays=arrays)


def replay(manifest: Manifest, scores: Scores) -> Replayed:
    """Repeat the audit from its scores.

    Where its plan holds other numbers than these scores give, it is repeated under the plan that
    would have been pinned on them, and isn't identical.

    Raises:
        EvidenceError: scores that allow no audit.
        InvalidCertificateError: the bundle's evidence isn't the recorded one.
    """
    plan = manifest.plan
    if outcome_digest(manifest.evidence, manifest.decision) != manifest.recorded:
        raise InvalidCertificateError("the bundle's evidence isn't what the ledger holds")
    readiness = prepare(
        origin=plan.origin,
        out=scores.out,
        untouched=scores.untouched,
        original=scores.original,
        layout=scores.layout,
        margin=plan.margin,
        alpha=plan.alpha,
        rungs=plan.rungs,
    )
    here = _as_pinned_on(readiness, plan)
    evidence, decision = assess(
        here,
        readiness,
        scores.candidate,
        role=manifest.evidence.role,
        by_recipe=manifest.evidence.by_recipe,
        weights=manifest.evidence.weights,
        place=manifest.place,
    )
    again = replace(evidence, plan=plan.digest)
    unchanged = replace(here, code=plan.code) == plan
    return Replayed(
        evidence=again,
        decision=decision,
        identical=unchanged and outcome_digest(again, decision) == manifest.recorded,
        same_code=plan.code == engine_digest(),
    )


def agreement(manifest: Manifest, found: Replayed, *, remeasured: bool) -> Agreement:
    """Whether a repeated audit bears the recorded one out.

    Numbers may differ a little where models were measured again, on some other processor maybe, or
    where other code or packages computed; from the same scores by the same code they may not.
    """
    if found.identical:
        return Agreement.BIT_FOR_BIT
    before, now = (each.influence.equivalence.point for each in (manifest.evidence, found.evidence))
    near = isclose(before, now, rel_tol=NEAR, abs_tol=NEAR) or (isnan(before) and isnan(now))
    alike = near and found.decision.verdict is manifest.decision.verdict
    expected = remeasured or not found.same_code
    return Agreement.NEAR if alike and expected else Agreement.OTHER


def _as_pinned_on(readiness: Readiness, plan: Plan) -> Plan:
    """The plan as the code of here would have pinned it on what the bank gives here."""
    return replace(
        plan,
        code=engine_digest(),
        auc_margin=readiness.auc.margin,
        auc_margin_refused=readiness.auc.refused,
        power=declared_power(readiness, plan.required_power),
        detect_one=readiness.detect_one,
    )


def _text(cls: type[T], text: bytes) -> T:
    try:
        return typed(cls, json.loads(text))
    except (ValueError, RecursionError):
        raise EvidenceError("the bundle was made by another version of auditor") from None
