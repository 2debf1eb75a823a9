"""What a qualification is done with: surrogate patients, their bank, and models to be audited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.evidence import LEAST_OUT
from auditor.domain.qualification import Profile
from auditor.errors import MisuseError
from auditor.learning.parallel import TrainingJob, choose_where, train_many
from auditor.learning.progress import Progress
from auditor.learning.weights import load_weights
from auditor.unlearning.fakes import Training
from auditor.unlearning.task import Outsiders
from auditor.verification.relearning import relearning_images
from auditor.workflow.audit.bank import Bank, sparing, train_bank
from auditor.workflow.audit.references import layout_for, thin_classes
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.audit.surrogates import match_surrogates

_PATIENTS = 24  # surrogates at most
_SHARE = 0.12  # of the training images at most: an erasure, not another model


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is tried.

    Attributes:
        retrains: true retrains, audited as candidates.
        originals: models trained on the surrogates, of each of which every fake is made; the one
            in service comes on top.
    """

    retrains: int
    originals: int
    out_models: int
    in_models: int
    scouts: int


EFFORTS: Mapping[Profile, Effort] = MappingProxyType(
    {
        Profile.QUICK: Effort(retrains=30, originals=5, out_models=16, in_models=16, scouts=8),
        Profile.FULL: Effort(retrains=300, originals=19, out_models=32, in_models=32, scouts=16),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """Where one qualification is done.

    Attributes:
        seed: out of which every other is derived.
        patients: the surrogates, most memorised first; ``bank.forgotten`` are their images.
        bank: to audit by; its IN models are trained as the one in service was.
        tuning: to calibrate by: the same OUT models, and others trained without those tuned on.
        outsiders: what scouts say of training images.
    """

    scene: Scene
    seed: str
    patients: tuple[str, ...]
    bank: Bank
    tuning: Bank
    outsiders: Outsiders
    workers: int
    progress: Progress

    def train(
        self, wanted: Mapping[str, Training], counts: Mapping[str, int]
    ) -> dict[str, Trained]:
        """Train so many models of each kind, all at once; finished ones are found again."""
        kinds = [name for name in wanted for _ in range(counts[name])]
        jobs = [
            TrainingJob(
                name=f"{name}-{number:03d}",
                recipe=wanted[name].recipe,
                indices=wanted[name].indices,
                seed=derive_seed(self.seed, name, number),
                data=self.scene.data,
            )
            for name in wanted
            for number in range(counts[name])
        ]
        paths = train_many(
            jobs,
            self.scene.images,
            folder=self.scene.folder,
            where=choose_where(self.workers),
            progress=lambda done, total: self.progress("training candidates", done, total),
        )
        made: dict[str, list[tuple[Digest, nn.Module]]] = {name: [] for name in wanted}
        for name, job, path in zip(kinds, jobs, paths, strict=True):
            content = path.read_bytes()
            made[name].append((Digest.of(content), load_weights(job.recipe, content)))
        return {name: tuple(models) for name, models in made.items()}


Trained = tuple[tuple[Digest, nn.Module], ...]
"""Models of one kind, each with the digest of its weights."""


def set_up(
    scene: Scene,
    asked: frozenset[str],
    effort: Effort,
    *,
    below: float,
    seed: str,
    workers: int,
    progress: Progress,
) -> Bench:
    """Choose the surrogates and train their bank as a case's is trained.

    Args:
        asked: patients that any request names; they take no part.
        below: memorisation from which on patients are no surrogates.

    Raises:
        MisuseError: too few others.
    """
    scouts = send_scouts(scene, effort.scouts, workers=workers, progress=progress)
    memorised = scouts.memorised
    barred = asked | {subject for subject, value in memorised.items() if value >= below}
    patients = _choose(scene, memorised, frozenset(barred))
    counts = Counter(scene.images.subjects[index] for index in scene.training)
    free = {subject: count for subject, count in counts.items() if subject not in barred}
    about = scene.of_subjects(patients)
    groups = match_surrogates(patients, free, memorised)
    others = sparing(scene, about, [scene.of_subjects(group) for group in groups])
    if not others:
        raise MisuseError(
            "too few patients: a method is tuned on others than it is tried on, and neither may be "
            "named by a request"
        )
    layout = layout_for(scene, about, apart=(), unseen=scene.split.test)
    train = partial(
        train_bank,
        scene,
        about,
        scouts=scouts.block,
        seed=seed,
        out_models=effort.out_models,
        workers=workers,
        progress=progress,
    )
    return Bench(
        scene=scene,
        seed=seed,
        patients=patients,
        bank=train((), in_models=effort.in_models, relearning=relearning_images(layout).tolist()),
        tuning=train(others, in_models=LEAST_OUT),
        outsiders=scouts.outsiders,
        workers=workers,
        progress=progress,
    )


def _choose(
    scene: Scene, memorised: Mapping[str, float], barred: frozenset[str]
) -> tuple[str, ...]:
    """The most memorised patients that may be taken, as many as an erasure may concern."""
    most = int(_SHARE * len(scene.training))
    ranked = sorted(set(memorised) - barred, key=lambda subject: (-memorised[subject], subject))
    chosen: list[str] = []
    for subject in ranked:
        images = scene.of_subjects([*chosen, subject])
        if len(images) <= most and not thin_classes(scene, scene.without(images)):
            chosen.append(subject)
        if len(chosen) == _PATIENTS:
            break
    if not chosen:
        raise MisuseError("no patient is left to qualify on: requests name all, or data are few")
    return tuple(chosen)
