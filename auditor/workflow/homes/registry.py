"""Models and data sets on the books, by digest. Importing this needs no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.domain.artefact import Digest
from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.domain.event import (
    DataRegistered,
    ModelDeployed,
    ModelRegistered,
    ModelRetired,
)
from auditor.errors import MisuseError
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import MODEL_PREFIX, model_stream, record


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model as the ledger tells it: its versions in order, and the one in service."""

    name: str
    versions: tuple[ModelRegistered, ...]
    in_service: Digest | None

    @property
    def current(self) -> ModelRegistered:
        """The registered version that is in service, else the newest."""
        for version in reversed(self.versions):
            if version.weights == self.in_service:
                return version
        return self.versions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureIds:
    """Keyed pseudonyms of one DICOM picture: its study, series and own UID, and the subject id."""

    study: str
    series: str
    instance: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Of the DICOM pictures of a data set by row number; ``key`` tells by which key."""

    key: str
    rows: Mapping[int, PictureIds]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """Where a registered data set lies and what it was when it was registered.

    ``left_out`` are rows of the manifest that aren't part of it; ``pseudonyms`` is None where no
    picture is DICOM.
    """

    manifest: Path
    digest: Digest
    size: int
    split_seed: int
    left_out: tuple[int, ...] = ()
    pseudonyms: Pseudonyms | None = None


def find_model(home: Home, name: str) -> ModelView | None:
    """The model of that name, if any."""
    versions: list[ModelRegistered] = []
    in_service: Digest | None = None
    for item in home.ledger.replay(model_stream(name)):
        match item.event:
            case ModelRegistered() as registered:
                versions.append(registered)
            case ModelDeployed(weights=weights):
                in_service = weights
            case ModelRetired(weights=weights) if weights == in_service:
                in_service = None
    if not versions:
        return None
    return ModelView(name=name, versions=tuple(versions), in_service=in_service)


def require_model(home: Home, name: str) -> ModelView:
    """The model of that name.

    Raises:
        MisuseError: there is none.
    """
    model = find_model(home, name)
    if model is None:
        raise MisuseError(f"no model named {name}; see `auditor model list`")
    return model


def list_models(home: Home) -> tuple[ModelView, ...]:
    """Every registered model."""
    names = (stream.removeprefix(MODEL_PREFIX) for stream in home.ledger.streams(MODEL_PREFIX))
    views = (find_model(home, name) for name in names)
    return tuple(view for view in views if view is not None)


def register_data(
    home: Home, name: str, data: DataRecord, *, counts: tuple[int, int], synthetic: bool
) -> None:
    """Put a data set on the books: its digest goes to the vault, a salted commitment to the ledger.

    Args:
        counts: images and patients.

    Raises:
        TamperedError: the ledger is read-only.
    """
    require_writable(home.root, home.ledger)  # else the vault would keep what no entry points to
    payload = canonical_bytes(
        {
            "digest": str(data.digest),
            "left_out": data.left_out,
            "manifest": str(data.manifest),
            **_pseudonymous(data.pseudonyms),
            "size": data.size,
            "split_seed": data.split_seed,
        }
    )
    images, patients = counts
    event = DataRegistered(
        data_set=name,
        commitment=home.vault.seal(f"data:{name}", payload),
        images=images,
        patients=patients,
        synthetic="yes" if synthetic else "no",
    )
    record(home, f"data:{name}", event, "registered")


def data_record(home: Home, name: str) -> tuple[DataRegistered, DataRecord]:
    """What is on the books about a data set, and where it lies.

    Raises:
        MisuseError: no such data set.
    """
    for item in home.ledger.replay(f"data:{name}"):
        if isinstance(item.event, DataRegistered):
            return item.event, read_data(home.vault.open(item.event.commitment))
    raise MisuseError(f"no data set named {name}")


def read_data(payload: bytes) -> DataRecord:
    """A data set as `register_data` sealed it in the vault."""
    entry = json.loads(payload)
    return DataRecord(
        manifest=Path(entry["manifest"]),
        digest=Digest.parse(entry["digest"]),
        size=entry["size"],
        split_seed=entry["split_seed"],
        left_out=tuple(entry.get("left_out", ())),  # version 0.1 knew none, nor pseudonyms
        pseudonyms=_read_pseudonyms(entry["dicom"]) if "dicom" in entry else None,
    )


def _pseudonymous(known: Pseudonyms | None) -> dict[str, Canonical]:
    if known is None:
        return {}
    rows = {
        str(number): [ids.study, ids.series, ids.instance, ids.subject]
        for number, ids in known.rows.items()
    }
    return {"dicom": {"key": known.key, "rows": rows}}


def _read_pseudonyms(entry: Any) -> Pseudonyms:
    rows = {
        int(number): PictureIds(study=study, series=series, instance=instance, subject=subject)
        for number, (study, series, instance, subject) in entry["rows"].items()
    }
    return Pseudonyms(key=entry["key"], rows=rows)


def register_version(
    home: Home,
    *,
    model: str,
    architecture: str,
    weights: Digest,
    recipe: Digest,
    data_set: str,
    training_images: int,
) -> ModelRegistered:
    """Add a version of a model; its weights must already be in the store."""
    view = find_model(home, model)
    event = ModelRegistered(
        model=model,
        version=1 if view is None else len(view.versions) + 1,
        architecture=architecture,
        weights=weights,
        recipe=recipe,
        data_set=data_set,
        training_images=training_images,
    )
    record(home, model_stream(model), event, f"registered-{weights.value}")
    return event


def deploy(home: Home, version: ModelRegistered) -> None:
    """Put a version into service, taking the one before it out."""
    view = require_model(home, version.model)
    if view.in_service == version.weights:
        return
    if view.in_service is not None:
        retire(home, view)
    deployed = ModelDeployed(model=version.model, version=version.version, weights=version.weights)
    _enter(home, deployed)


def retire(home: Home, view: ModelView) -> None:
    """Take the version in service out of service; nothing happens where there is none."""
    if view.in_service is not None:
        old = view.current
        _enter(home, ModelRetired(model=old.model, version=old.version, weights=old.weights))


def _enter(home: Home, event: ModelDeployed | ModelRetired) -> None:
    """A version may go into service again: each time is a step of its own, by its place."""
    stream = model_stream(event.model)
    record(home, stream, event, f"service-{home.ledger.version(stream)}")
