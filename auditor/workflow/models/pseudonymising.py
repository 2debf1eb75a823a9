"""Taking down DICOM identifiers as keyed pseudonyms; see `auditor.workflow.models.pseudonyms`."""

from __future__ import annotations

import secrets

from auditor.learning.dicom import is_dicom, read_uids
from auditor.learning.manifest import Manifest, Row
from auditor.workflow.homes.founding import PSEUDONYM_KEY, SYMMETRIC_BYTES
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import PictureIds, Pseudonyms
from auditor.workflow.models.pseudonyms import INSTANCE, KEY, SERIES, STUDY, SUBJECT, pseudonym


def pseudonyms_of(home: Home, manifest: Manifest) -> Pseudonyms | None:
    """Pseudonyms of every DICOM picture of a manifest; None where there is none.

    Raises:
        DataError: a file says that it is DICOM and can't be read.
        HomeError: the key can't be read.
    """
    rows = [row for row in manifest.rows if is_dicom(row.path)]
    if not rows:
        return None
    secret = _secret(home)
    return Pseudonyms(
        key=pseudonym(secret, KEY, ""),
        rows={row.number: _ids(secret, manifest, row) for row in rows},
    )


def _ids(secret: bytes, manifest: Manifest, row: Row) -> PictureIds:
    uids = read_uids(row.path, f"{manifest.path} row {row.number}")

    def kept(level: str, uid: str) -> str:
        return pseudonym(secret, level, uid) if uid else ""

    return PictureIds(
        study=kept(STUDY, uids.study),
        series=kept(SERIES, uids.series),
        instance=kept(INSTANCE, uids.instance),
        subject=pseudonym(secret, SUBJECT, row.filed_under),
    )


def _secret(home: Home) -> bytes:
    """Homes of before had no such key, and get one with their first DICOM data."""
    if not (home.keyring.folder / PSEUDONYM_KEY).exists():
        home.keyring.write(PSEUDONYM_KEY, secrets.token_bytes(SYMMETRIC_BYTES))
    return home.keyring.read(PSEUDONYM_KEY)
