"""Four eyes: what an approver has signed besides is valid, each forged twin is refused by name."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.certificates.signatures import keys_in_force
from auditor.certificates.verify import Status, verify_certificate
from auditor.domain.event import ApprovalDeclined, CertificatePrepared, StatementApproved
from auditor.domain.request import DecisionKind, DecisionReason, Outcome
from auditor.errors import CertificateError, HomeError, MisuseError, ProofError
from auditor.learning.progress import silent
from auditor.proof.dsse import add_signatures
from auditor.proof.signing import Signer, generate_private_key, load_signer
from auditor.proof.trust import TrustFile, parse_trust, trust_bytes
from auditor.workflow.desk.desk import decide
from auditor.workflow.documents.approval import approve, decline, drafted_statement
from auditor.workflow.documents.key_adding import add_keys
from auditor.workflow.documents.notary import prepare_statement
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_batch, run_case
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case, record, record_next
from auditor.workflow.homes.steps import Step, next_step
from auditor.workflow.log.statement_keys import (
    add_pair,
    make_pair,
    read_pair,
    revoke_key,
    rotate_statement_keys,
)
from tests.certificates.conftest import Issued, issue_record, issue_unasked, refused_case
from tests.cli.conftest import stock
from tests.workflow.desks import employ, filed


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A home that requires four eyes, an approver's keys, and a document both have signed."""

    home: Home
    keys: tuple[Signer, ...]
    issued: Issued


def in_home(root: Path, *, four_eyes: bool) -> Home:
    with closing(open_home(root)) as home:
        write_config(root / SETTINGS, replace(home.config, four_eyes=four_eyes))
    return open_home(root)


def drafted(home: Home) -> str:
    case = refused_case(home)
    prepare_statement(home, case, load_case(home, case))
    return case


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("approval")
    with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as made:
        stock(made)
        public = make_pair(folder / "approver.key")
        add_pair(made, public.read_bytes())
    with closing(in_home(folder / "home", four_eyes=True)) as home:
        keys = read_pair(folder / "approver.key")
        case = drafted(home)
        approve(home, case, keys)
        prepare_statement(home, case, load_case(home, case))
        yield Office(home=home, keys=keys, issued=issue_record(home, case))


def refused(issued: Issued, trust: TrustFile | None = None) -> tuple[str, str]:
    """The check that refuses it, and why."""
    report = verify_certificate(
        issued.pdf, trust or parse_trust(issued.trust), now=datetime.now(UTC)
    )
    assert report.status is Status.INVALID
    return report.checks[-1].name, report.reason


def test_a_document_that_two_have_signed_is_valid(office: Office) -> None:
    report = office.issued.verify()
    assert report.status is Status.VALID_STATUS_UNKNOWN
    check = next(check for check in report.checks if check.name == "approval")
    assert check.held is True
    assert all(key.key_id in check.detail for key in office.keys)
    assert report.predicate is not None and report.predicate["approval"] == "four-eyes"


def test_nothing_is_issued_before_the_approval(office: Office) -> None:
    home, case = office.home, drafted(office.home)
    state = load_case(home, case)
    assert next_step(state) is Step.APPROVE and state.prepared is None
    assert drafted_statement(home, case)["request"]["case"] == case
    decline(home, case)
    assert next_step(load_case(home, case)) is Step.PREPARE
    with pytest.raises(MisuseError, match="waits for approval"):
        approve(home, case, office.keys)
    prepare_statement(home, case, load_case(home, case))
    approve(home, case, office.keys)
    with pytest.raises(MisuseError, match="waits for approval"):
        approve(home, case, office.keys)
    with pytest.raises(MisuseError, match="waits for approval"):
        decline(home, case)
    prepared = load_case(home, case)
    assert next_step(prepared) is Step.PREPARE and prepared.drafts == 2


def strangers() -> tuple[Signer, ...]:
    return tuple(load_signer(generate_private_key(name)) for name in ("ed25519", "ml-dsa-65"))


def test_only_an_approver_approves(office: Office) -> None:
    home, case = office.home, drafted(office.home)
    for keys in (strangers(), home.statement_signers, office.keys[:1], office.keys[::-1], ()):
        with pytest.raises(MisuseError):
            approve(home, case, keys)
    assert load_case(home, case).approved is None


def test_an_approver_signs_on_their_days_alone(office: Office) -> None:
    from auditor.workflow.documents.approval import _require_approver

    _require_approver(office.home, office.keys, datetime.now(UTC).date().isoformat())
    with pytest.raises(MisuseError, match="wasn't in force on 2001-01-01"):
        _require_approver(office.home, office.keys, "2001-01-01")


def bypassed(home: Home, sign: Callable[[bytes], bytes]) -> Issued:
    """What a performer who writes into the home can issue without the approver."""
    case = drafted(home)
    asked = load_case(home, case).drafted
    assert asked is not None
    envelope = sign(home.store.get(asked.envelope))
    event = CertificatePrepared(
        case=case, outcome=Outcome.REFUSED, envelope=home.store.put(envelope)
    )
    record(home, case_stream(case), event, "prepared")
    return issue_unasked(home, case)


def test_a_document_without_the_approval_it_says_is_refused(office: Office) -> None:
    name, why = refused(bypassed(office.home, bytes))
    assert (name, "no good ed25519 signature by a key of the role approval" in why) == (
        "approval",
        True,
    )


def test_the_performers_own_signature_is_no_approval(office: Office) -> None:
    def posing(envelope: bytes) -> bytes:
        """The performer's signatures once more, under the approver's key ids."""
        fields = json.loads(envelope)
        fields["signatures"] += [
            {**signature, "keyid": key.key_id}
            for signature, key in zip(fields["signatures"], office.keys, strict=True)
        ]
        return json.dumps(fields, separators=(",", ":")).encode()

    assert refused(bypassed(office.home, posing))[0] == "approval"
    with pytest.raises(ProofError, match="has signed it already"):
        bypassed(
            office.home, lambda envelope: add_signatures(envelope, office.home.statement_signers)
        )


def test_approval_by_one_algorithm_of_two_is_refused(office: Office) -> None:
    name, why = refused(
        bypassed(office.home, lambda envelope: add_signatures(envelope, office.keys[:1]))
    )
    assert name == "approval" and "no good ml-dsa-65" in why


def with_approvers(trust: TrustFile, **changes: str) -> TrustFile:
    keys = tuple(
        replace(key, **changes) if key.role == "approval" else key for key in trust.statement_keys
    )
    return replace(trust, statement_keys=keys)


def test_a_key_of_another_role_does_not_approve(office: Office) -> None:
    trust = parse_trust(office.issued.trust)
    for role in ("statement", "seal"):
        assert refused(office.issued, with_approvers(trust, role=role))[0] == "approval"


def test_an_approver_counts_on_their_days_and_until_revoked(office: Office) -> None:
    trust = parse_trust(office.issued.trust)
    for changes in (
        {"revoked_at": "2099-01-01T00:00:00Z"},
        {"valid_from": "2099-01-01T00:00:00Z"},
        {"valid_until": "2020-01-01T00:00:00Z"},
    ):
        assert refused(office.issued, with_approvers(trust, **changes))[0] == "approval"


def test_no_trust_file_gives_one_key_two_roles(office: Office) -> None:
    trust = parse_trust(office.issued.trust)
    performer = next(key for key in trust.statement_keys if key.role == "statement")
    with pytest.raises(ProofError, match="twice"):
        replace(trust, statement_keys=(*trust.statement_keys, replace(performer, role="approval")))
    assert parse_trust(trust_bytes(trust)) == trust


def test_a_statement_that_asks_for_nobody_is_refused_where_there_are_approvers(
    office: Office, tmp_path: Path
) -> None:
    """Else whoever performs could leave the second pair of eyes out by a setting."""
    root = office.home.root
    with closing(in_home(root, four_eyes=False)) as lax:
        case = refused_case(lax)
        with pytest.raises(CertificateError, match="four_eyes = true"):
            prepare_statement(lax, case, load_case(lax, case))
    with closing(in_home(root, four_eyes=True)):
        pass
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as plain:
        stock(plain)
        document = issue_record(plain)
        trust = parse_trust(document.trust)
        assert document.verify().status is Status.VALID_STATUS_UNKNOWN
        theirs = [k for k in office.home.trust.statement_keys if k.role == "approval"]
        assert refused(
            document, replace(trust, statement_keys=(*trust.statement_keys, *theirs))
        ) == (
            "approval",
            "the trust file names approvers, but the statement asks for no approval",
        )


def test_an_approver_who_is_revoked_is_asked_no_more(office: Office) -> None:
    trust = with_approvers(office.home.trust, revoked_at="2026-01-01T00:00:00Z")
    today = datetime.now(UTC).date().isoformat()
    assert keys_in_force(office.home.trust, "approval", today)
    assert not keys_in_force(trust, "approval", today)


def test_a_draft_changed_behind_the_approvers_back_is_not_signed(office: Office) -> None:
    home, case = office.home, drafted(office.home)
    asked = load_case(home, case).drafted
    assert asked is not None
    forged = home.store.put(add_signatures_of_strangers(home.store.get(asked.envelope)))
    event = replace(asked, envelope=forged)
    record(home, case_stream(case), event, "drafted-2")
    with pytest.raises(ProofError):
        approve(home, case, office.keys)


def add_signatures_of_strangers(envelope: bytes) -> bytes:
    """Another payload, signed by nobody whom the trust file knows."""
    fields = json.loads(envelope)
    payload = b64decode(fields["payload"]).replace(b"refused", b"granted")
    fields["payload"] = b64encode(payload).decode("ascii")
    return add_signatures(json.dumps(fields).encode(), strangers())


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A home in which a person of the desk, an approver and the home itself sign by keys."""

    home: Home
    desk: tuple[Signer, ...]
    approver: tuple[Signer, ...]
    case: str


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    """A refused case whose statement waits for approval."""
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as made:
        stock(made)
        desk = employ(made, tmp_path, "ada")
        approver = employ(made, tmp_path, "approver", "approval")
    with closing(in_home(tmp_path / "home", four_eyes=True)) as home:
        case = filed(home)
        refuse(home, case, desk)
        prepare_statement(home, case, load_case(home, case))
        yield Signed(home=home, desk=desk, approver=approver, case=case)


def refuse(home: Home, case: str, signers: tuple[Signer, ...]) -> None:
    decide(home, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND, signers=signers)


@pytest.mark.parametrize(
    ("whose", "stage"),
    [
        *((whose, stage) for whose in ("desk", "approver", "home") for stage in (0, 1)),
        # what the desk had decided was good when it was put on the books
        *((whose, 2) for whose in ("approver", "home")),
    ],
)
def test_a_statement_by_a_key_revoked_since_is_sent_back_and_signed_anew(
    signed: Signed, tmp_path: Path, whose: str, stage: int
) -> None:
    home, case, desk, approver = signed.home, signed.case, signed.desk, signed.approver
    approved, prepared = stage > 0, stage > 1
    if approved:
        approve(home, case, approver)
    if prepared:
        prepare_statement(home, case, load_case(home, case))
        with pytest.raises(MisuseError, match="issue it: auditor run"):
            decline(home, case)
    revoked = {"desk": desk, "approver": approver, "home": home.statement_signers}[whose]
    for signer in revoked:
        revoke_key(home, signer.key_id)
    if whose == "home":
        rotate_statement_keys(home)
    if approved:
        with pytest.raises(ProofError, match="revoked"):
            run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    state = load_case(home, case)
    assert state.issued is None and (state.prepared is not None) is prepared
    decline(home, case)
    if whose == "desk":
        refuse(home, case, employ(home, tmp_path, "bob"))
    if whose == "approver":
        approver = employ(home, tmp_path, "another", "approval")
    prepare_statement(home, case, load_case(home, case))
    approve(home, case, approver)
    prepare_statement(home, case, load_case(home, case))
    assert issue_record(home, case).verify().status is Status.VALID_STATUS_UNKNOWN
    with pytest.raises(MisuseError, match="no statement of case"):
        decline(home, case)


def test_an_approver_is_not_added_on_a_day_on_which_documents_went_out_without(
    tmp_path: Path,
) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        issued = issue_record(home)
        public = make_pair(tmp_path / "approver.key").read_bytes()
        before = home.trust_path.read_bytes()
        with pytest.raises(MisuseError, match=r"1 of today's documents .* add it tomorrow"):
            add_keys(home, public, "approval")
        assert home.trust_path.read_bytes() == before
        assert issued.verify().status is Status.VALID_STATUS_UNKNOWN
        add_keys(home, public, "desk")  # asks nothing of documents
        with pytest.raises(MisuseError, match="twice"):
            add_keys(home, public, "approval")
        # a refusal certifies no weights, so an endpoint has nothing to say of it
        add_keys(home, make_pair(tmp_path / "endpoint.key").read_bytes(), "serving")


def test_a_document_that_would_not_be_valid_is_on_no_books(tmp_path: Path) -> None:
    """Its statement holds; what the trust file says of the seal doesn't."""
    with (
        closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home,
        closing(create_home(tmp_path / "other", controller="K", dpo="D")) as other,
    ):
        stock(home)
        case = refused_case(home)
        prepare_statement(home, case, load_case(home, case))
        good = home.trust
        home.trust_path.write_bytes(trust_bytes(replace(good, seal_roots=other.trust.seal_roots)))
        with pytest.raises(CertificateError, match="wouldn't be valid, so none is issued"):
            issue_record(home, case)
        assert load_case(home, case).issued is None
        assert [path for path in home.certificates.rglob("*") if path.is_file()] == []
        home.trust_path.write_bytes(trust_bytes(good))
        assert issue_record(home, case).verify().status is Status.VALID_STATUS_UNKNOWN


@pytest.mark.parametrize("since", ["revoked", "approvers", "seal"])
def test_a_statement_that_needed_no_approval_is_sent_back_where_it_holds_no_more(
    tmp_path: Path, since: str
) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        case, other = refused_case(home), refused_case(home)
        prepare_statement(home, case, load_case(home, case))
        first = load_case(home, case).prepared
        match since:
            case "revoked":
                own = home.statement_signers
                rotate_statement_keys(home)
                for signer in own:
                    revoke_key(home, signer.key_id)
                told = "is revoked"
            case "approvers":
                employ(home, tmp_path, "approver", "approval")
                told = "names approvers"
            case _:
                trust = replace(home.trust, minimum_seal_level="B-T")
                home.trust_path.write_bytes(trust_bytes(trust))
                told = "asks for a seal of level B-T"
    with closing(open_home(tmp_path / "home")) as home:
        ran = run_batch(home, (case, other), RunSettings(), progress=silent, notice=lambda _: None)
        assert told in ran[0].hindered and "certificate decline" in ran[0].hindered
        if since == "revoked":
            assert not ran[1].hindered and ran[1].state.issued is not None
        with alone(home), pytest.raises(HomeError, match="another"):
            decline(home, case)  # a run may be issuing it
        decline(home, case)
        assert load_case(home, case).prepared is None
        with pytest.raises(MisuseError, match="no statement of case"):
            decline(home, case)
        if since == "revoked":
            prepare_statement(home, case, load_case(home, case))
            assert load_case(home, case).prepared not in (None, first)
            assert issue_record(home, case).verify().status is Status.VALID_STATUS_UNKNOWN


def test_an_answer_to_a_statement_that_was_sent_back_is_none_to_the_next(signed: Signed) -> None:
    home, case = signed.home, signed.case
    first = load_case(home, case).drafted
    assert first is not None
    decline(home, case)
    prepare_statement(home, case, load_case(home, case))
    late = StatementApproved(
        case=case, envelope=first.envelope, approved=first.envelope, actor="dpo"
    )
    record_next(home, case_stream(case), late)
    record_next(home, case_stream(case), ApprovalDeclined(case=case, envelope=first.envelope))
    state = load_case(home, case)
    assert state.approved is None and state.drafted not in (None, first)
    assert next_step(state) is Step.APPROVE
