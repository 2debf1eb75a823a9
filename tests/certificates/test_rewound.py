"""A certificate on a replayed training says what of the patient the replay still goes by."""

from __future__ import annotations

from dataclasses import replace

from auditor.certificates.wording import non_claims
from tests.certificates.examples import exact, failed


def test_only_a_replay_says_that_the_order_was_drawn_with_them_counted_in() -> None:
    facts = exact()
    replayed = replace(facts, attempts=(replace(facts.attempts[-1], method="rewind"),))
    sentence = "had been drawn with the patient's images counted in"
    assert any(sentence in line for line in non_claims(replayed))
    for other in (facts, failed()):
        assert not any("counted in" in line for line in non_claims(other))
