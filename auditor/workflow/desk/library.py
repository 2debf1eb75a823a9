"""Rule packs of a home, and the facts that they are laid beside. No engine needed.

A case is laid beside the packs of the day on which its request came in. Their bytes are kept in the
store, so that neither an edit nor a newer version of this software changes an open case; `repin` is
the one way to other rules, and leaves an entry.
"""

from __future__ import annotations

from datetime import UTC, datetime

from auditor.domain.artefact import Digest
from auditor.domain.case import project
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.event import PoliciesRepinned
from auditor.domain.request import Regime
from auditor.domain.upcast import UNRECORDED
from auditor.errors import MisuseError
from auditor.policies.dates import require_calendar
from auditor.policies.facts import CaseFacts
from auditor.policies.load import load_own_pack, load_packs, pinned_packs
from auditor.policies.pinning import concerning, kept_files, packs_digest, require_distinct
from auditor.policies.rule import RulePack
from auditor.policies.zone import local_day
from auditor.workflow.desk.signing import Hand, enter, vouched
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import DOCUMENTS, case_stream, load_case, model_stream


def packs_in_use(home: Home) -> tuple[RulePack, ...]:
    """The shipped packs and the hospital's own, which its settings name.

    Raises:
        PolicyError: a pack of the hospital's own can't be read, breaks the schema, or goes by a
            name, or holds a rule by an id, that another has.
    """
    own = (load_own_pack(home.root / folder) for folder in home.config.packs)
    packs = (*load_packs(), *own)
    require_distinct(packs)
    return packs


def pin_packs(home: Home, regime: Regime) -> Digest:
    """Keep the packs that concern a regime, as they stand; returns the digest a request pins.

    Raises:
        PolicyError: a pack of the hospital's own can't be used, or no calendar of public holidays
            is known for its country, which the request pins as well.
    """
    require_calendar(home.config.country)
    packs = concerning(packs_in_use(home), regime)
    for data in kept_files(packs):
        home.store.put(data)
    return packs_digest(packs)


def packs_of(home: Home, case: str) -> tuple[RulePack, ...]:
    """The packs that a case is laid beside: those pinned on receipt, or since.

    Homes of version 0.1 kept none; their cases are laid beside the shipped ones.

    Raises:
        MisuseError: no such case.
        LedgerError, TamperedError: what was kept of them is damaged.
    """
    return packs_pinned(home, case_facts(home, case))


def repin(home: Home, case: str, by: Hand) -> Digest:
    """Lay an open case beside the packs in use today from here on.

    Args:
        by: whose decision that is.

    Returns:
        The digest of the packs now pinned.

    Raises:
        MisuseError: no such case, its statement is made already, the packs are the same, or the
            desk has keys and none of them signs.
    """
    facts, state = case_facts(home, case), load_case(home, case)
    if state.drafted is not None or state.prepared is not None:
        raise MisuseError(f"case {case} has its statement already; its rules can't change any more")
    after = pin_packs(home, facts.regime)
    if after == facts.pinned:
        raise MisuseError(f"case {case} is laid beside the packs in use already")
    event = PoliciesRepinned(
        case=case, before=facts.pinned, after=after, actor=by.role, signature=UNSIGNED
    )
    enter(home, event, by)
    return after


def case_facts(home: Home, case: str) -> CaseFacts:
    """What the rules look at: a case's entries, its model's and the home's documents, as of today.

    What the desk is said to have done and nobody vouches for is left out.

    Raises:
        MisuseError: no such case.
    """
    entries = home.ledger.replay(case_stream(case))
    requested = project(item.event for item in entries).requested
    if requested is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    own = vouched(home, entries)
    others = (model_stream(requested.model), DOCUMENTS)
    records = (*own, *(item for stream in others for item in home.ledger.replay(stream)))
    today = local_day(datetime.now(UTC), requested.time_zone)
    return CaseFacts(records=records, as_of=today, country=home.config.country)


def packs_pinned(home: Home, facts: CaseFacts) -> tuple[RulePack, ...]:
    """As `packs_of`, where the case's facts are at hand."""
    shipped = concerning(load_packs(), facts.regime)
    if packs_digest(shipped) == facts.pinned:
        return shipped
    if facts.request.event.tzdata == UNRECORDED and not home.store.has(facts.pinned):
        return shipped  # that these aren't the pinned ones is then a finding (`rules_pinned`)
    return concerning(pinned_packs(facts.pinned, home.store.get), facts.regime)
