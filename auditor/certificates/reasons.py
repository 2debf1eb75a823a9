"""The reasons of a verdict, worded for the document from the evidence they rest on.

`verification.decide` gives each reason a code and a line for those who run the audit; a document
says the same in its own language, in sentences, with the numbers of the signed evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from auditor.certificates import labels
from auditor.certificates.facts import DocumentFacts, PlanFacts
from auditor.domain.canonical import decimal_text, power_text
from auditor.domain.evidence import (
    AucComparison,
    AucRegression,
    Estimate,
    Evidence,
    Influence,
    SecondaryTest,
)
from auditor.domain.language import Language
from auditor.domain.verdict import Decision, Reason, ReasonCode


def reasons_in_words(
    decision: Decision, facts: DocumentFacts, language: Language
) -> tuple[Reason, ...]:
    """The conclusion's reasons, in the order in which the laboratory gave them."""
    audited = facts.decisive
    if audited is None or audited.audit is None or facts.plan is None:
        text = language.say(
            "Without these images no model can be trained that could be put in the place of the "
            "one in service, or compared with it."
        )
        return tuple(Reason(code=reason.code, text=text) for reason in decision.reasons)
    worded = _Worded(audited.audit.evidence, facts.plan, language)
    return tuple(Reason(code=item.code, text=worded.text(item.code)) for item in decision.reasons)


class _Worded:
    def __init__(self, evidence: Evidence, plan: PlanFacts, language: Language) -> None:
        self._evidence = evidence
        self._plan = plan
        self._language = language
        self._rejected: Iterator[SecondaryTest] = (
            test for test in evidence.secondary if test.decisive and test.rejected
        )
        self._doubted: Iterator[SecondaryTest] = (
            test for test in evidence.secondary if test.decisive and test.doubted
        )

    def text(self, code: ReasonCode) -> str:
        say, auc = self._language.say, self._evidence.auc
        margin, auc_margin = self._margin(), self._number(auc.margin, 3)
        influence = self._evidence.influence
        match code:
            case ReasonCode.EQUIVALENT:
                return say(
                    "Residual influence is {interval}: inside the margin of ±{margin}.",
                    interval=self._interval(influence.equivalence, 2),
                    margin=margin,
                )
            case ReasonCode.INFLUENCE_OUTSIDE:
                return say(
                    "Residual influence is {interval}: outside the margin of ±{margin}.",
                    interval=self._interval(influence.rejection, 2),
                    margin=margin,
                )
            case ReasonCode.INTERVAL_STRADDLES:
                return self._straddles(influence, margin)
            case ReasonCode.GAP_NOT_ESTABLISHED:
                return say(
                    "Models trained with and without these images can't be told apart (they lie "
                    "{gap} standard errors apart): there is nothing to measure by.",
                    gap=self._number(influence.gap_t, 1),
                )
            case ReasonCode.PATIENT_OUTSIDE:
                return say(
                    "Of {number} patients {outside} lie outside the margin of ±{margin} on their "
                    "own.",
                    number=len(self._evidence.patients),
                    outside=sum(item.outside for item in self._evidence.patients),
                    margin=margin,
                )
            case ReasonCode.PATIENT_TOLD_APART:
                return say(
                    "Of {number} patients {outside} can be told from a true retrain's on their "
                    "own.",
                    number=len(self._evidence.patients),
                    outside=sum(item.outside for item in self._evidence.patients),
                )
            case ReasonCode.CONTROL_NOT_DETECTED:
                return say(
                    "Only {detected} of {number} untouched models were found out.",
                    detected=influence.control_detected,
                    number=len(influence.untouched),
                )
            case ReasonCode.POWER_TOO_LOW:
                return say(
                    "The declared power to find out an untouched model is {power}, less than is "
                    "required.",
                    power=self._language.decimals(power_text(self._plan.power.detect_untouched, 2)),
                )
            case ReasonCode.AUC_NON_INFERIOR:
                return say(
                    "The AUC stays within its margin of {margin}: {differences}.",
                    margin=auc_margin,
                    differences=self._differences(auc),
                )
            case ReasonCode.AUC_INFERIOR:
                return say(
                    "The AUC fell by more than its margin of {margin}: {differences}.",
                    margin=auc_margin,
                    differences=self._differences(auc, groups=True),
                )
            case ReasonCode.AUC_UNDECIDED:
                return say(
                    "The AUC isn't shown to stay within its margin of {margin}: {differences}.",
                    margin=auc_margin,
                    differences=self._differences(auc),
                )
            case ReasonCode.AUC_MARGIN_REFUSED:
                return say(
                    "{number} never-seen images can only show a margin of the AUC of {margin}, "
                    "which is too wide to mean anything.",
                    number=auc.positives + auc.negatives,
                    margin=auc_margin,
                )
            case ReasonCode.SECONDARY_REJECTED:
                test = next(self._rejected)
                return say(
                    "The test “{test}” tells the model from true retrains (adjusted p = {p}).",
                    test=labels.word(self._language, labels.TESTS, test.name),
                    p=self._number(test.adjusted, 4),
                )
            case ReasonCode.SECONDARY_DOUBTED:
                test = next(self._doubted)
                return say(
                    "The test “{test}” may tell the model from true retrains (adjusted p = {p}, "
                    "were they normally distributed).",
                    test=labels.word(self._language, labels.TESTS, test.name),
                    p=self._number(test.doubt, 4),
                )
            case ReasonCode.RECIPE_MISMATCH:
                fit = self._evidence.recipe_fit
                return say(
                    "The model doesn't look like models trained by the registered recipe: {which} "
                    "(p = {p}). The reference models say nothing about it.",
                    which=labels.word(self._language, labels.RECIPE_VIEWS, fit.worst),
                    p=self._number(fit.p_value, 4),
                )
            case ReasonCode.NOT_BY_RECIPE:
                fit = self._evidence.retrain_fit
                return say(
                    "Said to be a retrain by the registered recipe, the model doesn't look like "
                    "those trained by it: {which} (p = {p}).",
                    which=labels.word(self._language, labels.RECIPE_VIEWS, fit.worst),
                    p=self._number(fit.p_value, 4),
                )
            case ReasonCode.NO_MODEL_POSSIBLE:
                return say("No model could be made.")

    def _straddles(self, influence: Influence, margin: str) -> str:
        inner = influence.equivalence
        if not (isfinite(inner.lower) and isfinite(inner.upper)):
            return self._language.say(
                "Models trained with and without these images lie {gap} standard errors apart: too "
                "few for residual influence to have a bounded interval.",
                gap=self._number(influence.gap_t, 1),
            )
        return self._language.say(
            "Residual influence is {interval}: not wholly inside the margin of ±{margin}.",
            interval=self._interval(inner, 2),
            margin=margin,
        )

    def _differences(self, auc: AucRegression, *, groups: bool = False) -> str:
        """Against each comparator; and of the decisive groups that fell below the margin."""
        found = [self._difference(item) for item in auc.comparisons]
        found += [
            f"{labels.group(self._language, group.attribute, group.value)}: "
            f"{self._difference(item)}"
            for group in auc.subgroups
            if groups and group.decisive
            for item in group.comparisons
            if item.difference.upper < -auc.margin
        ]
        return self._language.say("; ").join(found)

    def _difference(self, item: AucComparison) -> str:
        return self._language.say(
            "{interval} against {comparator}",
            interval=self._interval(item.difference, 3, sign="+"),
            comparator=labels.word(self._language, labels.COMPARATORS, item.against),
        )

    def _interval(self, estimate: Estimate, digits: int, sign: str = "") -> str:
        return self._language.say(
            "{point} ({lower} to {upper})",
            point=self._number(estimate.point, digits, sign),
            lower=self._number(estimate.lower, digits, sign),
            upper=self._number(estimate.upper, digits, sign),
        )

    def _margin(self) -> str:
        """As it was set, of up to four decimals; two at least."""
        whole, _, decimals = decimal_text(self._plan.margin).partition(".")
        return self._language.decimals(f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}")

    def _number(self, value: float, digits: int, sign: str = "") -> str:
        return self._language.decimals(f"{value:{sign}.{digits}f}")
