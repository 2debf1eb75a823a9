"""An erased patient doesn't come back with the next data set: by name, by picture, or at all."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.request import DecisionKind, Outcome, RecipientOutcome
from auditor.domain.scope_events import Readmission
from auditor.domain.verdict import Basis
from auditor.errors import AuditorError, DataError, HomeError, MisuseError, TamperedError
from auditor.learning.manifest import read_manifest
from auditor.workflow.audit.scene import load_scene, register_trained, train_and_register
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.papers import mark_recipient, record_recipient
from auditor.workflow.desk.signing import Hand
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, record, record_next
from auditor.workflow.log.statement_keys import revoke_key
from auditor.workflow.models.exclusion import exclude, excluded_rows, readmit
from auditor.workflow.models.exclusion_list import entries_bytes, read_entries
from auditor.workflow.models.forgetting import forget_request
from auditor.workflow.models.lineage import require_free
from auditor.workflow.models.reerasure import came_back, forget_subject
from tests.cli.conftest import Auditor
from tests.workflow.desks import employ
from tests.workflow.test_scope import filed, stated
from tests.workflow.trained import (
    MODEL,
    RECIPE,
    attempt,
    begun,
    conclude,
    empty_home,
    manifest_in,
    settle,
    train_here,
)

NEXT = "next-quarter"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small model, one of whose patients has been erased, and two others."""
    root = tmp_path_factory.mktemp("exclusion") / "home"
    home = empty_home(root)
    train_here(home)
    work = begun(home, patients(home)[0])
    attempt(work, "retrain")
    conclude(work, Basis.EXACT)
    exclude(home, work.case)
    settle(work)
    home.close()
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(template, tmp_path / "home")))
    yield opened
    opened.close()


def patients(home: Home) -> list[str]:
    """Those the recorded training was made of, in the manifest's order."""
    scene = load_scene(home, MODEL)
    return list(dict.fromkeys(scene.images.subjects[i] for i in scene.split.train))


def case_of(home: Home) -> str:
    (stream,) = home.ledger.streams("case:")
    return stream.removeprefix("case:")


def rows_of(manifest: Path, *names: str) -> list[int]:
    return [row.number for row in read_manifest(manifest).rows if row.subject in names]


def another(home: Home, change: Callable[[dict[str, str]], None]) -> Path:
    """The same data set in a folder of its own, each line changed."""
    folder = home.root / "again"
    shutil.copytree(manifest_in(home).parent, folder)
    manifest = folder / "manifest.csv"
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def train(home: Home, manifest: Path, *, leave_out: bool = False) -> list[str]:
    notices: list[str] = []
    train_and_register(
        home,
        model=NEXT,
        manifest=manifest,
        recipe=RECIPE,
        notice=notices.append,
        leave_out_excluded=leave_out,
        seed=1,
    )
    return notices


def test_an_erased_patient_is_refused_by_row_and_never_by_name(home: Home) -> None:
    erased, manifest = patients(home)[0], manifest_in(home)
    rows = rows_of(manifest, erased)
    size = home.ledger.size
    with pytest.raises(DataError) as refused:
        train(home, manifest)
    assert f"{len(rows)} images" in str(refused.value)
    assert f"rows {', '.join(map(str, rows))})" in str(refused.value)
    assert erased not in str(refused.value)
    assert home.ledger.size == size


def test_nothing_of_the_list_names_or_shows_the_patient(home: Home) -> None:
    erased = patients(home)[0]
    (entry,) = [
        item.event
        for item in home.ledger.replay(f"case:{case_of(home)}")
        if isinstance(item.event, ev.SubjectsExcluded)
    ]
    assert entry.images == len(rows_of(manifest_in(home), erased)) and entry.subjects == 1
    stored = home.store.get(entry.entries)
    assert erased.encode() not in stored
    other = entries_bytes(b"another key", "c", [erased], read_entries(key(home), stored).pictures)
    assert not set(tokens(stored)) & set(tokens(other))


def key(home: Home) -> bytes:
    return home.keyring.read("exclusion.key")


def tokens(entries: bytes) -> list[str]:
    import json
    from base64 import b64decode

    read = json.loads(entries)
    pictures = b"".join(b64decode(each) for each in read["pictures"])
    return [*read["names"], *(pictures[at : at + 8].hex() for at in range(0, len(pictures), 8))]


def test_the_patient_is_recognised_under_another_name_by_one_changed_picture(home: Home) -> None:
    erased = patients(home)[0]

    def rename(row: dict[str, str]) -> None:
        if row["subject_id"] == erased:
            row["subject_id"] = "newcomer"

    manifest = another(home, rename)
    rows = rows_of(manifest, "newcomer")
    assert len(rows) > 1
    number = 0
    for row in read_manifest(manifest).rows:
        if row.number not in rows:
            continue
        number += 1
        with Image.open(row.path) as picture:
            if number == 1:  # the others are pictures that the list has never seen
                small = picture.convert("L").resize((40, 40), Image.Resampling.BILINEAR)
                ImageEnhance.Contrast(small).enhance(0.8).save(row.path)
            else:
                Image.effect_noise((48, 48), 60 + number).save(row.path)
    assert excluded_rows(home, read_manifest(manifest)) == tuple(rows)


@pytest.mark.parametrize("held", [False, True], ids=["erased", "granted"])
def test_an_id_that_looks_the_same_is_the_same(home: Home, held: bool) -> None:
    first, second, *_ = patients(home)
    if held:
        filed(home, [second])
    name = second if held else first

    def rewrite(row: dict[str, str]) -> None:
        wide = {ord(digit): 0xFF10 + int(digit) for digit in "0123456789"}
        row["subject_id"] = row["subject_id"].upper().translate(wide)

    manifest = another(home, rewrite)
    rows = [row for row in read_manifest(manifest).rows if row.subject != name]
    for number, row in enumerate(rows):  # no picture tells
        Image.effect_noise((48, 48), 60 + number / 1000).save(row.path)
    alike = [row.number for row in read_manifest(manifest_in(home)).rows if row.subject == name]
    assert set(alike) <= set(excluded_rows(home, read_manifest(manifest)))


def test_without_the_patient_the_same_data_are_trained_on_and_found_again(home: Home) -> None:
    erased, manifest = patients(home)[0], manifest_in(home)
    rows = rows_of(manifest, erased)
    notices = train(home, manifest, leave_out=True)
    assert any(f"{len(rows)} images" in line and erased not in line for line in notices)
    scene = load_scene(home, NEXT)
    assert erased not in scene.images.subjects
    assert len(scene.images.subjects) == len(read_manifest(manifest).rows) - len(rows)


def test_a_model_that_was_trained_on_the_patient_elsewhere_is_refused(home: Home) -> None:
    weights = home.root / "weights.safetensors"
    weights.write_bytes(home.store.get(load_scene(home, MODEL).version.weights))
    with pytest.raises(DataError, match="must not be trained on"):
        register_trained(
            home,
            model=NEXT,
            manifest=manifest_in(home),
            recipe=RECIPE,
            weights=weights,
            notice=lambda _: None,
        )


def test_a_granted_request_holds_before_it_is_carried_out_and_a_withdrawn_one_no_more(
    home: Home,
) -> None:
    first, second, *_ = patients(home)
    manifest = read_manifest(manifest_in(home))
    case = filed(home, [second])
    assert excluded_rows(home, manifest) == tuple(rows_of(manifest.path, first, second))
    decide(home, case, DecisionKind.WITHDRAWN, "dpo")
    assert excluded_rows(home, manifest) == tuple(rows_of(manifest.path, first))


def test_a_restriction_holds_until_it_is_lifted(home: Home) -> None:
    first, second, *_ = patients(home)
    manifest = read_manifest(manifest_in(home))
    case = filed(home, [second])
    decide(home, case, DecisionKind.HELD, "dpo")
    stream, day = f"case:{case}", date(2026, 11, 3)
    assert excluded_rows(home, manifest) == tuple(rows_of(manifest.path, first))
    restricted = ev.ProcessingRestricted(case=case, on=day, actor="dpo", signature=UNSIGNED)
    record(home, stream, restricted, "restricted")
    assert excluded_rows(home, manifest) == tuple(rows_of(manifest.path, first, second))
    lifted = ev.RestrictionLifted(case=case, on=day, actor="dpo", signature=UNSIGNED)
    record(home, stream, lifted, "lifted")
    assert excluded_rows(home, manifest) == tuple(rows_of(manifest.path, first))


def test_a_patient_set_apart_is_listed_too_and_the_record_says_so(home: Home) -> None:
    scene = load_scene(home, MODEL)
    apart = scene.images.subjects[scene.split.test[0]]
    case = filed(home, [apart])
    run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    (entry,) = [
        item for item in stated(home, case)["inventory"] if item["kind"] == "exclusion-entries"
    ]
    assert entry["fate"] == "retained" and entry["ground"] == "exclusion-from-training"
    assert entry["status"] == "with-exceptions" and entry["review"]
    assert set(rows_of(manifest_in(home), apart)) <= set(
        excluded_rows(home, read_manifest(manifest_in(home)))
    )


def test_somebody_nobody_has_seen_is_listed_by_name(home: Home) -> None:
    case = filed(home, ["nobody"])
    exclude(home, case)
    manifest = read_manifest(another(home, lambda row: row.update(subject_id="nobody")))
    assert len(excluded_rows(home, manifest)) == len(manifest.rows)


def test_who_may_come_back_is_off_the_list_and_the_entries_are_gone(home: Home) -> None:
    case, manifest = case_of(home), read_manifest(manifest_in(home))
    readmit(home, case, Readmission.NEW_CONSENT, Hand())
    assert excluded_rows(home, manifest) == ()
    events = [item.event for item in home.ledger.replay(f"case:{case}")]
    (entries,) = {event.entries for event in events if isinstance(event, ev.SubjectsExcluded)}
    assert not home.store.has(entries)
    fates = [
        event.fate
        for event in events
        if isinstance(event, ev.ArtefactAccounted)
        and event.artefact_kind is ArtefactKind.EXCLUSION_ENTRIES
    ]
    assert fates == [ArtefactFate.RETAINED, ArtefactFate.DESTROYED]
    with pytest.raises(MisuseError, match="keeps nobody out"):
        readmit(home, case, Readmission.NEW_CONSENT, Hand())


def test_where_the_desk_has_keys_nobody_else_lets_a_patient_back_in(
    home: Home, tmp_path: Path
) -> None:
    case, manifest = case_of(home), read_manifest(manifest_in(home))
    anne = employ(home, tmp_path, "anne")
    erased = excluded_rows(home, manifest)
    events = [item.event for item in home.ledger.replay(f"case:{case}")]
    (entries,) = {event.entries for event in events if isinstance(event, ev.SubjectsExcluded)}
    forged = ev.SubjectsReadmitted(
        case=case,
        entries=entries,
        reason=Readmission.NEW_CONSENT,
        actor="dpo",
        signature=UNSIGNED,
    )
    record(home, f"case:{case}", forged, "forged")
    assert excluded_rows(home, manifest) == erased != ()
    with pytest.raises(MisuseError, match="--key"):
        readmit(home, case, Readmission.NEW_CONSENT, Hand())
    assert home.store.has(entries)
    readmit(home, case, Readmission.NEW_CONSENT, Hand(signers=anne))
    assert excluded_rows(home, manifest) == () and not home.store.has(entries)


def test_a_readmission_by_a_key_that_is_revoked_later_lets_nobody_in(
    home: Home, tmp_path: Path
) -> None:
    """Its entries are gone by then; who asked is still known, or the case is named."""
    case, manifest = case_of(home), read_manifest(manifest_in(home))
    anne = employ(home, tmp_path, "anne")
    erased = excluded_rows(home, manifest)
    readmit(home, case, Readmission.NEW_CONSENT, Hand(signers=anne))
    revoke_key(home, anne[0].key_id)
    assert excluded_rows(home, manifest) == erased != ()
    forget_subject(home, f"case:{case}")
    with pytest.raises(HomeError, match=f"case {case} keeps patients out.*readmit {case}"):
        excluded_rows(home, manifest)
    ben = employ(home, tmp_path, "ben")
    readmit(home, case, Readmission.NEW_CONSENT, Hand(signers=ben))
    assert excluded_rows(home, manifest) == ()


@pytest.mark.parametrize("said", [DecisionKind.WITHDRAWN, DecisionKind.REFUSED, DecisionKind.HELD])
def test_a_granted_patient_is_freed_by_the_desks_own_hand_alone(
    home: Home, tmp_path: Path, said: DecisionKind
) -> None:
    manifest, asking = read_manifest(manifest_in(home)), patients(home)[1]
    case = filed(home, [asking])
    held = excluded_rows(home, manifest)
    assert set(rows_of(manifest_in(home), asking)) <= set(held)
    anne, ben = employ(home, tmp_path, "anne"), employ(home, tmp_path, "ben")
    forged = ev.RequestDecided(case=case, decision=said, actor="dpo")
    record_next(home, case_stream(case), forged)
    assert excluded_rows(home, manifest) == held
    decide(home, case, DecisionKind.WITHDRAWN, signers=anne)
    assert len(excluded_rows(home, manifest)) < len(held)
    revoke_key(home, anne[0].key_id)
    assert excluded_rows(home, manifest) == held
    decide(home, case, DecisionKind.HELD, signers=ben)
    decide(home, case, DecisionKind.WITHDRAWN, signers=ben)
    assert len(excluded_rows(home, manifest)) < len(held)


def test_a_withdrawal_that_nobody_signed_ends_no_case_under_way(home: Home, tmp_path: Path) -> None:
    work = begun(home, patients(home)[1])
    employ(home, tmp_path, "anne")
    forged = ev.RequestDecided(case=work.case, decision=DecisionKind.WITHDRAWN, actor="dpo")
    record_next(home, case_stream(work.case), forged)
    with pytest.raises(MisuseError, match=f"case {work.case} is under way"):
        require_free(home, MODEL, "another")


def test_entries_that_a_backup_brings_back_are_destroyed_again(home: Home) -> None:
    case = case_of(home)
    events = [item.event for item in home.ledger.replay(f"case:{case}")]
    (entries,) = {event.entries for event in events if isinstance(event, ev.SubjectsExcluded)}
    kept = home.store.get(entries)
    assert entries not in {item.artefact for item in came_back(home, destroy=False)}
    readmit(home, case, Readmission.ENTERED_IN_ERROR, Hand())
    home.store.put(kept)
    assert entries in {item.artefact for item in came_back(home, destroy=True)}
    assert not home.store.has(entries)


def test_a_case_listed_once_is_listed_as_it_was(home: Home) -> None:
    size = home.ledger.size
    exclude(home, case_of(home))
    assert home.ledger.size == size


def test_the_command_line_refuses_leaves_out_and_readmits(home: Home, auditor: Auditor) -> None:
    recipe = home.root / "recipe.toml"
    recipe.write_text(
        'architecture = "small-resnet"\ninput_size = 16\nwidth = 4\nepochs = 1\n'
        "train_images = 24\n",
        encoding="utf-8",
    )
    data = ("--data", manifest_in(home), "--recipe", recipe, "--home", home.root)
    ran = auditor("model", "train", NEXT, *data)
    assert ran.code == 1 and "rows " in ran.err and patients(home)[0] not in ran.err
    assert auditor("model", "train", NEXT, *data, "--leave-out-excluded").code == 0
    readmitted = ("model", "readmit", case_of(home), "--home", home.root)
    assert auditor(*readmitted).code == 2
    assert auditor(*readmitted, "--reason", "new-consent").code == 0
    assert auditor("model", "train", "again", *data).code == 0


@pytest.mark.parametrize("damage", ["key gone", "another key", "entries gone", "entries changed"])
def test_a_list_that_cannot_be_read_stops_the_training(home: Home, damage: str) -> None:
    events = [item.event for item in home.ledger.replay(f"case:{case_of(home)}")]
    (entries,) = {event.entries for event in events if isinstance(event, ev.SubjectsExcluded)}
    expected: type[AuditorError] = HomeError
    if damage == "key gone":
        home.keyring.destroy("exclusion.key")
    elif damage == "another key":
        home.keyring.write("exclusion.key", bytes(32))
    else:
        expected = TamperedError if damage == "entries changed" else AuditorError
        (path,) = home.root.glob(f"store/**/{entries.value}*")
        if damage == "entries gone":
            path.unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-2] + b'"}')
    with pytest.raises(expected):
        excluded_rows(home, read_manifest(manifest_in(home)))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":"auditor-exclusion/v2"}', b"not json", b'{"format":1}']
)
def test_what_is_no_entry_is_refused(content: bytes) -> None:
    with pytest.raises(TamperedError):
        read_entries(bytes(32), content)


def test_entries_are_read_as_they_were_written() -> None:
    import numpy as np

    from auditor.verification.fingerprint import BANDS, VALUES

    pictures = np.random.default_rng(1).integers(0, VALUES, (3, 5, BANDS)).astype(np.int16)
    stored = entries_bytes(bytes(32), "case", ["a", "b"], pictures)
    read = read_entries(bytes(32), stored)
    assert np.array_equal(read.pictures, pictures) and len(read.names) == 2
    assert stored != entries_bytes(bytes(32), "another", ["a", "b"], pictures)


def test_a_forgotten_patient_is_kept_out_of_other_data_and_of_the_models_next_trainings(
    home: Home,
) -> None:
    """Nobody knows them by name any more: the keyed list does."""
    case, erased, manifest = case_of(home), patients(home)[0], manifest_in(home)
    training, rows = load_scene(home, MODEL).training, rows_of(manifest, erased)
    issued = ev.CertificateIssued(case=case, outcome=Outcome.CERTIFIED, pdf=Digest.of(b"pdf"))
    record(home, f"case:{case}", issued, "issued")
    assert forget_request(home, case) == 1
    assert load_scene(home, MODEL).training == training
    assert excluded_rows(home, read_manifest(manifest)) == tuple(rows)
    with pytest.raises(MisuseError, match="is forgotten"):
        readmit(home, case, Readmission.NEW_CONSENT, Hand())
    assert came_back(home, destroy=False) == ()


def test_who_was_readmitted_isnt_forgotten_while_the_model_leaves_them_out_by_name(
    home: Home,
) -> None:
    case = case_of(home)
    issued = ev.CertificateIssued(case=case, outcome=Outcome.CERTIFIED, pdf=Digest.of(b"pdf"))
    record(home, f"case:{case}", issued, "issued")
    readmit(home, case, Readmission.NEW_CONSENT, Hand())
    recipient = record_recipient(home, case, "Klinik Nord")
    with pytest.raises(MisuseError, match="aren't told yet"):
        forget_request(home, case)
    mark_recipient(home, case, recipient, RecipientOutcome.INFORMED, role="dpo")
    with pytest.raises(MisuseError, match="were readmitted"):
        forget_request(home, case)
    assert home.vault.commitments(f"case:{case}") != ()
