"""How good an attack is: AUC, true positives at few false ones, exact intervals, the ceiling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from auditor.domain.evidence import AttackRate, Estimate, MembershipAttack
from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.attacks.scores import checked
from auditor.verification.clopper_pearson import clopper_pearson, most_provable
from auditor.verification.delong import auc
from auditor.verification.layout import Numbers

LIMITS = (0.01, 0.001)
LEVEL = 0.95


def rate_attack(name: str, members: Numbers, others: Numbers, *, unit: str) -> MembershipAttack:
    """Rate an attack by one score per independent unit, larger for members.

    The unit is the patient where one model is attacked, the model where many are: scores that
    share a patient or a model aren't independent and would make every interval too short.

    Args:
        members: scores of those that were trained on, (m,).
        others: scores of those that weren't, (n,).
        unit: ``patient`` or ``model``.

    Raises:
        EvidenceError: an empty group, or scores that are no numbers or all alike.
    """
    if min(len(members), len(others)) == 0:
        raise EvidenceError(f"{name}: an attack is rated on members and others; one group is empty")
    both = checked(np.concatenate([members, others]), f"{name}: scores")
    if np.ptp(both) == 0:
        raise UnauditableError(f"{name}: the attack gives everybody the same score")
    area = auc(both, np.repeat([1, 0], [len(members), len(others)]))
    return MembershipAttack(
        name=name,
        unit=unit,
        auc=auc_interval(area, len(members), len(others), LEVEL),
        rates=tuple(_rate(members, others, limit) for limit in LIMITS),
        members=len(members),
        others=len(others),
        ceiling=most_provable(len(members), len(others), LEVEL),
    )


def auc_interval(area: float, members: int, others: int, level: float) -> Estimate:
    """Interval of an AUC that stays honest at 0 and 1, where DeLong's has no width.

    All true areas that Hanley and McNeil's (1982) variance doesn't tell from the one found;
    Newcombe 2006, Statistics in Medicine 25:559, method 5.
    """
    z = float(stats.norm.ppf(0.5 + level / 2))

    def excess(true: float) -> float:
        inner = (members - 1) * (1 - true) / (2 - true) + (others - 1) * true / (1 + true)
        variance = true * (1 - true) * (1 + inner) / (members * others)
        return (area - true) ** 2 - z**2 * variance

    return Estimate(
        lower=_edge(excess, 0.0, area), point=area, upper=_edge(excess, 1.0, area), level=level
    )


def _edge(excess: Callable[[float], float], end: float, area: float) -> float:
    """Where the excess changes sign between an end of the scale and the area found."""
    if abs(end - area) < 1e-12:
        return end
    inside = area + (end - area) * 1e-9
    return float(brentq(excess, inside, end)) if excess(end) > 0 else end


def _rate(members: Numbers, others: Numbers, limit: float) -> AttackRate:
    """At the lowest threshold that at most ``limit`` of the others exceed."""
    allowed = int(np.floor(limit * len(others) + 1e-9))
    threshold = np.sort(others)[len(others) - 1 - allowed]
    return AttackRate(
        limit=limit,
        false_positives=clopper_pearson(int((others > threshold).sum()), len(others), LEVEL),
        true_positives=clopper_pearson(int((members > threshold).sum()), len(members), LEVEL),
    )
