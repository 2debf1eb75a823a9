"""The whole road once, on one machine, in a home of its own."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.certificates.verify import verify_certificate
from auditor.domain.canonical import decimal_text
from auditor.domain.case import ErasureCase
from auditor.domain.codec import typed
from auditor.domain.event import CandidateVerified
from auditor.domain.evidence import Evidence
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.domain.verdict import Basis, Decision
from auditor.errors import CertificateError
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.progress import Progress
from auditor.learning.recipe import FULL, QUICK, Recipe
from auditor.proof.trust import parse_trust
from auditor.workflow.audit.scene import load_scene, train_and_register
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.documents.notary import certificate_path, sidecar_path
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, create_home

MODEL = "detector"
_PHANTOMS = 20261124  # their seed
_SEED = 4  # of split and training: by it one patient is remembered visibly, as the demo is to show
_COHORT = 16  # patients at most
_COHORT_SHARE = 0.12  # of the training images at most: an erasure, not another model
_ENOUGH = 150.0  # squared standard deviations; a gap this wide leaves room for a margin of 0.35
_STANDS_OUT = 6.0  # standard deviations: a single patient this visible may be decided alone
_ROUTINE = 1.0

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProfile:
    """How large a demo is."""

    recipe: Recipe
    settings: RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCase:
    """One case of the demo, closed."""

    case: str
    role: str
    state: ErasureCase
    document: Path
    lines: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Where everything lies, and what was found."""

    home: Path
    certificates: tuple[Path, ...]
    cases: tuple[DemoCase, ...]
    tampered_refused: bool
    seconds: float


def demo_profile(name: str, size: int | None) -> DemoProfile:
    """``quick`` (minutes on two cores) or ``full`` (torchvision ResNet-18, for a GPU)."""
    settings = RunSettings(workers=os.cpu_count() or 1, attempt_out_of_reach=True)
    recipe, settings = {
        "quick": (QUICK, settings),
        "full": (FULL, replace(settings, out_models=32, in_models=32, scouts=16)),
    }[name]
    return DemoProfile(
        recipe=recipe if size is None else replace(recipe, input_size=size), settings=settings
    )


def run_demo(
    out: Path, data: Path | None, profile: DemoProfile, *, progress: Progress, notice: Notice
) -> DemoResult:
    """Walk the road: home, model, two requests, erasures, certificates, offline verification.

    Args:
        out: a new folder; gets ``home/``, ``certificates/`` and ``summary.json``.
        data: manifest of real images, or None for phantoms drawn here.
    """
    started = time.monotonic()
    home = create_home(
        out / "home", controller="Demonstration Hospital", dpo="Data Protection Officer"
    )
    notice(f"home created; trust file fingerprint {home.trust_fingerprint}")
    if data is None:
        data = draw_phantoms(out / "phantoms", seed=_PHANTOMS)
        notice("no DATA given: the images are synthetic phantoms, drawn here")
    training_started = time.monotonic()
    train_and_register(
        home, model=MODEL, manifest=data, recipe=profile.recipe, notice=notice, seed=_SEED
    )
    _estimate(time.monotonic() - training_started, profile.settings, notice)
    routine, memorised = choose_patients(home, profile.settings, progress)
    cases = [
        _one_case(home, role, subjects, profile.settings, progress, notice)
        for role, subjects in (("routine", routine), ("memorised", memorised))
    ]
    shown = _publish(out, cases)
    refused = _show_verification(home, shown, notice)
    _write_summary(out / "summary.json", cases)
    return DemoResult(
        home=home.root,
        certificates=tuple(shown),
        cases=tuple(cases),
        tampered_refused=refused,
        seconds=time.monotonic() - started,
    )


def choose_patients(
    home: Home, settings: RunSettings, progress: Progress
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A routine patient, and one patient (else a small cohort) the model visibly memorised.

    Chosen on scout models, which take no part in any audit.
    """
    scene = load_scene(home, MODEL)
    memorised = send_scouts(
        scene, settings.scouts, workers=settings.workers, progress=progress
    ).memorised
    ranked = sorted(memorised, key=lambda subject: (-memorised[subject], subject))
    routine = min(ranked, key=lambda subject: (abs(memorised[subject] - _ROUTINE), subject))
    several = [subject for subject in ranked if len(scene.of_subjects([subject])) > 1]
    if several and memorised[several[0]] >= _STANDS_OUT:
        return (routine,), (several[0],)
    most = int(_COHORT_SHARE * len(scene.training))
    cohort: list[str] = []
    for subject in ranked:
        if subject == routine:
            continue
        if len(scene.of_subjects([*cohort, subject])) > most:
            break
        cohort.append(subject)
        if sum(memorised[item] ** 2 for item in cohort) >= _ENOUGH or len(cohort) == _COHORT:
            break
    return (routine,), tuple(cohort)


def _one_case(
    home: Home,
    role: str,
    subjects: Sequence[str],
    settings: RunSettings,
    progress: Progress,
    notice: Notice,
) -> DemoCase:
    case = file_request(
        home,
        model=MODEL,
        subjects=tuple(subjects),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=datetime.now(UTC).date(),
    )
    decide(home, case, DecisionKind.GRANTED, "dpo")
    notice(f"case {case} ({role}): request filed and granted")
    state = run_case(home, case, settings, progress=progress, notice=notice)
    if state.plan is not None:
        notice(f"case {case}: the plan was to try {', '.join(state.plan.ladder)}")
    for left_out in state.skipped:
        notice(f"case {case}: not {left_out.method}: {left_out.reason.replace('-', ' ')}")
    lines = tuple(_line(home, state, item) for item in _audits(state))
    return DemoCase(
        case=case, role=role, state=state, document=certificate_path(home, case), lines=lines
    )


def _audits(state: ErasureCase) -> tuple[CandidateVerified, ...]:
    attempts = (attempt.verified for attempt in state.attempts)
    return (*state.controls, *(item for item in attempts if item is not None))


def _line(home: Home, state: ErasureCase, audited: CandidateVerified) -> Mapping[str, Any]:
    """One entry of ``summary.json``; numbers here are plain JSON, the signed ones are text."""
    stored = json.loads(home.store.get(audited.evidence))
    evidence = typed(Evidence, stored["evidence"])
    decision = typed(Decision, stored["decision"])
    plan = json.loads(home.store.get(audited.plan))
    influence = evidence.influence.equivalence
    known = evidence.influence.established  # else the numbers mean nothing and aren't reported
    method = next(
        (item.started.method for item in state.attempts if item.started.attempt == audited.attempt),
        audited.role.value,
    )
    last = state.attempts[-1].started.attempt
    granted = state.reached is not None and audited.attempt == last
    basis = state.reached.basis if granted and state.reached is not None else Basis.NONE
    return {
        "case": audited.case,
        "candidate": audited.role.value,
        "method": method,
        "verdict": audited.verdict.value,
        "rho": {
            name: round(value, 4) if known and math.isfinite(value) else None
            for name, value in (
                ("lower", influence.lower),
                ("point", influence.point),
                ("upper", influence.upper),
            )
        },
        "margin": float(plan["margin"]),
        "power": {name: float(text) for name, text in plan["power"].items()},
        "basis": basis.value,
        "reasons": [reason.text for reason in decision.reasons],
    }


def _publish(out: Path, cases: Sequence[DemoCase]) -> list[Path]:
    """Copy documents and their sidecars to where a newcomer looks first."""
    folder = out / "certificates"
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for item in cases:
        for source in (item.document, sidecar_path(item.document)):
            (folder / source.name).write_bytes(source.read_bytes())
        shown.append(folder / item.document.name)
    return shown


def _show_verification(home: Home, documents: Sequence[Path], notice: Notice) -> bool:
    """Verify each document offline, then flip one byte of the last and see it refused."""
    trust = parse_trust(home.trust_path.read_bytes())
    now = datetime.now(UTC)
    for document in documents:
        sidecar = sidecar_path(document).read_text()
        report = verify_certificate(document.read_bytes(), trust, sidecar=sidecar, now=now)
        notice(f"{document.name}: {report.status}")
        if report.status == "INVALID":
            raise CertificateError(f"{document.name} doesn't verify; please report this")
    forged = bytearray(documents[-1].read_bytes())
    forged[len(forged) // 3] ^= 1
    report = verify_certificate(bytes(forged), trust, now=now)
    notice(f"{documents[-1].name} with one bit flipped: {report.status}")
    return report.status == "INVALID"


def _write_summary(path: Path, cases: Sequence[DemoCase]) -> None:
    lines = [line for item in cases for line in item.lines]
    path.write_text(json.dumps(lines, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _estimate(seconds: float, settings: RunSettings, notice: Notice) -> None:
    """Say beforehand how long the rest takes, from the one model just trained."""
    per_case = settings.scouts + settings.out_models + settings.in_models + 4
    models = settings.scouts + 2 * per_case
    minutes = seconds * models / settings.workers / 60
    notice(
        f"one model took {decimal_text(seconds, 1)} s; {models} more follow on "
        f"{settings.workers} processes: about {decimal_text(minutes, 1)} minutes"
    )
