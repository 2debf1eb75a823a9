"""Copies outside the home that a request affects: declared by the controller, accounted for by it.

What the home made it accounts for itself (`auditor.workflow.models.accounting`). Of exports,
distilled or quantised models, caches, extracts, backups and copies of the images elsewhere it knows
what it is told. Each is held against every later case of the model until it is destroyed or
replaced; a case gets no certificate while one of them is open, or a recipient untold (Art. 17(2),
19 GDPR).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import Outcome
from auditor.errors import MisuseError
from auditor.workflow.desk.desk import require_case
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, case_stream, model_stream, record
from auditor.workflow.homes.registry import require_model
from auditor.workflow.homes.steps import outcome_of
from auditor.workflow.models.deployment import serving

COPY_KINDS = (
    ArtefactKind.SOURCE,
    ArtefactKind.SPLIT,
    ArtefactKind.CACHE,
    ArtefactKind.DERIVED_MODEL,
    ArtefactKind.EXPORT,
    ArtefactKind.BACKUP,
)
"""Kinds of copies that may be declared."""

RETENTION_GROUNDS = (
    "medical-record-retention",
    "legal-obligation",
    "public-health",
    "research",
    "legal-claims",
    "gdpr-5-2-accountability",
    "backup-until-overwritten",
)
"""Grounds on which a declared copy may be kept; the closed list."""

_WORD = {
    ArtefactFate.DESTROYED: "destroyed-by-controller",
    ArtefactFate.REPLACED: "replaced-by-controller",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A declared copy.

    Attributes:
        copy: digest of its bytes, or a commitment to its name.
        fate: the last word on it in any case; None before the first.
    """

    model: str
    copy: Digest
    kind: ArtefactKind
    fate: ArtefactFate | None

    @property
    def stands(self) -> bool:
        """As far as is known it exists, so that later cases have to see to it again."""
        return self.fate in (None, ArtefactFate.RETAINED)


def declare_copy(
    home: Home, model: str, kind: ArtefactKind, *, digest: Digest | None, name: str, actor: str
) -> Copy:
    """Put a copy of a model, or of its data, on the books; a name for it goes to the vault.

    Args:
        digest: of its bytes, where it has any to be named by.
        name: what the controller calls it; used where there is no digest.

    Raises:
        MisuseError: no such model, a kind that isn't declared, both digest and name or neither, or
            a copy that is declared already.
        TamperedError: the ledger is read-only.
    """
    if kind not in COPY_KINDS:
        raise MisuseError(f"{kind.value} isn't declared; the home knows its own")
    if (digest is None) == (not name):
        raise MisuseError("name the copy by the digest of its bytes, or by a name of your own")
    with alone(home):
        view = require_model(home, model)
        if any(known.copy == digest for known in list_copies(home, model)):
            raise MisuseError("that copy is declared already; see `auditor model copy list`")
        require_writable(home.root, home.ledger)
        stream = model_stream(model)
        made = digest or home.vault.seal(f"copy:{model}", name.encode("utf-8"))
        event = ev.CopyDeclared(
            model=model,
            weights=view.current.weights,
            copy=made,
            copy_kind=kind,
            actor=actor,
        )
        record(home, stream, event, f"copy-{made.value}")
        return Copy(model=model, copy=made, kind=kind, fate=None)


def list_copies(home: Home, model: str) -> tuple[Copy, ...]:
    """Copies declared of a model, in order, with the last word on each."""
    fates = dict(_fates(home))
    return tuple(
        Copy(model=model, copy=event.copy, kind=event.copy_kind, fate=fates.get(event.copy))
        for event in _declared(home, model)
    )


def name_of(home: Home, copy: Digest) -> str:
    """What the controller calls a copy; "" where it was declared by its digest."""
    return home.vault.open(copy).decode("utf-8") if home.vault.holds(copy) else ""


def account_copy(
    home: Home, case: str, copy: Digest, fate: ArtefactFate, *, ground: str = ""
) -> ev.ArtefactAccounted:
    """Record what became of a declared copy in a case.

    Once the case is closed, nothing but that it is destroyed or replaced after all.

    Args:
        ground: one of `RETENTION_GROUNDS`, for a copy that is kept.

    Raises:
        MisuseError: no such case or copy, no inventory yet, a ground that isn't on the list, or a
            case whose document is signed.
        TamperedError: the ledger is read-only.
        HomeError: another run is working.
    """
    with alone(home):
        state = require_case(home, case)
        kind = _kind_of(home, state, copy)
        retained = fate is ArtefactFate.RETAINED
        if state.scope is None:
            raise MisuseError(f"case {case} has no inventory yet; run it first")
        if retained and ground not in RETENTION_GROUNDS:
            raise MisuseError(f"a copy is kept on one of: {', '.join(RETENTION_GROUNDS)}")
        if not retained and ground:
            raise MisuseError("only a copy that is kept needs a ground")
        if retained and (state.drafted or state.prepared) is not None:
            raise MisuseError(f"the document of case {case} is signed; nothing more is kept by it")
        event = ev.ArtefactAccounted(
            case=case,
            artefact=copy,
            artefact_kind=kind,
            fate=fate,
            ground=_WORD.get(fate, ground),
        )
        stream = case_stream(case)
        record(home, stream, event, f"copy-{copy.value}-{home.ledger.version(stream)}")
        return event


def retain_unerased(home: Home, case: str, state: ErasureCase, ground: str) -> None:
    """Enter copies that nobody has accounted for as they are, where nobody was erased."""
    for copy in _unaccounted(home, state):
        event = ev.ArtefactAccounted(
            case=case,
            artefact=copy.copy,
            artefact_kind=copy.kind,
            fate=ArtefactFate.RETAINED,
            ground=ground,
        )
        record(home, case_stream(case), event, f"accounted-{copy.copy.value}")


def left_open(home: Home, case: str, state: ErasureCase) -> tuple[str, ...]:
    """What stands between a case and its certificate, each with what to do; records need nothing.

    Returns:
        A line for each copy without a word on it, recipient untold, and model that has affected
        weights in service.
    """
    if state.requested is None or state.scope is None:
        return ()
    if outcome_of(state) is not Outcome.CERTIFIED:
        return ()
    affected = {state.scope.weights, *state.scope.affected}
    affected |= {copy.copy for copy in list_copies(home, state.requested.model)}
    return (
        *(
            f"{copy.kind.value} {copy.copy} is open; say what became of it: "
            f"auditor request account {case} {copy.copy} --destroyed, --replaced or --retained"
            for copy in _unaccounted(home, state)
        ),
        *(
            f"recipient {recipient} hasn't been told; see auditor request recipient"
            for recipient in _untold(home, case)
        ),
        *(
            f"model {item.model} has weights in service that the case affects (version "
            f"{item.version}); auditor model retire {item.model}, or deploy another version"
            for item in serving(home, affected)
        ),
    )


def standing_copies(home: Home, model: str) -> tuple[Digest, ...]:
    """Declared copies that exist as far as is known; a new case affects them all."""
    return tuple(copy.copy for copy in list_copies(home, model) if copy.stands)


def _unaccounted(home: Home, state: ErasureCase) -> Iterator[Copy]:
    """Copies that stand and that the case has said nothing about."""
    if state.requested is None:
        return
    said = {item.artefact for item in state.accounted}
    for copy in list_copies(home, state.requested.model):
        if copy.stands and copy.copy not in said:
            yield copy


def _kind_of(home: Home, state: ErasureCase, copy: Digest) -> ArtefactKind:
    model = "" if state.requested is None else state.requested.model
    for event in _declared(home, model):
        if event.copy == copy:
            return event.copy_kind
    raise MisuseError(f"no copy {copy} of the case's model; see `auditor model copy list {model}`")


def _declared(home: Home, model: str) -> Iterator[ev.CopyDeclared]:
    for item in home.ledger.replay(model_stream(model)):
        if isinstance(item.event, ev.CopyDeclared):
            yield item.event


def _fates(home: Home) -> Mapping[Digest, ArtefactFate]:
    """The last word on each artefact of every case, in the ledger's order."""
    found = sorted(
        (item.sequence, item.event.artefact, item.event.fate)
        for stream in home.ledger.streams(CASE_PREFIX)
        for item in home.ledger.replay(stream)
        if isinstance(item.event, ev.ArtefactAccounted)
    )
    return {artefact: fate for _, artefact, fate in found}


def _untold(home: Home, case: str) -> tuple[str, ...]:
    """Recipients of the case's data, or of the model, that nobody has been told by."""
    events = [item.event for item in home.ledger.replay(case_stream(case))]
    told = {event.recipient for event in events if isinstance(event, ev.RecipientInformed)}
    recorded = (event.recipient for event in events if isinstance(event, ev.RecipientRecorded))
    return tuple(recipient for recipient in recorded if recipient not in told)
