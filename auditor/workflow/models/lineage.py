"""A model's erasures as the ledger tells them: whose, in which order, how exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.case import Attempt, ErasureCase
from auditor.domain.codec import typed
from auditor.domain.event import SubjectsExcluded
from auditor.domain.evidence import Evidence
from auditor.domain.request import Outcome
from auditor.domain.route import Due
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError
from auditor.learning.manifest import read_rows
from auditor.workflow.desk.signing import as_vouched
from auditor.workflow.homes.founding import EXCLUSION_KEY
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, every_case, load_case
from auditor.workflow.homes.registry import data_record, require_model
from auditor.workflow.homes.steps import EXACT_METHODS
from auditor.workflow.models.drift import ApproximateErasure, Limits, due
from auditor.workflow.models.keyed_names import keyed_name, listed_names


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierErasure:
    """A case that is settled for this model: its subjects are neither trained on nor looked at."""

    case: str
    subjects: frozenset[str]


def settled(home: Home, model: str) -> tuple[EarlierErasure, ...]:
    """Cases whose subjects the model was made to forget, or never was trained on."""
    return tuple(
        EarlierErasure(case=case, subjects=_subjects(home, case, state))
        for case, state in cases_of(home, model)
        if is_settled(state)
    )


def is_settled(state: ErasureCase) -> bool:
    """Whether the model was made to forget a case's subjects, or never was trained on them."""
    return (state.reached is not None and state.reached.basis is not Basis.NONE) or (
        state.issued is not None and state.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    )


def exclusion_of(home: Home, case: str) -> SubjectsExcluded | None:
    """What put a case's subjects onto the exclusion list, if anything did."""
    events = (item.event for item in home.ledger.replay(case_stream(case)))
    return next((event for event in events if isinstance(event, SubjectsExcluded)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a model is from its last exact training.

    Attributes:
        behind: approximate erasures since, oldest first.
        limits: of the home.
        due: why the next erasure has to be exact; empty where it needn't.
    """

    behind: tuple[ApproximateErasure, ...]
    limits: Limits
    due: tuple[Due, ...]


def standing(home: Home, model: str) -> Standing:
    """What lies behind the model in service, held against the home's budget."""
    behind = since_exact(home, model)
    limits = Limits(steps=home.config.most_steps, residual=home.config.most_residual)
    return Standing(behind=behind, limits=limits, due=due(behind, limits))


def since_exact(home: Home, model: str) -> tuple[ApproximateErasure, ...]:
    """Approximate erasures between the last exact training and the model in service, in order."""
    made = {
        state.reached.weights: (case, state)
        for case, state in cases_of(home, model)
        if state.reached is not None and state.reached.basis is not Basis.NONE
    }
    found: list[ApproximateErasure] = []
    weights = require_model(home, model).current.weights
    while weights in made:
        case, state = made[weights]
        attempt, scope = _deciding(state, weights), state.scope
        if scope is None or attempt is None or attempt.started.method in EXACT_METHODS:
            break
        found.append(_approximate(home, case, state, attempt))
        weights = scope.weights
    return tuple(reversed(found))


def require_free(home: Home, model: str, case: str) -> None:
    """Refuse to begin a case while another has begun on the same version of the model.

    Each plan is pinned for one version; a version that is replaced under way would void the plan.

    Raises:
        MisuseError: naming the case to be finished first.
    """
    for other, state in under_way(home, model):
        if other == case:
            continue
        if state.held:
            raise MisuseError(
                f"case {other} on the same model has its verdict and is held; lift the hold and "
                f"finish it first: auditor request decide {other} --grant"
            )
        raise MisuseError(
            f"case {other} is under way on the same model; finish it first: "
            f"auditor run --case {other}"
        )


def require_current(home: Home, state: ErasureCase) -> None:
    """Refuse to go on with a case whose model was replaced while the desk held the case.

    Raises:
        MisuseError: it was.
    """
    if state.requested is None or state.scope is None or state.reached is not None:
        return
    if require_model(home, state.requested.model).current.weights != state.scope.weights:
        raise MisuseError(
            "the model was replaced since this case began; decide it as withdrawn and file it anew"
        )


def under_way(home: Home, model: str) -> Iterator[tuple[str, ErasureCase]]:
    """Cases that look at the model or change it now: begun, granted and without a document.

    So does one that is held after its verdict: the model that it puts into service once the hold is
    lifted was made of the version there is now, and holds whoever is forgotten meanwhile.
    """
    for case, state in cases_of(home, model):
        begun = state.scope is not None and state.prepared is None
        if begun and (_goes_on(state) or _goes_on(as_vouched(home, case))):
            yield case, state


def _goes_on(state: ErasureCase) -> bool:
    return state.granted or (state.held and state.reached is not None)


def cases_of(home: Home, model: str) -> Iterator[tuple[str, ErasureCase]]:
    """Every case that asks about the model, whatever became of it."""
    for case in every_case(home):
        state = load_case(home, case)
        if state.requested is not None and state.requested.model == model:
            yield case, state


def _subjects(home: Home, case: str, state: ErasureCase) -> frozenset[str]:
    """A case's subjects; of one that is forgotten, those of the model's data that it lists."""
    if state.requested is None:
        raise MisuseError("a case without a request concerns nobody")
    listed = exclusion_of(home, case) if state.forgotten else None
    if listed is not None:
        return _named_by(home, listed.entries, state.requested.model)
    return frozenset(json.loads(home.vault.open(state.requested.payload))["subjects"])


def _named_by(home: Home, entries: Digest, model: str) -> frozenset[str]:
    """Ids in a model's data set that the entries of the exclusion list name."""
    secret = home.keyring.read(EXCLUSION_KEY)
    listed = listed_names(secret, home.store.get(entries))
    _, data = data_record(home, require_model(home, model).versions[0].data_set)
    rows = read_rows(data.manifest, data.left_out)
    names = {name for row in rows for name in (row.subject, row.filed_under)}
    return frozenset(name for name in names if keyed_name(secret, name) in listed)


def _deciding(state: ErasureCase, weights: Digest) -> Attempt | None:
    for attempt in reversed(state.attempts):
        if attempt.verified is not None and attempt.verified.weights == weights:
            return attempt
    return None


def _approximate(home: Home, case: str, state: ErasureCase, attempt: Attempt) -> ApproximateErasure:
    if attempt.verified is None or state.requested is None:
        raise MisuseError(f"case {case} has no audited attempt")
    stored = json.loads(home.store.get(attempt.verified.evidence))
    evidence = typed(Evidence, stored["evidence"])
    against = next(item for item in evidence.auc.comparisons if item.against == "original")
    return ApproximateErasure(
        case=case,
        method=attempt.started.method,
        residual=evidence.influence.equivalence.point * state.requested.subjects,
        auc_lower=against.difference.lower,
        auc_margin=evidence.auc.margin,
    )
