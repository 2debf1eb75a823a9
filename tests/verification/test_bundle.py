"""Bundles: what goes in comes out bit for bit, what was changed is seen, what is withheld is."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole, Power
from auditor.errors import EvidenceError, InvalidCertificateError
from auditor.verification import archive
from auditor.verification.bundle import (
    Agreement,
    Bundle,
    Manifest,
    Replayed,
    Roles,
    agreement,
    outcome_digest,
    pack_bundle,
    pack_scores,
    read_bundle,
    replay,
)
from auditor.verification.engine import assess, draw_up
from auditor.verification.measurements import Measurements
from auditor.verification.readiness import Readiness, prepare
from auditor.verification.scores import Differing, compare_scores, scores_from, scores_of
from tests.verification.plans import ORIGIN, SOME, World, ready

WORLD = World(patients=3, unseen=60, out_models=12, in_models=8)


@pytest.fixture(scope="module")
def audited() -> tuple[Readiness, Measurements, Manifest]:
    draw = np.random.default_rng(5)
    plain_ready = ready(WORLD, draw)
    count = len(WORLD.layout.labels)
    layout = replace(
        WORLD.layout,
        attributes={
            "site": tuple("ns"[k % 2] for k in range(count)),
            "age": ("",) * count,
            "sex": tuple("FM"[k % 3 == 0] for k in range(count)),
        },
    )
    readiness = prepare(
        origin=ORIGIN,
        out=plain_ready.out,
        untouched=plain_ready.untouched,
        original=plain_ready.original,
        layout=layout,
    )
    candidate = WORLD.model(draw, share=0.1)
    plan = draw_up(
        readiness,
        case="c1",
        origin=ORIGIN,
        request=SOME,
        policies=SOME,
        required_power=0.8,
        seeds=(),
        ladder=(),
    )
    evidence, decision = assess(
        plan,
        readiness,
        candidate,
        role=CandidateRole.REQUEST,
        by_recipe=True,
        weights=SOME,
        place=3,
    )
    manifest = Manifest(
        plan=plan,
        place=3,
        recorded=outcome_digest(evidence, decision),
        evidence=evidence,
        decision=decision,
        proof="proof",
    )
    return readiness, candidate, manifest


def replayed(read: Bundle) -> Replayed:
    return replay(read.manifest, scores_from(read.arrays))


def test_a_bundle_with_scores_repeats_the_verdict_bit_for_bit(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    scores = pack_scores(readiness, candidate)
    packed = pack_bundle(manifest, scores=scores)
    assert packed == pack_bundle(manifest, scores=pack_scores(readiness, candidate))
    read = read_bundle(packed)
    assert read.manifest == manifest and read.roles is None
    found = replayed(read)
    assert (found.identical, found.same_code, found.decision) == (True, True, manifest.decision)


def test_a_plan_of_other_code_is_replayed_and_said_to_be(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    plan = replace(manifest.plan, code=SOME)
    evidence = replace(manifest.evidence, plan=plan.digest)
    recorded = outcome_digest(evidence, manifest.decision)
    other = replace(manifest, plan=plan, evidence=evidence, recorded=recorded)
    found = replayed(read_bundle(pack_bundle(other, scores=pack_scores(readiness, candidate))))
    assert (found.identical, found.same_code) == (True, False)


@pytest.mark.parametrize("side", ["candidate", "out", "in", "original"])
def test_one_changed_score_shows(
    audited: tuple[Readiness, Measurements, Manifest], side: str
) -> None:
    readiness, candidate, manifest = audited
    read = read_bundle(pack_bundle(manifest, scores=pack_scores(readiness, candidate)))
    name = f"{side}/0000/margins"
    changed = read.arrays[name].copy()
    changed[readiness.layout.forgotten[0]] += 1e-9
    if side == "original":  # by its scores an AUC hangs, by its margins the fit of the recipe
        changed[readiness.layout.retained] += 0.02
    found = replay(manifest, scores_from({**read.arrays, name: changed}))
    assert not found.identical
    assert agreement(manifest, found, remeasured=False) is Agreement.OTHER
    assert agreement(manifest, found, remeasured=True) is Agreement.NEAR


def test_another_decision_under_the_same_scores_is_refused(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    scores = scores_of(readiness, candidate)
    point = replace(manifest.evidence.influence.equivalence, point=0.0)
    prettier = replace(
        manifest.evidence, influence=replace(manifest.evidence.influence, equivalence=point)
    )
    for forged in (replace(manifest, recorded=SOME), replace(manifest, evidence=prettier)):
        with pytest.raises(InvalidCertificateError, match="isn't what the ledger holds"):
            replay(forged, scores)


def test_the_scores_of_another_model_are_another_audit(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    swapped = replace(scores_of(readiness, candidate), candidate=readiness.untouched[0])
    found = replay(manifest, swapped)
    assert agreement(manifest, found, remeasured=True) is Agreement.OTHER


def test_a_plan_with_other_powers_than_the_bank_gives_is_another_audit(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    plan = replace(manifest.plan, power=Power(detect_untouched=0.99, pass_retrain=0.99))
    evidence = replace(manifest.evidence, plan=plan.digest)
    recorded = outcome_digest(evidence, manifest.decision)
    other = replace(manifest, plan=plan, evidence=evidence, recorded=recorded)
    found = replay(other, scores_of(readiness, candidate))
    assert not found.identical


def test_two_measurements_are_held_against_each_other(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, _ = audited
    scores = scores_of(readiness, candidate)
    assert compare_scores(scores, scores) == Differing(identical=True, margin=0.0)
    moved = replace(candidate, margins=candidate.margins - np.eye(1, len(candidate.margins))[0])
    found = compare_scores(scores, replace(scores, candidate=moved))
    assert (found.identical, round(found.margin, 12)) == (False, 1.0)
    layout = replace(scores.layout, unseen=scores.layout.unseen[1:])
    found = compare_scores(scores, replace(scores, layout=layout))
    assert (found.identical, found.margin) == (False, 0.0)
    found = compare_scores(scores, replace(scores, out=scores.out[1:]))
    assert (found.identical, found.margin) == (False, np.inf)
    for name in ("augmented", "noisy", "features"):
        values = getattr(candidate, name)
        other = (
            {key: part + 1 for key, part in values.items()} if name == "features" else values + 1
        )
        twin = replace(scores, candidate=replace(candidate, **{name: other}))
        assert compare_scores(scores, twin) == Differing(identical=False, margin=0.0)


def test_roles_go_in_and_out(audited: tuple[Readiness, Measurements, Manifest]) -> None:
    _, _, manifest = audited
    roles = Roles(data="ab", forgotten=(SOME,), retained=(SOME, SOME), unseen=(SOME,))
    read = read_bundle(pack_bundle(manifest, scores=None, roles=roles))
    assert (read.roles, read.manifest, dict(read.arrays)) == (roles, manifest, {})


def test_without_scores_nothing_speaks_of_an_image_or_a_patient(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    _, _, manifest = audited
    assert manifest.evidence.patients
    read = read_bundle(pack_bundle(manifest, scores=None))
    assert not read.arrays and read.roles is None and read.manifest.evidence.patients == ()
    assert read.manifest.recorded == manifest.recorded
    with pytest.raises(EvidenceError, match="no scores"):
        scores_from(read.arrays)


def test_what_is_no_bundle_is_refused(
    audited: tuple[Readiness, Measurements, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness, candidate, manifest = audited
    packed = pack_bundle(manifest, scores=pack_scores(readiness, candidate))
    for damaged in (b"", b"PK", packed[:-40], b"x" + packed[1:]):
        with pytest.raises(EvidenceError, match="bundle"):
            read_bundle(damaged)
    text = json.dumps(plain(manifest))
    for other in (text.replace("/v1", "/v2"), text.replace('"place"', '"plaice"'), "[]", "{"):
        forged = np.frombuffer(other.encode(), dtype=np.uint8)
        with pytest.raises(EvidenceError):
            read_bundle(archived({"manifest": forged}))
    with pytest.raises(EvidenceError, match="no manifest"):
        read_bundle(archived({"labels": np.zeros(1)}))
    arrays = read_bundle(packed).arrays
    short = {name: values for name, values in arrays.items() if not name.startswith("original")}
    with pytest.raises(EvidenceError, match="incomplete"):
        scores_from(short)
    for name in ("labels", "out/0001/margins", "in/0000/noisy", "candidate/0000/scores"):
        for other in (arrays[name][..., 1:], arrays[name][..., None]):
            with pytest.raises(EvidenceError, match=r"same images|for each image|incomplete"):
                scores_from({**arrays, name: other})
    for index in (-1, len(arrays["labels"])):
        unseen = np.append(arrays["unseen"], index)
        with pytest.raises(EvidenceError, match=r"same images|incomplete"):
            scores_from({**arrays, "unseen": unseen})
    deep = np.frombuffer(b"[" * 100_000, dtype=np.uint8)
    with pytest.raises(EvidenceError, match="another version"):
        read_bundle(archived({"manifest": deep}))
    monkeypatch.setattr(archive, "LARGEST", 1000)
    with pytest.raises(EvidenceError, match=r"more than|larger"):
        read_bundle(packed)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("side", ["candidate", "out", "in", "original"])
def test_features_and_scores_without_a_number_are_refused(
    audited: tuple[Readiness, Measurements, Manifest], side: str, value: float
) -> None:
    readiness, candidate, manifest = audited
    arrays = read_bundle(pack_bundle(manifest, scores=pack_scores(readiness, candidate))).arrays
    (feature, *_) = [name for name in arrays if name.startswith(f"{side}/0000/feature/")]
    with pytest.raises(EvidenceError, match="NaN or infinite"):
        scores_from({**arrays, feature: np.full(arrays[feature].shape, value)})
    for name in ("margins", "noisy", "augmented", "lengths"):
        changed = np.full(arrays[f"{side}/0000/{name}"].shape, value)
        if changed.size and not np.isfinite(value):
            with pytest.raises(EvidenceError, match="NaN or infinite"):
                scores_from({**arrays, f"{side}/0000/{name}": changed})


def test_a_pickle_is_never_read() -> None:
    with pytest.raises(EvidenceError, match="bundle"):
        read_bundle(archived({"manifest": np.array([{"a": 1}], dtype=object)}, pickles=True))


def archived(arrays: dict[str, np.ndarray], pickles: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values, allow_pickle=pickles)
            made.writestr(f"{name}.npy", member.getvalue())
    return file.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_damage_in_the_middle_of_a_member_is_refused_however_it_is_packed(packing: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as made:
        member = io.BytesIO()
        np.save(member, np.arange(500.0))
        made.writestr("manifest.npy", member.getvalue())
    damaged = bytearray(file.getvalue())
    damaged[100:112] = bytes(byte ^ 0xFF for byte in damaged[100:112])
    with pytest.raises(EvidenceError, match="damaged"):
        read_bundle(bytes(damaged))


def test_a_bundle_under_a_password_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.npy", b"")
    locked = bytearray(file.getvalue())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(header) + flags] |= 1
    with pytest.raises(EvidenceError, match="damaged"):
        read_bundle(bytes(locked))
