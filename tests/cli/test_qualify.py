"""`auditor qualify`: what it refuses before anything is trained, and what it prints."""

from __future__ import annotations

from datetime import date

import pytest

from auditor.cli.qualify import _show
from auditor.domain.artefact import Digest
from auditor.domain.evidence import Power
from auditor.domain.qualification import PowerLine, Profile, Qualification, Tally, Tampering
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor

ANY = Digest.of(b"any")
POWER = Power(detect_untouched=0.91, pass_retrain=0.85)


def tally(name: str, failed: int) -> Tally:
    return Tally(
        name=name,
        candidates=6,
        passed=0,
        failed=failed,
        indeterminate=6 - failed,
        refused=0,
        passed_share=clopper_pearson(0, 6),
        failed_share=clopper_pearson(failed, 6),
        influence=(0.5, 1.25),
        reasons=(("influence-outside-margin", failed),) if failed else (),
    )


REPORT = Qualification(
    model="detector",
    method="newton",
    profile=Profile.QUICK,
    number=1,
    weights=ANY,
    architecture="small-resnet",
    recipe=ANY,
    data=ANY,
    synthetic=True,
    code=ANY,
    bank=ANY,
    plan=ANY,
    parameters=(),
    patients=8,
    images=18,
    out_models=16,
    in_models=16,
    margin=0.35,
    alpha=0.05,
    required_power=0.8,
    power=POWER,
    retrains=tally("retrain", 0),
    fakes=(tally("untouched", 6),),
    tampering=(Tampering(name="swapped-weights", refused=True),),
    unlearned=(),
    u_lira=(),
    power_lines=(PowerLine(patients=1, images=4, out_models=16, in_models=16, power=POWER),),
    milliseconds=340,
    valid_from=date(2026, 11, 25),
    valid_until=date(2027, 11, 25),
)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("detector", "--method", "magic"), 2, "no method named magic"),
        (("detector", "--method", "retrain"), 2, "by replay"),
        (("nobody", "--method", "newton"), 2, "no model named nobody"),
        (("detector",), 2, "Missing option"),
        (("detector", "--method", "newton", "--profile", "slow"), 2, "slow"),
    ],
)
def test_nonsense_is_refused(
    auditor: Auditor, stocked: Home, words: tuple[str, ...], code: int, why: str
) -> None:
    ran = auditor("qualify", *words, "--home", stocked.root)
    assert (ran.code, why in ran.err) == (code, True)


def test_a_report_is_printed_with_its_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    shortfalls = [item.value for item in REPORT.shortfalls]
    _show(REPORT, {"shortfalls": shortfalls, "report": str(ANY)})
    printed = capsys.readouterr().out
    assert "6 [0.541, 1.000]" in printed  # Clopper-Pearson of 6 of 6: 0.025 ** (1 / 6)
    assert "0.50 to 1.25" in printed and "0.91" in printed and "0.34" in printed
    assert "qualified            no" in printed and "no-parameters-within-bounds" in printed
