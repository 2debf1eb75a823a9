"""What a document does not say, said on it: the claims a reader might take it to make.

In the document's language, as `wording` has the rest.
"""

from __future__ import annotations

from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import DocumentFacts, PlanFacts
from auditor.certificates.wording import whose
from auditor.domain.canonical import power_text
from auditor.domain.language import Language
from auditor.domain.verdict import Basis

_ALWAYS_DISCLAIMED = (
    "That the measurements were made on the model in service is the controller's signed statement, "
    "unless the evidence bundle is replayed or a witness holds the reference models.",
    "Copies of the images kept outside the training of this model, such as the medical record, are "
    "not removed by what is described here; those known are listed in the inventory.",
    "This is neither legal advice nor a finding that the controller's processing as a whole is "
    "lawful, nor that the model is outside data-protection law.",
    "The model's fitness for clinical use was not assessed; its accuracy was compared with that "
    "before only to show that unlearning did not damage it.",
)
_NO_FORMAL_GUARANTEE = (
    "No formal privacy guarantee in the sense of differential privacy is given: no noise mechanism "
    "with such a guarantee was run."
)
_NOT_ZERO = (
    "The influence is not said to be zero. A difference smaller than the margin, or one that the "
    "tests listed do not look for, would go unseen."
)
_ONE_AMONG_SEVERAL = (
    "The verdict is about several patients together. Each was looked at alone, too; yet one of "
    "them who was not forgotten can go unseen among the others."
)
_ONE_TOLD_APART = (
    "Declared before the run: such a patient would be told apart with probability {one}, in the "
    "mean of these patients."
)
_EXACT_LIMITS = (
    "The exact basis covers the training of this model. Choices made earlier with {whose} images "
    "in view (such as architecture or settings), and copies of those images filed under another "
    "person, are not covered by it."
)
_COUNTED_IN = (
    "The order in which the other images were shown had been drawn with {whose} images counted in. "
    "They were left out of it, not drawn again without: how many there were, and where in the "
    "order, can show in it. What they show cannot."
)
_ENDPOINTS_WORD = (
    "What the endpoint answered is its own word at that moment, by its own key: not what it "
    "computes its results with, nor what it serves later."
)
_UNBOUNDED = (
    "An AUC is never above 1, though an interval of it printed here is: the interval (DeLong) "
    "allows for chance on both sides alike and knows no bound. It is printed as it was computed "
    "and signed."
)
_NO_TRUSTED_TIME = (
    "Dates are those of the issuer's clock. The ledger fixes the order of events, but no "
    "independent time-stamp was obtained."
)


def non_claims(facts: DocumentFacts) -> tuple[str, ...]:
    """What the document does not say."""
    language = language_of(facts.locale)
    say = language.say
    lines = [say(line) for line in _ALWAYS_DISCLAIMED]
    if facts.conclusion is not None:
        basis = facts.conclusion.basis
        exact = basis is Basis.EXACT
        lines += [say(_EXACT_LIMITS, whose=whose(facts)) if exact else say(_NOT_ZERO)]
        if basis is Basis.STATISTICAL_COHORT:
            lines.append(_one_among_several(facts.plan, language))
        if exact and facts.attempts[-1].method == "rewind":
            lines.append(say(_COUNTED_IN, whose=whose(facts)))
        lines.append(say(_NO_FORMAL_GUARANTEE))
    if _beyond_one(facts):
        lines.append(say(_UNBOUNDED))
    if facts.served is not None:
        lines.append(say(_ENDPOINTS_WORD))
    if facts.seal.trusted_time == "none":
        lines.append(say(_NO_TRUSTED_TIME))
    return tuple(lines)


def _beyond_one(facts: DocumentFacts) -> bool:
    """Whether an interval of an AUC that is printed ends above 1."""
    if facts.decisive is None or facts.decisive.audit is None:
        return False
    auc = facts.decisive.audit.evidence.auc
    return max(auc.original.upper, auc.candidate.upper) > 1


def _one_among_several(plan: PlanFacts | None, language: Language) -> str:
    sentences = [language.say(_ONE_AMONG_SEVERAL)]
    if plan is not None and plan.detect_one is not None:
        one = language.decimals(power_text(plan.detect_one, 2))
        sentences.append(language.say(_ONE_TOLD_APART, one=one))
    return " ".join(sentences)
