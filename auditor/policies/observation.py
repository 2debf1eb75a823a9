"""What one check saw in the record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import Digest
from auditor.domain.kind import Event
from auditor.domain.language import ENGLISH, Language
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.rule import Rule


class Bearing(StrEnum):
    """Which way an observation points."""

    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    MISSING = "missing"
    FOR_A_PERSON = "for a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A bearing, one plain sentence, and the ledger entries it was read from."""

    bearing: Bearing
    sentence: str
    leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What a check looks at: the facts, the rule that asks, the digest of the packs in use.

    ``language`` is what it words its sentence in.
    """

    facts: CaseFacts
    rule: Rule
    packs: Digest
    language: Language = ENGLISH

    def say(self, message: str, **values: object) -> str:
        """A sentence, or a part of one; entries of the ledger are named by their number."""
        return self.language.say(
            message,
            **{
                name: self.entry(value) if isinstance(value, Leaf) else value
                for name, value in values.items()
            },
        )

    def entry(self, leaf: Leaf[Event]) -> str:
        """How a sentence names an entry of the ledger."""
        return self.language.say("entry {number}", number=leaf.number)


def supports(sentence: str, *leaves: Leaf[Event]) -> Observation:
    """The record supports the rule; at least one entry says so.

    Raises:
        ValueError: no entry given, which would be a claim without evidence.
    """
    if not leaves:
        raise ValueError("support without a ledger entry")
    return _observed(Bearing.SUPPORTS, sentence, leaves)


def contradicts(sentence: str, *leaves: Leaf[Event]) -> Observation:
    """The record speaks against the rule."""
    return _observed(Bearing.CONTRADICTS, sentence, leaves)


def missing(sentence: str, *leaves: Leaf[Event]) -> Observation:
    """The record doesn't say, or not yet."""
    return _observed(Bearing.MISSING, sentence, leaves)


def for_a_person(sentence: str, *leaves: Leaf[Event]) -> Observation:
    """The record holds what a person needs to judge, but can't judge."""
    return _observed(Bearing.FOR_A_PERSON, sentence, leaves)


def _observed(bearing: Bearing, sentence: str, leaves: tuple[Leaf[Event], ...]) -> Observation:
    numbers = tuple(sorted({leaf.number for leaf in leaves}))
    return Observation(bearing=bearing, sentence=sentence, leaves=numbers)
