"""Who is one patient, as a manifest tells it, and whom a name means. Needs no engine.

Rows of one ``subject_id`` are one patient, whatever the case and width of its letters (`alike`),
and so are rows of one ``probable_patient_group``: whatever hangs together by either. Ids and groups
are names of two kinds: an id that reads like a group's name doesn't stand for the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auditor.domain.subject_id import alike

Filing = tuple[str, str]
"""A row's ``subject_id`` and its ``probable_patient_group``, either of them empty for none."""

_Key = tuple[str, str]


def named_patients(filings: Sequence[Filing]) -> tuple[str, ...]:
    """The patient of each row: by the group's name, or by the first id where that is the only one.

    A group that is called as somebody's id is goes by its first id, too, so that no two patients
    are called the same.
    """
    roots = _roots(filings)
    ids = {alike(name) for name, _ in filings}
    names: dict[_Key, str] = {}
    for root, (_, group) in zip(roots, filings, strict=True):
        if group and alike(group) not in ids:
            names.setdefault(root, group)
    for root, (name, _) in zip(roots, filings, strict=True):
        if name:
            names.setdefault(root, name)
    return tuple(names.get(root, "") for root in roots)


def known_as(rows: Iterable[tuple[str, str, str]]) -> Mapping[str, str]:
    """Patients by their names, as these are compared (`alike`).

    An id means whoever is filed under it. A group's name means its patient only where nobody is
    filed under such an id: else one patient's request would reach another.

    Args:
        rows: of each the patient, the ``subject_id`` and the ``probable_patient_group``.
    """
    ids, groups = {}, {}
    for patient, name, group in set(rows):
        ids[alike(name)] = patient
        if group:
            groups[alike(group)] = patient
    return {**groups, **ids}


def _roots(filings: Sequence[Filing]) -> list[_Key]:
    """Something that rows have in common just where they hang together (union-find)."""
    above: dict[_Key, _Key] = {}

    def root(key: _Key) -> _Key:
        while (up := above.setdefault(key, key)) != key:
            above[key] = above[up]
            key = up
        return key

    keys = [(("id", alike(name)), ("group", alike(group))) for name, group in filings]
    for (name, group), filing in zip(keys, filings, strict=True):
        if all(filing):
            above[root(name)] = root(group)
    return [
        root(name if filing[0] else group)
        for (name, group), filing in zip(keys, filings, strict=True)
    ]
