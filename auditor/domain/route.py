"""Why a case takes the way it takes: the reasons that the ledger keeps, each a closed list."""

from __future__ import annotations

from enum import StrEnum


class Obstacle(StrEnum):
    """What makes a model without the subjects impossible to train or to audit."""

    NONE = "none"
    NOTHING_LEFT = "no-training-images-left"
    """The request names everybody that the model was trained on."""
    CLASS_LEFT_EMPTY = "class-left-without-images"
    """Too few images of a class would be left for a model to learn it, or to be compared on it."""
    TOO_FEW_TO_COMPARE = "too-few-images-to-compare-by"
    """Too few images of others, of some class, for any model to be audited by: not a retrain."""
    STARTS_TRAINED = "starts-from-weights-not-drawn"
    """The model's network starts from weights that may have been trained on the subjects."""
    NOT_AUDITABLE = "models-not-auditable"
    """Models of this kind answer so that nothing can be measured by it: a retrain's, too."""
    READ_BY_METHOD = "read-as-never-seen-images"
    """No image was trained on, but the method that made the model in service read some."""


class LeftOut(StrEnum):
    """Why a method is no rung of a case's ladder."""

    EXACT_DUE = "exact-training-due"
    NEED_NOT_MET = "need-not-met"
    RECIPE_MISMATCH = "recipe-mismatch"
    AUC_MARGIN_REFUSED = "auc-margin-refused"
    POWER_TOO_LOW = "declared-power-too-low"
    NOT_QUALIFIED = "not-qualified-for-cohorts"
    TAIL = "memorised-too-strongly"
    NO_SURROGATES = "no-surrogate-patients"
    NO_PARAMETERS = "no-parameters-within-bounds"
    RESIDUAL = "residual-on-surrogates-too-large"
    NO_ROOM = "level-not-split-further"
    NOT_CHEAPER = "no-cheaper-than-training-again"


class Due(StrEnum):
    """Why a model's next erasure has to train it again."""

    STEPS = "most-approximate-erasures-reached"
    AUC = "auc-below-last-exact-training"
    RESIDUAL = "residual-influence-adds-up"
