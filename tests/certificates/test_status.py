"""Status statements: a fresh good one makes VALID; withdrawn, stale and forged ones don't."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import jsonschema
import pytest

from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.statement import PAYLOAD_TYPE
from auditor.certificates.status import (
    LONGEST_FRESH,
    Document,
    State,
    StatusFacts,
    judge_status,
    judge_statuses,
    parse_status,
    status_bytes,
)
from auditor.certificates.verify import Check, Status, verify_certificate
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.paper_events import WithdrawalReason
from auditor.errors import CertificateError, InvalidCertificateError, MisuseError
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.dsse import sign_envelope
from auditor.proof.note import NOTE_ED25519, note_key
from auditor.proof.signing import generate_private_key, load_signer
from auditor.proof.trust import TrustFile, parse_trust
from auditor.workflow.documents.certificate_life import (
    Service,
    reverify,
    sign_status,
    state_of,
    supersede,
    withdraw,
)
from auditor.workflow.homes.home import Home, create_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import register_version, require_model
from tests.certificates.conftest import Issued, issue_record, refused_case
from tests.cli.conftest import stock

ANOTHER = {"case": "0f0f0f0f0f0f0f0f", "pdf": Digest.of(b"another")}
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "templates" / "certificate-status-v1.schema.json").read_text())


def facts(issued: Issued, **changes: object) -> StatusFacts:
    """A good status of a moment ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    known = issued.home.newest_checkpoint()
    assert known is not None
    good = StatusFacts(
        case=issued.case,
        pdf=Digest.of(issued.pdf),
        state=State.GOOD,
        as_of=now,
        fresh_until=now + timedelta(days=7),
        ledger=known,
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # by name


def signed(issued: Issued, said: StatusFacts) -> bytes:
    return sign_envelope(PAYLOAD_TYPE, status_bytes(said), issued.home.statement_signers)


def judged(
    issued: Issued, status: bytes | None, trust: TrustFile | None = None
) -> tuple[Status, Check]:
    report = verify_certificate(
        issued.pdf,
        trust or parse_trust(issued.trust),
        sidecar=issued.sidecar,
        statuses=() if status is None else [status],
        now=datetime.now(UTC),
    )
    assert report.checks[-1].name == "status"
    return report.status, report.checks[-1]


def document(issued: Issued) -> Document:
    return Document(case=issued.case, pdf=Digest.of(issued.pdf))


def judged_alone(issued: Issued, status: bytes, trust: TrustFile) -> tuple[bool | None, str]:
    return judge_status(status, trust, document(issued), now=datetime.now(UTC))


def test_a_fresh_good_status_makes_it_valid(issued: Issued) -> None:
    status, check = judged(issued, signed(issued, facts(issued)))
    assert (status, check.held) == (Status.VALID, True)
    assert judged(issued, None)[0] is Status.VALID_STATUS_UNKNOWN


def test_of_several_statuses_a_bad_one_outweighs_the_good_and_the_nearest_is_told(
    issued: Issued,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    good = signed(issued, facts(issued))
    bad = signed(issued, facts(issued, state=State.WITHDRAWN, reason="issued-in-error"))
    stale = signed(
        issued, facts(issued, as_of=now - timedelta(days=2), fresh_until=now - timedelta(days=1))
    )
    others = signed(issued, facts(issued, **ANOTHER))
    trust = parse_trust(issued.trust)
    keys = tuple(replace(k, valid_from="2026-01-01T00:00:00Z") for k in trust.statement_keys)
    trust = replace(trust, statement_keys=keys)

    def told(*statuses: bytes) -> tuple[bool | None, str]:
        return judge_statuses(statuses, trust, document(issued), now=now)

    for order in permutations((others, stale, good, b"nonsense")):
        assert told(*order)[0] is True
    for order in permutations((good, bad, others)):
        with pytest.raises(InvalidCertificateError, match="withdrawn"):
            told(*order)
    for order in permutations((others, stale)):
        held, why = told(*order)
        assert held is None and "fresh until" in why
    assert told(others) == (None, "the status is about another document")


def test_what_was_withdrawn_or_superseded_is_invalid_however_old_the_status(issued: Issued) -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    trust = parse_trust(issued.trust)
    keys = tuple(replace(k, valid_from="2026-01-01T00:00:00Z") for k in trust.statement_keys)
    trust = replace(trust, statement_keys=keys)
    for as_of in (datetime.now(UTC).replace(microsecond=0), then):
        window = {"as_of": as_of, "fresh_until": as_of + timedelta(days=1)}
        withdrawn = facts(issued, state=State.WITHDRAWN, reason="issued-in-error", **window)
        status, check = judged(issued, signed(issued, withdrawn), trust)
        assert (status, check.detail) == (
            Status.INVALID,
            "withdrawn by its issuer: issued-in-error",
        )
        by = Digest.of(b"another")
        superseded = facts(issued, state=State.SUPERSEDED, superseded_by=by, **window)
        status, check = judged(issued, signed(issued, superseded), trust)
        assert (status, check.detail) == (Status.INVALID, f"superseded by {by}")


def stale(issued: Issued, **changes: object) -> str:
    status, check = judged(issued, signed(issued, facts(issued, **changes)))
    assert (status, check.held) == (Status.VALID_STATUS_UNKNOWN, None)
    return check.detail


def test_a_status_out_of_its_window_tells_nothing(issued: Issued) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    over = {"as_of": now - timedelta(seconds=2), "fresh_until": now - timedelta(seconds=1)}
    assert "was fresh until" in stale(issued, **over)
    ahead = now + timedelta(hours=1)
    assert "yet to come" in stale(issued, as_of=ahead, fresh_until=ahead + timedelta(days=1))


def test_a_status_from_before_the_trust_files_checkpoint_is_stale(issued: Issued) -> None:
    """A "good" of before the withdrawal, shown again to who knows a later checkpoint."""
    known = issued.home.newest_checkpoint()
    assert known is not None
    older = Checkpoint(origin=known.origin, size=known.size - 1, root=bytes(32))
    assert "trust file's checkpoint" in stale(issued, ledger=older)
    elsewhere = Checkpoint(origin="elsewhere", size=known.size, root=bytes(32))
    assert "another ledger" in stale(issued, ledger=elsewhere)


def test_a_status_of_another_document_tells_nothing(issued: Issued) -> None:
    assert stale(issued, **ANOTHER) == "the status is about another document"


def test_no_twin_of_a_document_escapes_what_is_said_of_it(issued: Issued) -> None:
    """The holder of a withdrawn document changes bytes that no signature covers, and keeps the
    proof of issue to himself."""
    (_, before, after, _) = read_sealed_pdf(issued.pdf).signature.byte_range
    hole = issued.pdf[before:after]
    letter = next(place for place, digit in enumerate(hole) if digit in b"ABCDEFabcdef")
    twins = {
        "padding": hole[:-2] + b"1>",
        "case": hole[:letter] + hole[letter : letter + 1].swapcase() + hole[letter + 1 :],
        "length": hole.replace(b"<3082", b"<308300", 1)[:-3] + b">",
        "another writing": hole.lower(),
    }
    bad = signed(issued, facts(issued, state=State.WITHDRAWN, reason="issued-in-error"))
    for name, twin in twins.items():
        assert twin != hole and len(twin) == len(hole)
        report = verify_certificate(
            issued.pdf[:before] + twin + issued.pdf[after:],
            parse_trust(issued.trust),
            statuses=[bad],
            now=datetime.now(UTC),
        )
        assert report.status is Status.INVALID, name
        assert report.checks[-1].name == ("status" if name == "another writing" else "form"), name
    assert "about another file" in report.checks[-1].detail


def renamed(trust: TrustFile, origin: str) -> TrustFile:
    """The trust file after `ledger recover --new-origin`: both names are listed."""
    later = note_key(origin, NOTE_ED25519, b"\7" * 32)
    return replace(trust, log_origin=origin, log_policy=f"log {later.vkey}\n{trust.log_policy}")


def test_origins_of_one_trust_file_are_one_ledger(issued: Issued) -> None:
    """After `ledger recover --new-origin` the old documents, and whatever is shown in their place,
    are spoken of under the new name."""
    known = replace(facts(issued).ledger, origin="ledger.example/went-on")
    trust = renamed(parse_trust(issued.trust), known.origin)
    gone = facts(issued, state=State.WITHDRAWN, reason="issued-in-error", ledger=known)
    for said, why in (
        (gone, "withdrawn"),
        (replace(gone, pdf=Digest.of(b"twin")), "about another file"),
        (facts(issued, ledger=known, pdf=Digest.of(b"twin")), "about another file"),
    ):
        with pytest.raises(InvalidCertificateError, match=why):
            judged_alone(issued, signed(issued, said), trust)
    held, _ = judged_alone(issued, signed(issued, facts(issued, ledger=known)), trust)
    assert held is True


def test_a_good_status_of_before_the_ledger_went_on_is_stale(issued: Issued) -> None:
    """However many entries it knew: those of the new name are counted anew."""
    trust = renamed(parse_trust(issued.trust), "ledger.example/went-on")
    held, why = judged_alone(issued, signed(issued, facts(issued)), trust)
    assert held is None and "go on as ledger.example/went-on" in why
    gone = facts(issued, state=State.WITHDRAWN, reason="issued-in-error")
    with pytest.raises(InvalidCertificateError, match="withdrawn"):
        judged_alone(issued, signed(issued, gone), trust)


@pytest.mark.parametrize("state", [State.GOOD, State.WITHDRAWN])
def test_a_status_of_the_same_case_about_another_file_refuses_this_one(
    issued: Issued, state: State
) -> None:
    """A case has one document; whoever holds its status and another file holds a twin."""
    reason = "issued-in-error" if state is State.WITHDRAWN else ""
    said = facts(issued, state=state, reason=reason, pdf=Digest.of(b"another"))
    status, check = judged(issued, signed(issued, said))
    assert (status, check.held) == (Status.INVALID, False)
    assert check.detail == "the issuer's status of this case is about another file"


@pytest.mark.parametrize("state", [State.GOOD, State.WITHDRAWN])
def test_a_forged_status_tells_nothing_good_or_bad(issued: Issued, state: State) -> None:
    said = facts(issued, state=state, reason="issued-in-error" if state is not State.GOOD else "")
    payload, signers = status_bytes(said), issued.home.statement_signers
    strangers = [load_signer(generate_private_key(s.algorithm)) for s in signers]
    whole = signed(issued, said)
    flipped = whole.replace(b'"payload":"', b'"payload":"A', 1)
    for forged in (
        sign_envelope(PAYLOAD_TYPE, payload, strangers),
        sign_envelope(PAYLOAD_TYPE, payload, signers[:1]),
        sign_envelope(PAYLOAD_TYPE, payload, signers[1:]),
        sign_envelope("text/plain", payload, signers),
        sign_envelope(PAYLOAD_TYPE, payload + b" ", signers),
        sign_envelope(PAYLOAD_TYPE, b"{}", signers),
        sign_envelope(PAYLOAD_TYPE, issued.pdf[:100], signers),
        flipped,
        whole + b" " * (1 << 17),
        b"",
        b"nonsense",
    ):
        held, why = judged_alone(issued, forged, parse_trust(issued.trust))
        assert held is None and why.startswith("the status can't be relied on")
    assert judged(issued, flipped)[0] is Status.VALID_STATUS_UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "approval"},
        {"revoked_at": "2099-01-01T00:00:00Z"},
        {"valid_until": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_status_by_keys_that_may_not_say_so_tells_nothing(
    issued: Issued, changes: dict[str, str]
) -> None:
    trust = parse_trust(issued.trust)
    keys = tuple(replace(key, **changes) for key in trust.statement_keys)
    changed = replace(trust, statement_keys=keys)
    held, why = judged_alone(issued, signed(issued, facts(issued)), changed)
    assert held is None and why.startswith("the status can't be relied on")


def test_no_status_outlives_a_quarter_or_lacks_its_reason(issued: Issued) -> None:
    good = facts(issued)
    for changes in (
        {"fresh_until": good.as_of + timedelta(days=LONGEST_FRESH, seconds=1)},
        {"fresh_until": good.as_of},
        {"state": State.WITHDRAWN},
        {"state": State.SUPERSEDED},
        {"reason": "issued-in-error"},
        {"superseded_by": Digest.of(b"x")},
    ):
        with pytest.raises(CertificateError):
            replace(good, **changes)  # type: ignore[arg-type]  # by name


SAID = StatusFacts(
    case="7f3a9c1e5b2d4068",
    pdf=Digest.of(b"pdf"),
    state=State.GOOD,
    as_of=NOW,
    fresh_until=NOW + timedelta(days=7),
    ledger=Checkpoint(origin="auditor-ledger/1", size=9, root=bytes(32)),
)


@pytest.mark.parametrize(
    "said",
    [
        SAID,
        replace(SAID, state=State.WITHDRAWN, reason="key-compromised"),
        replace(SAID, state=State.SUPERSEDED, superseded_by=Digest.of(b"later")),
    ],
    ids=lambda said: said.state.value,
)
def test_a_status_is_read_back_and_fits_its_schema(said: StatusFacts) -> None:
    payload = status_bytes(said)
    assert parse_status(payload) == said
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(json.loads(payload)["predicate"])
    for name in SCHEMA["required"]:
        less = {k: v for k, v in json.loads(payload)["predicate"].items() if k != name}
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(less)


def test_the_document_describes_the_fields_of_the_schema() -> None:
    text = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `([\w.]+)` \|", text, re.M)
    ledger = SCHEMA["properties"]["ledger"]["properties"]
    assert set(described) == {*SCHEMA["properties"], *(f"ledger.{name}" for name in ledger)}
    assert SCHEMA["properties"]["reason"]["enum"] == [reason.value for reason in WithdrawalReason]
    assert SCHEMA["properties"]["state"]["enum"] == [state.value for state in State]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(extra="x"),
        lambda s: s.update(predicateType="urn:auditor:erasure-certificate:v1"),
        lambda s: s.update(subject=[]),
        lambda s: s["predicate"].update(case=7),
        lambda s: s["predicate"].update(state="fine"),
        lambda s: s["predicate"].update(extra="x"),
        lambda s: s["predicate"].update(asOf="2026-11-25"),
        lambda s: s["predicate"].update(asOf="2026-11-25T12:00:00Z "),
        lambda s: s["predicate"].update(freshUntil="9999-01-01T00:00:00Z"),
        lambda s: s["predicate"]["ledger"].update(size=-1),
        lambda s: s["predicate"]["ledger"].update(size="9"),
        lambda s: s["predicate"]["ledger"].update(root="00"),
        lambda s: s["predicate"].pop("ledger"),
        lambda s: s["predicate"].update(reason=""),
        lambda s: s["subject"][0]["digest"].update(sha512="0"),
    ],
)
def test_whatever_else_is_no_status(change: Callable[[dict[str, object]], object]) -> None:
    statement = json.loads(status_bytes(SAID))
    change(statement)
    with pytest.raises(CertificateError):
        parse_status(canonical_bytes(statement))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Issued, Issued]]:
    folder = tmp_path_factory.mktemp("life") / "home"
    with closing(create_home(folder, controller="St. Example", dpo="DPO")) as home:
        stock(home)
        yield home, issue_record(home), issue_record(home)


def test_a_life(life: tuple[Home, Issued, Issued]) -> None:
    """Good, superseded, withdrawn; and the good status of before, shown again."""
    home, first, second = life
    now = datetime.now(UTC)
    said, good = sign_status(home, first.case, now)
    assert said.fresh_until - said.as_of == timedelta(days=home.config.status_days)
    assert judged(first, good)[0] is Status.VALID
    for words in ((first.case, first.case), (second.case, first.case)):
        with pytest.raises(MisuseError):
            supersede(home, *words)
    supersede(home, first.case, second.case)
    with pytest.raises(MisuseError, match="superseded"):
        supersede(home, first.case, second.case)
    with pytest.raises(MisuseError, match="superseded"):
        supersede(home, second.case, first.case)
    _, superseded = sign_status(home, first.case, now)
    assert judged(first, superseded)[1].detail == f"superseded by {Digest.of(second.pdf)}"

    withdraw(home, first.case, WithdrawalReason.EVIDENCE_DISPROVED)
    with pytest.raises(MisuseError, match="withdrawn already"):
        withdraw(home, first.case, WithdrawalReason.EVIDENCE_DISPROVED)
    assert state_of(load_case(home, first.case)) is State.WITHDRAWN
    _, withdrawn = sign_status(home, first.case, now)
    assert judged(first, withdrawn)[0] is Status.INVALID
    newest = parse_trust(home.trust_path.read_bytes())
    status, check = judged(first, good, newest)
    assert (status, check.held) == (Status.VALID_STATUS_UNKNOWN, None)
    assert judged(second, sign_status(home, second.case, now)[1], newest)[0] is Status.VALID


def test_a_document_about_another_model_takes_nobodys_place(
    life: tuple[Home, Issued, Issued],
) -> None:
    home, _, second = life
    (detector,) = require_model(home, "detector").versions
    register_version(
        home,
        model="other",
        architecture="small-resnet",
        weights=home.store.put(b"other weights"),
        recipe=detector.recipe,
        data_set="data-1",
        training_images=30,
    )
    other = issue_record(home, refused_case(home, "other"))
    with pytest.raises(MisuseError, match="different models"):
        supersede(home, second.case, other.case)


def test_verified_again(life: tuple[Home, Issued, Issued]) -> None:
    home, first, second = life
    if load_case(home, first.case).withdrawn is None:
        withdraw(home, first.case, WithdrawalReason.ISSUED_IN_ERROR)
    again = reverify(home, second.case, datetime.now(UTC))
    assert (again.report.status, again.service) == (Status.VALID, Service.NOT_CONCERNED)
    assert reverify(home, first.case, datetime.now(UTC)).report.status is Status.INVALID
