"""What a document doesn't say is told on it, where it could be taken to say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.certificates.non_claims import non_claims
from auditor.certificates.wording import summary
from auditor.domain.request import Regime
from tests.certificates.examples import cohort, exact, failed, passed, refused


def test_an_interval_of_the_auc_that_ends_above_1_is_explained() -> None:
    facts = passed()
    (rung,) = facts.attempts
    assert rung.audit is not None
    evidence = rung.audit.evidence
    auc = replace(evidence.auc, candidate=replace(evidence.auc.candidate, upper=1.0025))
    audit = replace(rung.audit, evidence=replace(evidence, auc=auc))
    beyond = replace(facts, attempts=(replace(rung, audit=audit),))
    (line,) = set(non_claims(beyond)) - set(non_claims(facts))
    assert line.startswith("An AUC is never above 1")


def test_only_a_replay_says_that_the_order_was_drawn_with_them_counted_in() -> None:
    facts = exact()
    replayed = replace(facts, attempts=(replace(facts.attempts[-1], method="rewind"),))
    sentence = "had been drawn with the patient's images counted in"
    assert any(sentence in line for line in non_claims(replayed))
    for other in (facts, failed()):
        assert not any("counted in" in line for line in non_claims(other))


def test_a_cohort_says_how_often_one_of_it_would_go_unseen() -> None:
    several = cohort()
    assert several.plan is not None
    unseen, declared = "can go unseen among the others", "told apart with probability 0.91"
    (line,) = [line for line in non_claims(several) if unseen in line]
    assert declared in line
    earlier = replace(several, plan=replace(several.plan, detect_one=None))
    (line,) = [line for line in non_claims(earlier) if unseen in line]
    assert "probability" not in line
    for other in (passed(), failed(), exact()):
        assert not any(unseen in line for line in non_claims(other))


@pytest.mark.parametrize("locale", ["en", "de", "fr", "es"])
def test_a_refusal_names_the_rights_and_the_law_of_its_own_regime(locale: str) -> None:
    facts = replace(refused(), locale=locale)
    said = {
        regime: " ".join(summary(replace(facts, request=replace(facts.request, regime=regime))))
        for regime in Regime
    }
    assert len(set(said.values())) == 3
    assert said[Regime.HIPAA] == said[Regime.CCPA]
    assert not any(digit in said[Regime.HIPAA] for digit in "0123456789")
    british = {"en": "UK GDPR", "de": "UK-DSGVO", "fr": "britannique", "es": "Reino Unido"}[locale]
    assert (british in said[Regime.UK_GDPR], british in said[Regime.GDPR]) == (True, False)


def test_a_refusal_after_attempts_says_that_there_were_some() -> None:
    before, after = refused(), replace(refused(), attempts=failed().attempts)
    assert "no unlearning was run" in " ".join(summary(before))
    (told,) = summary(after)
    assert "no unlearning was run" not in told and "Unlearning had been begun before" in told
    assert "Article 12(4)" in told
