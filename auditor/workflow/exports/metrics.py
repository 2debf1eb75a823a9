"""Counts for a dashboard, in Prometheus' text format (exposition format 0.0.4).

For node_exporter's textfile collector, which asks for moments instead of ages: how old the newest
checkpoint is, a query makes of `time() - auditor_ledger_checkpoint_timestamp_seconds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import DecisionKind
from auditor.domain.verdict import Verdict
from auditor.workflow.desk.dashboard import desk_lines
from auditor.workflow.homes.guard import newest_checkpoint
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import MODEL_PREFIX, load_case
from auditor.workflow.homes.register import list_cases
from auditor.workflow.homes.registry import require_model

SOON = 7
"""Days."""

_NEVER_BEGUN = (DecisionKind.REFUSED, DecisionKind.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What is counted; everything as of ``now``.

    Attributes:
        states: cases by where they stand.
        overdue: cases that aren't closed though their time limit is over.
        due_soon: those whose time limit ends within `SOON`.
        verdicts: cases by verdict.
        entries: of the ledger.
        signed_entries: that the newest checkpoint covers; 0 before the first.
        signed: moment of that checkpoint, seconds since 1970, UTC; None before the first.
        writable: whether the ledger takes entries.
        in_service: models in service, and whether subjects of a request trained their very
            weights (`affected_by`); those that took their place aren't affected.
    """

    now: datetime
    states: Mapping[str, int]
    overdue: int
    due_soon: int
    verdicts: Mapping[Verdict, int]
    entries: int
    signed_entries: int
    signed: int | None
    writable: bool
    in_service: Mapping[str, bool]


def measure(home: Home, now: datetime) -> Metrics:
    """Count what there is to count.

    Args:
        now: with its time zone.

    Raises:
        TamperedError: an entry was changed.
    """
    lines, waiting = list_cases(home), desk_lines(home)
    signed = newest_checkpoint(home.root)
    return Metrics(
        now=now,
        states=Counter(line.state for line in lines),
        overdue=sum(item.late for item in waiting),
        due_soon=sum(item.left is not None and 0 <= item.left <= SOON for item in waiting),
        verdicts=Counter(line.verdict for line in lines if line.verdict is not None),
        entries=home.ledger.size,
        signed_entries=0 if signed is None else signed.checkpoint.size,
        signed=None if signed is None else signed.signed,
        writable=not home.read_only,
        in_service=_in_service(home, [load_case(home, line.case) for line in lines]),
    )


def metrics_text(metrics: Metrics) -> str:
    """The metrics in Prometheus' text format."""
    return "".join(f"{line}\n" for line in _lines(metrics))


def _in_service(home: Home, cases: list[ErasureCase]) -> dict[str, bool]:
    affected = {digest for case in cases for digest in affected_by(case)}
    served: dict[str, bool] = {}
    for stream in home.ledger.streams(MODEL_PREFIX):
        name = stream.removeprefix(MODEL_PREFIX)
        weights = require_model(home, name).in_service
        if weights is not None:
            served[name] = weights in affected
    return served


def affected_by(case: ErasureCase) -> frozenset[Digest]:
    """Digests that carry what a request asks to have erased; none where it was refused."""
    if case.scope is None or case.scope.training_images == 0:
        return frozenset()
    if case.decided is not None and case.decided.decision in _NEVER_BEGUN:
        return frozenset()
    return frozenset({case.scope.weights, *case.scope.affected})


def _lines(metrics: Metrics) -> Iterator[str]:
    yield from _gauge(
        "auditor_cases", "Erasure cases by where they stand.", _labelled("state", metrics.states)
    )
    yield from _gauge(
        "auditor_cases_overdue", "Open cases whose time limit is over.", {"": metrics.overdue}
    )
    yield from _gauge(
        "auditor_cases_due_soon",
        f"Open cases whose time limit ends within {SOON} days.",
        {"": metrics.due_soon},
    )
    verdicts = {verdict.value: metrics.verdicts.get(verdict, 0) for verdict in Verdict}
    yield from _gauge("auditor_case_verdicts", "Cases by verdict.", _labelled("verdict", verdicts))
    yield from _gauge("auditor_ledger_entries", "Entries of the ledger.", {"": metrics.entries})
    yield from _gauge(
        "auditor_ledger_signed_entries",
        "Entries that the newest signed checkpoint covers.",
        {"": metrics.signed_entries},
    )
    if metrics.signed is not None:
        yield from _gauge(
            "auditor_ledger_checkpoint_timestamp_seconds",
            "When the newest checkpoint was signed.",
            {"": metrics.signed},
        )
    yield from _gauge(
        "auditor_ledger_writable", "1 where the ledger takes entries.", {"": int(metrics.writable)}
    )
    yield from _gauge(
        "auditor_model_affected",
        "Models in service; 1 where subjects of a request that was neither refused nor withdrawn "
        "trained the weights in service, 0 once others took their place.",
        _labelled("model", {name: int(hit) for name, hit in metrics.in_service.items()}),
    )
    yield from _gauge(
        "auditor_measured_timestamp_seconds",
        "When all this was counted.",
        {"": int(metrics.now.timestamp())},
    )


def _gauge(name: str, about: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for labels, value in values.items():
        yield f"{name}{labels} {value}"


def _labelled(label: str, values: Mapping[str, int]) -> dict[str, int]:
    """Label values are tokens of ours, which need no escape."""
    return {f'{{{label}="{value}"}}': count for value, count in sorted(values.items())}
