"""Facts of four documents as the road would hand them in, with numbers like those of real runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import (
    AccountedArtefact,
    DocumentFacts,
    EarlierAudit,
    ModelFacts,
    ModelVersion,
    Parties,
    PlanFacts,
    PolicyPack,
    RequestFacts,
    ServedFacts,
    StartFacts,
)
from auditor.certificates.run_facts import (
    Audit,
    CitedQualification,
    Conclusion,
    Control,
    SkippedRung,
    TriedRung,
)
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest, digest_of
from auditor.domain.evidence import (
    AcrossCases,
    AttackRate,
    AucComparison,
    AucRegression,
    CandidateRole,
    Estimate,
    Evidence,
    Influence,
    LatentDepth,
    LatentMeasure,
    MembershipAttack,
    Power,
    RecipeFit,
    Reliability,
    SecondaryTest,
    SubgroupAuc,
)
from auditor.domain.model_events import MadeOf
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.verdict import (
    Basis,
    Decision,
    Finding,
    FindingStatus,
    Reason,
    ReasonCode,
    Verdict,
)
from auditor.policies.evaluate import evaluate
from tests.policies import road


def named(name: str) -> Digest:
    return digest_of({"name": name})


CASE = "7f3a9c1e5b2d4068"
OUT = (-0.13, 0.02, 0.11, -0.08, 0.27, -0.21, 0.05, 0.0, 0.16, -0.04, 0.09, -0.30, 0.03, -0.1)
UNTOUCHED = (0.92, 1.04, 0.97, 0.88, 1.08, 1.0, 0.95, 1.02, 0.99, 1.07, 0.9, 1.01)

PLAN = PlanFacts(
    plan=named("plan"),
    bank=named("bank"),
    margin=0.35,
    alpha=0.05,
    power=Power(detect_untouched=0.97, pass_retrain=0.84),
    detect_one=None,
    out_models=14,
    in_models=12,
    ladder=("guo2020newton", "retrain"),
)


def evidence(
    *,
    weights: Digest,
    point: float,
    width: float,
    role: CandidateRole,
    by_recipe: bool = False,
    rejected: bool = False,
) -> Evidence:
    return Evidence(
        plan=PLAN.plan,
        weights=weights,
        role=role,
        by_recipe=by_recipe,
        influence=Influence(
            established=True,
            equivalence=Estimate(lower=point - width, point=point, upper=point + width, level=0.9),
            rejection=Estimate(
                lower=point - 1.4 * width, point=point, upper=point + 1.4 * width, level=0.97
            ),
            standard_error=width / 1.77,
            degrees=13,
            gap_t=14.2,
            out=OUT,
            untouched=UNTOUCHED,
            control_detected=12,
        ),
        patients=(),
        auc=AucRegression(
            original=Estimate(lower=0.702, point=0.760, upper=0.818, level=0.95),
            candidate=Estimate(lower=0.698, point=0.757, upper=0.816, level=0.95),
            comparisons=(
                AucComparison(
                    against="original",
                    difference=Estimate(lower=-0.018, point=-0.003, upper=0.012, level=0.95),
                ),
                AucComparison(
                    against="retrained",
                    difference=Estimate(lower=-0.022, point=-0.004, upper=0.014, level=0.95),
                ),
            ),
            margin=0.032,
            margin_refused=False,
            detectable_margin=0.032,
            positives=96,
            negatives=104,
            subgroups=(
                SubgroupAuc(
                    attribute="sex",
                    value="F",
                    positives=44,
                    negatives=51,
                    candidate=Estimate(lower=0.671, point=0.749, upper=0.827, level=0.95),
                    comparisons=(
                        AucComparison(
                            against="original",
                            difference=Estimate(
                                lower=-0.031, point=-0.006, upper=0.019, level=0.95
                            ),
                        ),
                    ),
                    detectable_margin=0.047,
                    power=0.58,
                    decisive=False,
                ),
            ),
            too_small=("age 0-17",),
        ),
        reliability=Reliability(
            brier=Estimate(lower=0.171, point=0.198, upper=0.225, level=0.9),
            brier_against_original=Estimate(lower=-0.009, point=0.002, upper=0.013, level=0.9),
            brier_against_retrained=Estimate(lower=-0.011, point=0.001, upper=0.013, level=0.9),
            brier_rank_p_value=0.588,
            calibration_error=0.112,
            calibration_error_original=0.104,
            calibration_error_retrained=0.109,
            calibration_error_rank_p_value=0.824,
        ),
        secondary=tuple(
            SecondaryTest(
                name=name,
                family=family,
                statistic=7.1 if rejected else statistic,
                p_value=0.0001 if rejected else p_value,
                rank_p_value=0.118 if rejected else 0.588,
                adjusted=0.0003 if rejected else min(1.0, 3 * p_value),
                doubt=0.00001 if rejected else min(1.0, 3 * p_value),
                decisive=True,
                rejected=rejected,
                doubted=rejected,
            )
            for name, family, statistic, p_value in (
                ("lira-offline", "membership", 0.61, 0.5512),
                ("loss-threshold", "membership", -0.42, 0.6811),
                ("latent-residual", "latent", 1.12, 0.2828),
            )
        ),
        membership=(
            MembershipAttack(
                name="loss-threshold",
                unit="patient",
                auc=Estimate(lower=0.391, point=0.512, upper=0.632, level=0.95),
                rates=(
                    AttackRate(
                        limit=0.01,
                        false_positives=Estimate(lower=0.0, point=0.005, upper=0.028, level=0.95),
                        true_positives=Estimate(lower=0.0, point=0.0, upper=0.143, level=0.95),
                    ),
                ),
                members=24,
                others=200,
                ceiling=3.85,
            ),
        ),
        latent=(
            LatentDepth(
                depth="head",
                measures=(
                    LatentMeasure(
                        name="procrustes",
                        value=0.21,
                        expected=0.05,
                        distance=1.12,
                        rank_p_value=0.353,
                    ),
                ),
                noise_p_value=0.431,
                nearer_untouched_p_value=0.722,
            ),
        ),
        recipe_fit=RecipeFit(matches=True, p_value=0.41, worst="forgotten"),
        retrain_fit=RecipeFit(matches=True, p_value=0.63, worst="retained"),
        across=AcrossCases(place=1, level=0.0247, p_value=0.31, confirmed=False),
    )


def decision(verdict: Verdict, code: ReasonCode, text: str) -> Decision:
    return Decision(verdict=verdict, reasons=(Reason(code=code, text=text),))


PASSED = Decision(
    verdict=Verdict.PASSED,
    reasons=(
        Reason(
            code=ReasonCode.EQUIVALENT,
            text="residual influence 0.06 [-0.19, 0.31] lies inside the margin of 0.35",
        ),
        Reason(
            code=ReasonCode.AUC_NON_INFERIOR,
            text="AUC is within 0.032: -0.003 [-0.018, +0.012] against original",
        ),
    ),
)
STRADDLES = decision(
    Verdict.INDETERMINATE,
    ReasonCode.INTERVAL_STRADDLES,
    "residual influence 0.17 [-0.14, 0.48] isn't wholly inside the margin of 0.35",
)
OUTSIDE = decision(
    Verdict.FAILED,
    ReasonCode.INFLUENCE_OUTSIDE,
    "residual influence 0.81 [0.49, 1.13] lies outside the margin of 0.35",
)
UNTOUCHED_FAILED = decision(
    Verdict.FAILED,
    ReasonCode.INFLUENCE_OUTSIDE,
    "residual influence 0.99 [0.67, 1.31] lies outside the margin of 0.35",
)

BEFORE, NEWTON, RETRAINED = named("before"), named("newton"), named("retrained")

CONTROLS = (
    Control(
        role=CandidateRole.UNTOUCHED,
        audit=Audit(
            evidence=evidence(weights=BEFORE, point=0.99, width=0.23, role=CandidateRole.UNTOUCHED),
            decision=UNTOUCHED_FAILED,
        ),
    ),
    Control(
        role=CandidateRole.RETRAIN,
        audit=Audit(
            evidence=evidence(
                weights=named("control"),
                point=0.02,
                width=0.24,
                role=CandidateRole.RETRAIN,
                by_recipe=True,
            ),
            decision=PASSED,
        ),
    ),
)


def rung(
    attempt: int, weights: Digest, point: float, width: float, found: Decision, *, exact: bool
) -> TriedRung:
    return TriedRung(
        attempt=attempt,
        method="retrain" if exact else "guo2020newton",
        exact=exact,
        parameters={"seed": "5"} if exact else {"subset": "473", "damping": "3"},
        milliseconds=13_420 if exact else 1_210,
        replayed=exact,
        weights=weights,
        record=named(f"record-{attempt}"),
        audit=Audit(
            evidence=evidence(
                weights=weights,
                point=point,
                width=width,
                role=CandidateRole.REQUEST,
                by_recipe=exact,
            ),
            decision=found,
        ),
    )


def artefacts(*, replaced: bool) -> tuple[AccountedArtefact, ...]:
    references = [
        AccountedArtefact(
            artefact=named(f"{kind}-{number}"),
            kind=kind,
            fate=ArtefactFate.DESTROYED,
            ground="no-longer-needed",
        )
        for kind, count in ((ArtefactKind.REFERENCE_IN, 12), (ArtefactKind.REFERENCE_OUT, 14))
        for number in range(count)
    ]
    return (
        AccountedArtefact(
            artefact=BEFORE,
            kind=ArtefactKind.MODEL,
            fate=ArtefactFate.DESTROYED if replaced else ArtefactFate.RETAINED,
            ground="replaced-in-service" if replaced else "erasure-not-established",
        ),
        *references,
        AccountedArtefact(
            artefact=named("payload"),
            kind=ArtefactKind.TRAINING_DATA,
            fate=ArtefactFate.RETAINED,
            ground="medical-record-retention",
            review=date(2027, 11, 24),
        ),
    )


def finding(
    rule: str, citation: str, title: str, status: FindingStatus, leaves: tuple[int, ...], text: str
) -> Finding:
    return Finding(
        rule_id=rule,
        citation=citation,
        title=title,
        status=status,
        leaves=leaves,
        explanation=text,
    )


FINDINGS = (
    finding(
        "GDPR-12-3-RESPOND",
        "Article 12(3) GDPR",
        "The request was granted and acted on within one month of receipt",
        FindingStatus.MET,
        (41, 42, 60),
        "Evidence for Article 12(3) GDPR: received (entry 41), granted (entry 42).",
    ),
    finding(
        "GDPR-12-4-REFUSE",
        "Article 12(4) GDPR",
        "A refusal was decided within one month of receipt",
        FindingStatus.NOT_APPLICABLE,
        (),
        "Does not apply here: the request was not refused.",
    ),
    finding(
        "GDPR-17-EFFECTIVE",
        "Article 17(1) GDPR",
        "Erasure from the model is established on a named basis, and the old model left service",
        FindingStatus.MET,
        (44, 48, 52, 56),
        "Evidence for Article 17(1) GDPR: the plan was pinned first (entry 44).",
    ),
    finding(
        "GDPR-19-RECIPIENTS",
        "Article 19 GDPR",
        "Recipients of the data are told of the erasure",
        FindingStatus.HUMAN_DECISION,
        (),
        "For a person to decide: who received the images or the model, and whether each was told.",
    ),
    finding(
        "HIPAA-NO-ERASURE",
        "45 CFR Part 164, Subpart E",
        "HIPAA has no general right of erasure; the request names another basis",
        FindingStatus.HUMAN_DECISION,
        (41,),
        "HIPAA has no general right of erasure. Here the request is handled under the GDPR. "
        "For a person to decide: whether the controller is a covered entity at all.",
    ),
)

_AFTER = ModelVersion(version=2, training_images=470, weights=NEWTON)


def passed() -> DocumentFacts:
    """A certificate on the statistical basis."""
    return DocumentFacts(
        outcome=Outcome.CERTIFIED,
        parties=Parties(
            controller="Universitätsklinikum Lindenau", dpo="Dr. Margarethe Kowalczyk-Ólafsdóttir"
        ),
        request=RequestFacts(
            case=CASE,
            regime=Regime.GDPR,
            ground=Ground.CONSENT_WITHDRAWN,
            received=date(2026, 11, 3),
            decided=date(2026, 11, 5),
            time_zone="Europe/Berlin",
            subjects=1,
            training_images=3,
        ),
        issued=date(2026, 11, 24),
        synthetic=False,
        model=ModelFacts(
            name="tb-chest",
            architecture="small-resnet",
            recipe=named("recipe"),
            before=ModelVersion(version=1, training_images=473, weights=BEFORE),
            after=_AFTER,
        ),
        code_version="0.1.0",
        device="cpu",
        packs=(
            PolicyPack(name="gdpr", digest=named("gdpr")),
            PolicyPack(name="hipaa", digest=named("hipaa")),
        ),
        findings=FINDINGS,
        plan=PLAN,
        attempts=(rung(1, NEWTON, 0.06, 0.25, PASSED, exact=False),),
        controls=CONTROLS,
        conclusion=Conclusion(decision=PASSED, basis=Basis.STATISTICAL_INDIVIDUAL),
        inventory=artefacts(replaced=True),
    )


CITED = CitedQualification(report=named("qualification"), number=3, short=1)


def cohort() -> DocumentFacts:
    """A certificate for several subjects, by a method that is qualified."""
    facts = passed()
    conclusion = Conclusion(decision=PASSED, basis=Basis.STATISTICAL_COHORT, qualification=CITED)
    start = StartFacts(
        weights=named("start"),
        name="IMAGENET1K_V1",
        made_of=MadeOf.OTHER_THINGS,
        declared=date(2026, 10, 1),
        withdrawn=False,
    )
    own = PolicyPack(name="our-hospital", digest=named("own"), foreign=frozenset({"OUR-TEN-DAYS"}))
    ten_days = finding(
        "OUR-TEN-DAYS",
        "House rule 4",
        "The answer leaves within ten days",
        FindingStatus.MET,
        (61,),
        "Evidence for House rule 4: the person was told (entry 61).",
    )
    looked = EarlierAudit(case="0c4f2a7e91d35b68", plan=named("looked"), margin=0.1)
    planned = EarlierAudit(
        case="51be0c77a2f4d913", plan=named("planned"), margin=0.2, audited=False
    )
    return replace(
        facts,
        request=replace(facts.request, subjects=24, audited_before=(looked, planned)),
        packs=(*facts.packs, own),
        findings=(*facts.findings, ten_days),
        model=replace(facts.model, start=start),
        plan=replace(PLAN, detect_one=0.91),
        conclusion=conclusion,
    )


def exact() -> DocumentFacts:
    """A certificate on the exact basis whose statistical verdict is INDETERMINATE."""
    facts = passed()
    return replace(
        facts,
        synthetic=True,
        model=replace(facts.model, after=replace(_AFTER, weights=RETRAINED)),
        served=ServedFacts(
            asked=datetime(2026, 11, 24, 9, 30, tzinfo=UTC), weights=RETRAINED, answer=b"{}"
        ),
        skipped=(SkippedRung(method="guo2020newton", reason="declared-power-too-low"),),
        attempts=(rung(1, RETRAINED, 0.17, 0.31, STRADDLES, exact=True),),
        conclusion=Conclusion(decision=STRADDLES, basis=Basis.EXACT),
    )


def failed() -> DocumentFacts:
    """A signed record: the attempt failed."""
    facts = passed()
    return replace(
        facts,
        outcome=Outcome.NOT_ERASED,
        request=replace(
            facts.request, regime=Regime.HIPAA, ground=Ground.AUTHORISATION_REVOKED, subjects=5
        ),
        model=replace(facts.model, after=None),
        attempts=(rung(1, NEWTON, 0.81, 0.23, OUTSIDE, exact=False),),
        conclusion=Conclusion(decision=OUTSIDE, basis=Basis.NONE),
        inventory=artefacts(replaced=False),
    )


def nothing() -> DocumentFacts:
    """A signed record: the patient trained nothing."""
    facts = passed()
    return replace(
        facts,
        outcome=Outcome.NOTHING_TO_UNLEARN,
        request=replace(facts.request, training_images=0),
        model=replace(facts.model, after=None),
        plan=None,
        attempts=(),
        controls=(),
        conclusion=None,
        inventory=(),
        device=None,
    )


def refused() -> DocumentFacts:
    """A signed record: the desk refused."""
    facts = nothing()
    request = replace(facts.request, training_images=None)
    return replace(facts, outcome=Outcome.REFUSED, request=request)


def unknowable() -> DocumentFacts:
    """A signed record: models with and without the patient can't be told apart."""
    facts = failed()
    found = decision(
        Verdict.INDETERMINATE, ReasonCode.GAP_NOT_ESTABLISHED, "gap of 0.8 standard errors"
    )
    audited = facts.attempts[0]
    assert audited.audit is not None
    measured = audited.audit.evidence
    blurred = replace(measured, influence=replace(measured.influence, established=False, gap_t=0.8))
    return replace(
        facts,
        attempts=(replace(audited, audit=Audit(evidence=blurred, decision=found)),),
        conclusion=Conclusion(decision=found, basis=Basis.NONE),
    )


ALL = {
    "passed": passed,
    "cohort": cohort,
    "exact": exact,
    "failed": failed,
    "nothing": nothing,
    "refused": refused,
    "unknowable": unknowable,
}


def in_language(facts: DocumentFacts, locale: str) -> DocumentFacts:
    """The same in another language, with every finding that the shipped packs make on a road."""
    entries = road.road(regime=facts.request.regime, ground=facts.request.ground)
    findings = evaluate(
        road.packs_for(facts.request.regime), road.facts(entries), language_of(locale)
    )
    return replace(facts, locale=locale, findings=findings)
