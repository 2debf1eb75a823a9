"""What the bank declares beforehand, and the audit under it, against simulated models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole
from auditor.domain.verdict import ReasonCode, Verdict
from auditor.errors import EvidenceError
from auditor.verification.engine import Readiness, audit, prepare
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.plan import SHARES, Plan
from auditor.verification.power import detect_power

IMAGES = 400
LAYOUT = Layout(
    labels=np.arange(IMAGES) % 2,
    patients=np.arange(IMAGES),
    forgotten=np.arange(4),
    retained=np.arange(4, 160),
    unseen=np.arange(160, IMAGES),
)


def model(random: np.random.Generator, *, seen: bool, ease: float = 0.0) -> Measurements:
    """Margins of a model that knows its training images better; ``ease`` by how much all."""
    margins = 2.5 + ease + random.normal(0, 0.5, IMAGES) + np.sin(np.arange(IMAGES))
    margins[LAYOUT.retained] += 3.0
    margins[LAYOUT.forgotten] += 3.0 if seen else -0.5
    return Measurements(
        margins=margins,
        scores=np.where(LAYOUT.labels == 1, margins, -margins),
        features={"head": random.normal(0, 1, (IMAGES, 3)).astype(np.float32)},
    )


def ready(original: Measurements, gap: bool = True) -> Readiness:
    random = np.random.default_rng(1)
    return prepare(
        out=[model(random, seen=False) for _ in range(16)],
        untouched=[model(random, seen=gap) for _ in range(16)],
        original=original,
        layout=LAYOUT,
    )


def plan_of(readiness: Readiness) -> Plan:
    some = Digest.of(b"anything")
    return Plan(
        **dict.fromkeys(("model", "data", "recipe", "bank", "policies", "code"), some),
        case="c",
        margin=readiness.margin,
        alpha=readiness.alpha,
        rungs=readiness.rungs,
        required_power=0.8,
        auc_margin=readiness.auc.margin,
        auc_margin_refused=readiness.auc.refused,
        power=readiness.power,
        tests=(),
        ladder=(),
    )


def verdict(readiness: Readiness, candidate: Measurements) -> tuple[Verdict, set[ReasonCode]]:
    _, decision = audit(
        plan_of(readiness),
        readiness,
        candidate,
        role=CandidateRole.REQUEST,
        weights=Digest.of(b"weights"),
    )
    return decision.verdict, {reason.code for reason in decision.reasons}


def test_a_good_bank_declares_power_and_tells_a_retrain_from_the_untouched_model() -> None:
    random = np.random.default_rng(2)
    original = model(random, seen=True)
    readiness = ready(original)
    assert readiness.recipe_fit.matches
    assert plan_of(readiness).within_reach
    assert verdict(readiness, original)[0] is Verdict.FAILED
    assert verdict(readiness, model(random, seen=False))[0] is Verdict.PASSED


def test_no_power_is_declared_where_the_recipe_does_not_describe_the_model() -> None:
    stranger = model(np.random.default_rng(2), seen=True, ease=2.0)
    readiness = ready(stranger)
    assert not readiness.recipe_fit.matches
    assert (readiness.power.detect_untouched, readiness.power.pass_retrain) == (0.0, 0.0)
    assert verdict(readiness, stranger) == (
        Verdict.INDETERMINATE,
        {ReasonCode.RECIPE_MISMATCH},
    )


def test_declared_power_is_never_above_the_share_of_left_out_controls_detected() -> None:
    """Where one patient of six carries all the influence, only the patients' interval is wide."""
    random = np.random.default_rng(3)
    layout = replace(LAYOUT, forgotten=np.arange(6), retained=np.arange(6, 160))
    out, untouched = [], []
    for block, rise in ((out, 0.0), (untouched, 6.0)):
        for _ in range(16):
            some = model(random, seen=False)
            margins = some.margins.copy()
            margins[4:6] -= 3.5  # of `retained` in `model`, forgotten here
            margins[0] += rise
            block.append(replace(some, margins=margins))
    readiness = prepare(out=out, untouched=untouched, original=untouched[0], layout=layout)
    assert detect_power(readiness.scale, readiness.margin, 1 - 2 * 0.05 / SHARES) > 0.9
    assert readiness.control_detected < 8
    assert readiness.power.detect_untouched <= readiness.control_detected / 16


def test_a_plan_of_another_bank_is_refused() -> None:
    original = model(np.random.default_rng(2), seen=True)
    readiness = ready(original)
    for changes in ({"margin": 0.3}, {"alpha": 0.01}, {"auc_margin": 0.049}):
        with pytest.raises(EvidenceError):
            audit(
                replace(plan_of(readiness), **changes),
                readiness,
                original,
                role=CandidateRole.UNTOUCHED,
                weights=Digest.of(b"weights"),
            )
