"""Checks on the erasure: what it touched, what it left, and whether it is established."""

from __future__ import annotations

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.kind import Event
from auditor.domain.verdict import Basis, Verdict
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.observation import (
    Observation,
    Papers,
    contradicts,
    for_a_person,
    missing,
    supports,
)

_BASES = {
    Basis.EXACT: "retraining without the patient, run twice with the same result bit for bit",
    Basis.STATISTICAL_INDIVIDUAL: "a statistical audit of this one patient",
    Basis.STATISTICAL_COHORT: "a statistical audit of the cohort by a qualified method",
}
_BY_PASSING = (Basis.STATISTICAL_INDIVIDUAL, Basis.STATISTICAL_COHORT)


def affected_accounted(papers: Papers) -> Observation:
    """Each artefact in the inventory was replaced, destroyed, or retained on a stated ground."""
    facts, say = papers.facts, papers.say
    scope = facts.find_last(ev.ScopeEstablished)
    if scope is None:
        return missing(say("No inventory of what the request affects is on record yet."))
    if facts.nothing_found is not None:
        return supports(_nothing(papers, scope), scope)
    accounted = facts.accounted()
    found = [accounted[digest] for digest in scope.event.affected if digest in accounted]
    count = len(scope.event.affected)
    if len(found) == count and count > 0:
        text = say(
            "The inventory ({entry}) lists {count} affected artefacts; each is accounted for: "
            "{fates}.",
            entry=scope,
            count=count,
            fates=_fates(papers, found),
        )
        return supports(text, scope, *found)
    text = say(
        "The inventory ({entry}) lists {count} affected artefacts; {left} of them are not "
        "accounted for.",
        entry=scope,
        count=count,
        left=count - len(found),
    )
    return _unless_over(facts, text, scope, *found)


def derived_accounted(papers: Papers) -> Observation:
    """Reference models that saw the patient, candidates not in service and kept curvatures are."""
    facts, say = papers.facts, papers.say
    scope, bank = facts.find_last(ev.ScopeEstablished), facts.find_last(ev.BankTrained)
    if scope is not None and facts.nothing_found is not None:
        return supports(_nothing(papers, scope), scope)
    if scope is None or bank is None:
        return missing(say("No reference models are on record yet."))
    accounted = facts.accounted()
    derived = _candidates(facts) - _kept(facts) - {scope.event.weights}
    derived |= _curvatures(facts, scope.event.weights) | _declared_since(facts, scope)
    gone = [accounted[digest] for digest in sorted(derived, key=str) if digest in accounted]
    seen = _seen(facts)
    left = len(derived) - len(gone) + max(0, bank.event.in_models - len(seen))
    if left:
        text = say(
            "{left} artefacts derived from the subject's images are not accounted for.", left=left
        )
        return _unless_over(facts, text, bank, *seen, *gone)
    text = say(
        "What was derived from the subject's images along the way is accounted for ({entry}): "
        "{fates}.",
        entry=bank,
        fates=_fates(papers, [*seen, *gone]),
    )
    return supports(text, bank, *seen, *gone)


def affected_out_of_service(papers: Papers) -> Observation:
    """The weights trained on the subject's images are in service no longer."""
    facts, say = papers.facts, papers.say
    scope = facts.find_last(ev.ScopeEstablished)
    if scope is None:
        return missing(say("No inventory of what the request affects is on record yet."))
    if facts.nothing_found is not None:
        return supports(_nothing(papers, scope), scope)
    service = _last_deployment(facts, scope.event.weights)
    if service is not None and isinstance(service.event, ev.ModelDeployed):
        text = say(
            "The model trained on the subject's images is in service ({entry}).", entry=service
        )
        return _unless_over(facts, text, scope, service)
    fate = facts.accounted().get(scope.event.weights)
    if fate is not None and fate.event.fate is not ArtefactFate.RETAINED:
        text = say(
            "The model trained on the subject's images was {fate} ({entry})",
            fate=say(fate.event.fate.value),
            entry=fate,
        )
        if service is None:
            return supports(f"{text}.", scope, fate)
        text = say("{text} and taken out of service ({entry}).", text=text, entry=service)
        return supports(text, scope, fate, service)
    if service is not None:
        text = say(
            "The model trained on the subject's images is out of service ({entry}).", entry=service
        )
        return supports(text, scope, service)
    if fate is not None:
        text = say("The model trained on the subject's images was retained ({entry}).", entry=fate)
        return contradicts(text, scope, fate)
    text = say(
        "Nothing on record says that the model trained on the subject's images left service."
    )
    return missing(text, scope)


def erasure_established(papers: Papers) -> Observation:
    """A verdict stands on a named basis of assurance, and the basis on its own evidence."""
    facts, say = papers.facts, papers.say
    reached = facts.find_last(ev.VerdictReached)
    if reached is None:
        return missing(say("No verdict has been reached yet."))
    audits = [leaf for leaf in facts.verified if leaf.event.weights == reached.event.weights]
    verdict, basis = reached.event.verdict, reached.event.basis
    if basis is Basis.NONE:
        text = say(
            "The verdict ({entry}) is {verdict} and rests on no basis of assurance; erasure is not "
            "established.",
            entry=reached,
            verdict=say(verdict.value),
        )
        return contradicts(text, reached)
    if not audits or audits[-1].event.verdict is not verdict:
        text = say(
            "The verdict ({entry}) matches no audit of the model put into service.", entry=reached
        )
        return contradicts(text, reached)
    audit = audits[-1]
    replay = _replay(facts, reached.event.weights)
    individual = basis is Basis.STATISTICAL_INDIVIDUAL
    if individual and facts.request.event.subjects != 1:
        text = say(
            "The verdict ({entry}) rests on an audit of one patient, but the request "
            "({other_entry}) names several.",
            entry=reached,
            other_entry=facts.request,
        )
        return contradicts(text, facts.request, reached)
    if verdict is Verdict.FAILED or (basis in _BY_PASSING and verdict is not Verdict.PASSED):
        text = say(
            "The verdict ({entry}) is {verdict}, which can't carry the basis it names.",
            entry=reached,
            verdict=say(verdict.value),
        )
        return contradicts(text, audit, reached)
    if basis is Basis.EXACT and replay is None:
        text = say(
            "The verdict ({entry}) names exact retraining, but no second run confirms it.",
            entry=reached,
        )
        return contradicts(text, audit, reached)
    cleared = facts.find_last(ev.CohortCleared) if basis is Basis.STATISTICAL_COHORT else None
    if basis is Basis.STATISTICAL_COHORT and (
        cleared is None or cleared.event.weights != reached.event.weights
    ):
        text = say(
            "The verdict ({entry}) rests on a cohort, for which the method must hold a current "
            "qualification; none is on record.",
            entry=reached,
        )
        return missing(text, reached)
    found = (audit, reached, *(leaf for leaf in (replay, cleared) if leaf is not None))
    text = say(
        "Erasure rests on {basis}; the audit's verdict is {verdict} ({entries}).",
        basis=say(_BASES[basis]),
        verdict=say(verdict.value),
        entries=", ".join(map(papers.entry, found)),
    )
    return supports(text, *found)


def retained_listed(papers: Papers) -> Observation:
    """What was retained, and on which ground: for a person to lay beside the exemptions."""
    leaves = papers.facts.accounted().values()
    retained = [leaf for leaf in leaves if leaf.event.fate is ArtefactFate.RETAINED]
    if not retained:
        return missing(papers.say("Nothing is listed as retained."))
    grounds = sorted(
        {f"{papers.say(leaf.event.ground)} ({papers.entry(leaf)})" for leaf in retained}
    )
    text = papers.say(
        "Listed as retained, with the ground stated: {grounds}.", grounds=", ".join(grounds)
    )
    return for_a_person(text, *retained)


def source_records_kept(papers: Papers) -> Observation:
    """The patient's source records were left in place: forgetting concerns the model alone."""
    facts, say = papers.facts, papers.say
    sources = [
        leaf
        for leaf in facts.accounted().values()
        if leaf.event.artefact_kind is ArtefactKind.TRAINING_DATA
    ]
    lost = [leaf for leaf in sources if leaf.event.fate is not ArtefactFate.RETAINED]
    if lost:
        fate = say(lost[0].event.fate.value)
        text = say("Source images were {fate} ({entry}).", fate=fate, entry=lost[0])
        return contradicts(text, *lost)
    if sources:
        text = say(
            "Source images are listed as retained ({entry}), on the ground {ground}.",
            entry=sources[0],
            ground=say(sources[0].event.ground),
        )
        return supports(text, *sources)
    if facts.nothing_found is not None:
        return supports(_nothing(papers, facts.nothing_found), facts.nothing_found)
    return missing(say("Nothing on record says what became of the source images."))


def _nothing(papers: Papers, scope: Leaf[ev.ScopeEstablished]) -> str:
    return papers.say(
        "The inventory ({entry}) found none of the subject's images among those the model was "
        "trained on: there was nothing to unlearn.",
        entry=scope,
    )


def _unless_over(facts: CaseFacts, text: str, *leaves: Leaf[Event]) -> Observation:
    """Missing while the erasure is under way, contradicted once its verdict stands."""
    over = facts.find_last(ev.VerdictReached) is not None
    return contradicts(text, *leaves) if over else missing(text, *leaves)


def _seen(facts: CaseFacts) -> list[Leaf[ev.ArtefactAccounted]]:
    """Reference models trained with the patient: the case's own, else those of a shared bank."""
    for kind in (ArtefactKind.REFERENCE_IN, ArtefactKind.SHARED_REFERENCE):
        found = [leaf for leaf in facts.accounted().values() if leaf.event.artefact_kind is kind]
        if found:
            return found
    return []


def _candidates(facts: CaseFacts) -> set[Digest]:
    produced = {leaf.event.after for leaf in facts.all(ev.UnlearningCompleted)}
    return produced | {leaf.event.weights for leaf in facts.all(ev.CandidateVerified)}


def _curvatures(facts: CaseFacts, weights: Digest) -> set[Digest]:
    """Those of a version, as long as the case hasn't accounted for the version itself."""
    closed = facts.accounted().get(weights)
    return {
        leaf.event.cache
        for leaf in facts.all(ev.CurvatureCached)
        if leaf.event.weights == weights and (closed is None or leaf.number < closed.number)
    }


def _declared_since(facts: CaseFacts, scope: Leaf[ev.ScopeEstablished]) -> set[Digest]:
    """Copies outside the home of which the inventory couldn't know; those of before are in it."""
    closed = _signed_on(facts)
    return {
        leaf.event.copy
        for leaf in facts.all(ev.CopyDeclared)
        if leaf.number > scope.number and (closed is None or leaf.number < closed.number)
    }


def _signed_on(facts: CaseFacts) -> Leaf[ev.CertificatePrepared] | None:
    """The statement that stands, if any; one that was sent back before it was issued doesn't."""
    signed = facts.find_last(ev.CertificatePrepared)
    sent_back = facts.find_last(ev.ApprovalDeclined)
    if signed is None or sent_back is None or sent_back.number < signed.number:
        return signed
    return signed if facts.find_last(ev.CertificateIssued) else None


def _kept(facts: CaseFacts) -> set[Digest]:
    reached = facts.find_last(ev.VerdictReached)
    return set() if reached is None else {reached.event.weights}


def _replay(facts: CaseFacts, weights: Digest) -> Leaf[ev.ReplayConfirmed] | None:
    found = [leaf for leaf in facts.all(ev.ReplayConfirmed) if leaf.event.weights == weights]
    return found[-1] if found else None


def _last_deployment(facts: CaseFacts, weights: Digest) -> Leaf[Event] | None:
    deployed = [leaf for leaf in facts.all(ev.ModelDeployed) if leaf.event.weights == weights]
    retired = [leaf for leaf in facts.all(ev.ModelRetired) if leaf.event.weights == weights]
    return max((*deployed, *retired), key=lambda leaf: leaf.number, default=None)


def _fates(papers: Papers, leaves: list[Leaf[ev.ArtefactAccounted]]) -> str:
    counts = dict.fromkeys(ArtefactFate, 0)
    for leaf in leaves:
        counts[leaf.event.fate] += 1
    return ", ".join(
        papers.say("{count} {fate}", count=count, fate=papers.say(fate.value))
        for fate, count in counts.items()
        if count
    )
