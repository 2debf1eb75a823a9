"""Checks on what is owed to the person, and to those who hold the person's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.domain import event as ev
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, IdentityResult, LetterKind
from auditor.policies.facts import Leaf
from auditor.policies.observation import (
    Observation,
    Papers,
    contradicts,
    for_a_person,
    missing,
    supports,
)
from auditor.policies.words import OUTCOMES


def identity_resolved(papers: Papers) -> Observation:
    """Doubts about who asked were resolved before the request was granted."""
    facts, say = papers.facts, papers.say
    checked = facts.find_last(ev.IdentityChecked)
    if checked is None:
        return for_a_person(say("Nothing on the identity of the person is on record."))
    day = checked.event.on
    match checked.event.result:
        case IdentityResult.CONFIRMED:
            text = say("Identity was confirmed on {day} ({entry}).", day=day, entry=checked)
            if day < checked.day:
                return for_a_person(_entered_later(papers, text, checked), checked)
            return supports(text, checked)
        case IdentityResult.NOT_IDENTIFIABLE:
            text = say(
                "The person could not be identified in the data ({entry}, {day}).",
                entry=checked,
                day=day,
            )
            return for_a_person(text, checked)
        case _:
            return _doubted(papers, checked)


def _doubted(papers: Papers, checked: Leaf[ev.IdentityChecked]) -> Observation:
    facts, day = papers.facts, checked.event.on
    decided = facts.decided
    if decided is not None and facts.has_decided(DecisionKind.GRANTED):
        text = papers.say(
            "Identity was doubted on {day} ({entry}), yet the request was granted ({other_entry}).",
            day=day,
            entry=checked,
            other_entry=decided,
        )
        return contradicts(text, checked, decided)
    text = papers.say(
        "Identity was doubted on {day} ({entry}); nothing on record resolves the doubt yet.",
        day=day,
        entry=checked,
    )
    return missing(text, checked)


def restricted_while_pending(papers: Papers) -> Observation:
    """A restriction that was imposed held until the case was concluded."""
    facts, say = papers.facts, papers.say
    imposed = facts.all(ev.ProcessingRestricted)
    if not imposed:
        return _unrestricted(papers)
    end = facts.conclusion
    early = [
        leaf for leaf in facts.all(ev.RestrictionLifted) if end is None or leaf.number < end.number
    ]
    if early:
        text = say(
            "Processing was restricted ({entry}), and the restriction lifted on {day} "
            "({other_entry}), before the case was concluded.",
            entry=imposed[-1],
            day=early[-1].event.on,
            other_entry=early[-1],
        )
        return contradicts(text, imposed[-1], early[-1])
    if end is not None and imposed[0].number > end.number:
        text = say(
            "Processing was restricted ({entry}) only after the case was concluded "
            "({other_entry}).",
            entry=imposed[0],
            other_entry=end,
        )
        return for_a_person(text, imposed[0], end)
    text = say(
        "Processing has been restricted since {day} ({entry}) while the case was pending.",
        day=imposed[0].event.on,
        entry=imposed[0],
    )
    worked = (*facts.all(ev.BankTrained), *facts.all(ev.AttemptStarted), *facts.verified)
    since = [leaf for leaf in worked if leaf.number > imposed[0].number]
    if since:
        text = say(
            "{text} Meanwhile the case's own run worked with the images, as the request asks "
            "({entry}).",
            text=text,
            entry=min(since, key=lambda leaf: leaf.number),
        )
    if imposed[0].event.on < imposed[0].day:
        return for_a_person(_entered_later(papers, text, imposed[0]), imposed[0])
    return supports(text, imposed[0])


def lifting_announced(papers: Papers) -> Observation:
    """The person was told before a restriction was lifted."""
    facts, say = papers.facts, papers.say
    imposed, lifted = facts.all(ev.ProcessingRestricted), facts.all(ev.RestrictionLifted)
    if not imposed:
        return _unrestricted(papers)
    if not lifted:
        text = say("The restriction ({entry}) has not been lifted.", entry=imposed[-1])
        return supports(text, imposed[-1])
    told = [
        leaf
        for leaf in facts.all(ev.LetterSent)
        if leaf.event.letter is LetterKind.RESTRICTION_LIFTED
    ]
    announced = [(end, _announcing(end, imposed, told)) for end in lifted]
    unannounced = [end for end, letters in announced if not letters]
    if not unannounced:
        last, letters = announced[-1]
        text = say(
            "The data subject was told on {day} ({entry}), before the restriction was lifted "
            "({other_entry}).",
            day=letters[-1].event.on,
            entry=letters[-1],
            other_entry=last,
        )
        return supports(text, letters[-1], last)
    end = unannounced[-1]
    text = say(
        "The restriction was lifted on {day} ({entry}); nothing on record says that the data "
        "subject was told before.",
        day=end.event.on,
        entry=end,
    )
    belated = [leaf for leaf in told if leaf.number > end.number and leaf.event.on <= end.event.on]
    if belated:
        text = say(
            "{text} A letter that bears the day {day} was entered only afterwards ({entry}).",
            text=text,
            day=belated[-1].event.on,
            entry=belated[-1],
        )
        return for_a_person(text, end, belated[-1])
    return contradicts(text, end, *told) if told else missing(text, end)


def _announcing(
    end: Leaf[ev.RestrictionLifted],
    imposed: Sequence[Leaf[ev.ProcessingRestricted]],
    told: Sequence[Leaf[ev.LetterSent]],
) -> list[Leaf[ev.LetterSent]]:
    """Letters that were entered between a restriction and its lifting, and left by that day."""
    begun = max((leaf.number for leaf in imposed if leaf.number < end.number), default=-1)
    return [
        leaf for leaf in told if begun < leaf.number < end.number and leaf.event.on <= end.event.on
    ]


def _entered_later(papers: Papers, text: str, leaf: Leaf[Event]) -> str:
    return papers.say("{text} It was entered only on {day}.", text=text, day=leaf.day)


def recipients_informed(papers: Papers) -> Observation:
    """Each recipient on record was told, or it is stated why not."""
    facts, say = papers.facts, papers.say
    recorded = facts.all(ev.RecipientRecorded)
    if not recorded:
        return for_a_person(say("No recipient of the data or the model is on record."))
    granted = facts.find_decision(DecisionKind.GRANTED)
    outcomes = {
        leaf.event.recipient: leaf
        for leaf in facts.all(ev.RecipientInformed)
        if granted is None or leaf.number > granted.number
    }
    told = [outcomes[leaf.event.recipient] for leaf in recorded if leaf.event.recipient in outcomes]
    left = len(recorded) - len(told)
    if left:
        text = say(
            "Of {count} recipients on record {left} have not been informed yet.",
            count=len(recorded),
            left=left,
        )
        return missing(text, *recorded, *told)
    counts = Counter(leaf.event.outcome for leaf in told)
    text = say(
        "Recipients on record: {count}; what became of them: {outcomes}.",
        count=len(recorded),
        outcomes=", ".join(
            say("{count} {fate}", count=counts[outcome], fate=say(words))
            for outcome, words in OUTCOMES.items()
            if counts[outcome]
        ),
    )
    return supports(text, *recorded, *told)


def excluded_from_training(papers: Papers) -> Observation:
    """The subjects stand on the list of those who are not trained on, and were not let in again."""
    facts, say = papers.facts, papers.say
    listed, admitted = facts.find_last(ev.SubjectsExcluded), facts.find_last(ev.SubjectsReadmitted)
    if listed is None:
        return missing(say("Nothing on record keeps the images out of future training yet."))
    if admitted is not None and admitted.number > listed.number:
        text = say(
            "The images were kept out of future training ({entry}), and admitted again on {day} "
            "({other_entry}).",
            entry=listed,
            day=admitted.day,
            other_entry=admitted,
        )
        return for_a_person(text, listed, admitted)
    text = say(
        "The images have been kept out of future training since {day} ({entry}).",
        day=listed.day,
        entry=listed,
    )
    return supports(text, listed)


def _unrestricted(papers: Papers) -> Observation:
    return for_a_person(papers.say("No restriction of the processing is on record."))
