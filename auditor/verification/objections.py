"""What would be objected to the bank's own models, had each been a candidate.

They were trained without the forgotten patients, so whatever objects to one of them would object
to a true retrain: how often, hangs on tails and on patients that nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.secondary import doubted_models, statistics_of


def objected_models(
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    layout: Layout,
    *,
    outside: Sequence[bool],
    alpha: float,
    doubt_alpha: float,
) -> tuple[bool, ...]:
    """Which OUT models would lose a PASSED to something else than their residual influence.

    A secondary test casts doubt on them, they are held not to be by the recipe, or, where several
    patients are forgotten, they are told apart on one of them alone.

    Args:
        out: each is held against all the others.
        untouched: the original and IN models.
        outside: of which of them some patient is told apart (`models_outside`).
        alpha: as in `secondary_tests`; so is ``doubt_alpha``.
    """
    found = statistics_of(out, untouched, layout)
    objected = np.array(doubted_models(found, alpha, doubt_alpha=doubt_alpha))
    objected |= [
        not fit_retrain(model, [*out[:place], *out[place + 1 :]], layout).matches
        for place, model in enumerate(out)
    ]
    return tuple((objected | np.array(outside)).tolist())
