"""Evidence bundles: an audit with all that is needed to repeat it, in one file.

A NumPy archive without pickles: ``manifest`` (canonical JSON: plan, evidence, decision, and the
ledger's proof that these are the recorded ones), and, where the controller chose to hand them over,
every model's scores on every image. With them anyone repeats the verdict by numpy and scipy alone.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.evidence import Evidence
from auditor.domain.verdict import Decision
from auditor.errors import EvidenceError
from auditor.verification.engine import Readiness, assess, prepare
from auditor.verification.engine_code import engine_digest
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Plan

LARGEST = 1 << 30  # bytes, packed or not
_FORMAT = "auditor-evidence-bundle/v1"
_MANIFEST = "manifest"
_PARTS = ("labels", "patients", "forgotten", "retained", "unseen")
_MODELS = ("out", "in", "original", "candidate")

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of the audit.

    Attributes:
        place: of the case's plan among those of its quarter.
        recorded: digest of evidence and decision, as the ledger's `candidate-verified` holds it.
        evidence: without its lines per patient where the scores are withheld.
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
class Replayed:
    """A repeated audit.

    Attributes:
        identical: evidence and decision are the recorded ones bit for bit.
        same_code: by the very code, Python and packages that the plan was pinned under.
    """

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
    layout = readiness.layout
    arrays: dict[str, NDArray[np.generic]] = {name: getattr(layout, name) for name in _PARTS}
    for place, (name, values) in enumerate(layout.attributes.items()):
        arrays[f"attribute/{place}/{name}"] = np.array(values, dtype=np.str_)
    groups = (readiness.out, readiness.untouched, (readiness.original,), (candidate,))
    for side, models in zip(_MODELS, groups, strict=True):
        for number, model in enumerate(models):
            arrays |= _model_arrays(f"{side}/{number:04d}", model)
    return _packed(arrays)


def pack_bundle(manifest: Manifest, scores: bytes | None) -> bytes:
    """The bundle; without scores nothing in it speaks of a single image or patient."""
    arrays = {} if scores is None else dict(_unpacked(scores))
    if scores is None:
        manifest = replace(manifest, evidence=replace(manifest.evidence, patients=()))
    text = canonical_bytes(plain(manifest))
    return _packed({_MANIFEST: np.frombuffer(text, dtype=np.uint8), **arrays})


def read_bundle(data: bytes) -> tuple[Manifest, Arrays]:
    """What a bundle holds; no array where it was handed over without scores.

    Raises:
        EvidenceError: not a bundle, larger than any, or of another version of auditor.
    """
    arrays = dict(_unpacked(data))
    text = arrays.pop(_MANIFEST, None)
    if text is None:
        raise EvidenceError("the bundle has no manifest; export it again")
    try:
        manifest = typed(Manifest, json.loads(text.tobytes()))
    except ValueError:
        raise EvidenceError("the bundle was made by another version of auditor") from None
    if manifest.format != _FORMAT:
        raise EvidenceError(f"not a bundle of the form {_FORMAT}")
    return manifest, arrays


def replay(manifest: Manifest, arrays: Arrays) -> Replayed:
    """Repeat the audit from its scores.

    Raises:
        EvidenceError: the bundle holds no scores, or not those of this audit.
    """
    if not arrays:
        raise EvidenceError("the bundle holds no scores to replay; ask for one with scores")
    plan = manifest.plan
    try:
        layout = _layout(arrays)
        sides = {side: _models(side, arrays) for side in _MODELS}
        ((original,), (candidate,)) = sides["original"], sides["candidate"]
    except (KeyError, ValueError):
        raise EvidenceError("the bundle's scores are incomplete; export it again") from None
    readiness = prepare(
        origin=plan.origin,
        out=sides["out"],
        untouched=sides["in"],
        original=original,
        layout=layout,
        margin=plan.margin,
        alpha=plan.alpha,
        rungs=plan.rungs,
    )
    here = engine_digest()
    evidence, decision = assess(
        replace(plan, code=here),
        readiness,
        candidate,
        role=manifest.evidence.role,
        weights=manifest.evidence.weights,
        place=manifest.place,
    )
    again = replace(evidence, plan=plan.digest)
    return Replayed(
        decision=decision,
        identical=outcome_digest(again, decision) == manifest.recorded,
        same_code=plan.code == here,
    )


def _model_arrays(name: str, model: Measurements) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {
        f"{name}/{part}": getattr(model, part)
        for part in ("margins", "scores", "augmented", "noisy", "relearned")
    }
    for place, (depth, values) in enumerate(model.features.items()):
        found[f"{name}/feature/{place}/{depth}"] = values
    return found


def _models(side: str, arrays: Arrays) -> list[Measurements]:
    numbers = sorted({key.split("/")[1] for key in arrays if key.startswith(f"{side}/")})
    return [_model(f"{side}/{number}", arrays) for number in numbers]


def _model(name: str, arrays: Arrays) -> Measurements:
    before = f"{name}/feature/"
    depths = sorted(key for key in arrays if key.startswith(before))
    return Measurements(
        margins=arrays[f"{name}/margins"].astype(np.float64),
        scores=arrays[f"{name}/scores"].astype(np.float64),
        features={key.split("/", 4)[4]: arrays[key].astype(np.float32) for key in depths},
        augmented=arrays[f"{name}/augmented"].astype(np.float64),
        noisy=arrays[f"{name}/noisy"].astype(np.float64),
        relearned=arrays[f"{name}/relearned"].astype(np.float64),
    )


def _layout(arrays: Arrays) -> Layout:
    before = "attribute/"
    return Layout(
        **{name: arrays[name].astype(np.int64) for name in _PARTS},
        attributes={
            key.split("/", 2)[2]: tuple(str(value) for value in values)
            for key, values in sorted(arrays.items())
            if key.startswith(before)
        },
    )


def _packed(arrays: Arrays) -> bytes:
    """An archive whose bytes hang on its content alone."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _unpacked(data: bytes) -> Sequence[tuple[str, NDArray[np.generic]]]:
    if len(data) > LARGEST:
        raise EvidenceError(f"the bundle is larger than {LARGEST} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > LARGEST:
                raise EvidenceError(f"the bundle holds more than {LARGEST} bytes")
            return [
                (info.filename.removesuffix(".npy"), _read(archive, info))
                for info in archive.infolist()
            ]
    except EvidenceError:
        raise
    except Exception:  # a stranger's bytes: zip, its packers and numpy raise what they like
        raise EvidenceError("not an evidence bundle, or a damaged one") from None


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(info) as member:
        content = io.BytesIO(member.read(info.file_size))
    found: NDArray[np.generic] = np.lib.format.read_array(content, allow_pickle=False)
    return found
