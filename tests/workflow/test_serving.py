"""Which weights an endpoint says it serves: asked before signing, checked offline, or refused."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.certificates.facts import DocumentFacts, ServedFacts
from auditor.certificates.predicate import predicate_of
from auditor.certificates.served import challenge_of, verify_served
from auditor.certificates.statement import PAYLOAD_TYPE, statement_bytes
from auditor.certificates.verify import Check, Status
from auditor.domain.artefact import Digest
from auditor.domain.event import CertificatePrepared
from auditor.domain.request import Outcome
from auditor.errors import AuditorError, CertificateError, ProofError
from auditor.proof.dsse import sign_envelope
from auditor.proof.signing import Signer
from auditor.proof.trust import TrustFile
from auditor.workflow.documents.serving import answer_for, ask_endpoint
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case, record
from auditor.workflow.log.statement_keys import add_pair, make_pair, read_pair
from tests.certificates import examples
from tests.certificates.conftest import Issued, issue_record, issue_unasked
from tests.cli.conftest import Auditor, stock

WEIGHTS = Digest.of(b"weights of now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A home, the same with an endpoint to be asked, and what stands at the endpoint."""

    home: Home
    folder: Path
    keys: tuple[Signer, ...]

    def asking(self, *command: str) -> Home:
        with closing(open_home(self.home.root)) as home:
            write_config(self.home.root / SETTINGS, replace(home.config, challenge=command))
        return open_home(self.home.root)

    def command(self, weights: Path) -> tuple[str, ...]:
        key = str(self.folder / "endpoint.key")
        words = ("model", "answer", "--weights", str(weights), "--key", key)
        return (sys.executable, "-m", "auditor.cli.main", *words)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("serving")
    (folder / "served").write_bytes(b"weights of now")
    (folder / "older").write_bytes(b"weights of then")
    with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        add_pair(home, make_pair(folder / "endpoint.key").read_bytes(), "serving")
        yield Hospital(home=home, folder=folder, keys=read_pair(folder / "endpoint.key"))


def certificate(case: str = examples.CASE) -> DocumentFacts:
    """A certificate of today about weights that there are."""
    facts = examples.exact()
    assert facts.model.after is not None
    return replace(
        facts,
        issued=datetime.now(UTC).date(),
        request=replace(facts.request, case=case),
        model=replace(facts.model, after=replace(facts.model.after, weights=WEIGHTS)),
        attempts=(examples.rung(1, WEIGHTS, 0.17, 0.31, examples.STRADDLES, exact=True),),
        served=None,
    )


def answered(
    facts: DocumentFacts, keys: tuple[Signer, ...], asked: datetime | None = None
) -> ServedFacts:
    asked = asked or datetime.now(UTC).replace(microsecond=0)
    challenge = challenge_of(facts.request.case, WEIGHTS, asked)
    answer = answer_for(facts.model.name, challenge, WEIGHTS, keys)
    return ServedFacts(asked=asked, weights=WEIGHTS, answer=answer)


def test_an_endpoint_is_asked_and_believed_as_far_as_it_signs(hospital: Hospital) -> None:
    with closing(hospital.asking(*hospital.command(hospital.folder / "served"))) as home:
        served = ask_endpoint(home, certificate())
        assert served is not None and served.weights == WEIGHTS
        said = verify_served(predicate_of(replace(certificate(), served=served)), home.trust)
        assert all(key.key_id in said for key in hospital.keys)
        assert ask_endpoint(home, examples.failed()) is None


def test_an_endpoint_that_serves_something_else_stops_the_signature(hospital: Hospital) -> None:
    with (
        closing(hospital.asking(*hospital.command(hospital.folder / "older"))) as home,
        pytest.raises(CertificateError, match="put the weights of now into service"),
    ):
        ask_endpoint(home, certificate())


@pytest.mark.parametrize(
    "command", [("/nonexistent",), (sys.executable, "-c", "raise SystemExit(3)")]
)
def test_a_command_that_fails_stops_the_signature(
    hospital: Hospital, command: tuple[str, ...]
) -> None:
    with (
        closing(hospital.asking(*command)) as home,
        pytest.raises(CertificateError, match="the command that asks the endpoint failed"),
    ):
        ask_endpoint(home, certificate())


def test_a_setting_taken_back_passes_over_no_endpoint(hospital: Hospital) -> None:
    with closing(hospital.asking()) as home:
        with pytest.raises(CertificateError, match="set challenge"):
            ask_endpoint(home, certificate())
        record_only = replace(examples.failed(), issued=datetime.now(UTC).date())
        assert ask_endpoint(home, record_only) is None


def forged(
    hospital: Hospital, change: Callable[[DocumentFacts, Hospital], object]
) -> tuple[dict[str, object], TrustFile]:
    facts = certificate()
    predicate = json.loads(statement_bytes(replace(facts, served=answered(facts, hospital.keys))))[
        "predicate"
    ]
    predicate["served"].update(change(facts, hospital))
    return predicate, hospital.home.trust


def _base64(answer: bytes) -> dict[str, str]:
    return {"answer": b64encode(answer).decode("ascii")}


def _of(facts: DocumentFacts, keys: tuple[Signer, ...], **other: object) -> dict[str, str]:
    """An answer, right but for what is other; asked a moment that is stated, too."""
    asked = datetime.now(UTC).replace(microsecond=0)
    said = {
        "model": facts.model.name,
        "challenge": challenge_of(facts.request.case, WEIGHTS, asked),
        "weights": WEIGHTS,
    } | other
    answer = answer_for(**said, signers=keys)  # type: ignore[arg-type]  # by name
    return {"asked": asked.strftime("%Y-%m-%dT%H:%M:%SZ"), **_base64(answer)}


FORGERIES: dict[str, Callable[[DocumentFacts, Hospital], object]] = {
    "of another case": lambda f, h: _of(
        f, h.keys, challenge=challenge_of("another", WEIGHTS, datetime.now(UTC))
    ),
    "of another moment": lambda f, h: {"asked": f"{f.issued.isoformat()}T00:00:01Z"},
    "of other weights": lambda f, h: _of(f, h.keys, weights=Digest.of(b"other")),
    "of another model": lambda f, h: _of(f, h.keys, model="another"),
    "stating other weights": lambda f, h: {"weights": str(Digest.of(b"other"))},
    "of another day": lambda f, h: {
        "asked": (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    },
    "by the performer": lambda f, h: _of(f, h.home.statement_signers),
    "by one algorithm": lambda f, h: _of(f, h.keys[:1]),
    "of another type": lambda f, h: _base64(sign_envelope("text/plain", b"{}", h.keys)),
    "no base64": lambda f, h: {"answer": "!"},
    "no envelope": lambda f, h: _base64(b"{}"),
    "no time": lambda f, h: {"asked": "today"},
    "no text": lambda f, h: {"answer": 7},
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_answer_is_refused(
    hospital: Hospital, change: Callable[[DocumentFacts, Hospital], object]
) -> None:
    predicate, trust = forged(hospital, lambda facts, home: _of(facts, hospital.keys))
    assert verify_served(predicate, trust).startswith("asked ")
    predicate, trust = forged(hospital, change)
    with pytest.raises(AuditorError):
        verify_served(predicate, trust)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "approval"},
        {"revoked_at": "2099-01-01T00:00:00Z"},
        {"valid_from": "2099-01-01T00:00:00Z"},
    ],
)
def test_an_answer_by_keys_that_may_not_answer_is_refused(
    hospital: Hospital, changes: dict[str, str]
) -> None:
    predicate, trust = forged(hospital, lambda facts, home: _of(facts, hospital.keys))
    keys = tuple(
        replace(key, **changes) if key.role == "serving" else key for key in trust.statement_keys
    )
    with pytest.raises(AuditorError):
        verify_served(predicate, replace(trust, statement_keys=keys))


def prepared(home: Home, facts: DocumentFacts) -> str:
    """A case whose performer has signed that statement."""
    envelope = sign_envelope(PAYLOAD_TYPE, statement_bytes(facts), home.statement_signers)
    case = facts.request.case
    event = CertificatePrepared(
        case=case, outcome=Outcome.CERTIFIED, envelope=home.store.put(envelope)
    )
    record(home, case_stream(case), event, "prepared")
    assert load_case(home, case).prepared == event
    return case


def checked(document: Issued) -> tuple[Status, Check]:
    report = document.verify()
    return report.status, next(c for c in report.checks if c.name == "serving")


def test_the_offline_verification_asks_for_the_answer(hospital: Hospital) -> None:
    home = hospital.home
    facts = certificate("00000000000000a1")
    good = prepared(home, replace(facts, served=answered(facts, hospital.keys)))
    status, check = checked(issue_record(home, good))
    assert (status, check.held) == (Status.VALID_STATUS_UNKNOWN, True)
    unasked = certificate("00000000000000a2")
    other = certificate("00000000000000a3")
    of_another_case = replace(other, served=answered(facts, hospital.keys))
    for wrong, told in ((unasked, "the statement holds no answer"), (of_another_case, "endpoint")):
        case = prepared(home, wrong)
        with pytest.raises(ProofError, match=told):
            issue_record(home, case)
        status, check = checked(issue_unasked(home, case))
        assert (status, check.held) == (Status.INVALID, False)
        assert told in check.detail


def test_the_answer_is_printed_where_no_home_is(auditor: Auditor, hospital: Hospital) -> None:
    key, weights = hospital.folder / "endpoint.key", hospital.folder / "served"
    words = ("model", "answer", "tb-chest", "c0", "--key", key, "--weights")
    ran = auditor(*words, weights)
    assert ran.code == 0 and len(ran.json["signatures"]) == 2
    assert auditor(*words, hospital.folder / "none").code == 1


def test_only_a_certificate_says_what_is_served() -> None:
    served = ServedFacts(asked=datetime.now(UTC), weights=WEIGHTS, answer=b"{}")
    for facts in (examples.failed(), examples.passed()):
        with pytest.raises(CertificateError, match="other weights"):
            replace(facts, served=served)
