"""What a document doesn't say is told on it, where it could be taken to say so."""

from __future__ import annotations

from dataclasses import replace

from auditor.certificates.wording import non_claims
from tests.certificates.examples import cohort, exact, failed, passed


def test_only_a_replay_says_that_the_order_was_drawn_with_them_counted_in() -> None:
    facts = exact()
    replayed = replace(facts, attempts=(replace(facts.attempts[-1], method="rewind"),))
    sentence = "had been drawn with the patient's images counted in"
    assert any(sentence in line for line in non_claims(replayed))
    for other in (facts, failed()):
        assert not any("counted in" in line for line in non_claims(other))


def test_a_verdict_about_several_together_says_that_one_can_go_unseen() -> None:
    alone = passed()
    several = replace(alone, request=replace(alone.request, subjects=2))
    sentence = "can go unseen among the others"
    for facts in (several, cohort()):
        assert any(sentence in line for line in non_claims(facts))
    for other in (alone, failed(), replace(exact(), request=several.request)):
        assert not any(sentence in line for line in non_claims(other))
