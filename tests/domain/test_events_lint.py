"""No event carries free text or an identifier of a person: what each text field may hold."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import get_args, get_origin, get_type_hints

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.domain.kind import KINDS, Event

# Every field of type str, and what it is. A new one has to be argued for here.
TEXTS = {
    "architecture": "name of a network, from a recipe",
    "batch": "random id",
    "called": "name of published weights, in a word",
    "case": "random id",
    "code_version": "of this software",
    "data_set": "name that the hospital gives a data set",
    "device": "kind of processor",
    "earlier": "random ids of cases",
    "holidays": "code of a country, or none",
    "ground": "token from the list of grounds for keeping an artefact",
    "ladder": "names of methods",
    "method": "name of a method",
    "language": "BCP 47 tag",
    "model": "name that the hospital gives a model",
    "actor": "role or key id",
    "origin": "random name of a ledger",
    "previous": "random name of a ledger",
    "quarter": "calendar quarter, as in 2026Q4",
    "reason": "token from a list of reasons",
    "recipient": "random id",
    "successor": "random id of a case",
    "synthetic": "yes or no",
    "time_zone": "name from the IANA database",
    "tzdata": "version of that database",
}
PERSONAL = ("name", "patient", "subject_id", "birth", "address", "email", "text", "note", "comment")


def parts(hint: object) -> tuple[object, ...]:
    return get_args(hint)[:1] if get_origin(hint) is tuple else (hint,)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_is_a_digest_a_number_a_date_an_enum_or_a_listed_token(kind: str) -> None:
    for name, hint in get_type_hints(KINDS[kind]).items():
        if name == "kind":
            continue
        for part in parts(hint):
            closed = part in (int, date, Digest) or (
                isinstance(part, type) and issubclass(part, StrEnum)
            )
            assert closed or (part is str and name in TEXTS), f"{kind}.{name}"
            counted = part is int and name.endswith("s")  # how many patients, not which
            assert counted or not any(word in name for word in PERSONAL), f"{kind}.{name}"


def test_the_list_of_texts_names_no_field_that_is_gone() -> None:
    used = {
        name
        for cls in KINDS.values()
        for name, hint in get_type_hints(cls).items()
        if str in parts(hint)
    }
    assert set(TEXTS) <= used


@pytest.mark.parametrize(
    "text",
    [
        "Jane Doe",
        "Müller",
        "born 1954",
        "1.2.840.113619.2.55.3.604688119.868.1249343484.967",  # a DICOM Study Instance UID
        "2.25.329800735698586629295641978511506172918",
    ],
)
def test_names_sentences_and_dicom_uids_are_refused(text: str) -> None:
    try:
        made: Event | None = ModelDeployed(model=text, version=1, weights=Digest.of(b"x"))
    except ValueError:
        made = None
    # a UID of two numbers looks like a version; those of images have more
    assert made is None or text.count(".") < 4
