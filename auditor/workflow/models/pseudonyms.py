"""Whose picture a DICOM identifier names, by keyed pseudonyms: the identifiers are kept nowhere.

When a data set is registered, the instance UIDs of each DICOM picture's study, series and own are
taken down as HMAC-SHA-256 (RFC 2104) under `keys/pseudonym.key`, cut to sixteen bytes, in the data
set's payload in the vault. A hospital names a study by its UID; the home finds the row, and the
patient the row is filed under, without opening an image. Needs no engine.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence

from auditor.errors import DataError, HomeError, MisuseError
from auditor.learning.manifest import Row, read_rows
from auditor.workflow.homes.founding import PSEUDONYM_KEY
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import DataRecord, Pseudonyms, data_record, require_model

STUDY, SERIES, INSTANCE, SUBJECT, KEY = "study", "series", "instance", "subject", "key"

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # PS3.5 section 9.1
_LONGEST_UID = 64


def pseudonym(secret: bytes, level: str, identifier: str) -> str:
    """What an identifier is known by; equal identifiers of two levels aren't."""
    return hmac.digest(secret, f"{level}/{identifier}".encode(), "sha256")[:16].hex()


def find_subjects(home: Home, model: str, uids: Sequence[str]) -> tuple[str, ...]:
    """Subject ids of the pictures that UIDs of studies, series or pictures name.

    Raises:
        MisuseError: no such model, something that is no UID, one that isn't among the model's
            data, or pictures of one UID that are filed under several patients.
        DataError: the manifest changed since it was registered.
        HomeError: the key can't be read, or is another than the pseudonyms were made by.
    """
    _, data = data_record(home, require_model(home, model).versions[0].data_set)
    if data.pseudonyms is None:
        raise MisuseError(f"the data of {model} carry no DICOM identifiers; name the subject")
    secret = home.keyring.read(PSEUDONYM_KEY)
    if not hmac.compare_digest(pseudonym(secret, KEY, ""), data.pseudonyms.key):
        raise HomeError(f"keys/{PSEUDONYM_KEY} is another than the data were registered by")
    rows = {row.number: row for row in read_rows(data.manifest, data.left_out)}
    found = [_subject(secret, data, data.pseudonyms, rows, uid.strip(" \0")) for uid in uids]
    return tuple(dict.fromkeys(found))


def _subject(
    secret: bytes, data: DataRecord, known: Pseudonyms, rows: dict[int, Row], uid: str
) -> str:
    numbers = tuple(_rows_named(secret, known, uid))
    if not numbers:
        raise MisuseError("a UID names no picture of the model's data")
    for number in numbers:
        row = rows.get(number)
        subject = "" if row is None else row.filed_under
        if pseudonym(secret, SUBJECT, subject) != known.rows[number].subject:
            raise DataError(f"{data.manifest} changed since it was registered; restore it")
    subjects = {rows[number].filed_under for number in numbers}
    if len(subjects) > 1:
        shown = ", ".join(map(str, numbers[:20]))
        raise MisuseError(f"rows {shown} of one UID are filed under several patients; name one")
    return subjects.pop()


def _rows_named(secret: bytes, known: Pseudonyms, uid: str) -> Iterator[int]:
    if len(uid) > _LONGEST_UID or not _UID.fullmatch(uid):
        raise MisuseError("a UID is numbers with dots between them, 64 characters at most")
    study, series, instance = (pseudonym(secret, each, uid) for each in (STUDY, SERIES, INSTANCE))
    for number, ids in known.rows.items():
        if study == ids.study or series == ids.series or instance == ids.instance:
            yield number
