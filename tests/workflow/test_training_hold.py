"""A restriction holds what is trained for other patients' cases, too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auditor.domain.request import DecisionKind, DocumentKind, Ground, Regime
from auditor.errors import MisuseError
from auditor.learning.progress import silent
from auditor.workflow.audit.scene import load_scene
from auditor.workflow.desk.acts import lift, restrict
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.papers import file_document
from auditor.workflow.desk.signing import Hand
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.erasure.training_hold import require_free_to_train
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import load_case
from tests.workflow.trained import MODEL

SMALL = RunSettings(out_models=8, in_models=6, scouts=4)
TODAY = datetime.now(UTC).date()  # the run asks for the day it is, in this home by UTC
ALWAYS = (date(2026, 1, 1), date.max)


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "home")))) as opened:
        yield opened


def trained_on(home: Home) -> list[str]:
    scene = load_scene(home, MODEL)
    return sorted({scene.images.subjects[index] for index in scene.training})


def filed(home: Home, subject: str) -> str:
    case = file_request(
        home,
        model=MODEL,
        subjects=(subject,),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    decide(home, case, DecisionKind.GRANTED)
    return case


def looked_at(home: Home, case: str) -> None:
    require_free_to_train(Casework(home, case, SMALL, silent))


def test_nothing_is_trained_on_whoever_restricts_it(home: Home) -> None:
    first, second, *_ = trained_on(home)
    other, case = filed(home, first), filed(home, second)
    looked_at(home, case)
    restrict(home, other, Hand())
    with pytest.raises(MisuseError, match="restriction-exception"):
        run_case(home, case, SMALL, progress=silent, notice=lambda _: None)
    stopped = load_case(home, case)
    assert stopped.scope is not None and stopped.bank is None
    looked_at(home, other)  # it is trained without its own
    lift(home, other, Hand())
    looked_at(home, case)


@pytest.mark.parametrize(
    ("kind", "in_force", "goes_on"),
    [
        (DocumentKind.RESTRICTION_EXCEPTION, ALWAYS, True),
        (DocumentKind.RESTRICTION_EXCEPTION, (TODAY, TODAY + timedelta(days=1)), True),
        (DocumentKind.RESTRICTION_EXCEPTION, (date(2026, 1, 1), date(2026, 1, 31)), False),
        (DocumentKind.RESTRICTION_EXCEPTION, (TODAY + timedelta(days=2), date.max), False),
        (DocumentKind.EXEMPTION_REASONS, ALWAYS, False),
    ],
)
def test_unless_it_is_on_file_why_it_may(
    home: Home, kind: DocumentKind, in_force: tuple[date, date], goes_on: bool
) -> None:
    first, second, *_ = trained_on(home)
    other, case = filed(home, first), filed(home, second)
    restrict(home, other, Hand())
    file_document(home, other, kind, b"of another case", role="dpo", in_force=ALWAYS)
    file_document(home, case, kind, b"why", role="dpo", in_force=in_force)
    if goes_on:
        looked_at(home, case)
    else:
        with pytest.raises(MisuseError, match="would train on patients who restrict it"):
            looked_at(home, case)


def test_whoever_is_in_no_training_holds_none(home: Home) -> None:
    scene = load_scene(home, MODEL)
    unseen = scene.images.subjects[scene.split.test[0]]
    other, case = filed(home, unseen), filed(home, trained_on(home)[0])
    restrict(home, other, Hand())
    looked_at(home, case)
