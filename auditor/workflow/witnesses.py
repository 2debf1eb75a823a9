"""Which witnesses a home's ledger asks, and how many of them a certificate needs.

The policy stands in the trust file, so that whoever verifies a certificate holds it to the same
quorum; changing it changes the trust file's fingerprint, and is an event.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import TrustChanged
from auditor.errors import MisuseError, ProofError
from auditor.proof.log_policy import Group, LogPolicy, Witness, parse_policy, policy_text
from auditor.proof.note import parse_vkey
from auditor.proof.trust import TrustFile, trust_bytes
from auditor.workflow.files import write_file
from auditor.workflow.home import Home

_GROUP = "witnesses"
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
    policy = home.trust.policy
    _require_simple(policy)
    try:
        witness = Witness(name=name, key=parse_vkey(vkey), url=url)
    except ProofError as error:
        raise MisuseError(str(error)) from None
    return _set(home, _with(policy, (*policy.witnesses, witness), quorum))


def remove_witness(home: Home, name: str, quorum: str = "all") -> LogPolicy:
    """Ask a witness no more.

    Raises:
        MisuseError: it isn't asked, or too few would be left for the quorum.
    """
    policy = home.trust.policy
    _require_simple(policy)
    left = tuple(witness for witness in policy.witnesses if witness.name != name)
    if len(left) == len(policy.witnesses):
        raise MisuseError("no witness of that name; see: auditor ledger witness list")
    return _set(home, _with(policy, left, quorum if left else _NONE))


def set_policy(home: Home, text: str) -> LogPolicy:
    """Take witnesses, groups and quorum from a policy file, e.g. with groups of groups.

    Raises:
        MisuseError: not a policy, or it lists other logs than the trust file does.
    """
    ours = home.trust.policy
    try:
        policy = parse_policy(text)
    except ProofError as error:
        raise MisuseError(str(error)) from None
    if policy.logs and set(policy.logs) != set(ours.logs):
        raise MisuseError("the policy's log lines aren't those of this home; leave them out")
    return _set(home, replace(policy, logs=ours.logs))


def change_trust(home: Home, trust: TrustFile) -> None:
    """Put the change on the books, then into the trust file.

    Raises:
        TamperedError: the ledger is read-only.
    """
    event = TrustChanged(trust=Digest.of(trust_bytes(replace(trust, checkpoint=""))))
    version = home.ledger.version("home")
    home.ledger.append("home", [event], expected_version=version, event_ids=[uuid4()])
    write_file(home.trust_path, trust_bytes(trust))


def _with(policy: LogPolicy, witnesses: tuple[Witness, ...], quorum: str) -> LogPolicy:
    names = tuple(witness.name for witness in witnesses)
    thresholds = {"all": len(names), "any": 1}
    if quorum == _NONE:
        return replace(policy, witnesses=witnesses, groups={}, quorum=_NONE)
    if quorum not in thresholds and not quorum.isdecimal():
        raise MisuseError("a quorum is all, any, none or a number")
    group = Group(threshold=thresholds.get(quorum) or int(quorum), members=names)
    return replace(policy, witnesses=witnesses, groups={_GROUP: group}, quorum=_GROUP)


def _set(home: Home, policy: LogPolicy) -> LogPolicy:
    text = policy_text(policy)
    try:
        policy = parse_policy(text)
    except ProofError as error:
        raise MisuseError(str(error)) from None
    # the newest checkpoint stays: what was signed before is read by the log's own keys
    change_trust(home, replace(home.trust, log_policy=text))
    return policy


def _require_simple(policy: LogPolicy) -> None:
    if set(policy.groups) - {_GROUP}:
        raise MisuseError(
            "the policy has groups of its own; edit it as a file and set it: "
            "auditor ledger witness policy FILE"
        )
