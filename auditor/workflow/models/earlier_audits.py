"""Cases that looked at a model for the same subjects before, and led to no certificate.

Who may look, withdraw, change the settings and file again gets a verdict by the settings that suit
(DESIGN section 4 point 9: no rung is tuned on a result of this case). So it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from auditor.domain.case import ErasureCase
from auditor.domain.subject_id import alike
from auditor.domain.verdict import Basis
from auditor.learning.manifest import read_rows
from auditor.learning.patients import known_as
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import data_record, list_models, require_model
from auditor.workflow.models.lineage import cases_of


def audited_before(
    home: Home, case: str, state: ErasureCase
) -> tuple[tuple[str, ErasureCase], ...]:
    """Other cases of the model that fixed a plan for some of a case's subjects, audited or not.

    Those whose identifiers are destroyed are among them, as nobody can say for whom they were. And
    those of the same weights under another name, by which the first look would go unmentioned.

    Raises:
        DataError: the manifest can't be read.
        LedgerError: the identifiers of one that isn't forgotten aren't in the vault.
    """
    if state.requested is None or not was_audited(state):
        return ()
    model = state.requested.model
    looked = [
        (other, past)
        for name in _names_of(home, model)
        for other, past in cases_of(home, name)
        if other != case and _looked(past)
    ]
    if not looked:
        return ()
    named = _patients(home, model)
    asked = _meant(named, subjects_of(home, state.requested))
    return tuple(
        (other, past)
        for other, past in looked
        if past.requested is not None
        and (past.forgotten or asked & _meant(named, subjects_of(home, past.requested)))
    )


def was_audited(state: ErasureCase) -> bool:
    """Whether models were audited in a case.

    Earlier versions entered no audit before it had ended; the controls' come first.
    """
    return bool(state.audits or state.controls)


def _looked(state: ErasureCase) -> bool:
    certified = state.reached is not None and state.reached.basis is not Basis.NONE
    return state.plan is not None and not certified


def _names_of(home: Home, model: str) -> tuple[str, ...]:
    """Names under which any of the model's weights are registered, its own among them."""
    own = {version.weights for version in require_model(home, model).versions}
    return tuple(
        view.name
        for view in list_models(home)
        if own & {version.weights for version in view.versions}
    )


def _patients(home: Home, model: str) -> Mapping[str, str]:
    _, data = data_record(home, require_model(home, model).versions[0].data_set)
    rows = read_rows(data.manifest, data.left_out)
    return known_as((row.subject, row.filed_under, row.group) for row in rows)


def _meant(named: Mapping[str, str], asked: Collection[str]) -> set[str]:
    return {named.get(name, name) for name in map(alike, asked)}
