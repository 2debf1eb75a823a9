"""Surrogate patients: matched to the forgotten ones by image count and memorisation.

A method's parameters are tuned on them, so that nothing of the request at hand is ever looked at
before the plan is pinned (DESIGN section 4 point 11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

_SMALL_COHORT = 2
_GROUPS_FOR_SMALL = 3  # one surrogate patient alone would be too noisy to tune on


def match_surrogates(
    forgotten: Sequence[str],
    images: Mapping[str, int],
    memorisation: Mapping[str, float],
) -> tuple[tuple[str, ...], ...]:
    """Groups of surrogates, each as large as the forgotten cohort.

    Greedy matching without replacement; the cohort's most memorised patient chooses first. Twice
    the images count as much as one standard deviation of memorisation: matched by images first,
    a strongly memorised patient is given surrogates that show no gap to tune on.

    Args:
        forgotten: subjects to be matched.
        images: training images per subject, forgotten subjects included.
        memorisation: per subject, as scouts tell it (`scouting.Scouts`).

    Returns:
        Three groups for a cohort of one or two, else one; fewer where patients run out.
    """
    free = sorted(set(images) - set(forgotten))
    wanted = sorted(forgotten, key=lambda subject: (-memorisation[subject], subject))
    groups: list[tuple[str, ...]] = []
    for _ in range(_GROUPS_FOR_SMALL if len(forgotten) <= _SMALL_COHORT else 1):
        group: list[str] = []
        for subject in wanted:
            if not free:
                break
            nearest = min(
                free,
                key=lambda other: (
                    abs(log2(images[other] / images[subject]))
                    + abs(memorisation[other] - memorisation[subject]),
                    other,
                ),
            )
            free.remove(nearest)
            group.append(nearest)
        if len(group) == len(wanted):
            groups.append(tuple(group))
    return tuple(groups)
