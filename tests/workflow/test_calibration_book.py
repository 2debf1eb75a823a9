"""What a calibration found is on the books, and `auditor model show` tells it of the version."""

from __future__ import annotations

import json

from auditor.domain.artefact import Digest
from auditor.domain.calibration import Bounds, Choice, Findings, Group, Reading, Trial
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.workflow.audit.calibration import Calibration
from auditor.workflow.audit.calibration_book import enter_calibration, latest_calibrations
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream
from auditor.workflow.homes.registry import require_model
from tests.cli.conftest import Auditor
from tests.cli.conftest import stocked as stocked


def found(method: str, influence: float, *, chosen: int = 0, strength: float = 9.0) -> Calibration:
    findings = Findings(
        method=method,
        groups=(Group(strength=strength, error=0.1), Group(strength=1.0, error=0.01)),
        least_gap=3.0,
        bounds=Bounds(loss=0.5, auc=0.75),
        trials=(
            Trial(
                parameters={"damping": "3.0"},
                readings=(
                    Reading(influence=influence, loss=0.1, auc=0.8),
                    Reading(influence=77.0, loss=0.1, auc=0.8),
                ),
            ),
        ),
        choice=Choice.LEAST_INFLUENCE if chosen == 0 else Choice.NONE_INSIDE_BOUNDS,
        chosen=chosen,
    )
    return Calibration(
        method=method,
        parameters=findings.parameters,
        residual=findings.residual,
        findings=canonical_bytes(plain(findings)),
    )


def test_findings_come_back_as_they_were_and_a_group_without_a_gap_has_no_say() -> None:
    calibration = found("newton", 0.25)
    findings = typed(Findings, json.loads(calibration.findings))
    assert canonical_bytes(plain(findings)) == calibration.findings
    assert (findings.parameters, findings.residual) == ({"damping": "3.0"}, 0.25)
    weak = typed(Findings, json.loads(found("newton", 0.25, strength=2.9).findings))
    assert weak.residual is None


def test_the_last_calibration_of_each_method_is_known_for_its_version_alone(
    stocked: Home, auditor: Auditor
) -> None:
    weights = require_model(stocked, "detector").current.weights
    first = enter_calibration(stocked, "c-1", weights, found("newton", 0.5))
    enter_calibration(stocked, "c-0", weights, found("newton", 0.25))
    enter_calibration(stocked, "c-0", weights, found("reset-and-heal", 0.1, chosen=-1))
    enter_calibration(stocked, "c-2", Digest.of(b"another version"), found("newton", 0.75))
    (event,) = (item.event for item in stocked.ledger.replay(case_stream("c-1")))
    assert event == first
    assert stocked.store.get(first.findings) == found("newton", 0.5).findings
    assert stocked.read_mapping(first.parameters) == {"damping": "3.0"}
    newton, reset = latest_calibrations(stocked, weights)
    assert (newton.method, newton.findings.residual) == ("newton", 0.25)
    assert (reset.method, reset.findings.parameters) == ("reset-and-heal", None)
    (row,) = auditor("model", "show", "detector", "--home", stocked.root, "--json").json
    assert row["calibrated"] == [
        f"newton: rho 0.25 ({newton.on})",
        f"reset-and-heal: no variant inside the bounds ({reset.on})",
    ]


def test_where_no_surrogate_showed_a_gap_the_residual_isnt_a_number(
    stocked: Home, auditor: Auditor
) -> None:
    weights = require_model(stocked, "detector").current.weights
    enter_calibration(stocked, "c-1", weights, found("newton", 0.5, strength=1.0))
    (row,) = auditor("model", "show", "detector", "--home", stocked.root, "--json").json
    assert "rho not measurable" in row["calibrated"][0]
