"""FAILED across cases: which findings stand although a hospital has had hundreds of cases.

Each case by itself is FAILED wrongly with probability at most alpha, so of N true retrains at most
alpha N are expected to be. Over a quarter that may be several. A second, stricter line says which
findings are confirmed: alpha is spent over the quarter's cases in the order in which the ledger
pinned their plans, and the chance that any confirmed finding of the quarter is wrong is at most
alpha.

Spending (Foster and Stine 2008, J. R. Stat. Soc. B 70:429, section 2) and not LORD++ (Javanmard and
Montanari 2018; Ramdas et al. 2017), which finds more: that asks for cases independent of each
other, and ours share models, data and banks. Spending holds whatever they share, and the level of a
case hangs on its place alone, not on verdicts that may still be open when it is pinned.
"""

from __future__ import annotations

from math import log

from auditor.domain.evidence import AcrossCases
from auditor.errors import EvidenceError

# Of 1 / ((n + 1) ln(n + 1)^2) over n = 1, 2, ...: by summing to 10 million and the integral beyond.
_SUM = 2.10975


def spent_on(place: int, alpha: float) -> float:
    """Level of the case in this place of its quarter, from 1; over all places at most ``alpha``.

    It falls about as slowly as a sum that stays finite allows.

    >>> round(spent_on(1, 0.05), 4), round(spent_on(10, 0.05), 6), round(spent_on(100, 0.05), 7)
    (0.0247, 0.000375, 1.1e-05)

    Raises:
        EvidenceError: places are counted from 1.
    """
    if place < 1:
        raise EvidenceError("places among a quarter's plans are counted from 1")
    return alpha / (_SUM * (place + 1) * log(place + 1) ** 2)


def hold_across(p_value: float, place: int, alpha: float) -> AcrossCases:
    """Hold a case's p-value against the level of its place."""
    level = spent_on(place, alpha)
    return AcrossCases(place=place, level=level, p_value=p_value, confirmed=p_value <= level)
