"""What the laboratory measured. Floats here; they become decimal strings when signed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import Digest

LEAST_OUT, LEAST_IN = 8, 5
"""Reference models of an audit: with one left out each half of them still has a variance."""


class CandidateRole(StrEnum):
    """What the model under audit is."""

    REQUEST = "request"
    UNTOUCHED = "untouched"
    RETRAIN = "retrain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A point with its two-sided confidence interval at ``level`` (e.g. 0.90)."""

    lower: float
    point: float
    upper: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """Residual influence: 0 is the mean of OUT models, 1 the mean of IN models.

    Attributes:
        established: the gap's own lower bound is above 0; otherwise the numbers mean nothing.
        equivalence: interval that must lie inside the margin to pass.
        rejection: wider interval that must lie outside the margin to fail.
        standard_error: of a new draw, in units of the gap.
        degrees: of freedom of the t distribution behind the intervals.
        gap_t: t statistic of the IN minus OUT gap.
        out: each OUT model's value, itself left out.
        untouched: each IN model's value, itself left out.
        control_detected: how many of ``untouched`` the rejection rule flags.
    """

    established: bool
    equivalence: Estimate
    rejection: Estimate
    standard_error: float
    degrees: int
    gap_t: float
    out: tuple[float, ...]
    untouched: tuple[float, ...]
    control_detected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientInfluence:
    """Residual influence of one forgotten patient. For the controller alone, never published.

    Attributes:
        patient: place among the data set's patients in the order of their names.
        images: how many of theirs were measured.
        established: this patient's own gap is above 0; otherwise the interval means nothing.
        gap_t: t statistic of that gap.
        interval: at the level of the cohort's, not widened for there being several patients.
        outside: told apart from a retrain on this patient alone, all patients allowed for.
    """

    patient: int
    images: int
    established: bool
    gap_t: float
    interval: Estimate
    outside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AucComparison:
    """Candidate's AUC-ROC minus a comparator's, on never-seen patients, paired."""

    against: str
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupAuc:
    """AUC-ROC in one group of never-seen patients. It may veto where ``decisive``, never grant.

    Attributes:
        attribute: ``site``, ``sex`` or ``age``; ``value`` as the manifest has it, ages in bands.
        positives: images of class 1; ``negatives`` the others.
        detectable_margin: least margin inside which a true retrain is found with 90 % power.
        power: chance that a true retrain is found inside the plan's margin here, no gain over the
            original counted.
    """

    attribute: str
    value: str
    positives: int
    negatives: int
    candidate: Estimate
    comparisons: tuple[AucComparison, ...]
    detectable_margin: float
    power: float
    decisive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AucRegression:
    """AUC-ROC non-inferiority; ``margin`` fixed in the plan, refused above 0.05.

    Attributes:
        detectable_margin: least margin inside which a true retrain is found with 90 % power.
        too_small: groups with too few patients of a class for an AUC.
    """

    original: Estimate
    candidate: Estimate
    comparisons: tuple[AucComparison, ...]
    margin: float
    margin_refused: bool
    detectable_margin: float
    positives: int
    negatives: int
    subgroups: tuple[SubgroupAuc, ...]
    too_small: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How right the probabilities of class 1 are, on never-seen patients. Description.

    Attributes:
        brier: mean squared error, and how much it is above the original's and above the mean
            over OUT models; intervals by patient.
        brier_rank_p_value: two-sided, among OUT models.
        calibration_error: expected calibration error over ten bins of equally many images.
    """

    brier: Estimate
    brier_against_original: Estimate
    brier_against_retrained: Estimate
    brier_rank_p_value: float
    calibration_error: float
    calibration_error_original: float
    calibration_error_retrained: float
    calibration_error_rank_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryTest:
    """A veto: it can turn a verdict to FAILED or withhold a PASSED, never grant one.

    Attributes:
        statistic: in standard deviations of the OUT models.
        p_value: two-sided, for tails over models as heavy as a t distribution's of 4 degrees.
        rank_p_value: exact whatever the distribution; it is ``p_value`` where the bank is large
            enough for it.
        adjusted: ``p_value`` after Holm over the family; small enough, it is ``rejected``: FAILED.
        doubt: likewise adjusted, the p-value were models normally distributed, so never above
            ``adjusted``; small enough, it is ``doubted``: not PASSED.
        decisive: where False the line is description.
    """

    name: str
    family: str
    statistic: float
    p_value: float
    rank_p_value: float
    adjusted: float
    doubt: float
    decisive: bool
    rejected: bool
    doubted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRate:
    """What an attack finds where it may take at most a share ``limit`` of others for members.

    Attributes:
        limit: false-positive rate asked for, e.g. 0.01.
        false_positives: share of others above the threshold; with few others 0, and the interval
            says how little that means.
        true_positives: share of members above the threshold.
    """

    limit: float
    false_positives: Estimate
    true_positives: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipAttack:
    """How well one attack tells members from others. Description, not a verdict.

    Attributes:
        unit: what is counted: ``patient``, given the one model attacked, or ``model``.
        auc: two-sided interval; 0.5 is a guess.
        members: how many units the attack should find; ``others`` how many it shouldn't.
        ceiling: largest epsilon an attack without error could prove with these numbers.
    """

    name: str
    unit: str
    auc: Estimate
    rates: tuple[AttackRate, ...]
    members: int
    others: int
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentMeasure:
    """One measure of the forgotten patients' features at one depth.

    Attributes:
        value: the candidate's.
        expected: mean over OUT models, each measured as the candidate is.
        distance: between the two, in standard deviations of the OUT models.
        rank_p_value: two-sided and exact, of one measure at one depth; at least 2 / (K + 1).
    """

    name: str
    value: float
    expected: float
    distance: float
    rank_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentDepth:
    """Latent similarity at one depth of the network. Description; `SecondaryTest` decides.

    Attributes:
        depth: name of the module, the same for all models.
        noise_p_value: "the residual is noise", exact by permutation of patients if the forgotten
            are exchangeable with the never-seen.
        nearer_untouched_p_value: three-sample relative test, small where the candidate is nearer
            to the mean untouched model than to the mean retrain.
    """

    depth: str
    measures: tuple[LatentMeasure, ...]
    noise_p_value: float
    nearer_untouched_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFit:
    """Does a model look like those trained by the recipe? The smallest adjusted p-value, and where.

    The model in service is held against the IN models, a candidate against the OUT models. The
    worst is a group of images, or the weights' length in all layers or in the last one.
    """

    matches: bool
    p_value: float
    worst: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossCases:
    """A case among all of its quarter. The verdict doesn't hang on it.

    Attributes:
        place: of its plan among those pinned in the same quarter, from 1.
        level: what this place may spend, so that all of the quarter spend at most alpha.
        p_value: least alpha at which the case alone would be FAILED.
        confirmed: FAILED even at ``level``.
    """

    place: int
    level: float
    p_value: float
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Declared before the run, from the bank alone."""

    detect_untouched: float
    pass_retrain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything one audit of one candidate found.

    Attributes:
        by_recipe: whether the candidate is said to be a retrain by the recipe, as exact methods
            make it and approximate ones don't.
        retrain_fit: whether it looks like one; asked of those that are said to be.
    """

    plan: Digest
    weights: Digest
    role: CandidateRole
    by_recipe: bool
    influence: Influence
    patients: tuple[PatientInfluence, ...]
    auc: AucRegression
    reliability: Reliability
    secondary: tuple[SecondaryTest, ...]
    membership: tuple[MembershipAttack, ...]
    latent: tuple[LatentDepth, ...]
    recipe_fit: RecipeFit
    retrain_fit: RecipeFit
    across: AcrossCases
