"""Tokens of the statement in words, for the printed page."""

from __future__ import annotations

from auditor.domain.artefact import ArtefactFate, ArtefactKind
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.verdict import Basis, FindingStatus

TITLES = {
    Outcome.CERTIFIED: "Certificate of Unlearning",
    Outcome.NOT_ERASED: "Record of Attempted Erasure",
    Outcome.NOTHING_TO_UNLEARN: "Record of Inquiry",
    Outcome.REFUSED: "Record of a Refused Request",
    Outcome.WITHDRAWN: "Record of a Withdrawn Request",
}

SUBTITLES = {
    Regime.GDPR: "upon a request for erasure under Article 17 of the General Data Protection "
    "Regulation",
    Regime.HIPAA: "upon a request handled under the HIPAA Privacy Rule, 45 CFR Part 164",
}

SEAL_WORDS = {
    Outcome.NOTHING_TO_UNLEARN: "NOTHING TO UNLEARN",
    Outcome.REFUSED: "REFUSED",
    Outcome.WITHDRAWN: "WITHDRAWN",
}

BASES = {
    Basis.EXACT: "exact",
    Basis.STATISTICAL_INDIVIDUAL: "statistical, individual",
    Basis.STATISTICAL_COHORT: "statistical, cohort",
    Basis.NONE: "none",
}

GROUNDS = {
    Ground.NO_LONGER_NECESSARY: "Data no longer necessary, Article 17(1)(a) GDPR",
    Ground.CONSENT_WITHDRAWN: "Consent withdrawn, Article 17(1)(b) GDPR",
    Ground.OBJECTION: "Objection, Article 17(1)(c) GDPR",
    Ground.UNLAWFUL: "Unlawful processing, Article 17(1)(d) GDPR",
    Ground.LEGAL_OBLIGATION: "Legal obligation to erase, Article 17(1)(e) GDPR",
    Ground.CHILD_SERVICE: "Data collected from a child, Article 17(1)(f) GDPR",
    Ground.AUTHORISATION_REVOKED: "Authorisation revoked, 45 CFR 164.508(b)(5)",
    Ground.OWN_POLICY: "The controller's own policy",
}

ARTEFACTS = {
    ArtefactKind.MODEL: "the model before",
    ArtefactKind.REFERENCE_IN: "reference models trained with the images",
    ArtefactKind.REFERENCE_OUT: "reference models trained without the images",
    ArtefactKind.SHARED_REFERENCE: "reference models that serve several requests",
    ArtefactKind.SCOUT: "scout models",
    ArtefactKind.CANDIDATE: "models made by the attempts and controls",
    ArtefactKind.CURVATURE: "curvatures of the model before, kept between requests",
    ArtefactKind.TRAINING_CHECKPOINT: "checkpoints of the training",
    ArtefactKind.TRAINING_DATA: "the source images",
    ArtefactKind.SCORES: "scores",
    ArtefactKind.REQUEST_PAYLOAD: "the request itself, in the vault",
}

REASONS = {
    "medical-record-retention": "the medical record must be kept",
    "gdpr-5-2-accountability": "accountability, Article 5(2) GDPR",
    "verification-of-other-requests": "needed to verify other requests until its last day",
}

FATES = {
    ArtefactFate.REPLACED: "Replaced",
    ArtefactFate.DESTROYED: "Destroyed",
    ArtefactFate.RETAINED: "Retained",
}

ROLES = {
    CandidateRole.REQUEST: "The model of this request",
    CandidateRole.UNTOUCHED: "The untouched model",
    CandidateRole.RETRAIN: "A model trained again without the images",
}

STATUSES = {
    FindingStatus.MET: "met",
    FindingStatus.NOT_MET: "not met",
    FindingStatus.NOT_APPLICABLE: "not applicable",
    FindingStatus.INSUFFICIENT: "insufficient evidence",
    FindingStatus.HUMAN_DECISION: "for a person to decide",
}

METHODS = {
    "guo2020newton": "Newton step",
    "negative-gradient": "fine-tuning towards the retained images and away from the forgotten",
    "newton": "Newton step",
    "noisy-fine-tuning": "noise of a stated size, then fine-tuning",
    "reference-distillation": "teaching the answers that never-seen images get",
    "reset-and-heal": "resetting part of the weights, then fine-tuning",
    "rewind": "training again from before the images were seen",
    "retrain": "training again from the start",
}

TESTS = {
    "lira-offline": "Membership: likelihood ratio",
    "lira-augmented": "Membership: likelihood ratio, changed images",
    "rmia-offline": "Membership: ratio to the population",
    "loss-threshold": "Membership: loss threshold",
    "latent-residual": "Inner representation: residual",
    "latent-relative": "Inner representation: nearer to which",
    "latent-probe": "Inner representation: probe of each layer",
    "relearning-speed": "Relearning: how fast the images come back",
}

COMPARATORS = {"original": "the model before", "retrained": "models trained again"}


def words(token: str) -> str:
    """A token without a label of its own, made readable.

    >>> words("declared-power-too-low")
    'declared power too low'
    """
    return token.replace("-", " ").replace("_", " ")
