"""What the settings ask of the seal: its level, the stamps for it, the roots that verifiers need.

After a change of [seal] or of the time-stamping authority the trust file has to name the new roots
(`auditor keys seal`): until then nothing is sealed that no verifier would trust.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from auditor.certificates.facts import SealFacts
from auditor.certificates.sealing import TrustedTime
from auditor.errors import CertificateError, HomeError, LedgerError
from auditor.proof.trust import TrustFile
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.web import post, require_web_address
from auditor.workflow.log.checkpoints import signing_alone
from auditor.workflow.log.timestamping import LARGEST_ANSWER, timestamp_roots
from auditor.workflow.log.witnesses import change_trust

_QUERY = "application/timestamp-query"
_SECONDS_TO_ANSWER = 20
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n[^-]+-----END \1-----(?:\n|$)", re.ASCII)


def seal_facts(home: Home) -> SealFacts:
    """What a statement signed now declares of its seal.

    Raises:
        CertificateError: the trust file doesn't name what seal and stamps lead to.
    """
    if home.trust != _with_roots(home):
        raise CertificateError(
            "the trust file doesn't name the roots of the seal that auditor.toml has; run: auditor "
            "keys seal"
        )
    level = home.config.seal_level
    return SealFacts(level=level, trusted_time="none" if level == "B-B" else "time-stamp")


def trusted_time(home: Home, level: str) -> TrustedTime | None:
    """What a level needs; None for B-B.

    Raises:
        HomeError: the settings name no authority, or a file can't be read.
    """
    if level == "B-B":
        return None
    if not home.config.timestamps:
        raise HomeError(f"a seal of level {level} needs [ledger] timestamps, an authority to ask")
    return TrustedTime(
        level=level,
        ask=_ask(home.config.timestamps),
        roots=(*home.trust.seal_roots, *home.trust.timestamp_roots),
        revoked=_pem(home, home.config.seal_revoked) if home.config.seal_revoked else (),
    )


def trust_seal(home: Home) -> bool:
    """Put the roots that the settings name into the trust file; whether that changed anything.

    Raises:
        HomeError: a file can't be read.
        TamperedError: the ledger is read-only.
    """
    with signing_alone(home):
        changed = _with_roots(home)
        if changed == home.trust:
            return False
        change_trust(home, changed)
        return True


def _with_roots(home: Home) -> TrustFile:
    """The trust file with the roots of now; those of before stay, as what they sealed does."""
    trust, config = home.trust, home.config
    seals = _pem(home, config.seal_roots) if config.seal_roots else trust.seal_roots
    stamps = tuple(timestamp_roots(home)) if config.seal_level != "B-B" else ()
    kept = tuple(root for root in trust.seal_roots if root not in seals)
    old = tuple(root for root in trust.timestamp_roots if root not in stamps)
    return replace(trust, seal_roots=(*kept, *seals), timestamp_roots=(*old, *stamps))


def _pem(home: Home, name: str) -> tuple[str, ...]:
    path = home.root / name
    try:
        found = tuple(item[0] for item in _PEM.finditer(path.read_text(encoding="ascii")))
    except (OSError, UnicodeDecodeError):
        found = ()
    if not found:
        raise HomeError(f"can't read {path}; expected PEM, see [seal] in auditor.toml")
    return found


def _ask(url: str) -> Callable[[bytes], bytes]:
    def ask(query: bytes) -> bytes:
        require_web_address(url)
        answer = post(url, query, _QUERY, timeout=_SECONDS_TO_ANSWER, largest=LARGEST_ANSWER)
        if answer.status != HTTPStatus.OK:
            raise LedgerError(f"the time-stamping authority answered HTTP {answer.status}")
        return answer.body

    return ask
