"""The register of cases: rebuilt, live and read case by case it is the same."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, Ground, Outcome, Regime
from auditor.domain.verdict import Basis, Verdict
from auditor.ledger.projection import rebuild
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.register import REGISTER, case_line, list_cases

DIGEST = Digest.of(b"x")


def requested(case: str) -> ev.ErasureRequested:
    return ev.ErasureRequested(
        case=case,
        regime=Regime.GDPR,
        ground=next(ground for ground in Ground if ground.value.startswith("gdpr")),
        received=date(2026, 10, 1),
        model="detector",
        subjects=1,
        payload=DIGEST,
        policies=DIGEST,
    )


def life(case: str) -> list[tuple[Event, str]]:
    verdict, outcome = next(iter(Verdict)), next(iter(Outcome))
    return [
        (requested(case), "received"),
        (ev.RequestDecided(case=case, decision=DecisionKind.HELD, actor="dpo"), "held"),
        (ev.RequestDecided(case=case, decision=DecisionKind.GRANTED, actor="dpo"), "granted"),
        (ev.PlanPinned(case=case, plan=DIGEST, bank=DIGEST, ladder=("retrain",)), "running"),
        (ev.RequestDecided(case=case, decision=DecisionKind.HELD, actor="dpo"), "running"),
        (
            ev.VerdictReached(case=case, verdict=verdict, basis=Basis.EXACT, weights=DIGEST),
            "verdict reached",
        ),
        (ev.CertificateIssued(case=case, outcome=outcome, pdf=DIGEST), "closed"),
        (ev.CertificateWithdrawn(case=case, pdf=DIGEST, reason="superseded"), "withdrawn"),
    ]


def test_the_list_follows_every_case_through_its_life(home: Home) -> None:
    cases = ("b" * 16, "a" * 16)
    for step, moment in enumerate(zip(*map(life, cases), strict=True)):
        for case, (event, state) in zip(cases, moment, strict=True):
            home.ledger.append(f"case:{case}", [event], expected_version=step, event_ids=[uuid4()])
            listed = {line.case: line for line in list_cases(home)}
            assert listed[case] == case_line(home, case)
            assert listed[case].state == state
        assert rebuild(home.ledger, REGISTER) == {
            key: dict(value) for key, value in home.snapshots.load(REGISTER.name).items() if key
        }
    assert [line.case for line in list_cases(home)] == list(cases)  # as filed, not by name
    home.snapshots.drop(REGISTER.name)
    assert [line.state for line in list_cases(home)] == ["withdrawn", "withdrawn"]
