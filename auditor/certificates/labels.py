"""Tokens of the statement in words, for the printed page; in English here, else by catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.domain.artefact import ArtefactFate, ArtefactKind, ItemStatus
from auditor.domain.evidence import CandidateRole
from auditor.domain.language import Language
from auditor.domain.request import DecidedBy, Ground, Outcome, Regime
from auditor.domain.route import LeftOut
from auditor.domain.verdict import Basis, FindingStatus, Verdict

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
    Regime.UK_GDPR: "upon a request for erasure under Article 17 of the UK General Data Protection "
    "Regulation",
    Regime.HIPAA: "upon a request handled under the HIPAA Privacy Rule, 45 CFR Part 164",
    Regime.CCPA: "upon a request for deletion under Section 1798.105 of the California Civil Code",
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
    Ground.UK_NO_LONGER_NECESSARY: "Data no longer necessary, Article 17(1)(a) UK GDPR",
    Ground.UK_CONSENT_WITHDRAWN: "Consent withdrawn, Article 17(1)(b) UK GDPR",
    Ground.UK_OBJECTION: "Objection, Article 17(1)(c) UK GDPR",
    Ground.UK_UNLAWFUL: "Unlawful processing, Article 17(1)(d) UK GDPR",
    Ground.UK_LEGAL_OBLIGATION: "Legal obligation to erase, Article 17(1)(e) UK GDPR",
    Ground.UK_CHILD_SERVICE: "Data collected from a child, Article 17(1)(f) UK GDPR",
    Ground.AUTHORISATION_REVOKED: "Authorisation revoked, 45 CFR 164.508(b)(5)",
    Ground.OWN_POLICY: "The controller's own policy",
    Ground.DELETION_REQUESTED: "Request for deletion, Cal. Civ. Code Section 1798.105(a)",
}

DECIDED_BY = {
    DecidedBy.UNSIGNED: "the controller's desk, without a key of its own",
    DecidedBy.KEY: "one person of the controller's desk, who signed for it",
    DecidedBy.TWO_KEYS: "two people of the controller's desk, who both signed for it",
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
    ArtefactKind.EXCLUSION_ENTRIES: "entries that keep the images out of future training",
    ArtefactKind.SOURCE: "copies of the source images elsewhere",
    ArtefactKind.SPLIT: "extracts of the training data",
    ArtefactKind.CACHE: "caches made of the training data",
    ArtefactKind.DERIVED_MODEL: "models derived from the model before",
    ArtefactKind.EXPORT: "exported copies of the model before",
    ArtefactKind.BACKUP: "backups",
}

REASONS = {
    "medical-record-retention": "the medical record must be kept",
    "gdpr-5-2-accountability": "accountability, Article 5(2) GDPR",
    "verification-of-other-requests": "needed to verify other requests until its last day",
    "no-longer-needed": "no longer needed",
    "replaced-in-service": "replaced in service",
    "exclusion-from-training": "kept so that the images are not trained on again",
    "legal-obligation": "a legal obligation to keep it, Article 17(3)(b) GDPR",
    "legal-claims": "needed for legal claims, Article 17(3)(e) GDPR",
    "public-health": "public interest in public health, Article 17(3)(c) GDPR",
    "research": "archiving or research, Article 17(3)(d) GDPR",
    "backup-until-overwritten": "a backup that is overwritten on its day and not restored from",
    "destroyed-by-controller": "the controller's word that it is destroyed",
    "replaced-by-controller": "the controller's word that it is replaced",
    "erasure-not-established": "erasure not established",
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
    "label-only": "Membership: labels alone",
    "u-lira": "Membership: likelihood ratio between models",
    "bank": "Control: reference models told apart",
    "split-members": "Control: two groups of members",
    "split-others": "Control: two groups of others",
    "latent-residual": "Inner representation: residual",
    "latent-relative": "Inner representation: nearer to which",
    "latent-probe": "Inner representation: probe of each layer",
    "relearning-speed": "Relearning: how fast the images come back",
}

COMPARATORS = {"original": "the model before", "retrained": "models trained again"}

SKIPPED = {
    LeftOut.EXACT_DUE: "the model is due to be trained again",
    LeftOut.NEED_NOT_MET: "the method can't be used on this model",
    LeftOut.RECIPE_MISMATCH: "the recipe doesn't describe the model",
    LeftOut.AUC_MARGIN_REFUSED: "too few images to watch the AUC by",
    LeftOut.POWER_TOO_LOW: "declared power too low",
    LeftOut.NOT_QUALIFIED: "not qualified for cohorts",
    LeftOut.TAIL: "memorised too strongly",
    LeftOut.NO_SURROGATES: "no surrogate patients to tune it on",
    LeftOut.NO_PARAMETERS: "no parameters within bounds",
    LeftOut.RESIDUAL: "residual influence on surrogate patients too large",
    LeftOut.NO_ROOM: "significance level not split further",
    LeftOut.NOT_CHEAPER: "no cheaper than training again",
}

PARAMETERS = {
    "bound": "bound",
    "by": "chosen by",
    "damping": "damping",
    "epochs": "epochs",
    "layers": "layers",
    "learning_rate": "learning rate",
    "memory": "memory",
    "precision": "precision",
    "rise": "rise of the loss",
    "seed": "seed",
    "share": "share",
    "subset": "images for the curvature",
    "weight": "weight",
}

TRUSTED_TIMES = {"none": "no trusted time", "time-stamp": "with a trusted time-stamp"}

UNITS = {"patient": "patients", "model": "models"}

ATTRIBUTES = {"age": "age", "sex": "sex", "site": "site"}

RECIPE_VIEWS = {
    "forgotten": "answers on the forgotten images",
    "never-seen": "answers on never-seen images",
    "retained": "answers on the retained images",
    "weights": "length of all layers' weights",
    "head": "length of the last layer's weights",
}

ITEM_STATUSES = {
    ItemStatus.ERASED: "erased",
    ItemStatus.EXCEPTED: "with exceptions",
    ItemStatus.NOT_ERASED: "not erased",
}

VERDICTS = {verdict: verdict.value for verdict in Verdict}


def word(language: Language, table: Mapping[Any, str], token: str) -> str:
    """A token in the language of the document: by its label, else readable as it is."""
    return language.say(table[token] if token in table else words(token))


def group(language: Language, attribute: str, value: str) -> str:
    """A group of patients, e.g. ``sex F``."""
    return f"{word(language, ATTRIBUTES, attribute)} {value}"


def words(token: str) -> str:
    """A token without a label of its own, made readable.

    >>> words("declared-power-too-low")
    'declared power too low'
    """
    return token.replace("-", " ").replace("_", " ")
