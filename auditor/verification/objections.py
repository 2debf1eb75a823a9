"""What would be objected to the bank's own models, had each been a candidate.

They were trained without the forgotten patients, so whatever objects to one of them would object
to a true retrain: how often, hangs on tails that nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import or_

from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.secondary import doubted_models, statistics_of


def objected_models(
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    layout: Layout,
    *,
    alpha: float,
    doubt_alpha: float,
) -> int:
    """How many OUT models a secondary test casts doubt on, or are held not to be by the recipe.

    Args:
        out: each is held against all the others.
        untouched: the original and IN models.
        alpha: as in `secondary_tests`; so is ``doubt_alpha``.
    """
    found = statistics_of(out, untouched, layout)
    doubted = doubted_models(found, alpha, doubt_alpha=doubt_alpha)
    unlike = [
        not fit_retrain(model, [*out[:place], *out[place + 1 :]], layout).matches
        for place, model in enumerate(out)
    ]
    return sum(map(or_, doubted, unlike))
