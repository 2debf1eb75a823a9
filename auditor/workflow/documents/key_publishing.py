"""Handing out the trust file, with the proof that the ledger vouches for its keys."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.certificates.key_list import listed_as
from auditor.domain.entry import Recorded
from auditor.domain.event import HomeCreated, TrustChanged
from auditor.errors import CertificateError
from auditor.workflow.documents.notary import prove_entry
from auditor.workflow.homes.guard import read_file
from auditor.workflow.homes.home import Home
from auditor.workflow.log.checkpoints import record_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeys:
    """A trust file, and the proof of the entry that lists its keys, or why there is none."""

    trust: bytes
    proof: str
    unproved: str


def publish_keys(home: Home) -> PublishedKeys:
    """The trust file with a fresh checkpoint, and its proof.

    A revocation can't wait for witnesses, so what lacks a proof is handed out all the same.

    Raises:
        TamperedError: the ledger is read-only.
    """
    record_checkpoint(home)
    entry, proof, unproved = _entry_of_keys(home), "", ""
    if entry is None:
        unproved = "the ledger says nothing of these keys or seal roots"
    else:
        try:
            proof = prove_entry(home, entry)
        except CertificateError as error:
            unproved = str(error)
    return PublishedKeys(trust=read_file(home.trust_path), proof=proof, unproved=unproved)


def _entry_of_keys(home: Home) -> Recorded | None:
    listed = listed_as(home.trust)
    found = None
    for item in home.ledger.replay("home"):
        if isinstance(item.event, (HomeCreated, TrustChanged)) and item.event.trust == listed:
            found = item
    return found
