"""Who decides: every act is by a key of the desk that holds, or the case goes no further."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.request import (
    DecidedBy,
    DecisionKind,
    DecisionReason,
    IdentityResult,
    PauseReason,
)
from auditor.errors import ConcurrencyError, MisuseError, ProofError
from auditor.proof.dsse import sign_envelope
from auditor.proof.signing import Signer
from auditor.proof.trust import trust_bytes
from auditor.workflow.desk import desk
from auditor.workflow.desk.acts import check_identity
from auditor.workflow.desk.authenticity import ACT_TYPE, act_bytes
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.signing import Hand, decided_by, enter, require_authentic, vouched
from auditor.workflow.documents.document import document_facts
from auditor.workflow.documents.notary import prepare_statement
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case, record_at, record_next
from auditor.workflow.log.statement_keys import revoke_key
from tests.cli.conftest import stock
from tests.workflow.desks import employ, filed, person, with_four_eyes
from tests.workflow.test_desk_rules import GONE, REACHED
from tests.workflow.test_steps import scope

GRANTED, REFUSED, HELD = DecisionKind.GRANTED, DecisionKind.REFUSED, DecisionKind.HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A home whose desk is two people; an approver and a stranger have keys, too."""

    home: Home
    ada: tuple[Signer, ...]
    bob: tuple[Signer, ...]
    approver: tuple[Signer, ...]
    stranger: tuple[Signer, ...]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office")
    with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        filed(home)
        employ(home, folder, "ada")
        employ(home, folder, "bob")
        employ(home, folder, "approver", "approval")
    person(folder, "stranger")
    return folder


@pytest.fixture
def office(template: Path, tmp_path: Path) -> Iterator[Office]:
    from auditor.workflow.log.statement_keys import read_pair

    folder = Path(shutil.copytree(template, tmp_path / "office"))
    names = ("ada", "bob", "approver", "stranger")
    keys = {name: read_pair(folder / f"{name}.key") for name in names}
    with closing(open_home(folder / "home")) as home:
        yield Office(home=home, **keys)


def test_a_decision_bears_the_key_of_whoever_made_it(office: Office) -> None:
    home, case = office.home, filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    decided = load_case(home, case).decided
    assert decided is not None and decided.actor == office.ada[0].key_id
    assert home.store.has(decided.signature)
    require_authentic(home, case)


def test_only_a_key_of_the_desk_decides(office: Office) -> None:
    home, case = office.home, filed(office.home)
    keys = (
        *((), office.stranger, office.approver, home.statement_signers),
        *(office.ada[:1], office.ada[::-1], (office.ada[0], office.stranger[1])),
    )
    for signers in keys:
        with pytest.raises(MisuseError):
            decide(home, case, GRANTED, signers=signers)
    revoke_key(home, office.bob[1].key_id)
    with pytest.raises(MisuseError, match="revoked"):
        decide(home, case, GRANTED, signers=office.bob)
    assert load_case(home, case).decided is None


def test_a_desk_without_keys_decides_by_role_alone(tmp_path: Path) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        case = filed(home)
        with pytest.raises(MisuseError, match="lists no key of the desk"):
            decide(home, case, GRANTED, signers=person(tmp_path, "eve"))
        decide(home, case, GRANTED, "head-of-privacy")
        decided = load_case(home, case).decided
        assert decided is not None
        assert (decided.actor, decided.signature) == ("head-of-privacy", UNSIGNED)
        require_authentic(home, case)
        assert decided_by(home, case) is DecidedBy.UNSIGNED
        other = filed(home)
        ada = employ(home, tmp_path, "ada")
        require_authentic(home, case)  # it was decided before there were keys
        with pytest.raises(MisuseError, match="--key"):
            decide(home, other, GRANTED)
        decide(home, case, HELD, signers=ada)
        require_authentic(home, case)


def granted(case: str, **changes: object) -> ev.RequestDecided:
    event = ev.RequestDecided(case=case, decision=GRANTED, actor="dpo")
    return replace(event, **changes)  # type: ignore[arg-type]  # of many types


def signed(
    home: Home, event: ev.RequestDecided, signers: tuple[Signer, ...], place: int
) -> ev.RequestDecided:
    envelope = sign_envelope(ACT_TYPE, act_bytes(event, place), signers)
    return replace(event, signature=home.store.put(envelope))


def unsigned(office: Office, case: str, place: int) -> ev.RequestDecided:
    return granted(case)


def unsigned_by_name(office: Office, case: str, place: int) -> ev.RequestDecided:
    return granted(case, actor=office.ada[0].key_id)


def of_nothing_stored(office: Office, case: str, place: int) -> ev.RequestDecided:
    return granted(case, actor=office.ada[0].key_id, signature=Digest.of(b"nothing"))


def by_a_stranger(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = granted(case, actor=office.stranger[0].key_id)
    return signed(office.home, event, office.stranger, place)


def by_an_approver(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = granted(case, actor=office.approver[0].key_id)
    return signed(office.home, event, office.approver, place)


def by_one_algorithm(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = granted(case, actor=office.ada[0].key_id)
    return signed(office.home, event, office.ada[:1], place)


def in_anothers_name(office: Office, case: str, place: int) -> ev.RequestDecided:
    return signed(office.home, granted(case, actor=office.bob[0].key_id), office.ada, place)


def of_another_place(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = granted(case, actor=office.ada[0].key_id)
    return signed(office.home, event, office.ada, place - 1)


def of_another_case(office: Office, case: str, place: int) -> ev.RequestDecided:
    """A signature that was given for somebody else's request in the same place."""
    other = filed(office.home)
    decide(office.home, other, HELD, signers=office.ada)
    decide(office.home, other, GRANTED, signers=office.ada)
    given = load_case(office.home, other).decided
    assert given is not None
    return replace(given, case=case)


def of_another_decision(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = signed(
        office.home,
        granted(
            case, decision=REFUSED, reason=DecisionReason.NO_GROUND, actor=office.ada[0].key_id
        ),
        office.ada,
        place,
    )
    return replace(event, decision=GRANTED, reason=DecisionReason.NONE)


def of_another_type(office: Office, case: str, place: int) -> ev.RequestDecided:
    event = granted(case, actor=office.ada[0].key_id)
    envelope = sign_envelope("application/json", act_bytes(event, place), office.ada)
    return replace(event, signature=office.home.store.put(envelope))


FORGERIES = (
    *(unsigned, unsigned_by_name, of_nothing_stored, by_a_stranger, by_an_approver),
    *(by_one_algorithm, in_anothers_name, of_another_place, of_another_case),
    *(of_another_decision, of_another_type),
)


@pytest.mark.parametrize("forge", FORGERIES)
def test_what_is_forged_into_the_ledger_erases_nobody(
    office: Office, forge: Callable[[Office, str, int], ev.RequestDecided]
) -> None:
    home, case = office.home, filed(office.home)
    decide(home, case, HELD, signers=office.ada)
    stream = case_stream(case)
    place = home.ledger.version(stream)
    record_at(home, stream, forge(office, case, place), place)
    assert load_case(home, case).granted
    before = home.ledger.size
    with pytest.raises(ProofError, match=f"entry {before - 1}.*decided anew"):
        run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    with pytest.raises(ProofError):
        prepare_statement(home, case, load_case(home, case))
    assert home.ledger.size == before
    records = home.ledger.replay(stream)
    assert vouched(home, records) == records[:-1]
    decide(home, case, GRANTED, signers=office.bob)  # though it looks granted already
    require_authentic(home, case)


def test_what_the_desk_signed_cannot_be_repeated_later(office: Office) -> None:
    home, case = office.home, filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    given = load_case(home, case).decided
    decide(home, case, HELD, signers=office.ada)
    assert given is not None
    record_at(home, case_stream(case), given, home.ledger.version(case_stream(case)))
    with pytest.raises(ProofError, match="not in this place"):
        require_authentic(home, case)


def test_nobody_decides_on_what_they_have_not_seen(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that comes in while a grant is being made."""
    home, case = office.home, filed(office.home)
    decide(home, case, HELD, signers=office.bob)
    looked = desk.require_case

    def meanwhile(home: Home, case: str) -> ErasureCase:
        monkeypatch.undo()
        state = looked(home, case)
        check_identity(home, case, IdentityResult.DOUBTED, Hand(signers=office.bob))
        return state

    monkeypatch.setattr(desk, "require_case", meanwhile)
    with pytest.raises(ConcurrencyError, match="run the command again"):
        decide(home, case, GRANTED, signers=office.ada)
    assert load_case(home, case).held


def test_a_revoked_key_has_decided_nothing(office: Office) -> None:
    home, case = office.home, filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    revoke_key(home, office.ada[0].key_id)
    with pytest.raises(ProofError, match="revoked"):
        require_authentic(home, case)
    decide(home, case, GRANTED, signers=office.bob)
    require_authentic(home, case)


def test_a_key_revoked_after_every_copy_was_accounted_for_is_decided_anew(office: Office) -> None:
    """Nothing is left to decide but this; else the erased patient's case would never be closed."""
    home, case = office.home, filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    for event in (scope(), REACHED, GONE):
        record_next(home, case_stream(case), replace(event, case=case))  # type: ignore[call-arg]
    assert load_case(home, case).all_accounted
    revoke_key(home, office.ada[0].key_id)
    for other in (HELD, REFUSED, DecisionKind.WITHDRAWN):
        reason = DecisionReason.NO_GROUND if other is REFUSED else DecisionReason.NONE
        with pytest.raises(MisuseError, match="accounted for"):
            decide(home, case, other, reason=reason, signers=office.bob)
    decide(home, case, GRANTED, signers=office.bob)
    require_authentic(home, case)
    with pytest.raises(MisuseError, match="already granted"):
        decide(home, case, GRANTED, signers=office.bob)


@pytest.mark.parametrize(
    "days", [{"valid_until": "2020-01-01T00:00:00Z"}, {"valid_from": "2099-01-01T00:00:00Z"}]
)
def test_a_key_decides_on_its_days_alone(office: Office, days: dict[str, str]) -> None:
    home, case = office.home, filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    trust, ids = home.trust, {signer.key_id for signer in office.ada}
    keys = [replace(key, **days) if key.key_id in ids else key for key in trust.statement_keys]
    home.trust_path.write_bytes(trust_bytes(replace(trust, statement_keys=tuple(keys))))
    with pytest.raises(ProofError, match="wasn't in force"):
        require_authentic(home, case)
    with pytest.raises(MisuseError, match="wasn't in force"):
        decide(home, case, HELD, signers=office.ada)


def test_what_is_closed_stays_as_it_was_when_a_key_is_revoked(office: Office) -> None:
    home = no_approver(office)
    case = closed_by(home, office.ada)
    other = filed(home)
    decide(home, other, HELD, signers=office.ada)
    revoke_key(home, office.ada[0].key_id)
    closed, still_open = (home.ledger.replay(case_stream(name)) for name in (case, other))
    assert vouched(home, closed) == closed
    assert vouched(home, still_open) == still_open[:-1]


def closed_by(home: Home, signers: tuple[Signer, ...]) -> str:
    """A case refused by somebody, with its record."""
    case = filed(home)
    decide(home, case, REFUSED, reason=DecisionReason.NO_GROUND, signers=signers)
    state = run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    assert state.issued is not None
    return case


def no_approver(office: Office) -> Home:
    """The home, which issues documents without an approver's signature."""
    for key in office.approver:
        revoke_key(office.home, key.key_id)
    return office.home


def test_what_is_written_behind_a_document_has_to_hold(office: Office) -> None:
    """Else whoever writes into the database makes a late answer one that came in time."""
    home = no_approver(office)
    case = closed_by(home, office.ada)
    stream, day = case_stream(case), date(2026, 11, 20)
    closed = home.ledger.replay(stream)
    key = office.bob[0].key_id
    record_next(
        home,
        stream,
        ev.ClockStopped(
            case=case, reason=PauseReason.IDENTITY, on=day, actor="dpo", signature=UNSIGNED
        ),
    )
    record_next(home, stream, ev.ClockResumed(case=case, on=day, actor=key, signature=UNSIGNED))
    extended = granted(case, decision=DecisionKind.EXTENDED, reason=DecisionReason.COMPLEXITY)
    record_next(home, stream, extended)
    enter(
        home,
        ev.ProcessingRestricted(case=case, on=day, actor="dpo", signature=UNSIGNED),
        Hand(signers=office.bob),
    )
    assert vouched(home, home.ledger.replay(stream)) == (*closed, home.ledger.replay(stream)[-1])
    revoke_key(home, key)
    assert vouched(home, home.ledger.replay(stream)) == closed


def test_what_nobody_vouched_for_before_the_document_is_not_vouched_for_after_it(
    office: Office,
) -> None:
    home = with_four_eyes(no_approver(office))
    case = filed(home)
    stream = case_stream(case)
    record_next(home, stream, granted(case, decision=DecisionKind.EXTENDED))
    alone = granted(case, actor=office.ada[0].key_id)
    record_next(home, stream, signed(home, alone, office.ada, home.ledger.version(stream)))
    for signers in (office.ada, office.bob):
        decide(home, case, REFUSED, reason=DecisionReason.NO_GROUND, signers=signers)
    before = vouched(home, home.ledger.replay(stream))
    assert len(before) == len(home.ledger.replay(stream)) - 2
    run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    after = vouched(home, home.ledger.replay(stream))
    assert after[: len(before)] == before and len(after) == len(home.ledger.replay(stream)) - 2


def test_four_eyes_asked_for_later_take_nothing_from_what_one_decided(office: Office) -> None:
    home = no_approver(office)
    case = closed_by(home, office.ada)
    home = with_four_eyes(home)
    records = home.ledger.replay(case_stream(case))
    assert vouched(home, records) == records


def test_an_extension_that_nobody_vouches_for_extends_nothing(office: Office) -> None:
    home, case = office.home, filed(office.home)
    stream = case_stream(case)
    forged = ev.RequestDecided(
        case=case, decision=DecisionKind.EXTENDED, reason=DecisionReason.COMPLEXITY, actor="dpo"
    )
    record_at(home, stream, forged, home.ledger.version(stream))
    decide(home, case, GRANTED, signers=office.ada)
    require_authentic(home, case)
    kept = [item.event for item in vouched(home, home.ledger.replay(stream))]
    assert forged not in kept and len(kept) == 2


def test_four_eyes_are_two_peoples(office: Office) -> None:
    home, case = with_four_eyes(office.home), filed(office.home)
    proposed = decide(home, case, GRANTED, signers=office.ada).event
    assert isinstance(proposed, ev.DecisionProposed)
    state = load_case(home, case)
    assert state.decided is None and state.proposed == proposed
    with pytest.raises(MisuseError, match="hasn't granted"):
        run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    for again in (office.ada, (office.ada[0], office.bob[1]), (office.bob[0], office.ada[1])):
        with pytest.raises(MisuseError, match="another person"):
            decide(home, case, GRANTED, signers=again)
    decide(home, case, GRANTED, signers=office.bob)
    assert load_case(home, case).granted
    require_authentic(home, case)
    decide(home, case, HELD, signers=office.ada)  # one may stop it alone
    require_authentic(home, case)
    home.close()


def test_two_who_disagree_move_nothing(office: Office) -> None:
    home, case = with_four_eyes(office.home), filed(office.home)
    decide(home, case, GRANTED, signers=office.ada)
    second = decide(home, case, REFUSED, reason=DecisionReason.NO_GROUND, signers=office.bob)
    assert isinstance(second.event, ev.DecisionProposed)
    assert load_case(home, case).decided is None
    decide(home, case, REFUSED, reason=DecisionReason.NO_GROUND, signers=office.ada)
    decided = load_case(home, case).decided
    assert decided is not None and decided.decision is REFUSED
    require_authentic(home, case)
    home.close()


def alone(home: Home, case: str, office: Office) -> None:
    place = home.ledger.version(case_stream(case))
    event = signed(home, granted(case, actor=office.ada[0].key_id), office.ada, place)
    record_at(home, case_stream(case), event, place)


def twice_the_same(home: Home, case: str, office: Office) -> None:
    decide(home, case, GRANTED, signers=office.ada)
    alone(home, case, office)


def on_another_proposal(home: Home, case: str, office: Office) -> None:
    decide(home, case, REFUSED, reason=DecisionReason.NO_GROUND, signers=office.bob)
    alone(home, case, office)


def on_an_overruled_proposal(home: Home, case: str, office: Office) -> None:
    decide(home, case, GRANTED, signers=office.bob)
    decide(home, case, HELD, signers=office.bob)
    alone(home, case, office)


@pytest.mark.parametrize(
    "bypass", [alone, twice_the_same, on_another_proposal, on_an_overruled_proposal]
)
def test_one_person_cannot_be_two_behind_the_desks_back(
    office: Office, bypass: Callable[[Home, str, Office], None]
) -> None:
    home, case = with_four_eyes(office.home), filed(office.home)
    bypass(home, case, office)
    assert load_case(home, case).granted
    with pytest.raises(ProofError, match="two people's keys"):
        require_authentic(home, case)
    with pytest.raises(ProofError, match="two people's keys"):
        prepare_statement(home, case, load_case(home, case))
    home.close()


def test_four_eyes_without_keys_are_refused(tmp_path: Path) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as made:
        stock(made)
        home = with_four_eyes(made)
        case = filed(home, received=date(2026, 11, 2))
        with pytest.raises(MisuseError, match="four eyes need two keys"):
            decide(home, case, GRANTED)
        home.close()


def test_the_document_and_the_desk_say_by_whose_hand_it_was_decided(office: Office) -> None:
    home = office.home
    one, undecided = filed(home), filed(home)
    decide(home, one, REFUSED, reason=DecisionReason.NO_GROUND, signers=office.ada)
    assert decided_by(home, one) is DecidedBy.KEY
    with pytest.raises(MisuseError, match="isn't decided"):
        decided_by(home, undecided)
    strict, two = with_four_eyes(home), filed(home)
    for signers in (office.ada, office.bob):
        decide(strict, two, REFUSED, reason=DecisionReason.NO_GROUND, signers=signers)
    assert decided_by(strict, two) is DecidedBy.TWO_KEYS
    facts = document_facts(strict, two, load_case(strict, two))
    assert facts.request.decided_by is DecidedBy.TWO_KEYS
    strict.close()


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[Home]:
    """As `auditor init` makes a home: nothing is decided in it without a key of the desk."""
    root = tmp_path / "home"
    with closing(create_home(root, controller="St. Example", dpo="DPO", desk_signed=True)) as home:
        stock(home)
        yield home


def test_a_home_may_ask_for_signatures_from_the_start(signing: Home, tmp_path: Path) -> None:
    case = filed(signing)
    size = signing.ledger.size
    with pytest.raises(MisuseError, match="auditor keys new FILE"):
        decide(signing, case, GRANTED)
    assert signing.ledger.size == size
    ada = employ(signing, tmp_path, "ada")
    decide(signing, case, GRANTED, signers=ada)
    require_authentic(signing, case)


def test_there_what_was_written_unsigned_before_the_first_key_counts_for_nothing(
    signing: Home, tmp_path: Path
) -> None:
    case = filed(signing)
    forged = ev.RequestDecided(case=case, decision=GRANTED, actor="dpo")
    record_at(signing, case_stream(case), forged, signing.ledger.version(case_stream(case)))
    with pytest.raises(ProofError, match="no signature of the desk"):
        require_authentic(signing, case)
    employ(signing, tmp_path, "ada")
    with pytest.raises(ProofError, match="no signature of the desk"):
        require_authentic(signing, case)
