"""What would be objected to the bank's own models, had each been a candidate.

They were trained without the forgotten patients, so whatever objects to one of them would object
to a true retrain: how often, hangs on tails and on patients that nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.verification.contrast import contrast
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.per_patient import models_outside
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.secondary import doubted_models, statistics_of


def objected_models(
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    original: Measurements,
    layout: Layout,
    *,
    alpha: float,
    doubt_alpha: float,
) -> int:
    """How many OUT models would lose a PASSED to something else than their residual influence.

    A secondary test casts doubt on them, they are held not to be by the recipe, or, where several
    patients are forgotten, they are told apart on one of them alone.

    Args:
        out: each is held against all the others.
        untouched: IN models.
        original: the model in service.
        alpha: as in `secondary_tests`; so is ``doubt_alpha``.
    """
    found = statistics_of(out, (original, *untouched), layout)
    objected = np.array(doubted_models(found, alpha, doubt_alpha=doubt_alpha))
    objected |= [
        not fit_retrain(model, [*out[:place], *out[place + 1 :]], layout).matches
        for place, model in enumerate(out)
    ]
    patients = layout.patients[layout.forgotten]
    if len(set(patients.tolist())) > 1:  # one alone is what residual influence looks at anyway
        outs, ins = (
            np.stack([contrast(item.margins, layout) for item in models])
            for models in (out, untouched)
        )
        objected |= models_outside(outs, ins, patients, doubt_alpha)
    return int(objected.sum())
