"""Bundles: what goes in comes out bit for bit, what was changed is seen, what is withheld is."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole
from auditor.errors import EvidenceError
from auditor.verification import bundle
from auditor.verification.bundle import (
    Manifest,
    outcome_digest,
    pack_bundle,
    pack_scores,
    read_bundle,
    replay,
)
from auditor.verification.engine import Readiness, assess, draw_up
from auditor.verification.measurements import Measurements
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
    readiness = bundle.prepare(
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
        plan, readiness, candidate, role=CandidateRole.REQUEST, weights=SOME, place=3
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


def test_a_bundle_with_scores_repeats_the_verdict_bit_for_bit(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    scores = pack_scores(readiness, candidate)
    packed = pack_bundle(manifest, scores)
    assert packed == pack_bundle(manifest, pack_scores(readiness, candidate))
    read, arrays = read_bundle(packed)
    assert read == manifest
    found = replay(read, arrays)
    assert (found.identical, found.same_code, found.decision) == (True, True, manifest.decision)


def test_a_plan_of_other_code_is_replayed_and_said_to_be(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    plan = replace(manifest.plan, code=SOME)
    evidence = replace(manifest.evidence, plan=plan.digest)
    recorded = outcome_digest(evidence, manifest.decision)
    other = replace(manifest, plan=plan, evidence=evidence, recorded=recorded)
    found = replay(*read_bundle(pack_bundle(other, pack_scores(readiness, candidate))))
    assert (found.identical, found.same_code) == (True, False)


@pytest.mark.parametrize("side", ["candidate", "out", "in", "original"])
def test_one_changed_score_shows(
    audited: tuple[Readiness, Measurements, Manifest], side: str
) -> None:
    readiness, candidate, manifest = audited
    manifest, arrays = read_bundle(pack_bundle(manifest, pack_scores(readiness, candidate)))
    name = f"{side}/0000/margins"
    changed = arrays[name].copy()
    changed[readiness.layout.forgotten[0]] += 1e-9
    if side == "original":  # by its scores an AUC hangs, by its margins the fit of the recipe
        changed[readiness.layout.retained] += 0.5
    try:
        found = replay(manifest, {**arrays, name: changed})
    except EvidenceError as error:
        assert "margins or powers" in str(error)
    else:
        assert not found.identical


def test_another_decision_under_the_same_scores_shows(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    readiness, candidate, manifest = audited
    forged = replace(manifest, recorded=SOME)
    assert not replay(
        *read_bundle(pack_bundle(forged, pack_scores(readiness, candidate)))
    ).identical


def test_without_scores_nothing_speaks_of_an_image_or_a_patient(
    audited: tuple[Readiness, Measurements, Manifest],
) -> None:
    _, _, manifest = audited
    assert manifest.evidence.patients
    read, arrays = read_bundle(pack_bundle(manifest, None))
    assert not arrays and read.evidence.patients == ()
    assert read.recorded == manifest.recorded
    with pytest.raises(EvidenceError, match="no scores"):
        replay(read, arrays)


def test_what_is_no_bundle_is_refused(
    audited: tuple[Readiness, Measurements, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness, candidate, manifest = audited
    packed = pack_bundle(manifest, pack_scores(readiness, candidate))
    for damaged in (b"", b"PK", packed[:-40], b"x" + packed[1:]):
        with pytest.raises(EvidenceError, match="bundle"):
            read_bundle(damaged)
    text = json.dumps(plain(manifest))
    for other in (text.replace("/v1", "/v2"), text.replace('"place"', '"plaice"'), "[]", "{"):
        forged = np.frombuffer(other.encode(), dtype=np.uint8)
        with pytest.raises(EvidenceError):
            read_bundle(archive({"manifest": forged}))
    with pytest.raises(EvidenceError, match="no manifest"):
        read_bundle(archive({"labels": np.zeros(1)}))
    _, arrays = read_bundle(packed)
    short = {name: values for name, values in arrays.items() if not name.startswith("original")}
    with pytest.raises(EvidenceError, match="incomplete"):
        replay(manifest, short)
    monkeypatch.setattr(bundle, "LARGEST", 1000)
    with pytest.raises(EvidenceError, match=r"more than|larger"):
        read_bundle(packed)


def test_a_pickle_is_never_read() -> None:
    with pytest.raises(EvidenceError, match="bundle"):
        read_bundle(archive({"manifest": np.array([{"a": 1}], dtype=object)}, pickles=True))


def archive(arrays: dict[str, np.ndarray], pickles: bool = False) -> bytes:
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
    with zipfile.ZipFile(file, "w", packing) as archive:
        member = io.BytesIO()
        np.save(member, np.arange(500.0))
        archive.writestr("manifest.npy", member.getvalue())
    damaged = bytearray(file.getvalue())
    damaged[100:112] = bytes(byte ^ 0xFF for byte in damaged[100:112])
    with pytest.raises(EvidenceError, match="damaged"):
        read_bundle(bytes(damaged))


def test_a_bundle_under_a_password_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.npy", b"")
    locked = bytearray(file.getvalue())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(header) + flags] |= 1
    with pytest.raises(EvidenceError, match="damaged"):
        read_bundle(bytes(locked))
