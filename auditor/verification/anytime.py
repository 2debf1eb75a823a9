"""An upper bound on a share that holds however often one looks, and whenever one stops.

An exact interval of a number of trials that was fixed beforehand (`clopper_pearson`) is none for
who adds trials until it suits: looked at often enough, it covers less than it says.
"""

from __future__ import annotations

from math import inf, log, log1p

from scipy import special

_SHAPE = 0.5  # of the weights: shares far below the one in question count for more
_HALVINGS = 60


def anytime_upper(events: int, trials: int, level: float = 0.95) -> float:
    """Bound that, with probability at least ``level``, no look at all finds below the true share.

    A share p is held against shares tp below it, t weighed by Beta(1/2, 1). Wherever the true share
    is p or more, the ratio of their likelihoods is a supermartingale that begins at 1, so it ever
    reaches 1 / (1 - level) with probability at most 1 - level (Ville 1939); shares for which it has
    are ruled out. Mixtures of this kind are due to Robbins 1970, Ann. Math. Stat. 41:1397.

    It holds as well for members of a finite population, each drawn at most once between two looks:
    by Maclaurin's inequality the ratio of such a draw has no larger mean.

    >>> round(anytime_upper(0, 73), 4), round(anytime_upper(0, 74), 4)
    (0.0505, 0.0498)
    """
    if events == trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ruled_out = _log_ratio(middle, events, trials) >= -log1p(-level)
        low, high = (low, middle) if ruled_out else (middle, high)
    return high


def _log_ratio(share: float, events: int, trials: int) -> float:
    """Log of the mixture of likelihoods over the likelihood of the share itself."""
    if share >= 1:
        return inf
    seen, other = events + _SHAPE, trials - events
    mixture = special.betaln(seen, other + 1) + log(special.betainc(seen, other + 1, share))
    return float(log(_SHAPE) + mixture - seen * log(share) - other * log1p(-share))
