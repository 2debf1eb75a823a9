"""A case's evidence, exported and replayed by someone who holds a trust file and nothing else."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from auditor.cli.main import main
from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.errors import MisuseError
from auditor.learning.manifest import read_manifest
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.store import ContentStore
from auditor.learning.weights import load_weights
from auditor.verification.archive import pack, unpack
from auditor.verification.bundle import Roles, pack_bundle, read_bundle
from auditor.verification.measurements import Measurements
from auditor.verification.scores import scores_from
from auditor.workflow.audit.references import Block, measure_all, measure_block
from auditor.workflow.audit.scene import Scene, load_scene, train_and_register
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.documents.document import document_facts
from auditor.workflow.erasure import erasure, remeasuring, running
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.remeasuring import image_digests
from auditor.workflow.erasure.running import pending_cases, run_case
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case
from auditor.workflow.models.kept_scores import forget_due, forget_scores
from auditor.workflow.models.reerasure import came_back
from tests.cli.conftest import Auditor, Ran
from tests.cli.leaks import find_scores, known
from tests.conftest import MakeOnce

RECIPE = Recipe(
    input_size=16, width=4, epochs=3, batch_size=5, learning_rate=0.005, train_images=60
)

_PROBE = """
import json, sys
from auditor.cli.main import main
sys.argv = ["auditor", *{words!r}]
code = main()
print(json.dumps([code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """What a receiver was handed: a bundle, one with scores, too, the models and the data."""

    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder / "b.npz"

    @property
    def with_scores(self) -> Path:
        return self.folder / "s.npz"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.json"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def manifest(self) -> Path:
        return self.folder / "phantoms" / "manifest.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A home with one closed case whose scores were kept, and what left it on the way.

    Attributes:
        twin: the same home, stopped at the verdict, but measured on another model than it names.
        refused: what `run` said while the models were out.
    """

    folder: Path
    case: str
    refused: str

    @property
    def root(self) -> Path:
        return self.folder / "home"

    @property
    def twin(self) -> Path:
        return self.folder / "twin"

    @property
    def lent(self) -> Lent:
        return Lent(folder=self.folder / "lent")

    @property
    def lent_by_twin(self) -> Lent:
        return Lent(folder=self.folder / "lent-by-twin")


SETTINGS = RunSettings(out_models=8, in_models=6, scouts=4, keep_scores=365)


def granted(root: Path) -> str:
    """A new home with one granted case."""
    home = create_home(root, controller="St. Example", dpo="DPO office")
    manifest = draw_phantoms(root / "phantoms", seed=20261124, patients=80)
    train_and_register(
        home, model="d", manifest=manifest, recipe=RECIPE, notice=lambda _: None, seed=1
    )
    scene = load_scene(home, "d")
    case = file_request(
        home,
        model="d",
        subjects=(scene.images.subjects[scene.training[0]],),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    decide(home, case, DecisionKind.GRANTED, "dpo")
    home.close()
    return case


def run_on(root: Path, case: str, *, until_verdict: bool = False) -> None:
    """As `auditor run --keep-scores` does, with a small bank."""
    home = open_home(root)
    try:
        run_case(
            home,
            case,
            SETTINGS,
            progress=lambda *_: None,
            notice=lambda _: None,
            until_verdict=until_verdict,
        )
    finally:
        home.close()


def measure_another(root: Path, case: str) -> None:
    """The case is run by someone who measures a true OUT model and calls it the candidate."""
    (path,) = (root / "references").glob("*/out-003-*")

    def measured(scene: Scene, _: nn.Module, relearning: Sequence[int]) -> Measurements:
        return measure_all(scene, load_weights(scene.recipe, path.read_bytes()), relearning)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasure, "measure_all", measured)
        run_on(root, case, until_verdict=True)


def pending(root: Path) -> tuple[str, ...]:
    home = open_home(root)
    try:
        return pending_cases(home)
    finally:
        home.close()


def lend(root: Path, case: str, out: Path) -> None:
    """What `auditor verification export` hands over, and a copy of the data."""
    out.mkdir()
    for words in (
        ("--out", out / "b.npz", "--with-weights", out / "weights"),
        ("--out", out / "s.npz", "--with-weights", out / "again", "--with-scores"),
    ):
        assert main(["verification", "export", case, *map(str, words), "--home", str(root)]) == 0
    shutil.copytree(root / "phantoms", out / "phantoms")
    shutil.copy(root / "trust.json", out / "trust.json")


def walk(folder: Path) -> None:
    """The whole way: verdict, models lent, refused to go on, taken back, closed."""
    folder.mkdir()
    root, twin = folder / "home", folder / "twin"
    case = granted(root)
    shutil.copytree(root, twin)
    run_on(root, case, until_verdict=True)
    shutil.copytree(root / "references", twin / "references")  # so that it needn't train again
    measure_another(twin, case)
    lend(root, case, folder / "lent")
    lend(twin, case, folder / "lent-by-twin")
    with pytest.raises(MisuseError) as refused:
        run_on(root, case)
    assert pending(root) == ()  # so that it stops no others
    assert main(["verification", "taken-back", case, "--home", str(root)]) == 0
    assert pending(root) == (case,)
    run_on(root, case)
    told = {"case": case, "refused": str(refused.value)}
    (folder / "told.json").write_text(json.dumps(told))


@pytest.fixture
def walked(make_once: MakeOnce, tmp_path: Path) -> Walked:
    """A copy of what `walk` made."""
    folder = shutil.copytree(make_once("walked", walk), tmp_path / "walked")
    return Walked(folder=folder, **json.loads((folder / "told.json").read_text()))


@pytest.fixture
def closed(walked: Walked) -> tuple[Path, str]:
    """A home with one closed case whose scores were kept."""
    return walked.root, walked.case


def test_a_verdict_is_repeated_bit_for_bit_without_torch_or_sql(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out, trust = tmp_path / "b.npz", tmp_path / "trust.json"
    ran = auditor("verification", "export", case, "--with-scores", "--out", out, "--home", root)
    assert ran.code == 0, ran.err
    shutil.copy(root / "trust.json", trust)
    words = ["verification", "replay", str(out), "--trust", str(trust), "--json"]
    run = subprocess.run(
        [sys.executable, "-c", _PROBE.format(words=words)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    printed, _, last = run.stdout.rstrip().rpartition("\n")
    code, modules = json.loads(last)
    assert code == 0
    assert not {"torch", "sqlmodel", "sqlalchemy", "weasyprint"} & set(modules)
    told = json.loads(printed)
    home = open_home(root)
    reached = load_case(home, case).reached
    home.close()
    assert reached is not None
    assert (told["recorded"], told["replayed"]) == (reached.verdict, reached.verdict)
    assert (told["agreement"], told["same_code"], told["case"]) == ("bit for bit", "yes", case)


def test_no_score_leaves_without_being_asked_for(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out = tmp_path / "b.npz"
    assert auditor("verification", "export", case, "--out", out, "--home", root).code == 0
    read = read_bundle(out.read_bytes())
    assert not read.arrays and read.roles is None and not read.manifest.evidence.patients
    ran = auditor("verification", "replay", out, "--trust", root / "trust.json")
    assert (ran.code, "no scores" in ran.err) == (1, True)


def test_whatever_was_changed_is_refused(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out = tmp_path / "b.npz"
    auditor("verification", "export", case, "--with-scores", "--out", out, "--home", root)
    read = read_bundle(out.read_bytes())
    manifest, arrays = read.manifest, read.arrays

    def replayed(content: bytes) -> tuple[int, str]:
        out.write_bytes(content)
        ran = auditor("verification", "replay", out, "--trust", root / "trust.json")
        return ran.code, ran.out + ran.err

    scores = {**arrays}
    key = "candidate/0000/margins"
    scores[key] = arrays[key] + 1e-6 * np.linspace(0, 1, len(arrays[key])) ** 2
    changed = replayed(pack_bundle(manifest, scores=pack(scores)))
    assert changed[0] == 3 and "another verdict, or another residual influence" in changed[1]
    forgeries = {
        "isn't of the audit": replace(manifest, plan=replace(manifest.plan, margin=0.5)),
        "ledger proof doesn't hold": replace(manifest, proof=manifest.proof.replace("index", "x")),
    }
    for why, forged in forgeries.items():
        code, said = replayed(pack_bundle(forged, scores=pack(arrays)))
        assert (code, why in said) == (3, True), said
    other = replace(manifest, recorded=manifest.plan.digest)
    assert replayed(pack_bundle(other, scores=pack(arrays)))[0] == 3
    assert replayed(b"nothing")[0] == 1


def test_another_homes_trust_file_vouches_for_nothing(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out = tmp_path / "b.npz"
    auditor("verification", "export", case, "--with-scores", "--out", out, "--home", root)
    create_home(tmp_path / "other", controller="Other", dpo="DPO office").close()
    ran = auditor("verification", "replay", out, "--trust", tmp_path / "other" / "trust.json")
    assert (ran.code, "ledger proof doesn't hold" in ran.err) == (3, True)


Replay = Callable[..., Ran]


@pytest.fixture
def remeasure(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """Replay from weights, by someone who has no home."""

    def replayed(lent: Lent, bundle: Path | None = None) -> Ran:
        monkeypatch.setattr(Home, "__init__", None)
        words = ("--trust", lent.trust, "--weights", lent.weights, "--data", lent.manifest)
        return auditor("verification", "replay", bundle or lent.bundle, *words, "--json")

    return replayed


def test_models_measured_again_give_the_recorded_bits(walked: Walked, remeasure: Replay) -> None:
    lent = walked.lent
    plain = remeasure(lent)
    assert (plain.code, plain.json["agreement"]) == (0, "bit for bit"), plain.err
    assert plain.json["same_scores"] == "none in the bundle to compare"
    assert plain.json["influence_recorded"] == plain.json["influence_replayed"]
    compared = remeasure(lent, lent.with_scores)
    assert (compared.code, compared.json["same_scores"]) == (0, "yes")
    assert compared.json["largest_difference"].startswith("0 ")


def test_who_measured_another_model_is_found_out_by_weights_alone(
    walked: Walked, auditor: Auditor, remeasure: Replay
) -> None:
    twin = walked.lent_by_twin
    ran = auditor("verification", "replay", twin.with_scores, "--trust", twin.trust, "--json")
    assert (ran.code, ran.json["agreement"]) == (0, "bit for bit")
    for bundle in (twin.bundle, twin.with_scores):
        found = remeasure(twin, bundle)
        assert (found.code, found.json["agreement"]) == (
            3,
            "another verdict, or another residual influence",
        )
    assert found.json["same_scores"] == "no"


def test_other_rounding_is_told_from_another_audit(
    walked: Walked, remeasure: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, draw = walked.lent, np.random.default_rng(3)

    def rounded(*arguments: Any) -> Block:
        found = measure_block(*arguments)
        noisy = [
            replace(item, margins=item.margins + draw.normal(0, 1e-7, item.margins.shape))
            for item in found.measured
        ]
        return replace(found, measured=tuple(noisy))

    monkeypatch.setattr(remeasuring, "measure_block", rounded)
    for bundle in (lent.bundle, lent.with_scores):
        ran = remeasure(lent, bundle)
        assert (ran.code, ran.json["recorded"]) == (4, ran.json["replayed"])
        assert (
            ran.json["agreement"] == "the same verdict, and a residual influence within 0.01 or 1 %"
        )
    assert ran.json["same_scores"] == "no"
    assert 0 < float(ran.json["largest_difference"].split()[0]) < 1e-6


def test_a_swapped_or_missing_file_is_refused_by_its_digest(
    walked: Walked, remeasure: Replay
) -> None:
    own = walked.lent
    plan = read_bundle(own.bundle.read_bytes()).manifest.plan
    listed = json.loads((own.weights / plan.origin.bank.value).read_bytes())
    evidence = read_bundle(own.bundle.read_bytes()).manifest.evidence
    another = (own.weights / Digest.parse(listed["out"][1]).value).read_bytes()
    for digest in (
        plan.origin.recipe,
        plan.origin.bank,
        plan.origin.model,
        evidence.weights,
        Digest.parse(listed["out"][0]),
        Digest.parse(listed["in"][-1]),
    ):
        path = own.weights / digest.value
        kept = path.read_bytes()
        path.write_bytes(another)
        ran = remeasure(own)
        assert (ran.code, str(digest) in ran.err) == (3, True), ran.err
        path.unlink()
        ran = remeasure(own)
        assert (ran.code, str(digest) in ran.err) == (1, True), ran.err
        path.write_bytes(kept)


def test_other_data_are_refused(walked: Walked, remeasure: Replay) -> None:
    own = walked.lent
    text = own.manifest.read_text()
    lines = text.splitlines()
    own.manifest.write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]) + "\n")
    ran = remeasure(own)
    assert (ran.code, "isn't the audit's data set" in ran.err) == (1, True), ran.err
    own.manifest.write_text(text)
    picture = own.manifest.parent / lines[1].split(",")[0]
    shutil.copy(own.manifest.parent / lines[2].split(",")[0], picture)
    assert remeasure(own).code == 1


def test_roles_that_go_against_the_registered_split_are_refused(
    walked: Walked, remeasure: Replay
) -> None:
    own = walked.lent
    read = read_bundle(own.bundle.read_bytes())
    roles = read.roles
    assert roles is not None

    def told(changed: Roles) -> Ran:
        own.bundle.write_bytes(pack_bundle(read.manifest, scores=None, roles=changed))
        return remeasure(own)

    other = "00" * 32 + roles.data[64:]
    some, none = Digest.of(b"some"), roles.unseen[0]
    for changed, why in (
        (replace(roles, forgotten=roles.forgotten[1:]), "all training images"),
        (replace(roles, retained=(*roles.retained, none)), "by the data set's split"),
        (replace(roles, unseen=(*roles.unseen, roles.retained[0])), "by the data set's split"),
        (replace(roles, unseen=(*roles.unseen, none)), "twice"),
        (replace(roles, unseen=(*roles.unseen, some)), "isn't in the data set"),
        (replace(roles, data=other), "plan commits to"),
        (replace(roles, data="x"), "plan commits to"),
    ):
        ran = told(changed)
        assert (ran.code, why in ran.err) == (3, True), ran.err
    images = read_manifest(own.manifest)
    subjects = dict(zip(image_digests(images), (row.subject for row in images.rows), strict=True))
    stranger = subjects[roles.retained[0]]
    theirs = tuple(item for item in roles.retained if subjects[item] == stranger)
    ran = told(
        replace(
            roles,
            forgotten=theirs,
            retained=tuple(item for item in roles.retained if item not in theirs),
        )
    )
    assert (ran.code, ran.json["agreement"]) == (
        3,
        "another verdict, or another residual influence",
    )
    ran = told(replace(roles, unseen=roles.unseen[1:]))
    assert (ran.code in (3, 4), ran.json["agreement"] == "bit for bit") == (True, False)


def test_models_and_data_come_together_and_roles_with_them(
    walked: Walked, auditor: Auditor, tmp_path: Path
) -> None:
    lent, (root, case) = walked.lent, (walked.root, walked.case)
    ran = auditor("verification", "replay", lent.bundle, "--trust", lent.trust, "--data", "x.csv")
    assert (ran.code, "--weights" in ran.err) == (2, True)
    out = tmp_path / "b.npz"
    assert auditor("verification", "export", case, "--out", out, "--home", root).code == 0
    words = ("--trust", lent.trust, "--weights", lent.weights, "--data", lent.manifest)
    ran = auditor("verification", "replay", out, *words)
    assert (ran.code, "which image had which role" in ran.err) == (1, True)


def test_models_are_lent_before_they_are_destroyed_and_the_books_say_so(
    walked: Walked, auditor: Auditor, tmp_path: Path
) -> None:
    root, case, lent = walked.root, walked.case, walked.lent
    assert "taken-back" in walked.refused
    home = open_home(root)
    state = load_case(home, case)
    events = [item.event for item in home.ledger.replay(case_stream(case))]
    home.close()
    kinds = [type(event) for event in events]
    first, last = kinds.index(ev.WeightsHandedOver), kinds.index(ev.WeightsTakenBack)
    assert first < last < kinds.index(ev.ArtefactAccounted)
    assert (state.handed_over, state.taken_back, state.copies_out) == (2, 2, False)
    handed = events[first]
    assert isinstance(handed, ev.WeightsHandedOver)
    names = {path.name for path in lent.weights.iterdir()}
    assert names == {digest.value for digest in handed.weights}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*lent.weights.iterdir(), lent.bundle))
    for path in lent.weights.iterdir():
        assert Digest.of(path.read_bytes()).value == path.name
    words = ("--out", tmp_path / "b.npz", "--with-weights", tmp_path / "w", "--home", root)
    ran = auditor("verification", "export", case, *words)
    assert (ran.code, "--until-verdict" in ran.err) == (2, True)
    assert not (tmp_path / "w").exists() and not (tmp_path / "b.npz").exists()
    ran = auditor("verification", "taken-back", case, "--home", root)
    assert (ran.code, "no models" in ran.err) == (2, True)


def test_roles_name_images_and_nobody(walked: Walked) -> None:
    rows = read_manifest(walked.lent.manifest).rows
    content = b"".join(part.tobytes() for part in unpack(walked.lent.bundle.read_bytes()).values())
    assert not any(row.subject.encode() in content for row in rows)
    plain = pack_bundle(read_bundle(walked.lent.bundle.read_bytes()).manifest, scores=None)
    kept = unpack(plain)
    assert set(kept) == {"manifest"}
    text = kept["manifest"].tobytes().decode()
    assert not any(
        digest.value in text for digest in image_digests(read_manifest(walked.lent.manifest))
    )


def test_kept_scores_are_accounted_for(closed: tuple[Path, str]) -> None:
    root, case = closed
    home = open_home(root)
    state = load_case(home, case)
    home.close()
    told = {item.artefact: item for item in state.accounted}
    assert len(state.scores) == 2 + sum(a.verified is not None for a in state.attempts)
    for kept in state.scores:
        assert told[kept.scores].artefact_kind is ArtefactKind.SCORES
        assert told[kept.scores].fate is ArtefactFate.RETAINED


def test_kept_scores_go_when_somebody_says_so(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    kept = [item.scores for item in state_of(root, case).scores]
    ran = auditor("verification", "forget-scores", case, "--home", root, "--json")
    assert (ran.code, ran.json["audits"]) == (0, len(kept)), ran.err
    assert not any((root / "store" / item.value).exists() for item in kept)
    state = state_of(root, case)
    last = {item.artefact: item for item in state.accounted}
    assert all(last[item].fate is ArtefactFate.DESTROYED for item in kept)
    assert state.kept_scores == () and state.issued is not None
    words = ("verification", "export", case, "--out", tmp_path / "b.npz", "--home", root)
    ran = auditor(*words, "--with-scores")
    assert (ran.code, "no scores" in ran.err) == (2, True)
    assert auditor(*words).code == 0
    assert auditor("ledger", "audit", "--home", root).code == 0
    version = len(state.accounted)
    assert auditor("verification", "forget-scores", case, "--home", root).code == 0
    assert len(state_of(root, case).accounted) == version


def test_scores_are_destroyed_after_the_ledger_says_so(
    closed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, case = closed
    kept = [item.scores for item in state_of(root, case).scores]
    home = open_home(root)

    def stop(self: ContentStore, digest: Digest) -> None:
        told = [item for item in load_case(home, case).accounted if item.artefact == digest]
        assert [item.fate for item in told] == [ArtefactFate.RETAINED, ArtefactFate.DESTROYED]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ContentStore, "destroy", stop)
        forget_scores(home, case)
    assert all(home.store.has(item) for item in kept)
    assert forget_due(home, date(2026, 1, 1)) == (case,)  # whoever was stopped is gone on with
    assert not any(home.store.has(item) for item in kept)
    told = [item.artefact for item in load_case(home, case).accounted]
    assert all(told.count(item) == 2 for item in kept)
    home.close()


def test_scores_go_with_the_first_run_after_their_last_day(closed: tuple[Path, str]) -> None:
    root, case = closed
    home = open_home(root)
    state = load_case(home, case)
    (last,) = {item.destroy_by for item in state.scores}
    assert last - datetime.now(UTC).date() in (timedelta(days=365), timedelta(days=364))
    review = {item.artefact: item.review for item in document_facts(home, case, state).inventory}
    assert {review[item.scores] for item in state.scores} == {last}
    assert forget_due(home, last) == ()
    assert len(load_case(home, case).kept_scores) == len(state.scores)
    asked: list[date] = []

    def due(_: Home, today: date) -> tuple[str, ...]:
        asked.append(today)
        return forget_due(home, last + timedelta(days=1))

    notices: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "forget_due", due)
        run_case(home, case, SETTINGS, progress=lambda *_: None, notice=notices.append)
    assert asked == [datetime.now(UTC).date()]
    assert any("last day of its scores" in line for line in notices)
    assert load_case(home, case).kept_scores == ()
    assert forget_due(home, date.max) == ()
    home.close()


def test_scores_that_a_backup_brings_back_are_found_and_destroyed(
    closed: tuple[Path, str],
) -> None:
    root, case = closed
    home = open_home(root)
    kept = [item.scores for item in load_case(home, case).scores]
    content = home.store.get(kept[0])
    forget_scores(home, case)
    assert not [item for item in came_back(home, destroy=False) if item.artefact == kept[0]]
    home.store.put(content)
    found = [item for item in came_back(home, destroy=True) if item.artefact == kept[0]]
    assert [(item.what, item.case, item.destroyed) for item in found] == [("scores", case, True)]
    assert not home.store.has(kept[0])
    home.close()


def test_scores_of_a_case_under_way_stay_and_their_day_with_them(
    walked: Walked, auditor: Auditor
) -> None:
    case = walked.case
    ran = auditor("verification", "forget-scores", case, "--home", walked.twin)
    assert (ran.code, "isn't closed" in ran.err) == (2, True)
    home = open_home(walked.twin)
    before = load_case(home, case).scores
    assert before and forget_due(home, date.max) == ()
    work = Casework(home, case, replace(SETTINGS, keep_scores=1), lambda *_: None)
    first = before[0]
    erasure._write_kept(work, first.role, first.scores, attempt=first.attempt)
    assert load_case(home, case).scores == before
    home.close()
    ran = auditor("verification", "forget-scores", "nobody", "--home", walked.twin)
    assert ran.code == 2


def test_nothing_that_leaves_a_home_unasked_holds_a_score(
    walked: Walked, auditor: Auditor, tmp_path: Path
) -> None:
    root, case, out = walked.root, walked.case, tmp_path / "out"
    out.mkdir()
    said = [
        auditor(*words, "--home", root, "--json").out
        for words in (
            ("verification", "export", case, "--out", out / "b.npz"),
            ("certificate", "export", case, "--to", out),
            ("certificate", "show", case),
            ("ledger", "export", out / "tiles"),
            ("report", "quarter", quarter(root, case), "--csv", out / "q.csv"),
            ("request", "show", case),
            ("model", "show", "d"),
        )
    ]
    assert all(said)
    shutil.copy(root / "trust.json", out)
    shutil.copy(root / "checkpoint.txt", out)
    home = open_home(root)
    (scores,) = [
        scores_from(unpack(home.store.get(kept.scores)))
        for kept in load_case(home, case).scores
        if kept.role is CandidateRole.REQUEST
    ]
    home.close()
    looked = known(
        [
            getattr(model, name)
            for _, model in scores.models
            for name in ("margins", "scores", "augmented", "noisy", "relearned")
        ],
        longest=max(len(scores.out), len(scores.untouched)),
    )
    files = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert len(files) > 6
    for name, content in [*files.items(), *(("said", text.encode()) for text in said)]:
        assert find_scores(content, looked) == [], name
    margins = scores.candidate.margins
    for leak in (
        walked.lent.with_scores.read_bytes(),
        json.dumps({"margin": float(margins[3])}).encode(),
        json.dumps({"margins": [f"{value:.2f}" for value in margins]}).encode(),
        b"some" + margins[:1].tobytes(),
        b"s" + margins[:2].astype(np.float32).tobytes(),
        base64.b64encode(b"x" * 60 + margins[:9].tobytes()),
    ):
        assert find_scores(leak, looked)


@pytest.mark.parametrize(
    ("words", "days", "until"),
    [
        ((), 0, False),
        (("--keep-scores",), 365, False),
        (("--keep-scores", "30"), 30, False),
        (("--keep-scores", "--until-verdict"), 365, True),
    ],
)
def test_a_run_is_told_how_long_to_keep_scores_and_where_to_stop(
    home: Home,
    auditor: Auditor,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    days: int,
    until: bool,
) -> None:
    told: list[tuple[int, bool]] = []

    def ran(_: Home, case: str, settings: RunSettings, **rest: Any) -> ErasureCase:
        told.append((settings.keep_scores, rest["until_verdict"]))
        return ErasureCase()

    monkeypatch.setattr(running, "run_case", ran)
    assert auditor("run", *words, "--case", "c", "--home", home.root).code == 0
    assert told == [(days, until)]


def test_a_plain_run_leaves_nothing_outside_the_home(walked: Walked) -> None:
    names = {path.name for path in walked.folder.iterdir()}
    assert names == {"home", "twin", "lent", "lent-by-twin", "told.json"}


def state_of(root: Path, case: str) -> ErasureCase:
    home = open_home(root)
    try:
        return load_case(home, case)
    finally:
        home.close()


def quarter(root: Path, case: str) -> str:
    requested = state_of(root, case).requested
    assert requested is not None
    return f"{requested.received.year}Q{(requested.received.month + 2) // 3}"


def test_there_has_to_be_an_audit(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, _ = closed
    ran = auditor("verification", "export", "nobody", "--out", tmp_path / "b", "--home", root)
    assert (ran.code, "no case nobody" in ran.err) == (2, True)
