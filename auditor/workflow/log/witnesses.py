"""Which witnesses a home's ledger asks, and how many of them a certificate needs.

The policy stands in the trust file, so that whoever verifies a certificate holds it to the same
quorum; changing it changes the trust file's fingerprint, and is an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import TrustChanged
from auditor.errors import LedgerError, MisuseError, ProofError
from auditor.proof.log_policy import Group, LogPolicy, Witness, parse_policy, policy_text
from auditor.proof.note import parse_vkey
from auditor.proof.trust import TrustFile, trust_bytes
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.web import require_web_address
from auditor.workflow.log.checkpoints import signing_alone

_GROUP = "witnesses"
_NUMBER = re.compile(r"[1-9][0-9]?", re.ASCII)
_NONE = "none"


def add_witness(home: Home, name: str, vkey: str, url: str, quorum: str = "all") -> LogPolicy:
    """Ask one more witness for its cosignature.

    Args:
        name: within the policy.
        vkey: the witness's verifier key.
        url: where it takes checkpoints.
        quorum: how many of the witnesses a certificate needs: ``all``, ``any``, a number or
            ``none``. The first is the default: without them no certificate is issued.

    Raises:
        MisuseError: the policy would break its format's rules.
    """
    if [name, url] != [*name.split(), *url.split()]:
        raise MisuseError("a witness's name and its address are one word each")
    try:
        require_web_address(url)
        witness = Witness(name=name, key=parse_vkey(vkey), url=url)
    except (LedgerError, ProofError) as error:
        raise MisuseError(f"witness {name}: {error}") from None
    return _set(home, lambda policy: _with(policy, (*policy.witnesses, witness), quorum))


def remove_witness(home: Home, name: str, quorum: str = "all") -> LogPolicy:
    """Ask a witness no more.

    Raises:
        MisuseError: it isn't asked, or too few would be left for the quorum.
    """

    def without(policy: LogPolicy) -> LogPolicy:
        left = tuple(witness for witness in policy.witnesses if witness.name != name)
        if len(left) == len(policy.witnesses):
            raise MisuseError("no witness of that name; see: auditor ledger witness list")
        return _with(policy, left, quorum if left else _NONE)

    return _set(home, without)


def set_policy(home: Home, text: str) -> LogPolicy:
    """Take witnesses, groups and quorum from a policy file, e.g. with groups of groups.

    Raises:
        MisuseError: not a policy, or it lists other logs than the trust file does.
    """
    policy = _parsed(text)

    def instead(ours: LogPolicy) -> LogPolicy:
        if policy.logs and set(policy.logs) != set(ours.logs):
            raise MisuseError("the policy's log lines aren't those of this home; leave them out")
        return replace(policy, logs=ours.logs)

    return _set(home, instead)


def change_trust(home: Home, trust: TrustFile) -> None:
    """Put the change on the books, then into the trust file.

    For who holds `signing_alone`: a checkpoint that is signed meanwhile writes this file too.

    Raises:
        TamperedError: the ledger is read-only.
    """
    event = TrustChanged(trust=Digest.of(trust_bytes(replace(trust, checkpoint=""))))
    version = home.ledger.version("home")
    home.ledger.append("home", [event], expected_version=version, event_ids=[uuid4()])
    write_file(home.trust_path, trust_bytes(trust))


def _with(policy: LogPolicy, witnesses: tuple[Witness, ...], quorum: str) -> LogPolicy:
    """The policy with these witnesses in its one group, in the place of those it had."""
    if set(policy.groups) - {_GROUP}:
        raise MisuseError(
            "the policy has groups of its own; edit it as a file and set it: "
            "auditor ledger witness policy FILE"
        )
    names = tuple(witness.name for witness in witnesses)
    if quorum == _NONE:
        return replace(policy, witnesses=witnesses, groups={}, quorum=_NONE)
    number = {"all": str(len(names)), "any": "1"}.get(quorum, quorum)
    if not _NUMBER.fullmatch(number) or int(number) > len(names):
        raise MisuseError(f"a quorum is all, any, none, or a number from 1 to {len(names)} here")
    group = Group(threshold=int(number), members=names)
    return replace(policy, witnesses=witnesses, groups={_GROUP: group}, quorum=_GROUP)


def _set(home: Home, change: Callable[[LogPolicy], LogPolicy]) -> LogPolicy:
    with signing_alone(home):
        trust = home.trust
        policy = change(trust.policy)
        text = policy_text(policy)
        _parsed(text)
        if policy != trust.policy:
            # the newest checkpoint stays: what was signed before is read by the log's own keys
            change_trust(home, replace(trust, log_policy=text))
    return policy


def _parsed(text: str) -> LogPolicy:
    try:
        return parse_policy(text)
    except ProofError as error:
        raise MisuseError(str(error)) from None
