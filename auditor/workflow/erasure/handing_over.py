"""A case's models, lent to someone who measures them again, and back.

They are what an erasure destroys: the model before, and references trained with the patient. So
they can be lent only between the verdict and the accounting, and the case isn't closed until the
controller says that no copy is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.errors import MisuseError, TamperedError
from auditor.learning.manifest import read_manifest
from auditor.learning.progress import Progress
from auditor.verification.bundle import Roles
from auditor.verification.layout import Indices
from auditor.workflow.audit.shared_bank import is_shared
from auditor.workflow.desk.desk import require_case
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.remeasuring import image_digests, read_models
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.files import OWNER_ONLY, new_folder, write_file
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record
from auditor.workflow.homes.registry import data_record
from auditor.workflow.homes.steps import last_audit
from auditor.workflow.models.left_behind import references_folder
from auditor.workflow.models.shared_bank_book import bank_store

_TOO_LATE = (
    "are destroyed; they can be handed over between verdict and accounting only: "
    "auditor run --until-verdict"
)


def hand_over(home: Home, case: str, folder: Path, *, workers: int, progress: Progress) -> Roles:
    """Copy the models of a case's last audit, recipe and list of references into a new folder.

    The ledger says so first. Files are named by their digest.

    Returns:
        Which image had which role, for the bundle.

    Raises:
        MisuseError: no such case, no audit, or its models are destroyed.
        HomeError: the folder isn't empty or can't be written, or another run is working.
        TamperedError: the ledger is read-only, or a model was changed.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        state = require_case(home, case)
        if state.accounted:
            raise MisuseError(f"models of case {case} {_TOO_LATE}")
        audited = last_audit(state)
        if audited is None or state.bank is None:
            raise MisuseError(f"case {case} has no audit to hand models over for")
        listing = home.store.get(state.bank.bank)
        scouts = len(json.loads(listing)["scouts"])
        work = Casework(home, case, RunSettings(scouts=scouts, workers=workers), progress)
        origin = work.plan.origin
        models = read_models(listing, original=origin.model, candidate=audited.weights)
        contents = {
            origin.bank: listing,
            origin.recipe: home.store.get(origin.recipe),
            **_found(home, case, origin.model, models.every),
        }
        roles = _roles(work, listing)
        number = state.handed_over + 1
        event = ev.WeightsHandedOver(case=case, number=number, weights=tuple(contents))
        with new_folder(folder.absolute(), "weights folder") as making:
            record(home, case_stream(case), event, f"handed-over-{number}")
            for digest, content in contents.items():
                write_file(making / digest.value, content, mode=OWNER_ONLY)
    return roles


def take_back(home: Home, case: str) -> None:
    """Put the controller's word on the books that no copy is left; the case may go on.

    Raises:
        MisuseError: no such case, or no copy is out.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        state = require_case(home, case)
        if not state.copies_out:
            raise MisuseError(f"no models of case {case} are handed over")
        event = ev.WeightsTakenBack(case=case, number=state.handed_over)
        record(home, case_stream(case), event, f"taken-back-{state.handed_over}")


def require_taken_back(case: str, state: ErasureCase) -> None:
    """Refuse to close a case while copies of its models are out.

    Raises:
        MisuseError: they are.
    """
    if state.copies_out:
        raise MisuseError(
            f"models of case {case} are handed over; once every copy is destroyed, say so: "
            f"auditor verification taken-back {case}"
        )


def _found(
    home: Home, case: str, original: Digest, wanted: Sequence[Digest]
) -> Mapping[Digest, bytes]:
    """Models by digest, wherever in the home they lie."""
    files = [path.read_bytes() for path in references_folder(home, original).glob("*")]
    found = {Digest.of(content): content for content in files}
    stores = (home.store, bank_store(home))
    for digest in wanted:
        store = next((store for store in stores if store.has(digest)), None)
        if store is not None:
            found[digest] = store.get(digest)
        elif digest not in found:
            raise MisuseError(f"models of case {case} {_TOO_LATE}")
    return {digest: found[digest] for digest in wanted}


def _roles(work: Casework, listing: bytes) -> Roles:
    """Who is who, as the case's audits had it."""
    surrogates: Sequence[Sequence[int]] = ()
    if not is_shared(listing):
        if [str(item) for item in work.scouts.block.weights] != json.loads(listing)["scouts"]:
            raise TamperedError(f"scout models of case {work.case} aren't those on the books")
        surrogates = work.surrogates
    layout = work.layout(surrogates)
    _, record = data_record(work.home, work.scene.version.data_set)
    digests = image_digests(read_manifest(record.manifest, record.left_out))

    def named(places: Indices) -> tuple[Digest, ...]:
        return tuple(digests[place] for place in places)

    return Roles(
        data=work.home.vault.opening(work.scene.commitment).hex(),
        forgotten=named(layout.forgotten),
        retained=named(layout.retained),
        unseen=named(layout.unseen),
    )
