"""Shared reference banks on the books: who is in which model, and until when. Needs no engine.

A shared bank serves several requests, so its models outlive a case. They carry the influence of
whoever they were trained with (DESIGN section 4 point 13). The ledger knows a bank by counts and
digests; who is in which model lies in the vault. Its models lie in a folder of their own by digest,
those of a bank that isn't finished in a folder beside them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from auditor.domain import event as ev
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import canonical_bytes
from auditor.errors import MisuseError
from auditor.learning.store import ContentStore, destroy_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import MODEL_PREFIX, model_stream, record
from auditor.workflow.homes.registry import require_model
from auditor.workflow.models.inclusion import Inclusion

BANKS = "banks"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBank:
    """A shared bank as the ledger tells it."""

    planned: ev.SharedBankPlanned
    trained: ev.SharedBankTrained | None = None
    tried: tuple[ev.SharedBankTried, ...] = ()
    destroyed: bool = False

    @property
    def name(self) -> Digest:
        """What the ledger calls it."""
        return self.planned.bank

    @property
    def unfinished(self) -> bool:
        """Planned, and neither all there nor destroyed."""
        return self.trained is None and not self.destroyed


def bank_store(home: Home) -> ContentStore:
    """Where the models of finished shared banks lie."""
    return ContentStore(home.root / BANKS)


def work_folder(home: Home, bank: Digest) -> Path:
    """Where models of a bank lie until all of them are trained."""
    return home.root / BANKS / f"unfinished-{bank.value[:16]}"


def shared_banks(home: Home, model: str) -> tuple[SharedBank, ...]:
    """All that were ever planned for a model, oldest first."""
    banks: dict[Digest, SharedBank] = {}
    for item in home.ledger.replay(model_stream(model)):
        match item.event:
            case ev.SharedBankPlanned() as planned:
                banks[planned.bank] = SharedBank(planned=planned)
            case ev.SharedBankTrained() as trained:
                banks[trained.bank] = replace(banks[trained.bank], trained=trained)
            case ev.SharedBankTried() as tried:
                bank = banks[tried.bank]
                banks[tried.bank] = replace(bank, tried=(*bank.tried, tried))
            case ev.SharedBankDestroyed() as gone:
                banks[gone.bank] = replace(banks[gone.bank], destroyed=True)
            case _:
                pass
    return tuple(banks.values())


def require_bank(home: Home, model: str, name: str) -> SharedBank:
    """The one shared bank of a model that is called so, or whose name begins so.

    Raises:
        MisuseError: none, or several.
    """
    found = [bank for bank in shared_banks(home, model) if bank.name.value.startswith(name)]
    if len(found) != 1 or not name:
        raise MisuseError(f"no one shared bank {name!r} of model {model}; see `auditor bank list`")
    return found[0]


def require_finished(home: Home, model: str) -> None:
    """Refuse to begin a case while nobody can say which models carry its patients.

    Raises:
        MisuseError: a shared bank of the model isn't finished.
    """
    for bank in shared_banks(home, model):
        if bank.unfinished:
            raise MisuseError(
                f"shared bank {bank.name.value[:16]} of model {model} isn't finished; go on with "
                "`auditor bank train`, or destroy it"
            )


def plan_bank(home: Home, model: str, inclusion: Inclusion, *, today: date) -> SharedBank:
    """Put a bank on the books before any of its models exists.

    Raises:
        MisuseError: no such model.
    """
    version = require_model(home, model).current
    design, number = inclusion.design, len(shared_banks(home, model)) + 1
    name = digest_of([model, str(version.weights), design.value, number])
    event = ev.SharedBankPlanned(
        model=model,
        bank=name,
        weights=version.weights,
        design=design,
        models=len(inclusion.models),
        inclusion=home.vault.seal(_payloads(name), _inclusion_bytes(inclusion)),
        destroy_by=end_date(today, home.config.bank_days),
    )
    record(home, model_stream(model), event, f"bank-planned-{name.value}")
    return SharedBank(planned=event)


def end_date(today: date, days: int) -> date:
    """The last day of a bank that is planned today.

    Args:
        days: to keep it; 0 for the end of the next quarter. Trained on the patients who are left,
            a quarter's bank is OUT for those whom it left out and IN for who asks in the next.

    >>> end_date(date(2026, 11, 25), 0), end_date(date(2026, 11, 25), 30)
    (datetime.date(2027, 3, 31), datetime.date(2026, 12, 25))
    """
    if days:
        return today + timedelta(days=days)
    months = today.year * 12 + (today.month - 1) // 3 * 3 + 6  # first month after the next quarter
    return date(months // 12, months % 12 + 1, 1) - timedelta(days=1)


def enter_models(home: Home, bank: SharedBank, models: Sequence[bytes]) -> SharedBank:
    """Keep all models of a planned bank, enter their list, and clear the folder of work."""
    store = bank_store(home)
    digests = [store.put(content) for content in models]
    listing = home.store.put(canonical_bytes([str(digest) for digest in digests]))
    event = ev.SharedBankTrained(model=bank.planned.model, bank=bank.name, listing=listing)
    record(home, model_stream(event.model), event, f"bank-trained-{bank.name.value}")
    _clear(work_folder(home, bank.name))
    return replace(bank, trained=event)


def open_inclusion(home: Home, bank: SharedBank) -> Inclusion:
    """Who is in which model.

    Raises:
        LedgerError: the list isn't in the vault.
    """
    stored = json.loads(home.vault.open(bank.planned.inclusion))
    patients = stored["patients"]
    models = (frozenset(patients[place] for place in own) for own in stored["models"])
    return Inclusion(design=bank.planned.design, models=tuple(models))


def _inclusion_bytes(inclusion: Inclusion) -> bytes:
    patients = sorted(frozenset().union(*inclusion.models))
    place = {patient: number for number, patient in enumerate(patients)}
    models = [sorted(place[patient] for patient in own) for own in inclusion.models]
    return canonical_bytes({"patients": list(patients), "models": models})


def members(home: Home, bank: SharedBank) -> tuple[Digest, ...]:
    """Digests of a bank's models, in order, whether they are still here or not.

    Raises:
        LedgerError, TamperedError: their list isn't in the store as it was written.
    """
    if bank.trained is None:
        return ()
    return tuple(Digest.parse(text) for text in json.loads(home.store.get(bank.trained.listing)))


def carrying_members(home: Home, model: str, patients: Collection[str]) -> tuple[Digest, ...]:
    """Models of a model's shared banks that were trained with any of these patients and are here.

    Raises:
        MisuseError: a bank isn't finished.
    """
    require_finished(home, model)
    store, found = bank_store(home), list[Digest]()
    for bank in shared_banks(home, model):
        if not bank.destroyed:
            listed = members(home, bank)
            carrying = open_inclusion(home, bank).holding_any(patients)
            found += [listed[number] for number in carrying if store.has(listed[number])]
    return tuple(found)


def kept_until(home: Home, model: str) -> Mapping[Digest, date]:
    """The last day of each member of a model's shared banks that aren't destroyed."""
    return {
        member: bank.planned.destroy_by
        for bank in shared_banks(home, model)
        if not bank.destroyed
        for member in members(home, bank)
    }


def destroy_bank(home: Home, bank: SharedBank) -> None:
    """Destroy what is left of a bank, and the list of who is in it; the ledger says so first.

    Stopped in between, it is done again, and stands on the books once.
    """
    event = ev.SharedBankDestroyed(model=bank.planned.model, bank=bank.name)
    record(home, model_stream(event.model), event, f"bank-destroyed-{bank.name.value}")
    forgotten = ev.PayloadForgotten(payload=bank.planned.inclusion)
    record(home, "vault", forgotten, f"forgotten-{bank.planned.inclusion.value}")
    store = bank_store(home)
    for member in members(home, bank):
        store.destroy(member)
    _clear(work_folder(home, bank.name))
    home.vault.forget(_payloads(bank.name))


def destroy_due(home: Home, today: date) -> tuple[SharedBank, ...]:
    """Destroy every shared bank whose last day is over, and whatever no bank on the books lists.

    Returns:
        Banks that were destroyed now.
    """
    banks = [bank for model in _models(home) for bank in shared_banks(home, model)]
    due = tuple(b for b in banks if not b.destroyed and b.planned.destroy_by < today)
    stopped = [b for b in banks if b.destroyed and home.vault.holds(b.planned.inclusion)]
    for bank in (*due, *stopped):
        destroy_bank(home, bank)
    clear_strays(home)
    return due


def strays(home: Home) -> tuple[Digest, ...]:
    """Models here that no bank lists which isn't destroyed; none while a bank isn't finished."""
    live = _live(home)
    if any(bank.unfinished for bank in live):
        return ()
    listed = {member for bank in live for member in members(home, bank)}
    return tuple(digest for digest in bank_store(home).digests() if digest not in listed)


def clear_strays(home: Home) -> None:
    """Destroy what nothing on the books speaks for keeping; only where nobody else trains."""
    store = bank_store(home)
    store.clear_half_done()
    for digest in strays(home):
        store.destroy(digest)
    busy = {work_folder(home, bank.name) for bank in _live(home) if bank.unfinished}
    for folder in set(store.root.glob("unfinished-*")) - busy:
        _clear(folder)


def _live(home: Home) -> list[SharedBank]:
    every = (bank for model in _models(home) for bank in shared_banks(home, model))
    return [bank for bank in every if not bank.destroyed]


def _models(home: Home) -> Iterator[str]:
    return (stream.removeprefix(MODEL_PREFIX) for stream in home.ledger.streams(MODEL_PREFIX))


def _payloads(bank: Digest) -> str:
    """Under what the vault keeps a bank's list of patients."""
    return f"bank:{bank.value}"


def _clear(folder: Path) -> None:
    for path in folder.glob("*"):
        destroy_file(path)
    if folder.exists():
        folder.rmdir()
