"""Whole plans, simulated: a bank, its declaration, and fresh candidates audited under it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.domain.artefact import Digest
from auditor.domain.evidence import AcrossCases, CandidateRole, Power
from auditor.domain.verdict import Decision
from auditor.verification.engine import assess, draw_up
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Origin
from auditor.verification.readiness import Readiness, prepare

SOME = Digest.of(b"simulated")
ORIGIN = Origin(model=SOME, data=SOME, recipe=SOME, bank=SOME)


@dataclass(frozen=True, kw_only=True)
class World:
    """What models of one recipe do to some patients' images.

    Attributes:
        patients: who are forgotten, each with ``images``; the first with ``first`` if that is more.
        gap: rise of the forgotten images' margins in a model trained on them; patients vary
            about it by ``uneven``, in its units.
        shared: size of what moves all images of a model together, along directions of its own.
        own: noise of each forgotten image in each model.
        out_models: of the bank; as many IN models.
        tails: degrees of freedom of the noise; infinite for the normal distribution.
    """

    patients: int = 12
    images: int = 2
    first: int = 0
    gap: float = 3.0
    uneven: float = 0.3
    shared: float = 0.3
    own: float = 0.8
    out_models: int = 16
    in_models: int = 16
    unseen: int = 400
    tails: float = np.inf

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many images each forgotten patient has."""
        return (max(self.first, self.images), *[self.images] * (self.patients - 1))

    @cached_property
    def layout(self) -> Layout:
        """Forgotten patients first, then sixty retained, then the never-seen."""
        sizes = [*self.sizes, *[1] * (60 + self.unseen)]
        codes = np.repeat(np.arange(len(sizes)), sizes)
        gone, known = self.patients, self.patients + 60
        return Layout(
            labels=codes % 2,
            patients=codes,
            forgotten=np.flatnonzero(codes < gone),
            retained=np.flatnonzero((codes >= gone) & (codes < known)),
            unseen=np.flatnonzero(codes >= known),
        )

    @cached_property
    def _fixed(self) -> tuple[Numbers, Numbers, Numbers]:
        """What is easy, along what models differ, and how much each patient is remembered."""
        draw, count = np.random.default_rng(20261125), len(self.layout.labels)
        ease = draw.normal(2.0, 1.5, count)
        loads = draw.normal(0, 1, (3, count)) / np.sqrt(3)
        rise = self.gap * (1 + self.uneven * draw.normal(0, 1, self.patients))
        return ease, loads, np.repeat(rise, self.sizes)

    def kept_by_some(self, share: float, patients: Indices) -> Numbers:
        """By image, what ``patients`` alone must keep for a cohort's influence to be ``share``."""
        squares = self._fixed[2] ** 2  # images weigh by their rise: all are as noisy
        kept = np.isin(self.layout.patients[self.layout.forgotten], patients)
        return kept * share * squares.sum() / squares[kept].sum()

    def model(self, draw: np.random.Generator, *, share: float | Numbers) -> Measurements:
        """One model that remembers the forgotten by a ``share``: 0 a retrain, 1 untouched.

        Of all of them, or by image.
        """
        layout = self.layout
        ease, loads, rise = self._fixed

        def noise(*shape: int) -> Numbers:
            normal = draw.normal(0, 1, shape)
            if np.isinf(self.tails):
                return normal
            return normal * np.sqrt((self.tails - 2) / draw.chisquare(self.tails, shape))

        bias = np.where(layout.labels == 1, 0.3, -0.3) * noise()
        skill = 0.1 * noise()
        margins = ease + skill + bias + self.shared * noise(3) @ loads + 0.25 * noise(len(ease))
        margins[layout.retained] += 3.0
        margins[layout.forgotten] += self.own * noise(len(layout.forgotten))
        margins[layout.forgotten] += share * rise
        features = 0.1 * ease[:, None] + draw.normal(0, 1, (len(ease), 3))
        return Measurements(
            margins=margins,
            scores=np.where(layout.labels == 1, margins, -margins),
            features={"head": features.astype(np.float32)},
            augmented=margins + 0.25 * noise(2, len(ease)),
            noisy=margins + 0.25 * noise(2, len(ease)),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One plan: the powers it declared, and what became of one candidate for each share."""

    power: Power
    decisions: tuple[Decision, ...]
    across: tuple[AcrossCases, ...]


def ready(world: World, draw: np.random.Generator) -> Readiness:
    """A bank of this world, measured."""
    return prepare(
        origin=ORIGIN,
        out=[world.model(draw, share=0.0) for _ in range(world.out_models)],
        untouched=[world.model(draw, share=1.0) for _ in range(world.in_models)],
        original=world.model(draw, share=1.0),
        layout=world.layout,
    )


def carry_out(world: World, seed: int, shares: tuple[float | Numbers, ...] = (0.0, 1.0)) -> Outcome:
    """Draw a bank and plan, then audit a fresh candidate that remembers each of ``shares``."""
    draw = np.random.default_rng(seed)
    readiness = ready(world, draw)
    plan = draw_up(
        readiness,
        case="simulated",
        origin=ORIGIN,
        request=SOME,
        policies=SOME,
        required_power=0.8,
        seeds=(),
        ladder=(),
    )
    decided = [
        assess(
            plan,
            readiness,
            world.model(draw, share=share),
            role=CandidateRole.REQUEST,
            by_recipe=True,
            weights=SOME,
        )
        for share in shares
    ]
    return Outcome(
        power=plan.power,
        decisions=tuple(decision for _, decision in decided),
        across=tuple(evidence.across for evidence, _ in decided),
    )
