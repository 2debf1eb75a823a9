"""The request desk: requests come in, are decided, and can be looked up. No engine needed."""

from __future__ import annotations

import json
import secrets
from datetime import date

from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import ErasureCase
from auditor.domain.entry import Recorded
from auditor.domain.event import ErasureRequested, RequestDecided
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.errors import MisuseError
from auditor.policies.zone import TZDATA
from auditor.workflow.guard import require_writable
from auditor.workflow.home import Home
from auditor.workflow.library import pin_packs
from auditor.workflow.record import case_stream, load_case, record
from auditor.workflow.registry import find_model

_CASE_BYTES = 8  # 64 random bits: unguessable enough to be opaque, short enough to read out


def file_request(
    home: Home,
    *,
    model: str,
    subjects: tuple[str, ...],
    regime: Regime,
    ground: Ground,
    received: date,
) -> str:
    """Take a request in; the subject ids go to the vault, a commitment to the ledger.

    Returns:
        The opaque case id.

    Raises:
        MisuseError: no subject, a subject named twice, an unknown model, or a ground that
            doesn't belong to the regime.
        TamperedError: the ledger is read-only.
    """
    if not subjects or len(set(subjects)) != len(subjects):
        raise MisuseError("a request names at least one subject, and each only once")
    if not ground.value.startswith(regime.value):
        raise MisuseError(f"ground {ground.value} doesn't belong to {regime.value}")
    if find_model(home, model) is None:
        raise MisuseError(f"no model named {model}; see `auditor model list`")
    require_writable(home.root, home.ledger)  # else the vault would keep what no entry points to
    case = secrets.token_hex(_CASE_BYTES)
    payload = home.vault.seal(case_stream(case), canonical_bytes({"subjects": subjects}))
    event = ErasureRequested(
        case=case,
        regime=regime,
        ground=ground,
        received=received,
        model=model,
        subjects=len(subjects),
        payload=payload,
        policies=pin_packs(home, regime),
        time_zone=home.config.time_zone,
        tzdata=TZDATA,
    )
    record(home, case_stream(case), event, "requested")
    return case


def decide(home: Home, case: str, decision: DecisionKind, actor: str) -> Recorded:
    """Record the desk's decision.

    Raises:
        MisuseError: unknown case, or one that is already decided for good or finished.
    """
    state = require_case(home, case)
    if state.reached is not None or state.prepared is not None:
        raise MisuseError(f"case {case} has reached its verdict; it can't be decided again")
    if state.decided is not None and state.decided.decision is decision:
        raise MisuseError(f"case {case} is already {decision.value}")
    made = sum(
        isinstance(item.event, RequestDecided) for item in home.ledger.replay(case_stream(case))
    )
    event = RequestDecided(case=case, decision=decision, actor=actor)
    return record(home, case_stream(case), event, f"decided-{made + 1}")


def require_case(home: Home, case: str) -> ErasureCase:
    """A case that exists.

    Raises:
        MisuseError: no such case.
    """
    state = load_case(home, case)
    if state.requested is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    return state


def subjects_of(home: Home, requested: ErasureRequested) -> tuple[str, ...]:
    """The subject ids of a request, out of the vault."""
    payload = json.loads(home.vault.open(requested.payload))
    return tuple(payload["subjects"])
