"""The ledger goes on under a new name: on the books, in a signed link, in the trust file.

The new keys come first, the event next, then the link that both names' keys sign, then the trust
file; the old name's keys go last. Stopped anywhere, the next try goes on with the name that stands
on the books already; at worst keys are left of a name that nobody ever heard of.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import OriginOpened, TrustChanged
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.proof.checkpoint import Checkpoint, key_of
from auditor.proof.dsse import sign_envelope
from auditor.proof.log_policy import policy_text
from auditor.proof.trust import TrustFile, trust_bytes
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.founding import LOG_ALGORITHMS, log_key_file, make_log_keys
from auditor.workflow.homes.home import Home

LINK_TYPE = "application/vnd.auditor.ledger-entry+json"
ORIGINS = "origins"

_STREAM = "home"


def open_origin(home: Home, known: Checkpoint) -> Path:
    """Go on under a new name.

    Args:
        known: the largest state known to be signed under the old one.

    Returns:
        The signed link: the entry that opens the new name, as it stands on the books.
    """
    old = home.trust.log_origin
    books = Ledger(SqlEventStore(home.database))  # the home's own is read-only
    try:
        origin = _begun(home, books, old) or _begin(home, books, known)
        entry = books.entry(_sequence(books, origin))
    finally:
        books.close()
    link = _link(home, origin)
    if not link.exists():
        link.parent.mkdir(exist_ok=True)
        signers = [*home.signers_of(old), *home.signers_of(origin)]
        write_file(link, sign_envelope(LINK_TYPE, entry, signers))
    write_file(home.trust_path, trust_bytes(_renamed(home, origin)))
    home.checkpoints_path.unlink(missing_ok=True)
    return link


def link_of(home: Home) -> Path | None:
    """The signed link to the ledger's name of now; None where it is its first."""
    link = _link(home, home.trust.log_origin)
    return link if link.exists() else None


def destroy_earlier_keys(home: Home) -> None:
    """Destroy the keys under names that the ledger had before: those sign nothing any more.

    Raises:
        HomeError: the keys under its name of now can't be read; nothing is destroyed then.
    """
    now = home.trust.log_origin
    home.signers_of(now)
    for recorded in home.ledger.replay(_STREAM):
        event = recorded.event
        if isinstance(event, OriginOpened) and event.previous != now:
            for algorithm in LOG_ALGORITHMS:
                home.keyring.destroy(log_key_file(event.previous, algorithm))


def _begun(home: Home, books: Ledger, old: str) -> str | None:
    """The name that stands on the books to follow the old one, its keys being here."""
    for recorded in reversed(books.replay(_STREAM)):
        if isinstance(recorded.event, OriginOpened) and recorded.event.previous == old:
            origin = recorded.event.origin
            files = [log_key_file(origin, algorithm) for algorithm in LOG_ALGORITHMS]
            return origin if all((home.keyring.folder / file).exists() for file in files) else None
    return None


def _begin(home: Home, books: Ledger, known: Checkpoint) -> str:
    """Make the new name's keys and put it on the books, with the trust file that names it."""
    home.signers_of(
        home.trust.log_origin
    )  # lest the new keys lie under another passphrase, or none
    frontier = books.frontier()
    origin, _ = make_log_keys(home.keyring)
    events = [
        OriginOpened(
            origin=origin,
            previous=home.trust.log_origin,
            signed=known.size,
            signed_root=Digest(known.root.hex()),
            kept=frontier.size,
            kept_root=Digest(frontier.root().hex()),
        ),
        TrustChanged(trust=Digest.of(trust_bytes(_renamed(home, origin)))),
    ]
    version = books.version(_STREAM)
    books.append(_STREAM, events, expected_version=version, event_ids=[uuid4() for _ in events])
    return origin


def _sequence(books: Ledger, origin: str) -> int:
    return next(
        recorded.sequence
        for recorded in books.replay(_STREAM)
        if isinstance(recorded.event, OriginOpened) and recorded.event.origin == origin
    )


def _renamed(home: Home, origin: str) -> TrustFile:
    """The trust file with the new name's keys beside the old ones, and nothing signed yet."""
    trust = home.trust
    keys = [key_of(signer, origin, witness=False) for signer in home.signers_of(origin)]
    policy = replace(trust.policy, logs=(*trust.policy.logs, *keys))
    return replace(trust, log_origin=origin, log_policy=policy_text(policy), checkpoint="")


def _link(home: Home, origin: str) -> Path:
    return home.root / ORIGINS / f"{origin.rpartition('/')[2]}.dsse.json"
