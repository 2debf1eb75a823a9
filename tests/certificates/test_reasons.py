"""Every reason of a verdict, worded for the document in every language from signed numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import DocumentFacts
from auditor.certificates.reasons import reasons_in_words
from auditor.domain.evidence import RecipeFit
from auditor.domain.verdict import Decision, Reason, ReasonCode, Verdict
from tests.certificates import examples

LOCALES = ("en", "de", "fr", "es")
WORST = ("forgotten", "never-seen", "retained", "weights", "head")


def worded(code: ReasonCode, locale: str, worst: str = "head") -> str:
    facts = _facts(worst)
    found = Decision(
        verdict=Verdict.INDETERMINATE, reasons=(Reason(code=code, text="for the log"),)
    )
    (reason,) = reasons_in_words(found, facts, language_of(locale))
    assert reason.code is code
    return reason.text


def _facts(worst: str) -> DocumentFacts:
    """An attempt whose every test is in doubt, and rejected, too, so that each has its numbers."""
    facts = examples.failed()
    attempt = facts.attempts[-1]
    assert attempt.audit is not None
    evidence = attempt.audit.evidence
    fit = RecipeFit(matches=False, p_value=0.0021, worst=worst)
    odd = replace(
        evidence,
        secondary=tuple(
            replace(test, adjusted=0.0013, rejected=True, doubt=0.0247, doubted=True)
            for test in evidence.secondary
        ),
        recipe_fit=fit,
        retrain_fit=fit,
    )
    audit = replace(attempt.audit, evidence=odd)
    return replace(facts, attempts=(replace(attempt, audit=audit),))


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_is_said_in_every_language(code: ReasonCode) -> None:
    said = [worded(code, locale) for locale in LOCALES]
    assert len(set(said)) == len(LOCALES), said  # none is left in English
    assert all(text and "{" not in text and "for the log" not in text for text in said)


@pytest.mark.parametrize("code", [ReasonCode.RECIPE_MISMATCH, ReasonCode.NOT_BY_RECIPE])
@pytest.mark.parametrize("locale", LOCALES)
def test_where_a_model_looks_strange_is_said(code: ReasonCode, locale: str) -> None:
    assert len({worded(code, locale, worst) for worst in WORST}) == len(WORST)


@pytest.mark.parametrize(("margin", "said"), [(0.35, "±0.35"), (0.3541, "±0.3541"), (0.4, "±0.40")])
def test_a_margin_is_told_as_it_was_set(margin: float, said: str) -> None:
    facts = _facts("head")
    assert facts.plan is not None
    plan = replace(facts.plan, margin=margin)
    reason = Reason(code=ReasonCode.INFLUENCE_OUTSIDE, text="for the log")
    found = Decision(verdict=Verdict.FAILED, reasons=(reason,))
    (told,) = reasons_in_words(found, replace(facts, plan=plan), language_of("en"))
    assert f"outside the margin of {said}." in told.text


@pytest.mark.parametrize(("locale", "number"), [("en", "0.0247"), ("de", "0,0247")])
def test_what_is_in_doubt_is_told_by_the_number_that_is_small(locale: str, number: str) -> None:
    assert number in worded(ReasonCode.SECONDARY_DOUBTED, locale)
    assert number not in worded(ReasonCode.SECONDARY_REJECTED, locale)
