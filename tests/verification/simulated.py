"""Simulated reference models: margins and features of images, with and without the forgotten."""

from __future__ import annotations

import numpy as np

from auditor.verification.layout import Layout, Numbers
from auditor.verification.measurements import Measurements

# Six forgotten patients with two images each, thirty retained, forty never seen, some with three.
_IMAGES = [2] * 6 + [1] * 30 + [2] * 30 + [3] * 10
PATIENTS = np.repeat(np.arange(len(_IMAGES)), _IMAGES)
LAYOUT = Layout(
    labels=PATIENTS % 2,
    patients=PATIENTS,
    forgotten=np.flatnonzero(PATIENTS < 6),
    retained=np.flatnonzero((PATIENTS >= 6) & (PATIENTS < 36)),
    unseen=np.flatnonzero(PATIENTS >= 36),
)
COUNT = len(PATIENTS)
_WIDTH = 5
_world = np.random.default_rng(20260127)
_EASE = _world.normal(2.0, 1.0, COUNT)
_PLACES = {depth: _world.normal(0, 1, (COUNT, _WIDTH)) for depth in ("early", "head")}
_ODD = np.where(np.isin(PATIENTS, [0, 3]), 2.0, 1.0)  # two forgotten patients vex every model


def rotated(draw: np.random.Generator, values: Numbers) -> Numbers:
    """The same features as another seed would place them."""
    turn, _ = np.linalg.qr(draw.normal(0, 1, (values.shape[1], values.shape[1])))
    return values @ turn


def model(
    draw: np.random.Generator,
    *,
    rise: float = 0.0,
    moved: float = 0.0,
    blur: float = 0.3,
    tails: float = np.inf,
) -> Measurements:
    """One model.

    Args:
        rise: of the forgotten images' margins: what a model that was trained on them shows.
        moved: how far their features lie from where a retrain puts them.
        blur: noise of the features of every image.
        tails: degrees of freedom of the noise; infinite for the normal distribution.
    """

    def noise(*shape: int) -> Numbers:
        normal = draw.normal(0, 1, shape)
        return normal if np.isinf(tails) else normal * np.sqrt(tails / draw.chisquare(tails, shape))

    gone = np.isin(np.arange(COUNT), LAYOUT.forgotten)
    known = np.isin(np.arange(COUNT), LAYOUT.retained)
    margins = _EASE + 2.0 * known + rise * gone + 0.3 * noise() + 0.6 * _ODD * noise(COUNT)
    features = {}
    for depth, places in _PLACES.items():
        shift = moved * gone[:, None] * np.sign(places)
        placed = places + shift + blur * _ODD[:, None] * noise(COUNT, _WIDTH)
        features[depth] = rotated(draw, placed).astype(np.float32)
    return Measurements(
        margins=margins,
        scores=np.where(LAYOUT.labels == 1, margins, -margins),
        features=features,
        augmented=margins + 0.5 * noise(3, COUNT),
        noisy=margins + 0.5 * noise(2, COUNT),
    )
