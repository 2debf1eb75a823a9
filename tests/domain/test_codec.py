from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any, get_type_hints
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.entry import entry_bytes
from auditor.domain.event import ModelDeployed, event_from
from auditor.domain.kind import KINDS, Event
from auditor.domain.qualification import Shortfall
from auditor.domain.route import Due

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.recursive(
    texts | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_canonical_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


def test_keys_go_by_code_units_not_by_code_points() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2, "a": 3}
    assert canonical_bytes(value) == rfc8785.dumps(value)
    assert list(json.loads(canonical_bytes(value))) != sorted(value)


@pytest.mark.parametrize("value", [1.5, True, None, b"x", {"a": [None]}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_bytes(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800"])
def test_what_two_readers_might_read_differently_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_bytes(value)


_SAMPLES: dict[object, object] = {
    str: "token-1",
    int: 3,
    date: date(2026, 11, 24),
    Digest: Digest.of(b"x"),
    tuple[str, ...]: ("newton", "retrain"),
    tuple[Digest, ...]: (Digest.of(b"a"),),
    tuple[Due, ...]: (Due.STEPS, Due.AUC),
    tuple[Shortfall, ...]: (Shortfall.FAKE_PASSED, Shortfall.NO_PARAMETERS),
}


def sample(cls: type[Event]) -> Event:
    hints = get_type_hints(cls)
    made = {}
    for field in fields(cls):
        hint = hints[field.name]
        made[field.name] = _SAMPLES[hint] if hint in _SAMPLES else next(iter(hint))
    return cls(**made)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_survives_the_ledger(kind: str) -> None:
    event = sample(KINDS[kind])
    entry = entry_bytes(
        event, stream="s", version=0, event_id=UUID(int=1), recorded_at="2026-11-24T00:00:00Z"
    )
    stored = json.loads(entry)
    assert event_from(stored["kind"], stored["data"]) == event
    for name in stored["data"]:
        with pytest.raises(ValueError):
            event_from(kind, {k: v for k, v in stored["data"].items() if k != name})
    with pytest.raises(ValueError):
        event_from(kind, {**stored["data"], "extra": "1"})


@pytest.mark.parametrize("text", ["Jane Doe", "", "x" * 129, "a\nb", "ü"])
def test_no_event_holds_prose(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        ModelDeployed(model=text, version=1, weights=Digest.of(b"x"))


def test_unknown_kinds_and_wrong_types_are_refused() -> None:
    with pytest.raises(ValueError):
        event_from("model-deployed/v9", {})
    good = plain(ModelDeployed(model="m", version=1, weights=Digest.of(b"x")))
    assert isinstance(good, dict)
    for name, value in (("version", "1"), ("version", True), ("weights", "sha1:00"), ("model", 1)):
        with pytest.raises(ValueError):
            typed(ModelDeployed, {**good, name: value})
    with pytest.raises(TypeError):
        plain(datetime(2026, 1, 1, tzinfo=UTC).time())
