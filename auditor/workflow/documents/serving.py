"""Asking an endpoint which weights it serves, and answering for one.

What asks is a command of the hospital's own (`challenge` in ``auditor.toml``): given the model's
name and a challenge as its last two arguments, it prints the endpoint's signed answer. Where that
stands and how it is reached is the hospital's to know; this software speaks to no network for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from auditor.certificates.facts import DocumentFacts, ServedFacts
from auditor.certificates.served import ANSWER_TYPE, answer_bytes, challenge_of, verify_answer
from auditor.certificates.signatures import ENDPOINT, keys_in_force
from auditor.domain.artefact import Digest
from auditor.errors import CertificateError, ProofError
from auditor.proof.dsse import sign_envelope
from auditor.proof.signing import Signer
from auditor.workflow.homes.home import Home

SECONDS = 60
"""How long an endpoint may take to answer."""


def ask_endpoint(home: Home, facts: DocumentFacts) -> ServedFacts | None:
    """What the endpoint says it serves, on certificates; None where none is to be asked.

    Raises:
        CertificateError: it doesn't answer, or serves other weights than are to be certified; or
            the trust file names an endpoint and the settings no command that asks it.
    """
    after, command = facts.model.after, home.config.challenge
    if after is None:
        return None
    day = facts.issued.isoformat()
    if not command:
        if keys_in_force(home.trust, ENDPOINT, day):
            raise CertificateError(
                "the trust file names an endpoint, so no certificate without its answer is valid: "
                "set challenge in auditor.toml, or revoke its keys: auditor keys revoke"
            )
        return None
    asked = datetime.now(UTC).replace(microsecond=0)
    challenge = challenge_of(facts.request.case, after.weights, asked)
    answer = _run([*command, facts.model.name, challenge])
    try:
        verify_answer(
            answer,
            home.trust,
            model=facts.model.name,
            challenge=challenge,
            weights=after.weights,
            day=day,
        )
    except (ProofError, CertificateError) as error:
        raise CertificateError(
            f"{error}; put the weights of now into service there, then run the case again"
        ) from None
    return ServedFacts(asked=asked, weights=after.weights, answer=answer)


def answer_for(model: str, challenge: str, weights: Digest, signers: Sequence[Signer]) -> bytes:
    """An endpoint's answer to a challenge, signed by its keys.

    Raises:
        ProofError: no signer, or one twice.
    """
    return sign_envelope(ANSWER_TYPE, answer_bytes(model, challenge, weights), signers)


def _run(command: Sequence[str]) -> bytes:
    """What the command printed; its complaints stay on stderr, where they may name hosts."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise CertificateError(
            f"the command that asks the endpoint failed ({type(error).__name__}); see `challenge` "
            "in auditor.toml"
        ) from None
    return done.stdout
