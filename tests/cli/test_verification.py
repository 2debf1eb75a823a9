"""A case's evidence, exported and replayed by someone who holds a trust file and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from auditor.domain.artefact import ArtefactFate, ArtefactKind
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.verification.bundle import _packed, pack_bundle, read_bundle
from auditor.workflow.casework import RunSettings
from auditor.workflow.desk import decide, file_request
from auditor.workflow.home import create_home, open_home
from auditor.workflow.record import load_case
from auditor.workflow.running import run_case
from auditor.workflow.scene import load_scene, train_and_register
from tests.cli.conftest import Auditor

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


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with one closed case whose scores were kept."""
    root = tmp_path_factory.mktemp("closed") / "home"
    home = create_home(root, controller="St. Example", dpo="DPO office")
    manifest = draw_phantoms(root / "phantoms", seed=20261124, patients=80)
    train_and_register(home, model="d", manifest=manifest, recipe=RECIPE, notice=lambda _: None)
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
    settings = RunSettings(out_models=8, in_models=6, scouts=4, keep_scores=True)
    run_case(home, case, settings, progress=lambda *_: None, notice=lambda _: None)
    home.close()
    return root, case


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
    assert (told["bit_for_bit"], told["same_code"], told["case"]) == ("yes", "yes", case)


def test_no_score_leaves_without_being_asked_for(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out = tmp_path / "b.npz"
    assert auditor("verification", "export", case, "--out", out, "--home", root).code == 0
    manifest, arrays = read_bundle(out.read_bytes())
    assert not arrays and not manifest.evidence.patients
    ran = auditor("verification", "replay", out, "--trust", root / "trust.json")
    assert (ran.code, "no scores" in ran.err) == (1, True)


def test_whatever_was_changed_is_refused(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, case = closed
    out = tmp_path / "b.npz"
    auditor("verification", "export", case, "--with-scores", "--out", out, "--home", root)
    manifest, arrays = read_bundle(out.read_bytes())

    def replayed(content: bytes) -> tuple[int, str]:
        out.write_bytes(content)
        ran = auditor("verification", "replay", out, "--trust", root / "trust.json")
        return ran.code, ran.out + ran.err

    scores = {**arrays}
    key = "candidate/0000/margins"
    scores[key] = arrays[key] + np.eye(1, len(arrays[key]))[0] * 1e-6
    changed = replayed(pack_bundle(manifest, _packed(scores)))
    assert changed[0] == 3 and "no" in changed[1]
    forgeries = {
        "isn't of the audit": replace(manifest, plan=replace(manifest.plan, margin=0.5)),
        "ledger proof doesn't hold": replace(manifest, proof=manifest.proof.replace("index", "x")),
    }
    for why, forged in forgeries.items():
        code, said = replayed(pack_bundle(forged, _packed(arrays)))
        assert (code, why in said) == (3, True), said
    other = replace(manifest, recorded=manifest.plan.digest)
    assert replayed(pack_bundle(other, _packed(arrays)))[0] == 3
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


def test_there_has_to_be_an_audit(
    closed: tuple[Path, str], auditor: Auditor, tmp_path: Path
) -> None:
    root, _ = closed
    ran = auditor("verification", "export", "nobody", "--out", tmp_path / "b", "--home", root)
    assert (ran.code, "no case nobody" in ran.err) == (2, True)
