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
from auditor.workflow.homes.registry import data_record, require_model
from auditor.workflow.models.lineage import cases_of


def audited_before(
    home: Home, case: str, state: ErasureCase
) -> tuple[tuple[str, ErasureCase], ...]:
    """Other cases of the model that began an audit for some of a case's subjects.

    Those whose identifiers are destroyed are among them, as nobody can say for whom they were.

    Raises:
        DataError: the manifest can't be read.
        LedgerError: the identifiers of one that isn't forgotten aren't in the vault.
    """
    if state.requested is None or not _audited(state):
        return ()
    model = state.requested.model
    looked = [item for item in cases_of(home, model) if item[0] != case and _looked(item[1])]
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


def _looked(state: ErasureCase) -> bool:
    certified = state.reached is not None and state.reached.basis is not Basis.NONE
    return _audited(state) and not certified


def _audited(state: ErasureCase) -> bool:
    """Earlier versions entered no audit before it had ended; the controls' come first."""
    return bool(state.audits or state.controls)


def _patients(home: Home, model: str) -> Mapping[str, str]:
    _, data = data_record(home, require_model(home, model).versions[0].data_set)
    rows = read_rows(data.manifest, data.left_out)
    return known_as((row.subject, row.filed_under, row.group) for row in rows)


def _meant(named: Mapping[str, str], asked: Collection[str]) -> set[str]:
    return {named.get(name, name) for name in map(alike, asked)}
